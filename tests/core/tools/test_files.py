"""Read, Write and Edit do what a model expects of them, on whole files, inside the scope."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest
from tests.support.tools import Bench, bench


@pytest.fixture
def room(tmp_path: Path) -> Bench:
    return bench(tmp_path)


async def test_lines_are_numbered_and_counted_from_one(room: Bench) -> None:
    result = await room.call("Read", file_path="backend/app.py")
    assert result.text == "     1\tdef app():\n     2\t    return 1"
    assert result.target == "backend/app.py"
    assert result.text == (await room.call("Read", file_path=str(room.tree / "backend/app.py"))).text


async def test_a_long_file_is_read_in_pages(room: Bench) -> None:
    (room.tree / "frontend/long").write_text("".join(f"no {n}\n" for n in range(1, 5001)))
    first = await room.call("Read", file_path="frontend/long")
    assert first.text.count("\n") == 2000
    assert first.text.endswith("[PARTIAL view: lines 1 to 2000; continue with offset=2001]")
    last = await room.call("Read", file_path="frontend/long", offset=4999, limit=50)
    assert last.text == "  4999\tno 4999\n  5000\tno 5000"
    some = await room.call("Read", file_path="frontend/long", offset=3, limit=2)
    assert some.text == "     3\tno 3\n     4\tno 4\n[PARTIAL view: lines 3 to 4; continue with offset=5]"


async def test_bytes_and_line_lengths_are_capped(room: Bench) -> None:
    (room.tree / "frontend/wide").write_text(("x" * 1_900 + "\n") * 400 + "y" * 50_000)
    wide = await room.call("Read", file_path="frontend/wide")
    assert len(wide.text) <= 30_000
    assert "PARTIAL view" in wide.text
    end = await room.call("Read", file_path="frontend/wide", offset=401)
    assert end.text.endswith("[… cut, 50000 characters]")
    assert len(end.text) < 2_100


async def test_empty_missing_and_unsuitable_files_are_said_plainly(room: Bench) -> None:
    (room.tree / "frontend/empty").touch()
    (room.tree / "frontend/binary").write_bytes(b"\x7fELF\0\0")
    os.mkfifo(room.tree / "frontend/pipe")
    assert (await room.call("Read", file_path="frontend/empty")).text == "[the file exists and is empty]"
    past = await room.call("Read", file_path="backend/app.py", offset=9)
    assert past.text == "[the file has 2 lines: offset 9 is past its end]"
    for path, words in (
        ("frontend/binary", "binary"),
        ("frontend/pipe", "not a regular file"),
        ("frontend", "directory"),
        (".", "directory"),
        ("backend/nothing", "does not exist"),
        ("backend/ap.py", "did you mean backend/app.py?"),
        ("backend/app.py/x", "app.py/x"),
    ):
        result = await room.call("Read", file_path=path)
        assert result.is_error
        assert words in result.text


async def test_a_written_file_is_reported_with_its_path_in_the_tree(room: Bench) -> None:
    new = await room.call("Write", file_path="backend/deep/er/new.py", content="a\nb")
    assert (new.text, new.touched) == ("Created backend/deep/er/new.py (2 lines, 3 bytes)", ("backend/deep/er/new.py",))
    again = await room.call("Write", file_path=str(room.tree / "backend/deep/er/new.py"), content="")
    assert (again.text, again.touched) == (
        "Replaced backend/deep/er/new.py (0 lines, 0 bytes)",
        ("backend/deep/er/new.py",),
    )
    scratch = await room.call("Write", file_path=str(room.scratch / "note"), content="x")
    assert not scratch.is_error
    assert scratch.touched == ()


async def test_refused_writes_change_nothing(room: Bench) -> None:
    (room.tree / "backend/away").symlink_to(room.outside)
    (room.tree / "backend/link.ts").symlink_to("../frontend/page.ts")
    for path, rule in (
        ("frontend/page.ts", "directories"),
        (str(room.outside / "secret"), "outside_tree"),
        ("backend/away/secret", "symlink"),
        ("backend/link.ts", "symlink"),
        ("backend/.git/hooks/pre-commit", "git_dir"),
    ):
        for call in (
            room.call("Write", file_path=path, content="x"),
            room.call("Edit", file_path=path, old_string="un", new_string="x"),
        ):
            result = await call
            assert result.denied is not None
            assert result.denied.rule == rule
            assert result.touched == ()
            assert "next:" in result.text
    assert (room.outside / "secret").read_text() == "untouched"
    assert (room.tree / "frontend/page.ts").read_text() == "export const page = 1\n"


async def test_a_directory_cannot_be_written_over(room: Bench) -> None:
    (room.tree / "backend/package").mkdir()
    for path in ("backend/package", "backend"):
        result = await room.call("Write", file_path=path, content="x")
        assert result.is_error
        assert "regular file" in result.text
    assert (await room.call("Write", file_path="backend/app.py/x", content="x")).is_error


async def test_half_a_character_is_an_error_and_not_a_crash(room: Bench) -> None:
    result = await room.call("Write", file_path="backend/x", content="\ud800")
    assert result.is_error
    assert "half a character" in result.text
    assert not (room.tree / "backend/x").exists()
    assert (await room.call("Write", file_path="backend/\ud800", content="x")).is_error


async def test_an_edit_replaces_the_one_occurrence_and_keeps_the_mode(room: Bench) -> None:
    (room.tree / "backend/app.py").chmod(0o755)
    result = await room.call("Edit", file_path="backend/app.py", old_string="return 1", new_string="return 2")
    assert result.text == "Edited backend/app.py at line 2:\n     1\tdef app():\n     2\t    return 2"
    assert result.touched == ("backend/app.py",)
    assert (room.tree / "backend/app.py").read_text() == "def app():\n    return 2\n"
    assert stat.S_IMODE((room.tree / "backend/app.py").stat().st_mode) == 0o755


async def test_an_ambiguous_edit_says_how_often_and_where(room: Bench) -> None:
    (room.tree / "backend/many").write_text("a = 1\nb = 1\nc = 1\n")
    result = await room.call("Edit", file_path="backend/many", old_string=" = 1", new_string=" = 2")
    assert result.is_error
    assert "occurs 3 times in backend/many (lines 1, 2, 3)" in result.text
    assert (room.tree / "backend/many").read_text() == "a = 1\nb = 1\nc = 1\n"
    every = await room.call("Edit", file_path="backend/many", old_string=" = 1", new_string=" = 2", replace_all=True)
    assert every.text.startswith("3 replacements in backend/many")
    assert (room.tree / "backend/many").read_text() == "a = 2\nb = 2\nc = 2\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("return  1", "x", "does not occur"),
        ("  def app():\n    return 1", "x", "line 1 is close"),
        ("return 1", "return 1", "the same"),
        ("", "x", "old_string is empty"),
    ],
)
async def test_an_edit_that_cannot_be_made_says_what_to_do(room: Bench, old: str, new: str, words: str) -> None:
    result = await room.call("Edit", file_path="backend/app.py", old_string=old, new_string=new)
    assert result.is_error
    assert words in result.text
    assert "next:" in result.text
    assert (room.tree / "backend/app.py").read_text() == "def app():\n    return 1\n"


async def test_line_ends_of_a_file_survive_an_edit(room: Bench) -> None:
    path = room.tree / "backend/dos.txt"
    path.write_bytes(b"one\r\ntwo\r\nthree\r\n")
    assert not (await room.call("Edit", file_path="backend/dos.txt", old_string="one\ntwo", new_string="1\n2")).is_error
    assert path.read_bytes() == b"1\r\n2\r\nthree\r\n"


async def test_text_that_is_not_utf8_is_left_alone(room: Bench) -> None:
    (room.tree / "backend/latin").write_bytes(b"caf\xe9\n")
    assert (await room.call("Edit", file_path="backend/latin", old_string="caf", new_string="x")).is_error
    assert (room.tree / "backend/latin").read_bytes() == b"caf\xe9\n"


async def test_edits_made_at_once_are_all_kept(room: Bench) -> None:
    (room.tree / "backend/list").write_text("".join(f"<{n}>\n" for n in range(20)))
    results = await asyncio.gather(
        *(room.call("Edit", file_path="backend/list", old_string=f"<{n}>", new_string=f"done {n}") for n in range(20))
    )
    assert not any(result.is_error for result in results)
    assert (room.tree / "backend/list").read_text() == "".join(f"done {n}\n" for n in range(20))
