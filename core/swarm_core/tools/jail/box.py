"""Bubblewrap: a mount, process, network and user namespace of its own in which only the reach exists.

Descriptors stand for the writable directories, so that a directory swapped for a link grants nothing.
Requires bwrap 0.6 or later, set up so that it may be used by this person.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from swarm_core.tools.confine import pass_away_with_parent

from .reach import Reach
from .seccomp import program

TMP_BYTES = 256 << 20
# Without --disable-userns (before 0.8) the system-call filter alone refuses new namespaces.
_NAMESPACES = (
    "--unshare-user",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
)
_CLOSE = 'for number in $1; do exec {number}<&-; done; shift; exec "$@"'


@functools.cache
def bwrap() -> str | None:
    """The program, if it is installed here."""
    return shutil.which("bwrap") if sys.platform == "linux" else None


@functools.cache
def _options() -> str:
    done = subprocess.run([bwrap() or "bwrap", "--help"], capture_output=True, text=True, check=False, timeout=20)
    return done.stdout + done.stderr


class Box:
    """A prepared confinement; ``wrap`` and ``in_child`` are for one fork, ``close`` after it. Raises OSError."""

    def __init__(self, reach: Reach, held: Sequence[tuple[int, Path]], limit: Callable[[], None]) -> None:
        """``held`` are descriptors of what may be written and where it lies; they stay the caller's.

        ``limit`` runs in the child.
        """
        self._reach, self._held = reach, [(os.dup(fd), path) for fd, path in held]
        self._filter, self._limit = -1, limit
        if (code := program(is_boxed=True)) and hasattr(os, "memfd_create"):
            self._filter = os.memfd_create("filter", os.MFD_CLOEXEC)
            os.write(self._filter, code)
            os.lseek(self._filter, 0, os.SEEK_SET)

    @property
    def pass_fds(self) -> tuple[int, ...]:
        return (*(fd for fd, _ in self._held), *((self._filter,) if self._filter >= 0 else ()))

    def wrap(self, argv: Sequence[str], cwd: Path) -> list[str]:
        """``argv`` inside the box."""
        out = [bwrap() or "bwrap", *_NAMESPACES, "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        out += ["--disable-userns"] if "--disable-userns" in _options() else []
        # Root owns the settings in /proc/sys inside as well, and what is kept in memory counts as nobody's.
        out += ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
        for memory in ("/dev/shm", "/tmp"):
            out += [*(("--size", str(TMP_BYTES)) if "--size" in _options() else ()), "--tmpfs", memory]
        inside = {root for root in self._reach.roots if any(root.is_relative_to(path) for path in self._reach.hidden)}
        for path in self._reach.roots:
            out += self._shown(path) if path not in inside else []
        masks = [path for path in self._reach.hidden if self._is_shown(path)]
        for path in masks:
            out += self._masked(path)
        for path in inside:
            out += self._shown(path)
        for path in masks:
            out += ["--remount-ro", str(path)] if path.is_dir() else []
        out += self._own()
        out += ["--remount-ro", "/"]
        out += ["--seccomp", str(self._filter)] if self._filter >= 0 else []
        # A descriptor of a directory outside would lead out: they are closed before anything else runs.
        numbers = " ".join(str(fd) for fd, _ in self._held)
        closing = [shutil.which("bash") or "bash", "--noprofile", "--norc", "-c", _CLOSE, "box", numbers]
        return [*out, "--chdir", str(cwd), "--", *closing, *argv]

    def _shown(self, path: Path) -> list[str]:
        if path.is_symlink():
            return ["--symlink", str(path.readlink()), str(path)]
        return ["--ro-bind-try", str(path), str(path)]

    def _masked(self, path: Path) -> list[str]:
        """Hide what a root would show; what lies in it and is shown all the same can still be walked to."""
        if path.is_dir():
            return ["--perms", "0111", "--tmpfs", str(path)]
        return ["--ro-bind-try", "/dev/null", str(path)]

    def _is_shown(self, path: Path) -> bool:
        """Whether a root shows what is hidden. Where none does, nothing is there in the first place."""
        return any(path.is_relative_to(root) for root in self._reach.roots if not root.is_symlink()) and path.exists()

    def _own(self) -> list[str]:
        """The tree and the scratch directory, with ``.git`` read-only whatever else may be written."""
        reach, out = self._reach, list[str]()
        for parts in (*reach.readable, (".git",)):
            path = reach.tree.joinpath(*parts)
            if not path.is_symlink():
                out += ["--ro-bind-try", str(path), str(path)]
        for fd, path in self._held:
            out += ["--bind", f"/proc/self/fd/{fd}", str(path)]
        git = reach.tree / ".git"
        if git.exists() and not git.is_symlink():
            out += ["--ro-bind", str(git), str(git)]
        return out

    @property
    def in_child(self) -> Callable[[], None] | None:
        """What the child runs before exec: die with the parent's thread, take no more than the limits."""
        leave, limit = pass_away_with_parent(), self._limit

        def apply() -> None:
            leave()
            limit()

        return apply

    def close(self) -> None:
        for fd in (*(fd for fd, _ in self._held), self._filter):
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._held, self._filter = [], -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
