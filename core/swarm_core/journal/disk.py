"""The few things the journal asks of a disk, as a port, so that a failing or a dying disk can be played for it.

``RealDisk`` is the operating system's, ``FaultyDisk`` a real one on which chosen calls fail, and
``memory_disk.MemoryDisk`` keeps everything in memory and can lose power. All three pass the same contract test.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
TEMPORARY = ".tmp"


class Disk(Protocol):
    """Files by descriptor, names by path. All calls block and raise OSError.

    ``is_instant`` says that no call takes time, so that the journal may make them on the event loop.
    """

    is_instant: bool

    def open_append(self, path: Path) -> int:
        """Open for reading and appending; made if it is not there. A link is refused."""
        ...

    def open_new(self, path: Path) -> int:
        """As ``open_append``, but the file is empty afterwards."""
        ...

    def open_read(self, path: Path) -> int: ...

    def close(self, fd: int) -> None: ...

    def size(self, fd: int) -> int: ...

    def identity(self, file: Path | int) -> int | None:
        """The inode number of what is open or lies at a path; None if nothing lies there."""
        ...

    def read(self, fd: int, offset: int, size_bytes: int) -> bytes:
        """At most ``size_bytes`` from ``offset`` on; nothing at the end."""
        ...

    def write(self, fd: int, data: bytes) -> int:
        """Append a prefix of ``data`` and return its length."""
        ...

    def truncate(self, fd: int, size: int) -> None: ...

    def sync(self, fd: int) -> None:
        """Make what was written survive a power loss."""
        ...

    def names(self, directory: Path) -> list[str]:
        """What lies in a directory; nothing if it is not there."""
        ...

    def make_dir(self, path: Path) -> None:
        """Make one directory; its parent must exist, it may."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Move a file; what was at ``new`` is replaced. A crash leaves the file at one of the two places."""
        ...

    def unlink(self, path: Path) -> None: ...

    def sync_dir(self, path: Path) -> None:
        """Make the names in a directory survive a power loss."""
        ...


class RealDisk:
    """The operating system's."""

    is_instant = False

    def open_append(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)

    def open_new(self, path: Path) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(path, flags, 0o644)

    def open_read(self, path: Path) -> int:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)

    def close(self, fd: int) -> None:
        os.close(fd)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def identity(self, file: Path | int) -> int | None:
        try:
            return os.stat(file).st_ino  # noqa: PTH116 -- it may be a descriptor
        except FileNotFoundError:
            return None

    def read(self, fd: int, offset: int, size_bytes: int) -> bytes:
        return os.pread(fd, size_bytes, offset)

    def write(self, fd: int, data: bytes) -> int:
        return os.write(fd, data)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        if hasattr(os, "fdatasync"):
            os.fdatasync(fd)
        else:  # macOS
            os.fsync(fd)

    def names(self, directory: Path) -> list[str]:
        try:
            return os.listdir(directory)  # noqa: PTH208 -- names are what is wanted
        except FileNotFoundError:
            return []

    def make_dir(self, path: Path) -> None:
        path.mkdir(exist_ok=True)

    def rename(self, old: Path, new: Path) -> None:
        old.replace(new)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def sync_dir(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
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

    def open_append(self, path: Path) -> int:
        self._call("open_append")
        return super().open_append(path)

    def open_new(self, path: Path) -> int:
        self._call("open_new")
        return super().open_new(path)

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

    def make_dir(self, path: Path) -> None:
        self._call("make_dir")
        super().make_dir(path)

    def rename(self, old: Path, new: Path) -> None:
        self._call("rename")
        super().rename(old, new)

    def sync_dir(self, path: Path) -> None:
        self._call("sync_dir")
        super().sync_dir(path)


def read_file(disk: Disk, path: Path, offset: int = 0) -> bytes | None:
    """A file from ``offset`` to its end; None if it is not there. Raises OSError."""
    try:
        fd = disk.open_read(path)
    except FileNotFoundError:
        return None
    try:
        parts = []
        while part := disk.read(fd, offset, max(1 << 16, disk.size(fd) - offset)):
            parts.append(part)
            offset += len(part)
        return b"".join(parts)
    finally:
        disk.close(fd)


def write_all(disk: Disk, fd: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += disk.write(fd, data[written:])


def replace_file(disk: Disk, path: Path, data: bytes) -> int:
    """Put ``data`` into the place of a file: whoever looks, or restarts, finds the old or the new one, never half.

    Returns the new file's descriptor. The new name is durable once its directory is synced. Raises OSError.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    fd = disk.open_new(temporary)
    try:
        write_all(disk, fd, data)
        disk.sync(fd)
        disk.rename(temporary, path)
    except BaseException:
        disk.close(fd)
        with suppress(OSError):
            disk.unlink(temporary)
        raise
    return fd
