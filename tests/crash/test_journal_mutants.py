"""Can the sweeps see? Each mutant is a fault that a journal may well have; the sweeps must find nine of ten."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.journal_sweep import crash_everywhere, fail_everywhere, flip_everywhere, look_everywhere

from swarm_core.journal import disk as disk_module
from swarm_core.journal import journal as journal_module
from swarm_core.journal import lines, recovery, segments, snapshot, tail
from swarm_core.journal.disk import Disk
from swarm_core.journal.journal import Journal
from swarm_core.journal.lines import Chain, Place, digest, parse
from swarm_core.journal.memory_disk import MemoryDisk
from swarm_core.journal.tail import JournalReader
from swarm_core.vocabulary.errors import JournalPoisoned, SwarmError
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView

Patch = pytest.MonkeyPatch


# -- syncs


def no_sync(patch: Patch) -> None:
    """A batch is acknowledged when it was written."""
    sync = Journal._sync
    patch.setattr(Journal, "_sync", lambda self, place: None if isinstance(place, int) else sync(self, place))


def acknowledged_before_sync(patch: Patch) -> None:
    """A batch is synced together with the next one."""
    put, sync = Journal._put, Journal._sync

    def later(self: Journal, data: bytes) -> None:
        sync(self, self._fd)
        put(self, data)

    patch.setattr(Journal, "_put", later)
    patch.setattr(Journal, "_sync", lambda self, place: None if isinstance(place, int) else sync(self, place))


def no_directory_sync(patch: Patch) -> None:
    """Names are never synced."""
    patch.setattr(MemoryDisk, "sync_dir", lambda self, path: None)


def no_directory_sync_at_rotation(patch: Patch) -> None:
    """A new segment is begun and not synced into its directory."""
    sync = Journal._sync
    patch.setattr(Journal, "_sync", lambda self, place: sync(self, place) if isinstance(place, int) else None)


def no_sync_of_the_segments_directory(patch: Patch) -> None:
    """The directory of closed segments itself is not synced when it is made."""
    sync_dir = MemoryDisk.sync_dir

    def forgetful(self: MemoryDisk, path: Path) -> None:
        kept = [change for change in self._store.pending if change[0] == (path,) and "make_dir" in str(change[1])]
        self._store.pending = [change for change in self._store.pending if change not in kept]
        sync_dir(self, path)
        self._store.pending = kept + self._store.pending

    patch.setattr(MemoryDisk, "sync_dir", forgetful)


def no_rewrite(patch: Patch) -> None:
    """Recovery trusts the page cache: it cuts the torn tail off in place and syncs."""

    def in_place(disk: Disk, path: Path, data: bytes) -> int:
        fd = disk.open_append(path)
        if disk.size(fd) != len(data):
            disk.truncate(fd, len(data))
        disk.sync(fd)
        return fd

    patch.setattr(recovery, "replace_file", in_place)


def no_sync_of_the_copy(patch: Patch) -> None:
    """The copy that recovery makes is renamed into its place before it is durable."""

    def unsynced(disk: Disk, path: Path, data: bytes) -> int:
        temporary = path.with_name(path.name + ".tmp")
        fd = disk.open_new(temporary)
        disk_module.write_all(disk, fd, data)
        disk.rename(temporary, path)
        return fd

    patch.setattr(recovery, "replace_file", unsynced)


def failed_sync_tried_again(patch: Patch) -> None:
    """A second sync that succeeds is believed."""
    sync = MemoryDisk.sync

    def twice(self: MemoryDisk, fd: int) -> None:
        try:
            sync(self, fd)
        except OSError:
            sync(self, fd)

    patch.setattr(MemoryDisk, "sync", twice)


def failed_sync_forgotten(patch: Patch) -> None:
    """A failed sync is told once, and the next batch is written all the same."""
    poisoned = Journal._poisoned

    def told(self: Journal, what: str, error: OSError) -> JournalPoisoned:
        answer = poisoned(self, what, error)
        self._poison = None
        return answer

    patch.setattr(Journal, "_poisoned", told)


# -- writes


def nothing_taken_back(patch: Patch) -> None:
    """What a failed write left behind stays."""
    patch.setattr(Journal, "_take_back", lambda self, cause: None)


def short_writes_believed(patch: Patch) -> None:
    """One call of write is enough."""
    patch.setattr(journal_module, "write_all", lambda disk, fd, data: disk.write(fd, data))


def full_disk_believed(patch: Patch) -> None:
    """A full disk is taken for a success."""
    put = Journal._put

    def blind(self: Journal, data: bytes) -> None:
        try:
            put(self, data)
        except SwarmError:
            return

    patch.setattr(Journal, "_put", blind)


def epoch_not_raised(patch: Patch) -> None:
    """Every engine writes in the same epoch."""
    begin = Journal._begin

    def begun(self: Journal, found: recovery.Recovered) -> None:
        begin(self, found)
        self._epoch = 1

    patch.setattr(Journal, "_begin", begun)


def segment_named_by_its_last_event(patch: Patch) -> None:
    """A closed segment bears the seq that follows it."""
    closed_path = segments.closed_path
    patch.setattr(journal_module, "closed_path", lambda path, first: closed_path(path, first + 1))


# -- recovery


def tail_not_cut(patch: Patch) -> None:
    """Recovery goes on behind a torn line."""
    make_whole = recovery._make_whole

    def uncut(path: Path, disk: Disk, chain: Chain, good: bytes, torn: bytes) -> int:
        return make_whole(path, disk, chain, good + torn, b"")

    patch.setattr(recovery, "_make_whole", uncut)


def everything_is_torn(patch: Patch) -> None:
    """Recovery cuts at the first bad line, whatever follows it."""
    patch.setattr(recovery, "is_torn", lambda rest, seq: True)


def only_the_last_line_is_torn(patch: Patch) -> None:
    """Lines behind a bad one are always corruption, as if writes reached the disk in order."""
    patch.setattr(recovery, "is_torn", lambda rest, seq: b"\n" not in rest[:-1])


def prev_not_checked(patch: Patch) -> None:
    """A line is believed for its own checksum."""
    take = Chain.take

    def lone(self: Chain, line: bytes) -> Event:
        if lines.is_whole(line):
            self.prev = parse(line).prev
        return take(self, line)

    patch.setattr(Chain, "take", lone)


def sum_not_checked(patch: Patch) -> None:
    """A line is believed for the next one's prev."""
    patch.setattr(lines, "is_whole", lambda line: line.endswith(b'"}'))
    patch.setattr(recovery, "is_whole", lambda line: line.endswith(b'"}'))


