"""``snapshot.json``: the state after one event, so that opening need not begin with the first.

It is only a cache. One that does not end in its own checksum, was made by another version of the program, or does not
belong to the line in the journal that it names, is as good as none, and the fold starts from the beginning.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import swarm_core
from swarm_core.vocabulary.freeze import thaw
from swarm_core.vocabulary.view import RunView

from .disk import TEMPORARY, Disk, read_file, replace_file
from .lines import Place, digest, parse
from .segments import HEAD_BYTES, closed_path, first_seq

SNAPSHOT = "snapshot.json"
SNAPSHOT_VERSION = 1
EVERY_EVENTS = 250
BACK_BYTES = 1 << 16
_SUM_HEX = 64


class OtherProgram(ValueError):
    """A snapshot that is whole, but another version of the program made it."""


@cache
def program() -> str:
    """Which program folds: its version and what its fold consists of, so that a changed fold makes no use of an old
    state."""
    source = hashlib.sha256()
    with suppress(OSError):  # a program without readable sources has its version alone
        for file in sorted((Path(swarm_core.__file__).parent / "vocabulary").glob("*.py")):
            source.update(file.read_bytes())
    return f"{swarm_core.__version__}+{source.hexdigest()[:16]}"


def is_due(events: int, view: RunView) -> bool:
    """Whether so many events since the last snapshot pay for one of this state: its cost per event stays the same."""
    entities = sum(len(value) for value in vars(view).values() if isinstance(value, (dict, set, tuple, list)))
    return events > max(EVERY_EVENTS, 2 * entities)


def encode(place: Place, state: dict[str, Any]) -> bytes:
    """The document for a frozen state at a place of the journal."""
    body = {
        "v": SNAPSHOT_VERSION,
        "program": program(),
        "seq": place.seq,
        "prev": place.prev,
        "epoch": place.epoch,
        "segment": place.first,
        "offset": place.offset,
        "state": state,
    }
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")[:-1]
    return data + b',"sum":"%s"}\n' % hashlib.sha256(data).hexdigest().encode()


def decode(data: bytes) -> tuple[Place, RunView]:
    """Raises ValueError, KeyError or TypeError if it is not a snapshot of this program."""
    end = len(data) - len(',"sum":""}\n') - _SUM_HEX
    if end < 0 or data[end:] != b',"sum":"%s"}\n' % hashlib.sha256(data[:end]).hexdigest().encode():
        raise ValueError("its checksum does not match")
    body = json.loads(data.decode("utf-8", "surrogatepass"))
    if body["v"] != SNAPSHOT_VERSION or body["program"] != program():
        raise OtherProgram("another version of the program made it")
    view = thaw(body["state"])
    place = Place(body["seq"], body["prev"], body["epoch"], body["segment"], body["offset"])
    if view.last_seq != place.seq:
        raise ValueError("its state is of another event")
    return place, view


def load(path: Path, disk: Disk) -> tuple[Place, RunView] | None:
    """The snapshot beside the journal with the active segment ``path``, if there is one and it belongs to it."""
    try:
        data = read_file(disk, path.with_name(SNAPSHOT))
        if data is None:
            return None
        place, view = decode(data)
        return (place, view) if belongs(place, path, disk) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def store(path: Path, disk: Disk, place: Place, state: dict[str, Any]) -> bool:
    """Replace the snapshot. False if that failed: nothing is lost by it."""
    target = path.with_name(SNAPSHOT)
    try:
        disk.close(replace_file(disk, target, encode(place, state)))
    except OSError:
        with suppress(OSError):
            disk.unlink(target.with_name(target.name + TEMPORARY))
        return False
    return True


def belongs(place: Place, path: Path, disk: Disk) -> bool:
    """Whether the line before ``place`` is the one the snapshot was made after; its digest stands for all before it."""
    line = None
    for file in (closed_path(path, place.first), path, closed_path(path, place.first)):
        try:
            fd = disk.open_read(file)
        except FileNotFoundError:
            continue  # looked for twice: it may be closed between the two looks
        try:
            if first_seq(disk.read(fd, 0, HEAD_BYTES)) == place.first:
                line = _line_before(place.offset, fd, disk)
                break
        finally:
            disk.close(fd)
    if line is None or digest(line) != place.prev:
        return False
    found = parse(line)
    return (found.event.seq, found.epoch) == (place.seq, place.epoch)


def _line_before(offset: int, fd: int, disk: Disk) -> bytes | None:
    """The line that ends with the line feed before ``offset``; None if no line ends there."""
    if not 0 < offset <= disk.size(fd) or disk.read(fd, offset - 1, 1) != b"\n":
        return None
    start, line = offset - 1, b""
    while start > 0 and b"\n" not in line:
        back = min(start, BACK_BYTES)
        start -= back
        line = disk.read(fd, start, back) + line
    return line[line.rfind(b"\n") + 1 :]
