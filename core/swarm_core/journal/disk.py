"""The few things the journal asks of a disk, as a port, so that a failing disk can be played for it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """Files opened for appending, named by descriptor. All calls block; the journal makes them off the event loop."""

    def open_append(self, path: Path) -> int: ...

    def size(self, fd: int) -> int: ...

    def write(self, fd: int, data: bytes) -> int:
        """Write a prefix of ``data`` and return its length."""
        ...

    def sync(self, fd: int) -> None:
        """Make what was written survive a power loss."""
        ...

    def truncate(self, fd: int, size: int) -> None: ...

    def sync_dir(self, path: Path) -> None: ...

    def close(self, fd: int) -> None: ...


class RealDisk:
    """The operating system's."""

    def open_append(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def write(self, fd: int, data: bytes) -> int:
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        if hasattr(os, "fdatasync"):
            os.fdatasync(fd)
        else:  # macOS
            os.fsync(fd)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync_dir(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self, fd: int) -> None:
        os.close(fd)


class FaultyDisk(RealDisk):
    """A real disk on which chosen calls fail. ``fail`` gets the name and the number of a call and may name an error.

    A failing write leaves half of its data behind, as a full disk does.
    """

    def __init__(self, fail: Callable[[str, int], int | None]) -> None:
        self.fail = fail
        self.calls: dict[str, int] = {}

    def _call(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        if number := self.fail(name, self.calls[name]):
            raise OSError(number, os.strerror(number))

    def write(self, fd: int, data: bytes) -> int:
        try:
            self._call("write")
        except OSError as error:
            if error.errno == errno.ENOSPC:
                super().write(fd, data[: len(data) // 2])
            raise
        return super().write(fd, data)

    def sync(self, fd: int) -> None:
        self._call("sync")
        super().sync(fd)

    def truncate(self, fd: int, size: int) -> None:
        self._call("truncate")
        super().truncate(fd, size)
