"""Looking at a journal from outside the engine, at a cost that does not grow with its length."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from swarm_core.vocabulary.errors import IllegalTransition, JournalError
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView

from .disk import Disk, RealDisk
from .lines import Place, parse
from .segments import closed, closed_path
from .snapshot import load
from .tail import JournalReader

CHUNK_BYTES = 1 << 16
READ_BYTES = 4 << 20
LOOKS = 100


def open_view(path: Path, disk: Disk | None = None) -> tuple[RunView, JournalReader]:
    """The state of a run as of now, from its snapshot and what came after, and a reader for what comes next.

    Raises JournalError, or IllegalTransition if an event does not fit the state.
    """
    disk = disk or RealDisk()
    if (found := load(path, disk)) is not None:
        with suppress(JournalError, IllegalTransition):  # then the fold from the beginning says what is wrong
            return _follow(*found, path, disk)
    return _follow(Place(), RunView(), path, disk)


def _follow(place: Place, view: RunView, path: Path, disk: Disk) -> tuple[RunView, JournalReader]:
    reader = JournalReader(path, disk, place)
    try:
        while events := reader.poll(READ_BYTES):
            for event in events:
                view.apply(event)
    except BaseException:
        reader.close()
        raise
    return view, reader


def last_events(path: Path, count: int, disk: Disk | None = None) -> list[Event]:
    """The last ``count`` events, oldest first, read backwards from the end through as many segments as that takes.

    A line that is still being written does not count. Raises JournalError if a line is not an event.
    """
    disk = disk or RealDisk()
    if count <= 0:
        return []
    for _ in range(LOOKS):
        try:
            events = _last(path, count, disk)
        except OSError as error:
            raise JournalError(f"{error.filename or path} cannot be read: {error.strerror}") from error
        if all(later.seq == earlier.seq + 1 for earlier, later in pairwise(events)):
            return events
    raise JournalError(f"the last events of {path} do not follow one another", hint="swarm-tui doctor names the damage")


def _last(path: Path, count: int, disk: Disk) -> list[Event]:
    events: list[Event] = []
    for file in (path, *(closed_path(path, first) for first in reversed(closed(path, disk)))):
        for line in _lines_backwards(file, disk):
            try:
                events.append(parse(line).event)
            except ValueError as error:
                raise JournalError(f"{file}: not an event: {error}", hint="swarm-tui doctor names the damage") from None
            if len(events) == count:
                return events[::-1]
    return events[::-1]


def _lines_backwards(file: Path, disk: Disk) -> Iterator[bytes]:
    """The whole lines of a file, the last one first."""
    try:
        fd = disk.open_read(file)
    except FileNotFoundError:
        return
    try:
        end = _end_of_last_line(fd, disk)
        rest = b""
        while end > 0:
            start = max(0, end - CHUNK_BYTES)
            rest, *lines = (disk.read(fd, start, end - start) + rest).split(b"\n")
            yield from reversed(lines)
            end = start
        if rest:
            yield rest
    finally:
        disk.close(fd)


def _end_of_last_line(fd: int, disk: Disk) -> int:
    """The byte of the last line feed; 0 if there is none."""
    end = disk.size(fd)
    while end > 0:
        start = max(0, end - CHUNK_BYTES)
        found = disk.read(fd, start, end - start).rfind(b"\n")
        if found >= 0:
            return start + found
        end = start
    return 0
