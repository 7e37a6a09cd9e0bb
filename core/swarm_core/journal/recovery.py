"""Opening a journal for writing is recovering it: nothing is acted on that might not be on the disk.

1. Temporary files are removed.
2. The lines are read, from the snapshot's place on if there is one, held against the chain and folded. A torn tail of
   the active segment is kept beside it and left out; anything else that does not fit is refused before a byte changes.
3. The active segment is written anew, synced and renamed into its place, and the directories are synced. What was
   read came from the page cache: after a failed or missing sync that may show bytes the disk never got, and a second
   sync would not write them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swarm_core.vocabulary.errors import IllegalTransition, JournalCorrupt, JournalError, JournalFull
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView

from .disk import NO_SPACE, TEMPORARY, Disk, replace_file, write_all
from .lines import Chain, Place, is_whole, parse
from .segments import check_names, closed, directory, read_active, read_closed
from .snapshot import load

_LINE = b'{"v":'


@dataclass(slots=True)
class Recovered:
    """A journal that is whole: its active segment open for appending at ``place``, and the state there.

    ``events`` are those after seq ``snapshot_seq``.
    """

    fd: int
    place: Place
    view: RunView
    events: list[Event]
    snapshot_seq: int = 0
    torn_bytes: int = 0


def recover(path: Path, disk: Disk) -> Recovered:
    """Read and repair the journal with the active segment ``path``; creates it if there is none.

    Raises JournalCorrupt, JournalFull if there is no space for the repair, IllegalTransition if an event does not fit
    the state, or JournalError.
    """
    try:
        _prepare(path, disk)
        if (found := load(path, disk)) is not None:
            with suppress(IllegalTransition):  # then the snapshot is to blame, or the fold from the beginning says so
                return _recover_from(*found, path, disk)
        return _recover_from(Place(), RunView(), path, disk)
    except OSError as error:
        text = f"{error.filename or path} cannot be opened: {error.strerror}"
        if error.errno in NO_SPACE:
            raise JournalFull(text, hint="make space on the device, then start again") from error
        raise JournalError(text) from error


def _recover_from(place: Place, view: RunView, path: Path, disk: Disk) -> Recovered:
    chain = Chain(path, place)
    events, good, torn = _read(path, disk, chain)
    for event in events:
        view.apply(event)
    fd = _make_whole(path, disk, chain, good, torn)
    return Recovered(fd, chain.place, view, events, place.seq, len(torn))


def _prepare(path: Path, disk: Disk) -> None:
    missing = [parent for parent in path.parents if disk.identity(parent) is None]
    for parent in reversed(missing):
        disk.make_dir(parent)
        disk.sync_dir(parent.parent)
    for name in disk.names(path.parent):
        if name.endswith(TEMPORARY):
            disk.unlink(path.with_name(name))


def _read(path: Path, disk: Disk, chain: Chain) -> tuple[list[Event], bytes, bytes]:
    """The events from the chain's place on, and the whole active segment, split into what is good and what is torn."""
    start, firsts = chain.first, closed(path, disk)
    events = list(read_closed(path, disk, chain))
    data = read_active(path, disk, chain)
    try:
        events.extend(chain.take_all(data[chain.offset :]))
    except JournalCorrupt:
        if not is_torn(data[chain.offset :], chain.seq + 1):
            raise
    check_names(path, firsts, start, chain)
    return events, data[: chain.offset], data[chain.offset :]


def is_torn(rest: bytes, seq: int) -> bool:
    """Whether ``rest``, of which the first line is bad where ``seq`` belongs, is what an interrupted write leaves.

    What was written together may reach the disk in any order, so that a line may be missing before others. A line of
    a later write proves that the bad one was durable once, and a line that is whole but does not follow was not torn.
    """
    for number, line in enumerate(rest.split(b"\n")):
        start = line.find(_LINE)
        while start >= 0 and not is_whole(line[start:]):
            start = line.find(_LINE, start + 1)
        if start < 0:
            continue
        if number == 0 and start == 0:
            return False
        try:
            batch = parse(line[start:]).batch
        except ValueError:
            return False
        if batch > seq:
            return False
    return True


def _make_whole(path: Path, disk: Disk, chain: Chain, good: bytes, torn: bytes) -> int:
    """Put what is good on the disk and return the active segment's descriptor."""
    if torn:
        beside = disk.open_new(path.with_name(f"{path.name}.torn-{chain.offset}"))
        try:
            write_all(disk, beside, torn)
            disk.sync(beside)
        finally:
            disk.close(beside)
    fd = replace_file(disk, path, good) if good or torn else disk.open_append(path)
    try:
        for parent in (directory(path), path.parent, *path.parents[1:3]):
            if disk.identity(parent) is not None:
                disk.sync_dir(parent)
    except BaseException:
        disk.close(fd)
        raise
    return fd
