"""An agent's processes, wherever they went: found by descent, and by a mark they cannot take off.

A process that leaves its group, its session and its parent behind is adopted by the engine, which asked for that
(``adopt_orphans``). It is known there by its system-call filter: a confined process and all that come from it have one
more than the engine, for ever.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import sys
import threading
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
MARK = "SWARM_SHELL"
MAX_ROUNDS = 200
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@functools.cache
def adopt_orphans() -> bool:
    """Become the parent of every descendant that loses its own. Once for the process; False where it cannot be."""
    if sys.platform != "linux":
        return False
    return int(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) == 0


def children(pid: int) -> list[int]:
    """The children of a process, zombies included; none if it is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - asked after every command
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        return found
    return found


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 1 << 16)
    finally:
        os.close(fd)


def family(*roots: int) -> list[int]:
    """``roots`` and all their descendants, parents first."""
    found = list(roots)
    for pid in found:
        found += children(pid)
    return found


def _status(pid: int) -> dict[str, str]:
    try:
        lines = _read(f"/proc/{pid}/status").decode("ascii", "replace").splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def filters(pid: int) -> int:
    """How many system-call filters a process has; 0 where the kernel does not say."""
    return int(_status(pid).get("Seccomp_filters", "0"))


@functools.cache
def _own_filters() -> int:
    return filters(os.getpid())


class Live:
    """Which children this process started itself, and whose shells are in use (by the mark in their environment)."""

    def __init__(self) -> None:
        self.pids: set[int] = set()
        self.marks: set[str] = set()
        self._lock = threading.Lock()

    def starting(self) -> threading.Lock:
        """Held from the fork until the child is in ``pids``: nobody takes it for a stray meanwhile."""
        return self._lock

    def strays(self, mark: str) -> list[int]:
        """Children of this process that an agent's command left to it: those marked ``mark``, and those of nobody."""
        found = [pid for pid in children(os.getpid()) if pid not in self.pids and filters(pid) > _own_filters()]
        return [pid for pid in found if (its := _mark(pid)) == mark or its not in self.marks]


LIVE = Live()


def _mark(pid: int) -> str:
    try:
        words = _read(f"/proc/{pid}/environ").split(b"\0")
    except OSError:
        return ""
    start = f"{MARK}=".encode()
    return next((os.fsdecode(word[len(start) :]) for word in words if word.startswith(start)), "")


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def end_family(root: int, *, spare: Container[int] = ()) -> int:
    """Kill the descendants of ``root`` until there are none but those to ``spare``; returns how many were found.

    They may multiply meanwhile, so they are stopped first: what is stopped has no more children.
    """
    ended: set[int] = set()
    for _ in range(MAX_ROUNDS):
        living = [pid for pid in family(root)[1:] if pid not in spare and not is_zombie(pid)]
        if not living:
            break
        ended.update(living)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in living:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
    return len(ended)


def end_strays(mark: str) -> int:
    """Kill and bury what agents' commands left to this process; returns how many were found. May block."""
    ended: set[int] = set()
    for _ in range(MAX_ROUNDS):
        with LIVE.starting():
            found = LIVE.strays(mark)
            ended.update(pid for pid in found if not is_zombie(pid))
            for pid in found:
                end_family(pid)
                kill([pid])
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
        if not found:
            break
    return len(ended)


def is_zombie(pid: int) -> bool:
    try:
        return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True


def memory_bytes(pids: Iterable[int]) -> int:
    """What these processes hold in memory that they share with nobody."""
    return sum(_private_pages(pids)) * _PAGE_BYTES


def _private_pages(pids: Iterable[int]) -> Iterator[int]:
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            words = _read(f"/proc/{pid}/statm").split()
            yield max(0, int(words[1]) - int(words[2]))


def disk_bytes(*directories: Path) -> int:
    """What the files below these directories take on the disk; links are not followed."""
    total, todo = 0, [os.fspath(directory) for directory in directories]
    while todo:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            todo.append(entry.path)
        except OSError:
            continue
    return total
