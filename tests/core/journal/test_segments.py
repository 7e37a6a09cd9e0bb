"""Segments: the journal goes on from file to file, and a file that is missing, doubled or exchanged is found."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest
from tests.support.journals import write_journal

from swarm_core.journal.disk import FaultyDisk, RealDisk
from swarm_core.journal.journal import Journal, verify
from swarm_core.journal.lines import Chain, encode
from swarm_core.journal.opening import last_events
from swarm_core.journal.segments import closed, closed_path, read_all, runs
from swarm_core.journal.tail import JournalReader
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import JournalCorrupt, JournalError
from swarm_core.vocabulary.events import Draft, Event

SEGMENT_BYTES = 1_000


def notes(count: int) -> list[Draft]:
    return [Draft("run.note", {"text": f"note {number} ✓"}) for number in range(count)]


async def open_small(path: Path, disk: RealDisk | None = None) -> Journal:
    return await Journal.open(path, "r1", SystemClock(), disk, segment_bytes=SEGMENT_BYTES)


async def write_segments(path: Path, count: int = 20) -> list[Event]:
    journal = await open_small(path)
    events = []
    for draft in notes(count):
        events += await journal.append(draft)
    await journal.close()
    return events


def add(path: Path, data: bytes) -> None:
    with open(path, "ab") as file:
        file.write(data)


def epochs(path: Path) -> list[int]:
    files = [closed_path(path, first) for first in closed(path, RealDisk())] + [path]
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    return [json.loads(line).get("epoch", 0) for line in lines]


async def test_a_journal_in_many_segments_is_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "run" / "events.jsonl"
    events = await write_segments(path)

    firsts = closed(path, RealDisk())
    assert len(firsts) > 2
    assert firsts[0] == 1
    assert list(read_all(path)) == events
    again = await open_small(path)
    assert again.events == events
    assert (await again.append(*notes(1)))[0].seq == 21
    await again.close()
    assert verify(path) == 21


async def test_a_batch_is_never_split_between_segments(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    journal = await open_small(path)
    for _ in range(4):
        await journal.append(*notes(10))
    await journal.close()

    assert closed(path, RealDisk()) == [1, 11, 21]


async def test_each_opening_for_writing_raises_the_epoch(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_journal(path, "r1", notes(2))  # as it was written before there were epochs
    for _ in range(3):
        journal = await open_small(path)
        await journal.append(*notes(2))
        await journal.close()

    assert epochs(path) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert verify(path) == 8


def test_a_writer_that_was_replaced_and_went_on_is_found(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    chain, data = Chain(path), b""
    for seq, epoch in enumerate((1, 2, 1), 1):
        event = Event(seq, "2026-11-21T10:00:00.000Z", "r1", "run.note", {})
        line, chain.prev = encode(event, chain.prev, epoch)
        data += line
    path.write_bytes(data)

    with pytest.raises(JournalCorrupt, match="epoch 1 after 2"):
        verify(path)
    with pytest.raises(JournalError, match="of epoch 1 follows 2 of 2"):
        JournalReader(path).poll()


@pytest.mark.parametrize("place", [0, 1, -1])
async def test_a_missing_segment_is_named(tmp_path: Path, place: int) -> None:
    path = tmp_path / "events.jsonl"
    await write_segments(path)
    lost = closed_path(path, closed(path, RealDisk())[place])
    lost.unlink()

    with pytest.raises(JournalCorrupt, match=f"{lost.name} is missing"):
        verify(path)
    with pytest.raises(JournalCorrupt, match=f"{lost.name} is missing"):
        await open_small(path)


async def test_a_missing_segment_before_an_empty_active_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    await write_segments(path)
    path.unlink()
    lost = closed_path(path, closed(path, RealDisk())[1])
    lost.unlink()

    with pytest.raises(JournalCorrupt, match=f"{lost.name} is missing"):
        await open_small(path)


async def test_a_doubled_segment_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    await write_segments(path)
    first, second, *_ = closed(path, RealDisk())
    double = closed_path(path, first + 1)
    shutil.copy(closed_path(path, second), double)
    with pytest.raises(JournalCorrupt, match=f"{double.name}:1: .*is there twice|{double.name}:1"):
        verify(path)
    double.unlink()

    shutil.copy(closed_path(path, second), path)
    with pytest.raises(JournalCorrupt, match=f"begins with seq {second}"):
        await open_small(path)


async def test_exchanged_segments_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    await write_segments(path)
    one, two, *_ = (closed_path(path, first) for first in closed(path, RealDisk()))
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(kept)

    with pytest.raises(JournalCorrupt, match=f"{one.name}:1"):
        verify(path)


async def test_a_torn_line_in_a_closed_segment_is_corruption(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    await write_segments(path)
    closed_file = closed_path(path, closed(path, RealDisk())[-1])
    closed_file.write_bytes(closed_file.read_bytes()[:-10])

    with pytest.raises(JournalCorrupt, match=closed_file.name):
        await open_small(path)


async def test_an_engine_that_died_between_two_segments_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "r1" / "events.jsonl"
    events = await write_segments(path)
    path.rename(closed_path(path, next(reversed(events)).seq - len(path.read_bytes().splitlines()) + 1))
    assert runs(tmp_path) == ["r1"]

    journal = await open_small(path)
    assert journal.events == events
    assert path.exists()
    await journal.append(*notes(1))
    await journal.close()
    assert verify(path) == 21


@pytest.mark.parametrize("call", ["make_dir", "rename"])
async def test_a_full_disk_only_delays_a_new_segment(tmp_path: Path, call: str) -> None:
    path = tmp_path / "events.jsonl"
    disk = FaultyDisk(lambda name, number: errno.ENOSPC if (name, number) == (call, 1) else None)
    journal = await open_small(path, disk)
    for draft in notes(20):
        await journal.append(draft)
    await journal.close()

    assert len(closed(path, disk)) > 2
    assert verify(path) == 20


async def test_a_reader_follows_through_segments(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    journal, reader = await open_small(path), JournalReader(path)
    written, seen = [], reader.poll()
    for number in range(60):
        written += await journal.append(*notes(1 + number % 4))
        if number % 7 == 0:
            seen += reader.poll(300)
    await journal.close()
    while events := reader.poll(300):
        seen += events

    assert seen == written
    reader.close()


async def test_a_reader_that_missed_several_segments_misses_no_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    journal, reader = await open_small(path), JournalReader(path)
    written = await journal.append(*notes(1))
    seen = reader.poll()
    for draft in notes(30):
        written += await journal.append(draft)
    assert len(closed(path, RealDisk())) > 5
    while events := reader.poll():
        seen += events
    await journal.close()

    assert seen == written


async def test_a_reader_goes_on_in_the_copy_that_recovery_made(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    journal, reader = await open_small(path), JournalReader(path)
    written = await journal.append(*notes(2))
    add(path, b'{"v":1,"seq":3,"ts":"2026')
    seen = reader.poll()
    assert seen == written
    await journal.close()

    again = await open_small(path)
    assert again.torn_bytes == 25
    assert reader.poll() == []
    for draft in notes(12):  # the copy is closed, and others after it, before the reader looks again
        written += await again.append(draft)
    while events := reader.poll():
        seen += events
    await again.close()

    assert seen == written


async def test_a_reader_without_news_asks_the_system_twice(tmp_path: Path) -> None:
    calls: list[str] = []

    class Counting(RealDisk):
        def read(self, fd: int, offset: int, size_bytes: int) -> bytes:
            calls.append("read")
            return super().read(fd, offset, size_bytes)

        def identity(self, file: Path | int) -> int | None:
            calls.append("identity")
            return super().identity(file)

    path = tmp_path / "events.jsonl"
    await write_segments(path, 3)
    reader = JournalReader(path, Counting())
    reader.poll()
    calls.clear()

    assert reader.poll() == []
    assert len(calls) <= 4


async def test_a_reader_names_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    await write_segments(path)
    closed_path(path, 1).unlink()

    with pytest.raises(JournalError, match="after 0 are missing"):
        JournalReader(path).poll()


@pytest.mark.parametrize("count", [0, 1, 3, 11, 20, 1_000])
async def test_the_last_events_are_read_from_the_end(tmp_path: Path, count: int) -> None:
    path = tmp_path / "events.jsonl"
    events = await write_segments(path)
    assert last_events(path, count) == (events[-count:] if count else [])
    add(path, b'{"v":1,"se')
    assert last_events(path, count) == (events[-count:] if count else [])


async def test_the_last_events_cost_the_same_in_a_long_journal(tmp_path: Path) -> None:
    read: list[int] = []

    class Counting(RealDisk):
        def read(self, fd: int, offset: int, size_bytes: int) -> bytes:
            data = super().read(fd, offset, size_bytes)
            read.append(len(data))
            return data

    path = tmp_path / "events.jsonl"
    events = write_journal(path, "r1", notes(5_000))

    assert last_events(path, 5, Counting()) == events[-5:]
    assert sum(read) < 200_000 < path.stat().st_size


def test_a_line_longer_than_any_read_arrives_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = write_journal(path, "r1", [Draft("run.note", {"text": "x" * 500_000}), *notes(1)])
    reader = JournalReader(path)

    assert reader.poll(1_000) + reader.poll(1_000) == events
    assert last_events(path, 2) == events
