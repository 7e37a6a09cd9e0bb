"""What lies at a path of a worktree: can it be committed, how is it moved away, are conflict markers left in it."""

from __future__ import annotations

import os
import stat as st
from collections.abc import Collection
from pathlib import Path

from swarm_core.vocabulary.clean import clean_line

from . import files

MAX_FILE_BYTES = 8 << 20
_MARKERS = (b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>")


def is_leaf(path: Path) -> bool:
    """Is there a file, a link or anything else but a directory at ``path``?"""
    return files.exists(path) and not files.is_real_directory(path)


def why_not(root: Path, path: str) -> str:
    """Why a changed path cannot go into a commit; "" if it can."""
    if path.endswith("/"):
        return "a repository inside the worktree"
    if not files.is_plain(path):
        return "git refuses the name"
    if files.obstacle(root, path) is not None:
        return ""  # a deletion: its directory is a link or a file now
    try:
        found = (root / path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return ""  # a deletion
    if st.S_ISDIR(found.st_mode):
        return "a repository inside the worktree" if (root / path / ".git").exists() else ""
    if not (st.S_ISREG(found.st_mode) or st.S_ISLNK(found.st_mode)):
        return "neither a file nor a link"
    if found.st_size > MAX_FILE_BYTES:
        return f"larger than {MAX_FILE_BYTES >> 20} MiB"
    if st.S_ISREG(found.st_mode) and not os.access(root / path, os.R_OK):
        return "cannot be read"
    return ""


def dropped_by(path: str, kept: Collection[str]) -> str:
    """Why ``path`` cannot be committed while the paths of ``kept`` stay; "" if it can.

    A file takes the place of a directory, or a directory that of a file, only if both are in the commit.
    """
    above = path.split("/")
    parents = {"/".join(above[:count]) for count in range(1, len(above))}
    blocker = next((other for other in kept if other in parents or other.startswith(f"{path}/")), None)
    return f"it takes the place of {clean_line(blocker)}" if blocker is not None else ""


def move(root: Path, path: str, place: Path) -> None:
    """Move ``root/path`` to the same path below ``place``, if it exists; never through a symbolic link."""
    path = path.removesuffix("/")
    source = root / path
    if not files.is_plain(path) or files.obstacle(root, path) is not None or not files.exists(source):
        return
    target = place / path
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    files.remove_empty_parents(root, path)


def markers(content: bytes) -> list[int]:
    """How many lines begin with each kind of conflict marker; none in a binary file."""
    if b"\0" in content[:8000]:
        return [0] * len(_MARKERS)
    lines = content.splitlines()
    return [sum(line == mark or line.startswith(mark + b" ") for line in lines) for mark in _MARKERS]
