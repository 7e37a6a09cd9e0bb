"""``swarm-tui permissions`` says which rule decides, and where it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.cli import git

from swarm_core.cli import main

CONFIG = """\
permissions: {deny: ["Bash(git push:*)"], ask: ["Bash(npm:*)"]}
services:
  api: {directories: [api], permissions: {deny: ["WebFetch"]}}
  web: {directories: [web]}
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "multi-agent.yaml").write_text(CONFIG)
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude/settings.json").write_text(
        json.dumps({"permissions": {"ask": ["Edit(/web/**)"], "deny": ["Write(x)"]}, "hooks": {"Stop": []}})
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("call", "service", "code", "said"),
    [
        ("Bash(git push)", "api", 11, "deny: Bash(git push:*) (multi-agent.yaml:1)"),
        ("Bash(npm run x)", "web", 10, "could be granted: Bash(npm run x:*)"),
        ("WebFetch(https://x.org)", "api", 11, "deny: WebFetch (multi-agent.yaml:3)"),
        ("WebFetch(https://x.org)", "web", 0, "allow: the default, allow"),
        ("Edit(web/a.ts)", "web", 10, "ask: Edit(/web/**) (.claude/settings.json:1)"),
    ],
)
def test_the_rule_that_decides_is_named(
    repository: Path, capsys: pytest.CaptureFixture[str], call: str, service: str, code: int, said: str
) -> None:
    assert main(["permissions", "test", call, "--service", service]) == code
    assert said in capsys.readouterr().out


def test_all_rules_are_listed_and_doctor_says_where_they_come_from(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["permissions", "list", "--service", "api"]) == 0
    listed = capsys.readouterr().out
    assert "deny     WebFetch  (multi-agent.yaml:3)" in listed
    assert "note: .claude/settings.json:1: 'Write(x)' would never match" in listed
    main(["doctor"])
    said = capsys.readouterr().out
    assert "permissions: 3 rules in multi-agent.yaml, default allow" in said
    assert "2 rules of .claude/settings.json count (repository: narrow)" in said
    assert "hook not run: .claude/settings.json: Stop" in said


@pytest.mark.parametrize(("call", "more"), [("Bash(git", []), ("", []), ("Bash(x)", ["--arguments", "["])])
def test_what_is_no_call_is_said(
    repository: Path, capsys: pytest.CaptureFixture[str], call: str, more: list[str]
) -> None:
    assert main(["permissions", "test", call, *more]) == 2
    assert "Traceback" not in capsys.readouterr().err
