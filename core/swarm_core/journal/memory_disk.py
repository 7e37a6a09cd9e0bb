"""A disk in memory that can lose power: for simulations, and to hold the journal against every moment of a crash.

What is written is in the page cache, what is renamed in the directory cache; ``sync`` and ``sync_dir`` make each of
them durable. A failed sync does what kernels do: the pages count as written from then on, and are not on the disk.
A process that dies leaves the caches as they are (``restarted``); a machine that loses power leaves what ``Loss`` says.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

from .power_loss import CachedFile, Loss, PowerLoss, apply, surviving_data

CHANGING = frozenset(
    {"open_append", "open_new", "write", "truncate", "sync", "make_dir", "rename", "unlink", "sync_dir"}
)
_Change = tuple[tuple[Path, ...], Callable[["_Names"], object]]  # the directories it concerns, and what it does


class _Names:
    """Directories and what lies in them."""

    def __init__(self, files: dict[Path, CachedFile], directories: set[Path]) -> None:
        self.files, self.directories = files, directories

    def copy(self) -> _Names:
        return _Names(dict(self.files), set(self.directories))


class _Store:
    """What is shared by all who use the disk."""

    def __init__(self, names: _Names) -> None:
        self.names, self.durable = names, names.copy()
        self.pending: list[_Change] = []
        self.numbers = 0

    def change(self, directories: tuple[Path, ...], do: Callable[[_Names], object]) -> None:
        do(self.names)
        self.pending.append((directories, do))


class MemoryDisk:
    """The ``Disk`` port in memory, as one process sees it. The root directory exists.

    Each call has a number, from 1 on, and ``calls`` their names. ``crash_at`` is the number of the call at which the
    power goes, ``errors`` gives calls by number an error, ``watch`` is called before each, and ``max_write_bytes``
    makes writes short.
    """

    is_instant = True

    def __init__(self, store: _Store | None = None) -> None:
        self._store = store or _Store(_Names({}, {Path("/")}))
        self._open: dict[int, CachedFile] = {}
        self._next_fd = 3
        self.calls: list[str] = []
        self.crash_at = 0
        self.errors: dict[int, int] = {}
        self.watch: Callable[[], None] | None = None
        self.max_write_bytes = 1 << 30
        self.is_off = False

    # -- what can happen to it

    def restarted(self) -> MemoryDisk:
        """As another process, or the next one after a kill, sees it."""
        return MemoryDisk(self._store)

    def after_power_loss(self, loss: Loss, seed: int = 0) -> MemoryDisk:
        """The disk after the power came back. This one is left as it is, so that another loss can be tried."""
        random = Random(seed)
        names = self._surviving_names(loss, random)
        files: dict[int, CachedFile] = {}
        for path, file in names.files.items():
            if file.number not in files:
                files[file.number] = CachedFile(file.number, surviving_data(file, loss, random))
            names.files[path] = files[file.number]
        store = _Store(names)
        store.numbers = self._store.numbers
        return MemoryDisk(store)

    def _surviving_names(self, loss: Loss, random: Random) -> _Names:
        names, stopped = self._store.durable.copy(), set[Path]()
        cut = random.randint(0, len(self._store.pending)) if loss is Loss.PREFIX else len(self._store.pending)
        for directories, do in self._store.pending[:cut]:
            is_lost = loss in (Loss.ALL, Loss.NAMES) or (loss is Loss.REORDERED and random.random() < 0.5)
            if is_lost or not stopped.isdisjoint(directories):
                stopped.update(directories)  # within a directory, names change in order
            else:
                do(names)
        for path in sorted(names.directories):
            if path.parent not in names.directories:
                names.directories.discard(path)
        names.files = {path: file for path, file in names.files.items() if path.parent in names.directories}
        return names

    @property
    def open_files(self) -> int:
        return len(self._open)

    def files(self) -> dict[Path, bytes]:
        """Every file as programs see it."""
        return {path: bytes(file.cached) for path, file in sorted(self._store.names.files.items())}

    def put(self, path: Path, data: bytes) -> None:
        """Change a file behind everybody's back, durably."""
        self._store.names.files[path].cached[:] = data
        self._store.names.files[path].durable[:] = data
        self._store.names.files[path].pending.clear()

    # -- the port

    def open_append(self, path: Path) -> int:
        return self._open_writing("open_append", path)

    def open_new(self, path: Path) -> int:
        fd = self._open_writing("open_new", path)
        if self._open[fd].cached:
            self._cut(self._open[fd], 0)
        return fd

    def _open_writing(self, call: str, path: Path) -> int:
        self._call(call)
        if path.parent not in self._store.names.directories:
            raise _error(errno.ENOENT, path)
        if path in self._store.names.directories:
            raise _error(errno.EISDIR, path)
        if path not in self._store.names.files:
            self._store.numbers += 1
            file = CachedFile(self._store.numbers)
            self._store.change((path.parent,), lambda names: names.files.__setitem__(path, file))
        self._crash()
        return self._descriptor(path)

    def open_read(self, path: Path) -> int:
        self._call("open_read")
        return self._descriptor(path)

    def _descriptor(self, path: Path) -> int:
        if path not in self._store.names.files:
            raise _error(errno.ENOENT, path)
        self._next_fd += 1
        self._open[self._next_fd] = self._store.names.files[path]
        return self._next_fd

    def close(self, fd: int) -> None:
        if self._open.pop(fd, None) is None:
            raise _error(errno.EBADF)

    def size(self, fd: int) -> int:
        self._call("size")
        return len(self._file(fd).cached)

    def identity(self, file: Path | int) -> int | None:
        self._call("identity")
        if isinstance(file, int):
            return self._file(file).number
        if file in self._store.names.directories:
            return 0
        found = self._store.names.files.get(file)
        return found.number if found else None

    def read(self, fd: int, offset: int, size_bytes: int) -> bytes:
        self._call("read")
        if offset < 0:
            raise _error(errno.EINVAL)
        return bytes(self._file(fd).cached[offset : offset + size_bytes])

    def write(self, fd: int, data: bytes) -> int:
        file, data = self._file(fd), data[: self.max_write_bytes]
        try:
            self._call("write")
        except OSError:
            self._add(file, data[: len(data) // 2])
            raise
        self._add(file, data)
        self._crash()
        return len(data)

    @staticmethod
    def _add(file: CachedFile, data: bytes) -> None:
        file.pending.append((len(file.cached), data))
        file.cached += data

    def truncate(self, fd: int, size: int) -> None:
        self._call("truncate")
        self._cut(self._file(fd), size)
        self._crash()

    @staticmethod
    def _cut(file: CachedFile, size: int) -> None:
        apply(file.cached, size)
        file.pending.append(size)

    def sync(self, fd: int) -> None:
        file = self._file(fd)
        try:
            self._call("sync")
            self._crash()
        except OSError:
            file.pending.clear()  # what was to be written counts as written, and is not
            raise
        file.sync()

    def names(self, directory: Path) -> list[str]:
        self._call("names")
        names = self._store.names
        return [path.name for path in (*names.files, *names.directories) if path.parent == directory != path]

    def make_dir(self, path: Path) -> None:
        self._call("make_dir")
        if path.parent not in self._store.names.directories:
            raise _error(errno.ENOENT, path)
        if path in self._store.names.files:
            raise _error(errno.EEXIST, path)
        if path not in self._store.names.directories:
            self._store.change((path.parent,), lambda names: names.directories.add(path))
        self._crash()

    def rename(self, old: Path, new: Path) -> None:
        self._call("rename")
        if old not in self._store.names.files or new.parent not in self._store.names.directories:
            raise _error(errno.ENOENT, old)
        file = self._store.names.files[old]

        def move(names: _Names) -> None:
            names.files.pop(old, None)
            names.files[new] = file

        self._store.change((old.parent, new.parent), move)
        self._crash()

    def unlink(self, path: Path) -> None:
        self._call("unlink")
        if path not in self._store.names.files:
            raise _error(errno.ENOENT, path)
        self._store.change((path.parent,), lambda names: names.files.pop(path, None))
        self._crash()

    def sync_dir(self, path: Path) -> None:
        self._call("sync_dir")
        self._crash()
        if path not in self._store.names.directories:
            raise _error(errno.ENOENT, path)
        left = []
        for directories, do in self._store.pending:
            if path in directories:
                do(self._store.durable)
            else:
                left.append((directories, do))
        self._store.pending = left

    # -- calls

    def _file(self, fd: int) -> CachedFile:
        if fd not in self._open:
            raise _error(errno.EBADF)
        return self._open[fd]

    def _call(self, name: str) -> None:
        if self.is_off:
            raise PowerLoss
        if self.watch is not None:
            self.watch()
        self.calls.append(name)
        if number := self.errors.get(len(self.calls)):
            raise _error(number)

    def _crash(self) -> None:
        """What a call did is in the caches when the power goes, and may reach the disk; a sync did nothing yet."""
        if len(self.calls) == self.crash_at:
            self.is_off = True
            raise PowerLoss


def _error(number: int, path: Path | None = None) -> OSError:
    return OSError(number, os.strerror(number), *([str(path)] if path else []))
