"""Files are reached without following a link, even one that appeared after the path was judged."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_core.tools.beneath import open_directory, open_file, replace_file


def test_a_directory_swapped_for_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "tree" / "own").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("untouched")
    (tmp_path / "tree" / "own").rmdir()
    (tmp_path / "tree" / "own").symlink_to(tmp_path / "outside")
    attempts: tuple[Callable[[], object], ...] = (
        lambda: open_file(tmp_path / "tree", ("own", "file")),
        lambda: open_directory(tmp_path / "tree", ("own",), make=True),
        lambda: replace_file(tmp_path / "tree", ("own", "file"), b"painted"),
        lambda: replace_file(tmp_path / "tree", ("own", "new", "file"), b"painted"),
    )
    for attempt in attempts:
        with pytest.raises(NotADirectoryError):
            attempt()
    assert (tmp_path / "outside" / "file").read_text() == "untouched"
    assert [entry.name for entry in (tmp_path / "outside").iterdir()] == ["file"]


def test_a_final_link_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("untouched")
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(OSError, match="symbolic link"):
        open_file(tmp_path, ("link",))
    with pytest.raises(FileExistsError):
        replace_file(tmp_path, ("link",), b"painted")
    assert (tmp_path / "target").read_text() == "untouched"


@pytest.mark.parametrize("parts", [("..", "x"), (".", "x"), ("", "x"), ("a/b", "x")])
def test_only_names_of_entries_are_steps(tmp_path: Path, parts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="not the name"):
        open_file(tmp_path, parts)


def test_a_replaced_file_keeps_its_mode_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    path.write_text("old")
    path.chmod(0o750)
    assert replace_file(tmp_path, ("run.sh",), b"new") is False
    assert replace_file(tmp_path, ("deep", "er", "new.txt"), b"new") is True
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["deep", "run.sh"]


def test_a_write_that_fails_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(FileExistsError):
        replace_file(tmp_path, ("file",), b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_pipe_without_a_writer_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    fd = open_file(tmp_path, ("pipe",))
    assert stat.S_ISFIFO(os.fstat(fd).st_mode)
    os.close(fd)
