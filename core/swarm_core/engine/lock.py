"""One engine per repository: advisory locks that die with their holder, one with the holder's name inside.

``.multi-agent/`` may be deleted at any time, and the lock file with it; the repository's own directory is locked as
well, so that a second engine cannot begin beside one whose lock file is gone.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Self

from swarm_core.journal.process import is_alive, process_start
from swarm_core.vocabulary.errors import EngineError, EngineRunning

LETTING_GO_S = 5.0


class EngineLock:
    """Held from ``acquire`` to ``release`` or the end of the process.

    The kernel drops the lock with the process, so a file left by a killed engine is taken over at once; its pid and
    start time are only there to name the holder.
    """

    def __init__(self, path: Path, fd: int, root_fd: int) -> None:
        self.path, self._fd, self._root_fd = path, fd, root_fd

    @classmethod
    def acquire(cls, path: Path, root: Path) -> Self:
        """Raises EngineRunning with the holder's pid, or EngineError if the file cannot be made."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise EngineError(
                f"{path} cannot be written: {error.strerror}", hint="check permissions and free space"
            ) from error
        holder = os.read(fd, 4096).decode(errors="replace").strip()
        if not _locked(fd, holder):
            os.close(fd)
            raise EngineRunning(
                f"another engine works on this repository: {holder or 'unknown process'}",
                hint="swarm-tui attach opens it; swarm-tui doctor shows it",
            )
        root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if not _locked(root_fd, holder):
            os.close(root_fd)
            os.close(fd)
            raise EngineRunning(
                f"another engine works on {root}; its {path.name} was deleted",
                hint="swarm-tui attach opens it",
            )
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"pid": os.getpid(), "start": process_start(os.getpid())}).encode() + b"\n", 0)
        return cls(path, fd, root_fd)

    def release(self) -> None:
        os.ftruncate(self._fd, 0)
        for fd in (self._fd, self._root_fd):
            fcntl.flock(fd, fcntl.LOCK_UN)  # a child that is just being started still has the descriptor
            os.close(fd)


def _locked(fd: int, holder: str) -> bool:
    """Take the lock. A dead holder's children may have it for the moment between their fork and their exec."""
    deadline_s = time.monotonic() + LETTING_GO_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if not _is_dead(holder) or time.monotonic() > deadline_s:
                return False
            time.sleep(0.001)
        else:
            return True


def _is_dead(holder: str) -> bool:
    """Whether the process that a lock file names is known to be gone."""
    try:
        named = json.loads(holder)
        return not is_alive(int(named["pid"]), named["start"])
    except (ValueError, KeyError, TypeError):
        return False
