"""A control group that caps the processes of one agent, where this person may make one.

The kernel's limit for a person's processes (RLIMIT_NPROC) does not hold for root, so an engine that runs as root in a
container needs this. Elsewhere it is rarely allowed, and the limit does.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

_MOUNT = Path("/sys/fs/cgroup")


class Group:
    """Made by ``make``. ``join`` runs in the child; ``close`` takes the group away once its processes are gone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fd = os.open(directory / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    @classmethod
    def make(cls, processes: int) -> Self | None:
        """A group for at most so many processes and threads; None where none can be made."""
        if sys.platform != "linux" or os.geteuid() != 0:
            return None
        for parent in _own():
            directory = parent / f"swarm-{os.getpid()}-{secrets.token_hex(4)}"
            try:
                directory.mkdir()
            except OSError:
                continue
            try:
                (directory / "pids.max").write_text(f"{processes}\n")
                return cls(directory)
            except OSError:
                with contextlib.suppress(OSError):
                    directory.rmdir()
        return None

    @property
    def join(self) -> Callable[[], None]:
        fd, write = self._fd, os.write
        return lambda: (write(fd, b"0"), None)[1]

    def close(self) -> None:
        os.close(self._fd)
        with contextlib.suppress(OSError):
            self._directory.rmdir()


def _own() -> list[Path]:
    """The groups this process is in that can hold one with a cap: of the old kind, then of the new."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "pids" in controllers.split(","):
            found.insert(0, _MOUNT / "pids" / path.lstrip("/"))
        elif not controllers and (_MOUNT / "cgroup.controllers").exists():
            found.append(_MOUNT / path.lstrip("/"))
    return [path for path in found if path.is_dir()]
