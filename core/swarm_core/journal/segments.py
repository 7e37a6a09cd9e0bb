"""Where a journal lies: closed segments in ``events/``, named by their first seq, and the active one, ``events.jsonl``.

The chain goes on from each segment to the next, so a missing, doubled or exchanged one is found at its border. A closed
segment is whole and durable; only the active one can have a torn tail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from swarm_core.vocabulary.errors import JournalCorrupt, JournalError
from swarm_core.vocabulary.events import Event

from .disk import Disk, RealDisk, read_file
from .lines import Chain

SEGMENT_BYTES = 4 << 20
HEAD_BYTES = 64
_NAME = re.compile(r"(\d{12})\.jsonl")
_HEAD = re.compile(rb'\{"v":\d+,"seq":(\d+),')


def directory(path: Path) -> Path:
    """Where the closed segments of the journal with the active segment ``path`` lie."""
    return path.with_suffix("")


def closed_path(path: Path, first: int) -> Path:
    """The closed segment that begins with seq ``first``."""
    return directory(path) / f"{first:012d}.jsonl"


def closed(path: Path, disk: Disk) -> list[int]:
    """The first seq of each closed segment, in order."""
    found = (_NAME.fullmatch(name) for name in disk.names(directory(path)))
    return sorted(int(name[1]) for name in found if name)


def first_seq(head: bytes) -> int | None:
    """The seq of the line that begins with ``head``; None if too little of it is there."""
    match = _HEAD.match(head)
    return int(match[1]) if match else None


def runs(directory: Path) -> list[str]:
    """The runs that have a journal below ``directory``, oldest first; also one that died between two segments."""
    found = {path.parent.name for path in directory.glob("*/events.jsonl")}
    return sorted(found | {path.parent.name for path in directory.glob("*/events") if any(path.iterdir())})


def read_closed(path: Path, disk: Disk, chain: Chain) -> Iterator[Event]:
    """The events of the closed segments from the chain's place on; leaves the chain in the active one.

    Raises JournalCorrupt.
    """
    while (data := read_file(disk, closed_path(path, chain.first), chain.offset)) is not None:
        chain.path = closed_path(path, chain.first)
        end = chain.offset + len(data)
        yield from chain.take_all(data)
        if chain.offset < end or not end:
            raise chain.corrupt("is not complete, in a segment that is closed")
        chain.enter(path)
    chain.path = path


def read_active(path: Path, disk: Disk, chain: Chain) -> bytes:
    """The whole active segment, in which the chain is; nothing if there is none. Raises JournalCorrupt."""
    data = read_file(disk, path) or b""
    first = first_seq(data[:HEAD_BYTES])
    if first is not None and first != chain.first:
        raise _misplaced(path, path, first, chain)
    if len(data) < chain.offset:
        raise chain.corrupt("is not there: the file is shorter than it was")
    return data


def check_names(path: Path, firsts: list[int], start: int, chain: Chain) -> None:
    """Hold the names of closed segments from seq ``start`` on against those that were read. Raises JournalCorrupt."""
    for first in firsts:
        if first >= start and first != chain.first and first not in chain.left:
            raise _misplaced(path, closed_path(path, first), first, chain)


def read_all(path: Path, disk: Disk | None = None) -> Iterator[Event]:
    """Every event of a journal, each line held against the chain; also while an engine writes it.

    Raises JournalCorrupt with file, line and byte, JournalError if there is no journal or it cannot be read.
    """
    disk, chain = disk or RealDisk(), Chain(path)
    try:
        firsts = closed(path, disk)
        while True:
            yield from read_closed(path, disk, chain)
            try:
                data = read_active(path, disk, chain)
                break
            except JournalCorrupt:
                if disk.identity(closed_path(path, chain.first)) is None:
                    raise  # else a segment was closed between the two looks
        yield from chain.take_all(data)
        if not chain.seq and disk.identity(path) is None:
            raise JournalError(f"{path} is not there")
    except OSError as error:
        raise JournalError(f"{error.filename or path} cannot be read: {error.strerror}") from error
    check_names(path, firsts, 1, chain)
    if chain.offset < len(data):
        raise JournalCorrupt(
            f"{path}:{chain.seq + 2 - chain.first}: the last line, at byte {chain.offset}, is not complete",
            hint="a running engine may be writing it; the next start cuts it off",
        )


def _misplaced(path: Path, file: Path, first: int, chain: Chain) -> JournalCorrupt:
    if first < chain.first:
        return JournalCorrupt(
            f"{file}:1: the segment begins with seq {first}, but what is before it goes up to {chain.seq}",
            hint="a segment is there twice: compare them and keep one",
        )
    return JournalCorrupt(
        f"{closed_path(path, chain.first)} is missing: {file} begins with seq {first}, {chain.seq + 1} belongs there",
        hint="put the segment back; the events before it are intact",
    )
