"""What a foreign agent may use, by the rules of its service: deny where nothing says yes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.tools import bench

from swarm_core.agents.adapters.permission import judge_by_rules


@pytest.mark.parametrize(
    ("tool", "arguments", "rule"),
    [
        ("Write", {"file_path": "backend/new.py"}, ""),
        ("Edit", {"path": "backend/app.py"}, ""),
        ("Edit", {"paths": ["backend/app.py", "frontend/page.ts"]}, "directories"),
        ("MultiEdit", {"file_path": "frontend/page.ts"}, "directories"),
        ("Write", {"file_path": "../outside/secret"}, "outside_tree"),
        ("Write", {"file_path": "backend/../.git"}, "git_dir"),
        ("Write", {}, "unreadable"),
        ("Write", {"file_path": ""}, "unreadable"),
        ("Write", {"file_path": 7}, "unreadable"),
        ("Edit", {"paths": ["backend/a"] * 1000}, ""),
        ("Edit", {"paths": [f"backend/{n}" for n in range(1000)]}, "unreadable"),
        ("Read", {"file_path": "frontend/page.ts"}, ""),
        ("Read", {"file_path": "/etc/passwd"}, "outside_tree"),
        ("Bash", {"command": "python -m pytest"}, ""),
        ("Bash", {"command": "git commit -m x"}, "raw_git"),
        ("Bash", {"command": "echo x > ../outside/secret"}, "outside_tree"),
        ("Bash", {}, "unreadable"),
        ("WebFetch", {"url": "https://example.org"}, ""),
        ("TodoWrite", {"todos": []}, ""),
        ("mcp__files__write", {"path": "backend/a"}, "unknown_tool"),
        ("", {}, "unknown_tool"),
    ],
)
async def test_the_verdict_follows_from_the_scope(tmp_path: Path, tool: str, arguments: Any, rule: str) -> None:
    denial = await judge_by_rules(bench(tmp_path).scope)(tool, arguments)

    assert (denial.rule if denial else "") == rule


async def test_tools_that_the_service_lists_and_restricts_count(tmp_path: Path) -> None:
    few: dict[str, Any] = {"tools_allowed": ("Read", "mcp__docs__find"), "tools_restricted": ("WebFetch",)}
    ask = judge_by_rules(bench(tmp_path, **few).scope)
    verdicts = [await ask(tool, {"file_path": "backend/app.py"}) for tool in ("Read", "Write", "WebFetch")]

    assert [verdict.rule if verdict else "" for verdict in verdicts] == ["", "tools_allowed", "tools_restricted"]
    assert await ask("mcp__docs__find", {}) is None
