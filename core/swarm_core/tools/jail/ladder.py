"""The kinds of confinement, each prepared from the same reach."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

from swarm_core.tools.beneath import open_directory
from swarm_core.tools.confine import Jail

from .box import Box
from .reach import Reach, spread
from .seatbelt import wrapped
from .seccomp import program

Kind = Literal["bubblewrap", "landlock", "seatbelt", "none"]


class Prepared(Protocol):
    """A confinement for one fork."""

    @property
    def pass_fds(self) -> tuple[int, ...]: ...

    def wrap(self, argv: Sequence[str], cwd: Path) -> list[str]: ...

    @property
    def in_child(self) -> Callable[[], None] | None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


class _Seatbelt(Jail):
    def __init__(self, reach: Reach, limit: Callable[[], None]) -> None:
        super().__init__((), limit=limit)
        self._reach = reach

    def wrap(self, argv: Sequence[str], cwd: Path) -> list[str]:
        del cwd
        return wrapped(self._reach, argv)


def prepare(kind: Kind, reach: Reach, join: Callable[[], None] | None = None) -> Prepared:
    """A confinement of this kind for one process. Makes the directories that may be written; call it off the loop.

    ``join`` runs first in the child (to enter a group, say). Raises OSError.
    """
    limit = reach.limits.in_child()
    start = limit if join is None else lambda: (join(), limit())[1]
    reach.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("tmp", "cache"):
        _make_own(reach.scratch, name)
    held: list[tuple[int, Path]] = []
    try:
        for parts in reach.writable:
            if (fd := grantable(reach.tree, parts)) is not None:
                held.append((fd, reach.tree.joinpath(*parts)))
        held.append((open_directory(reach.scratch, ()), reach.scratch))
        match kind:
            case "bubblewrap":
                return Box(reach, held, start)
            case "seatbelt":
                return _Seatbelt(reach, start)
            case "landlock":
                return _landlock(reach, [fd for fd, _ in held], start)
            case "none":
                return _Unconfined(start)
    finally:
        for fd, _ in held:
            os.close(fd)


def _make_own(scratch: Path, name: str) -> None:
    """A directory for temporary files; what an agent put into its place is taken away."""
    path = scratch / name
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        path.unlink()
    path.mkdir(mode=0o700, exist_ok=True)


class _Unconfined(Jail):
    """Limits, and an end with the parent; nothing else."""

    def __init__(self, limit: Callable[[], None]) -> None:
        self._ruleset, self._limit, self._code = -1, limit, b""


def _landlock(reach: Reach, held: Sequence[int], limit: Callable[[], None]) -> Jail:
    tree = [reach.tree.joinpath(*parts) for parts in (*reach.readable, (".git",))]
    return Jail(
        held,
        reads=[*_spread(reach.roots, reach.hidden), *(path for path in tree if not path.is_symlink())],
        connects=reach.is_open,
        port=reach.port,
        limit=limit,
        code=program(is_boxed=reach.is_open),
    )


@functools.lru_cache(maxsize=64)
def _spread(roots: tuple[Path, ...], hidden: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(spread(roots, hidden))


def grantable(tree: Path, parts: tuple[str, ...]) -> int | None:
    """A directory of the service or a single file; None where a symbolic link stands in its place."""
    try:
        return open_directory(tree, parts, make=True)
    except NotADirectoryError:
        try:
            parent = open_directory(tree, parts[:-1])
        except NotADirectoryError:
            return None
        try:
            fd = os.open(parts[-1], getattr(os, "O_PATH", 0) | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        finally:
            os.close(parent)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        return None
