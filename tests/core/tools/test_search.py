"""Glob and Grep find what is in the tree, nothing outside it, and always come to an end."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from tests.support.tools import Bench, bench

from swarm_core.tools import search


@pytest.fixture
def room(tmp_path: Path) -> Bench:
    made = bench(tmp_path)
    files = {
        "backend/models/user.py": "class User:\n    name = 'a'\n    TODO = 1\n",
        "backend/tests/test_user.py": "from models import user\n# todo: more\n",
        "frontend/view.tsx": "// TODO (later)\n",
        "frontend/data.bin": "TODO\0",
        "README.md": "TODO list\n",
        ".hidden/notes.md": "a TODO\n",
        "sub/.git/config": "TODO = secret\n",
    }
    for name, content in files.items():
        (made.tree / name).parent.mkdir(parents=True, exist_ok=True)
        (made.tree / name).write_text(content)
    (made.outside / "secret.py").write_text("TODO outside\n")
    (made.tree / "backend/away").symlink_to(made.outside)
    (made.tree / "backend/link.py").symlink_to(made.outside / "secret.py")
    return made


@pytest.fixture(params=["python", "ripgrep"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both engines of Grep; ripgrep where it is installed."""
    if request.param == "ripgrep" and shutil.which("rg") is None:
        pytest.skip("ripgrep is not installed")
    if request.param == "python":
        monkeypatch.setattr(shutil, "which", lambda name: None)
    return str(request.param)


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        (
            "**/*.py",
            None,
            {"backend/app.py", "backend/models/user.py", "backend/tests/test_user.py", "backend/link.py"},
        ),
        (
            "*.py",
            "backend",
            {"backend/app.py", "backend/models/user.py", "backend/tests/test_user.py", "backend/link.py"},
        ),
        ("backend/*.py", None, {"backend/app.py", "backend/link.py"}),
        ("backend/**/test_*.{py,js}", None, {"backend/tests/test_user.py"}),
        ("**/models/**", None, {"backend/models/user.py"}),
        ("**/[tu]*.py", "backend", {"backend/models/user.py", "backend/tests/test_user.py"}),
        ("*.md", None, {"README.md", ".hidden/notes.md"}),
        ("**/config", None, set()),
        ("**/secret*", None, set()),
        ("../outside/*", None, set()),
    ],
)
async def test_patterns_find_files_of_the_tree(room: Bench, pattern: str, path: str | None, found: set[str]) -> None:
    result = await room.call("Glob", pattern=pattern, **({"path": path} if path else {}))
    assert not result.is_error
    assert (set() if result.text == "No files found" else set(result.text.split("\n"))) == found


async def test_the_newest_files_come_first_and_a_hundred_are_enough(room: Bench) -> None:
    for number in range(150):
        path = room.tree / f"frontend/many/{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (number, number))
    lines = (await room.call("Glob", pattern="**/many/*.txt")).text.split("\n")
    assert lines[:2] == ["frontend/many/149.txt", "frontend/many/148.txt"]
    assert lines[100:] == ["[100 of 150 files; use a narrower pattern]"]


async def test_a_pattern_that_backtracks_elsewhere_does_not_here(room: Bench) -> None:
    (room.tree / "frontend" / ("a" * 200)).touch()
    deep = room.tree / "frontend" / "/".join("d" * 25)
    deep.mkdir(parents=True)
    (deep / "x").touch()
    for pattern in ("*a" * 60 + "b", "**/" * 25 + "nothing", "{a,b}" * 5 + "x"):
        assert (await asyncio.wait_for(room.call("Glob", pattern=pattern), 10)).text == "No files found"
    assert (await room.call("Glob", pattern="{a,b}" * 20)).is_error


@pytest.mark.parametrize("tool", ["Glob", "Grep"])
@pytest.mark.parametrize("path", ["../outside", "/etc", ".git", "backend/away", "sub/.git"])
async def test_searches_stay_in_the_tree(room: Bench, tool: str, path: str) -> None:
    result = await room.call(tool, pattern="*" if tool == "Glob" else "TODO", path=path)
    assert result.denied is not None
    assert "TODO" not in result.text


