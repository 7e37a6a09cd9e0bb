"""Whatever a model sends to the file and search tools comes back as an error it can act on, and quickly."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.tools import Bench, bench

from swarm_core.tools import files
from swarm_core.tools.beneath import Changed, replace_file

HUGE = "x" * (50 * 2**20)


@pytest.fixture
def room(tmp_path: Path) -> Bench:
    return bench(tmp_path)


DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("Write", {"file_path": "backend/x", "content": HUGE}, "larger than 10 MiB"),
        ("Edit", {"file_path": "backend/app.py", "old_string": HUGE, "new_string": ""}, "larger than 10 MiB"),
        ("Read", {"file_path": "y" * 5_000}, "may have 4096 characters"),
        ("Read", {HUGE: 1}, "larger than 10 MiB"),
        ("Read", {"file_path": "backend/app.py", "z" * 100_000: 1}, "is not a parameter"),
        ("Read", {"file_path": DEEP}, "must be string"),
        ("Bash", {"command": HUGE}, "larger than 10 MiB"),
        ("Glob", {"pattern": "a" * 100_000}, "longer than"),
        ("Grep", {"pattern": "a" * 100_000}, "longer than"),
        ("Grep", {"pattern": "a", "output_mode": HUGE[: 2**20]}, "must be one of"),
        ("Read", {"file_path": "backend/app.py", "offset": 10**400}, "past its end"),
        ("Read", {"file_path": "backend/app.py", "limit": 1e999}, "must be integer"),
        ("Read", {"file_path": "backend/app.py", "offset": True}, "must be integer"),
        ("Nothing", {"at": "all"}, "there is no tool Nothing"),
        ("Write", {"file_path": "backend/half", "content": "\ud800"}, "half a character"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "…",
)
async def test_a_bad_call_is_answered_in_words_and_touches_nothing(
    room: Bench, tool: str, arguments: dict[Any, Any], words: str
) -> None:
    before = sorted(room.tree.rglob("*"))
    result = await asyncio.wait_for(room.toolbox.call(tool, arguments), 5)
    assert words in result.text
    assert len(result.text) < 3_000
    assert len(result.target) <= 200
    assert sorted(room.tree.rglob("*")) == before


async def test_pictures_documents_and_other_binaries_are_refused_by_what_they_are(room: Bench) -> None:
    for name, begin, words in (
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "picture"),
        ("a.pdf", b"%PDF-1.7\n%\xe2", "pdftotext"),
        ("a.o", b"\x7fELF\0", "binary file"),
    ):
        (room.tree / "backend" / name).write_bytes(begin)
        result = await room.call("Read", file_path=f"backend/{name}")
        assert result.is_error
        assert words in result.text


async def test_a_notebook_is_read_as_its_cells_and_a_broken_one_as_text(room: Bench) -> None:
    (room.tree / "backend/a.ipynb").write_text(
        '{"cells": [{"cell_type": "code", "source": ["x = 1\\n", "x"], "outputs": ['
        '{"data": {"text/plain": ["1"], "image/png": "AAAA"}}, {"ename": "E", "evalue": "bad"}]},'
        '{"cell_type": "markdown", "source": "# Title"}, 3]}'
    )
    shown = [line.split("\t")[1] for line in (await room.call("Read", file_path="backend/a.ipynb")).text.split("\n")]
    assert shown == [
        "# cell 0 (code)",
        "x = 1",
        "x",
        "# output: 1",
        "# output: [image/png not shown]",
        "# output: E: bad",
        "# cell 1 (markdown)",
        "# Title",
    ]
    (room.tree / "backend/a.ipynb").write_text("not a notebook")
    assert (await room.call("Read", file_path="backend/a.ipynb")).text == "     1\tnot a notebook"


async def test_a_file_that_changes_under_an_edit_keeps_both_changes(
    room: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = room.tree / "backend/app.py"
    replaced = 0

    def racing(base: Path, parts: tuple[str, ...], data: bytes, *, expected: bytes | None = None) -> bool:
        nonlocal replaced
        replaced += 1
        if replaced == 1:  # a command writes the file after it was read, before it is replaced
            path.write_text(path.read_text() + "# by a command\n")
        return replace_file(base, parts, data, expected=expected)

    monkeypatch.setattr(files, "replace_file", racing)
    result = await room.call("Edit", file_path="backend/app.py", old_string="return 1", new_string="return 2")
    assert not result.is_error
    assert path.read_text() == "def app():\n    return 2\n# by a command\n"
    assert replaced == 2


async def test_a_file_that_never_rests_is_left_as_it_is(room: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def racing(base: Path, parts: tuple[str, ...], data: bytes, *, expected: bytes | None = None) -> bool:
        raise Changed

    monkeypatch.setattr(files, "replace_file", racing)
    result = await room.call("Edit", file_path="backend/app.py", old_string="return 1", new_string="return 2")
    assert result.is_error
    assert "keeps changing" in result.text
    assert [path.name for path in (room.tree / "backend").iterdir()] == ["app.py"]


async def test_what_was_expected_is_compared_right_before_the_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one, longer")
    for expected in (b"one", b"", b"two"):
        with pytest.raises(Changed):
            replace_file(tmp_path, ("a",), b"mine", expected=expected)
    assert not replace_file(tmp_path, ("a",), b"mine", expected=b"one, longer")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
