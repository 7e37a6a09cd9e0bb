"""The files of a tree that a check reads: by pattern, never through a link, each up to a size."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

MAX_TEXT_BYTES = 4 << 20
MAX_FILES = 200_000
# Directories of other people's code and of tools, in a tree where somebody worked. A commit holds none by accident.
SKIPPED = frozenset(
    {".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", "venv", ".tox", ".nox", ".mypy_cache"}
    | {".ruff_cache", ".pytest_cache", ".multi-agent", ".runs", ".idea", ".vscode"}
)


@dataclass(frozen=True, slots=False)
class TreeFile:
    """``path`` is relative to the tree, with slashes."""

    root: Path
    path: str
    size_bytes: int

    @cached_property
    def data(self) -> bytes | None:
        """The content, None if it cannot be read or is too large to be looked at."""
        if self.size_bytes > MAX_TEXT_BYTES:
            return None
        try:
            fd = os.open(self.root / self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as file:
                return file.read(MAX_TEXT_BYTES + 1) if stat.S_ISREG(os.fstat(fd).st_mode) else None
        except OSError:
            return None

    @property
    def is_binary(self) -> bool:
        return b"\0" in (self.data or b"")[:8192]

    @property
    def text(self) -> str | None:
        """The content as text; bytes that are no UTF-8 are replaced. None for what is no text."""
        return None if self.data is None or self.is_binary else self.data.decode("utf-8", "replace")


def files(
    root: Path, paths: Sequence[str] = (), exclude: Sequence[str] = (), *, every: bool = False
) -> Iterator[TreeFile]:
    """Plain files that match one of ``paths`` (all without any) and none of ``exclude``, in order.

    ``every``: also what lies in directories that are not the project's own work.
    """
    wanted, unwanted, count = patterns(tuple(paths)), patterns(tuple(exclude)), 0
    for top, directories, names in os.walk(root, followlinks=False):
        directories[:] = sorted(name for name in directories if name != ".git" and (every or name not in SKIPPED))
        for name in sorted(names):
            place = Path(top, name)
            path = os.path.relpath(place, root).replace(os.sep, "/")
            if (wanted and not wanted.fullmatch(path)) or (unwanted and unwanted.fullmatch(path)) or path == ".git":
                continue
            try:
                found = place.lstat()
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode):
                count += 1
                if count > MAX_FILES:
                    raise ValueError(f"more than {MAX_FILES} files: narrow paths")
                yield TreeFile(root, path, found.st_size)


@lru_cache(maxsize=64)
def patterns(globs: tuple[str, ...]) -> re.Pattern[str] | None:
    """One expression for all ``globs``: ``*`` within a name, ``**`` across directories, a directory for all in it."""
    if not globs:
        return None
    return re.compile("|".join(f"(?:{_translated(glob)})" for glob in globs), re.S)


def _translated(glob: str) -> str:
    out, place = "", 0
    while place < len(glob):
        if glob.startswith("**/", place):
            out, place = out + "(?:[^/]+/)*", place + 3
        elif glob.startswith("**", place):
            out, place = out + ".*", place + 2
        else:
            char = glob[place]
            out += {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char))
            place += 1
    return out + "(?:/.*)?"
