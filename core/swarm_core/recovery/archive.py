"""The file a backup is: a gzipped tar of plain files with a manifest at its end.

Written in the oldest tar format and read by its headers alone: everything a tar can also hold (links, devices, long
names, sparse files) is refused, so that an archive from a stranger can only become files below one directory.
``manifest.json`` names every other member with size and SHA-256; being last, it also says that the file is whole.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import JournalError
from swarm_core.vocabulary.ids import SLUG

from .history import OID

VERSION = 1
MANIFEST = "manifest.json"
JOURNAL = "run/events.jsonl"
BUNDLE = "git/hub.bundle"
SHALLOW = "git/shallow"
RUN = "run/"
MAX_BYTES = 8 << 30
MAX_MEMBERS = 100_000
MAX_MANIFEST_BYTES = 64 << 20
_BLOCK = 512
_CHUNK = 1 << 20
_MAX_PADDING = 20 * _BLOCK
_NEXT = "take another archive; swarm-tui backup makes one from a run that is there"


class ArchiveDamaged(JournalError):
    """An archive is not what a backup wrote; nothing of it was used."""


class ArchiveWriter:
    """Writes members in the order they are added. Names are relative; dates and owners are left out, so that the same
    content gives the same bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._gzip = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)
        self.files: dict[str, dict[str, Any]] = {}

    def add_bytes(self, name: str, data: bytes) -> None:
        self._start(name, len(data))
        self._gzip.write(data)
        self._end(name, len(data), hashlib.sha256(data).hexdigest())

    def add_file(self, name: str, path: Path) -> None:
        """A file that nobody else writes to."""
        size, digest = path.stat().st_size, hashlib.sha256()
        self._start(name, size)
        with open(path, "rb") as source:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                self._gzip.write(chunk)
        self._end(name, size, digest.hexdigest())

    def close(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, with the list of all files, and the end."""
        self.add_bytes(MANIFEST, json.dumps({**manifest, "files": self.files}, indent=1, sort_keys=True).encode())
        self._gzip.write(bytes(2 * _BLOCK))
        self._gzip.close()

    def _start(self, name: str, size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        try:
            self._gzip.write(info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict"))
        except ValueError as error:
            raise JournalError(f"{clean_line(name)} cannot be put into a backup: {error}") from None

    def _end(self, name: str, size: int, sha256: str) -> None:
        self._gzip.write(bytes(-size % _BLOCK))
        self.files[name] = {"size": size, "sha256": sha256}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says about itself. ``head`` is the digest of the last line, ``entry`` the run's index entry."""

    run: str
    seq: int
    head: str
    base: str
    base_ref: str
    created_at: str
    last_ts: str
    version: str
    refs: Mapping[str, str]
    entry: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, raw: bytes, path: Path) -> Self:
        """Raises ArchiveDamaged."""
        try:
            body = json.loads(raw)
            if body["v"] != VERSION:
                raise ArchiveDamaged(
                    f"{path} has format {clean_line(str(body['v']), 20)}; this program reads {VERSION}",
                    hint="restore it with the version of swarm-tui that wrote it, or a newer one",
                )
            made = cls(
                run=_text(body["run"]),
                seq=int(body["seq"]),
                head=_text(body["head"]),
                base=_text(body["base"]),
                base_ref=_text(body["base_ref"]),
                created_at=_text(body["created_at"]),
                last_ts=_text(body["last_ts"]),
                version=_text(body["version"]),
                refs={_text(ref): _text(oid) for ref, oid in body["refs"].items()},
                entry=dict(body["entry"]),
                files={_text(name): dict(facts) for name, facts in body["files"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _damaged(path, f"its manifest is not one: {error!r}") from None
        if not SLUG.fullmatch(made.run) or made.seq < 1 or not OID.fullmatch(made.base):
            raise _damaged(path, "its manifest names no run, no event or no commit")
        return made


def extract(path: Path, into: Path, *, max_bytes: int = MAX_BYTES) -> Manifest:
    """Put an archive's members below ``into``, an empty directory of ours, and hold each against the manifest.

    Raises ArchiveDamaged, also for anything that is not a plain file with a plain relative name, and for more than
    ``max_bytes`` of content. OSError if ``path`` cannot be opened or ``into`` cannot take it.
    """
    found: dict[str, dict[str, Any]] = {}
    with open(path, "rb") as file, gzip.GzipFile(fileobj=file, mode="rb") as stream:
        reader = _Reader(stream, path, max_bytes)
        while (member := reader.header()) is not None:
            name, size = member
            if MANIFEST in found:
                raise _damaged(path, "something follows its manifest")
            if name in found or len(found) >= MAX_MEMBERS:
                raise _damaged(path, f"{clean_line(name)} is in it twice" if name in found else "it has too many files")
            if name == MANIFEST and size > MAX_MANIFEST_BYTES:
                raise _damaged(path, "its manifest is too large")
            found[name] = {"size": size, "sha256": reader.save(into, name, size)}
    if found.pop(MANIFEST, None) is None:
        raise _damaged(path, "its end is missing")
    manifest = Manifest.of((into / MANIFEST).read_bytes(), path)
    for name in sorted(found.keys() | manifest.files.keys()):
        if found.get(name) != manifest.files.get(name):
            raise _damaged(path, f"{clean_line(name)} is not what the manifest says")
    if missing := {JOURNAL, BUNDLE} - found.keys():
        raise _damaged(path, f"{', '.join(sorted(missing))} is missing")
    return manifest


class _Reader:
    def __init__(self, stream: gzip.GzipFile, path: Path, max_bytes: int) -> None:
        self.stream, self.path, self.left = stream, path, max_bytes

    def _read(self, size: int) -> bytes:
        self.left -= size
        if self.left < 0:
            raise _damaged(self.path, "it holds more than this program unpacks")
        data = self._some(size)
        if len(data) < size:
            raise _damaged(self.path, "it ends in the middle")
        return data

    def _some(self, size: int) -> bytes:
        try:
            return self.stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _damaged(self.path, f"it cannot be unpacked: {error}") from None

    def header(self) -> tuple[str, int] | None:
        """Name and size of the next member; None at the end."""
        block = self._read(_BLOCK)
        if block == bytes(_BLOCK):
            if any(self._some(_MAX_PADDING)) or self._some(1):  # the last read compares gzip's own checksum
                raise _damaged(self.path, "something follows its end")
            return None
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            raise _damaged(self.path, f"it is not a backup: {error}") from None
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.size < 0:
            raise _damaged(self.path, f"{clean_line(info.name)} is not a plain file")
        if not is_member(info.name):
            raise _damaged(self.path, f"{clean_line(info.name)!r} is no name for a file of a backup")
        return info.name, info.size

    def save(self, into: Path, name: str, size: int) -> str:
        """Write a member and return its SHA-256."""
        target, digest, left = into / name, hashlib.sha256(), size
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except (FileExistsError, NotADirectoryError):
            raise _damaged(self.path, f"{clean_line(name)} is both a file and a directory in it") from None
        with os.fdopen(fd, "wb") as file:
            while left:
                chunk = self._read(min(left, _CHUNK))
                digest.update(chunk)
                file.write(chunk)
                left -= len(chunk)
        self._read(-size % _BLOCK)
        return digest.hexdigest()


def is_member(name: str) -> bool:
    """Whether a backup may hold a file of this name."""
    if name == MANIFEST:
        return True
    parts = name.split("/")
    plain = all(part not in ("", ".", "..") and part.isprintable() and "\\" not in part for part in parts)
    return plain and (name in (BUNDLE, SHALLOW) or (len(parts) > 1 and parts[0] == "run"))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not a text")
    return value


def _damaged(path: Path, why: str) -> ArchiveDamaged:
    return ArchiveDamaged(f"{path} is damaged or not a backup: {why}", hint=_NEXT)