async def test_paths_lines_and_counts(room: Bench, engine: str) -> None:
    paths = (await room.call("Grep", pattern="TODO")).text.split("\n")
    assert sorted(paths) == [".hidden/notes.md", "README.md", "backend/models/user.py", "frontend/view.tsx"]
    lines = await room.call("Grep", pattern="TO+DO", output_mode="content", glob="*.{py,tsx}")
    assert lines.text == "backend/models/user.py:3:    TODO = 1\nfrontend/view.tsx:1:// TODO (later)"
    counts = await room.call("Grep", pattern="todo", output_mode="count", type="py", **{"-i": True})
    assert counts.text == "backend/models/user.py:1\nbackend/tests/test_user.py:1"


async def test_context_lines_are_marked(room: Bench, engine: str) -> None:
    around = await room.call("Grep", pattern="name", path="backend/models", output_mode="content", **{"-C": 1})
    path = "backend/models/user.py"
    assert around.text == f"{path}-1-class User:\n{path}:2:    name = 'a'\n{path}-3-    TODO = 1"
    plain = await room.call("Grep", pattern="name", path=path, output_mode="content", **{"-n": False, "-B": 1})
    assert plain.text == f"{path}-class User:\n{path}:    name = 'a'"


async def test_long_results_are_cut_with_a_notice(room: Bench, engine: str) -> None:
    (room.tree / "backend/log").write_text("hit\n" * 5000)
    result = await room.call("Grep", pattern="hit", output_mode="content", head_limit=10)
    assert result.text.count("hit") == 10
    assert result.text.endswith("[cut after 10 lines; narrow the search or raise head_limit]")
    (room.tree / "backend/log").write_text("wide " * 100_000)
    assert len((await room.call("Grep", pattern="wide", output_mode="content")).text) < 2_000


async def test_patterns_that_are_wrong_or_find_nothing_say_so(room: Bench, engine: str) -> None:
    wrong = await room.call("Grep", pattern="(open")
    assert wrong.is_error
    assert "not a regular expression" in wrong.text
    assert (await room.call("Grep", pattern="nowhere to be found")).text == "No matches found"
    assert (await room.call("Grep", pattern="--version")).text == "No matches found"
    assert (await room.call("Grep", pattern="x", path="backend/none")).is_error


async def test_an_endless_expression_is_stopped(room: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(search, "GREP_TIMEOUT_S", 0.5)
    (room.tree / "backend/trap").write_text("a" * 60 + "!\n")
    result = await asyncio.wait_for(room.call("Grep", pattern="^(a+)+$", path="backend/trap"), 10)
    assert result.is_error
    assert "took longer" in result.text


async def test_a_service_without_access_searches_its_directories_alone(tmp_path: Path, engine: str) -> None:
    room = bench(tmp_path, access_level="none", directories=("backend", "missing"))
    (room.tree / "backend/a.ts").write_text("page\n")
    assert (await room.call("Grep", pattern="page")).text == "backend/a.ts"
    assert (await room.call("Glob", pattern="**/*.ts")).text == "backend/a.ts"
    assert (await room.call("Grep", pattern="page", path="frontend")).denied is not None


async def test_a_result_can_be_paged_through(room: Bench, engine: str) -> None:
    (room.tree / "backend/log").write_text("".join(f"hit {n}\n" for n in range(30)))
    found: list[str] = []
    for offset in (0, 10, 20):
        more = await room.call(
            "Grep", pattern="hit", path="backend/log", output_mode="content", head_limit=10, offset=offset
        )
        found += [line for line in more.text.split("\n") if "hit" in line]
    assert found == [f"backend/log:{n + 1}:hit {n}" for n in range(30)]
    past = await room.call("Grep", pattern="hit", path="backend/log", output_mode="content", offset=30)
    assert past.text == "[offset 30 is past the last result]"
    everything = await room.call("Grep", pattern="hit", path="backend/log", output_mode="content", head_limit=0)
    assert everything.text.count("hit") == 30


async def test_matching_parts_and_matches_across_lines(room: Bench, engine: str) -> None:
    parts = await room.call("Grep", pattern="na\\w+", path="backend/models", output_mode="content", **{"-o": True})
    assert parts.text == "backend/models/user.py:2:name"
    plain = await room.call("Grep", pattern="User:.*TODO", path="backend")
    assert plain.text == "No matches found"
    across = await room.call("Grep", pattern="User:.*TODO", path="backend", multiline=True, output_mode="content")
    assert [line.split(":")[1] for line in across.text.split("\n")] == ["1", "2", "3"]
    wide = await room.call("Grep", pattern="name", path="backend/models", output_mode="content", context=1)
    assert wide.text.count("\n") == 2
