"""How much an agent's processes may take: limits that the kernel keeps for each, and what is measured of all."""

from __future__ import annotations

import functools
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
_COUNT_EVERY_S = 60.0
_GIVES_WAY = 5


def _half_of_memory() -> int:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 4096 * MIB
    return max(2048 * MIB, total // 2)


@dataclass(frozen=True, slots=True)
class Limits:
    """``file_bytes``, ``open_files`` and ``data_bytes`` hold for each process; the rest for all of an agent's together.

    ``disk_bytes`` is how much its directories may hold once the disk has lost as much since its command began;
    ``free_bytes`` is what stays free on the disk whoever fills it.
    """

    file_bytes: int = 2048 * MIB
    open_files: int = 4096
    data_bytes: int = _half_of_memory()
    memory_bytes: int = _half_of_memory()
    processes: int = 1024
    disk_bytes: int = 8192 * MIB
    free_bytes: int = 256 * MIB

    def in_child(self) -> Callable[[], None]:
        """What the child runs before exec. Everything is looked up here, in the parent."""
        wanted = [
            (resource.RLIMIT_FSIZE, self.file_bytes),
            (resource.RLIMIT_NOFILE, self.open_files),
            (resource.RLIMIT_CORE, 0),
        ]
        if hasattr(resource, "RLIMIT_DATA"):
            wanted.append((resource.RLIMIT_DATA, self.data_bytes))
        if hasattr(resource, "RLIMIT_NPROC") and os.geteuid() != 0:
            wanted.append(
                (resource.RLIMIT_NPROC, _threads_of_mine(int(time.monotonic() / _COUNT_EVERY_S)) + self.processes)
            )
        chosen = [(kind, _at_most(value, resource.getrlimit(kind)[1])) for kind, value in wanted]
        setrlimit, nice = resource.setrlimit, os.nice

        def apply() -> None:
            nice(_GIVES_WAY)  # the engine has to be able to stop what has gone wild
            for kind, value in chosen:
                setrlimit(kind, (value, value))

        return apply


def _at_most(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


@functools.lru_cache(maxsize=1)
def _threads_of_mine(minute: int) -> int:
    """How many threads this person runs now: the kernel's limit counts all of them, not an agent's."""
    del minute
    count, uid = 0, os.geteuid()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if entry.stat().st_uid == uid:
                count += len(list((entry / "task").iterdir()))
        except OSError:
            continue
    return count
