"""Small, careful file work: durable writes, paths that stay inside, removal that does not give up."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_durably(path: Path, data: bytes) -> None:
    """Replace ``path`` so that after a crash it has either its old or its new content."""
    beside = path.with_name(f".{path.name}.new")
    write_synced(beside, data)
    beside.replace(path)
    sync_directory(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file, with the directories it needs, in a place nobody looks at yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, data: Any) -> None:
    write_durably(path, json.dumps(data, indent=1).encode() + b"\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in ``path``; None if there is no such file or it is not an object."""
    try:
        data = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def content(path: Path) -> bytes | None:
    """What a regular file holds, read without following a link and without waiting on a pipe; else None."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        with open(path, "rb") as file:
            return file.read(1 << 16)
    except OSError:
        return None


def is_plain(path: str) -> bool:
    """Is ``path`` relative, without empty, ``.``, ``..`` or ``.git`` parts?"""
    parts = path.removesuffix("/").split("/")
    return not any(part in ("", ".", "..") or part.lower().rstrip(". ") in (".git", "git~1") for part in parts)


def obstacle(root: Path, path: str) -> str | None:
    """The first directory part of ``path`` that exists below ``root`` as something else, a symbolic link included."""
    parts = path.split("/")
    for count in range(1, len(parts)):
        part = "/".join(parts[:count])
        try:
            mode = (root / part).lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISDIR(mode):
            return part
    return None


def exists(path: Path) -> bool:
    """Is there anything at ``path``, a dangling symbolic link included?"""
    return os.path.lexists(path)


def is_real_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def remove_empty_parents(root: Path, path: str) -> None:
    """Remove the directories that ``path`` lay in as far as they are empty; ``root`` stays."""
    parent = (root / path).parent
    while parent != root:
        try:
            parent.rmdir()
        except OSError:
            return
        parent = parent.parent


def delete(path: Path) -> None:
    """Remove a file or a directory with everything in it, also what was made unwritable."""

    def retry(function: Callable[..., Any], name: str, _error: object) -> None:
        for again in (Path(name).parent, Path(name)):
            if not again.is_symlink() and again.is_dir():
                again.chmod(0o700)
        try:
            if function in (os.scandir, os.open):
                shutil.rmtree(name, ignore_errors=True)
            else:
                function(name)
        except OSError:
            return  # what is left is found and removed at the next start

    if is_real_directory(path):
        shutil.rmtree(path, onerror=retry)
    else:
        path.unlink(missing_ok=True)