# -- snapshots


def snapshot_unchecked(patch: Patch) -> None:
    """A snapshot's checksum is not looked at."""
    decode = snapshot.decode

    def sealed(data: bytes) -> tuple[Place, RunView]:
        body = data[: data.rfind(b',"sum":"')]
        return decode(body + b',"sum":"%s"}\n' % hashlib.sha256(body).hexdigest().encode())

    patch.setattr(snapshot, "decode", sealed)


def snapshot_of_anything(patch: Patch) -> None:
    """A snapshot is not held against the line it names."""
    patch.setattr(snapshot, "belongs", lambda place, path, disk: True)


def snapshot_a_line_behind(patch: Patch) -> None:
    """The state is one event ahead of the place it is written down for."""
    store = snapshot.store

    def behind(path: Path, disk: Disk, place: Place, state: dict[str, object]) -> bool:
        data = disk_module.read_file(disk, path) or b""
        before = data[: place.offset].splitlines(keepends=True)
        if len(before) < 2 or segments.first_seq(data) != place.first:
            return store(path, disk, place, state)
        seq, offset = place.seq - 1, place.offset - len(before[-1])
        earlier = replace(place, seq=seq, offset=offset, prev=digest(before[-2][:-1]))
        return store(path, disk, earlier, {**state, "last_seq": seq})

    patch.setattr(journal_module, "store", behind)


# -- readers


def reader_stays(patch: Patch) -> None:
    """A reader does not notice that its file is not the active one any more."""
    patch.setattr(JournalReader, "_is_left", lambda self: False)


def reader_begins_anew(patch: Patch) -> None:
    """A reader takes the copy that recovery made for the next segment."""

    def anew(self: JournalReader, fd: int) -> bool:
        self._first, self._offset = self.seq + 1, 0
        return True

    patch.setattr(JournalReader, "_is_next", anew)


def reader_misses_closed_segments(patch: Patch) -> None:
    """A reader goes from each segment straight to the active one."""
    closed_path = segments.closed_path
    patch.setattr(tail, "closed_path", lambda path, first: closed_path(path, 10**9))


MUTANTS = (
    no_sync,
    acknowledged_before_sync,
    no_directory_sync,
    no_directory_sync_at_rotation,
    no_sync_of_the_segments_directory,
    no_rewrite,
    no_sync_of_the_copy,
    failed_sync_tried_again,
    failed_sync_forgotten,
    nothing_taken_back,
    short_writes_believed,
    full_disk_believed,
    epoch_not_raised,
    segment_named_by_its_last_event,
    tail_not_cut,
    everything_is_torn,
    only_the_last_line_is_torn,
    prev_not_checked,
    sum_not_checked,
    snapshot_unchecked,
    snapshot_of_anything,
    snapshot_a_line_behind,
    reader_stays,
    reader_begins_anew,
    reader_misses_closed_segments,
)


async def caught(mutant: Callable[[Patch], None]) -> str:
    """What the sweeps say to a mutant; nothing if they do not see it."""
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        for sweep, argument in (
            (look_everywhere, 9),
            (flip_everywhere, 23),
            (fail_everywhere, 5),
            (crash_everywhere, 1),
        ):
            try:
                await sweep(argument)
            except Exception as error:  # noqa: BLE001 -- whatever goes wrong is a fault that was seen
                return f"{sweep.__name__}: {type(error).__name__}: {error}".splitlines()[0]
    return ""


async def test_the_sweeps_see_the_faults_a_journal_may_have() -> None:
    table = {mutant.__name__: await caught(mutant) for mutant in MUTANTS}
    for name, how in table.items():
        print(f"{name:36} {how[:120] or '-- not seen --'}")
    seen = [name for name, how in table.items() if how]
    print(f"{len(seen)} of {len(table)} mutants seen")
    assert len(seen) >= 0.9 * len(table), set(table) - set(seen)
