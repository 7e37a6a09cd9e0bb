"""Files reached component by component below a trusted directory, never through a symbolic link.

A path that was judged a moment ago may have been swapped since; here every step holds the directory it stands in,
so what is opened is what the names say. A link on the way makes the step fail (``ELOOP`` or ``ENOTDIR``).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

_HOLD = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_directory(base: Path, parts: Sequence[str], *, make: bool = False) -> int:
    """A descriptor of the directory ``base/parts``, for use as ``dir_fd``; ``make`` creates what is missing.

    ``base`` itself is trusted and may be reached through links. Raises OSError.
    """
    here = os.open(base, _HOLD & ~os.O_NOFOLLOW)
    try:
        for name in parts:
            if name in ("", ".", "..") or "/" in name:
                raise ValueError(f"{name!r} is not the name of an entry")
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o777, dir_fd=here)
            below = os.open(name, _HOLD, dir_fd=here)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here


def open_file(base: Path, parts: Sequence[str], flags: int = os.O_RDONLY) -> int:
    """A descriptor of the file ``base/parts``. Raises OSError; a pipe without a writer does not block."""
    parent = open_directory(base, parts[:-1])
    try:
        return os.open(parts[-1], flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)


class Changed(Exception):
    """The file is not what it was expected to be; nothing was written."""


def replace_file(base: Path, parts: Sequence[str], data: bytes, *, expected: bytes | None = None) -> bool:
    """Write the file ``base/parts`` whole: readers see the old bytes or the new ones. True if it is new.

    Missing directories are created, an existing file keeps its permission bits. With ``expected`` the file is looked
    at once more right before it is replaced. Raises OSError, Changed, FileExistsError if something else than a
    regular file has the name.
    """
    parent = open_directory(base, parts[:-1], make=True)
    name, temporary = parts[-1], f".swarm-{secrets.token_hex(8)}.tmp"
    try:
        try:
            mode: int | None = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        except FileNotFoundError:
            mode = None
        if mode is not None and not stat.S_ISREG(mode):
            raise FileExistsError(f"{name} is not a regular file")
        fd = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=parent
        )
        try:
            with open(fd, "wb") as file:
                file.write(data)
                if mode is not None:
                    os.fchmod(fd, stat.S_IMODE(mode) & 0o777)
            if expected is not None and _read_at(parent, name, len(expected) + 1) != expected:
                raise Changed(name)
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            os.unlink(temporary, dir_fd=parent)
            raise
    finally:
        os.close(parent)
    return mode is None


def _read_at(parent: int, name: str, limit_bytes: int) -> bytes | None:
    """The first bytes of a file, None if it is gone."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        return file.read(limit_bytes)
