"""Opening for writing: what an interrupted write left is cut and kept, anything else is refused untouched."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest
from tests.support.journals import write_journal

from swarm_core.journal.disk import FaultyDisk, RealDisk
from swarm_core.journal.journal import Journal, verify
from swarm_core.journal.lines import GENESIS, digest, encode
from swarm_core.journal.recovery import is_torn, recover
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import JournalCorrupt, JournalError, JournalFull, JournalPoisoned
from swarm_core.vocabulary.events import Draft, Event

TS = "2026-11-21T10:00:00.000Z"


def notes(count: int) -> list[Draft]:
    return [Draft("run.note", {"text": f"note {number}"}) for number in range(count)]


def written(*batches: int) -> list[bytes]:
    """Lines of a journal whose batches have these numbers of events."""
    lines, prev, seq = [], GENESIS, 0
    for count in batches:
        first = seq + 1
        for _ in range(count):
            seq += 1
            line, prev = encode(Event(seq, TS, "r1", "run.note", {"text": "x" * 50}), prev, 1, first)
            lines.append(line)
    return lines


async def open_journal(path: Path, disk: RealDisk | None = None) -> Journal:
    return await Journal.open(path, "r1", SystemClock(), disk)


def test_the_active_segment_is_written_anew(tmp_path: Path) -> None:
    """After a failed sync the page cache shows what the disk never got: only new pages reach it."""
    path = tmp_path / "events.jsonl"
    write_journal(path, "r1", notes(3))
    before, data = path.stat().st_ino, path.read_bytes()
    disk = FaultyDisk(lambda name, number: None)

    disk.close(recover(path, disk).fd)

    assert path.read_bytes() == data
    assert path.stat().st_ino != before
    assert disk.calls["sync"] >= 1
    assert disk.calls["sync_dir"] >= 2


def test_temporary_files_are_removed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_journal(path, "r1", notes(1))
    for name in ("events.jsonl.tmp", "snapshot.json.tmp", "plan.json", "events.jsonl.torn-7"):
        (tmp_path / name).write_text("x")

    RealDisk().close(recover(path, RealDisk()).fd)

    assert {file.name for file in tmp_path.iterdir()} == {"events.jsonl", "plan.json", "events.jsonl.torn-7"}


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_batch_that_reached_the_disk_out_of_order_is_cut(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "events.jsonl"
    lines = written(2, 3)
    lines[2 + lost] = bytes(len(lines[2 + lost]))
    path.write_bytes(b"".join(lines))

    found = recover(path, RealDisk())
    RealDisk().close(found.fd)

    assert found.place.seq == 2 + lost
    assert found.torn_bytes == sum(len(line) for line in lines[2 + lost :])
    assert verify(path) == 2 + lost


def test_a_line_of_a_later_batch_proves_that_a_bad_one_was_durable(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = written(2, 3, 1)
    lines[3] = bytes(len(lines[3]))
    path.write_bytes(b"".join(lines))
    data = path.read_bytes()

    with pytest.raises(JournalCorrupt, match=rf"events\.jsonl:4: the line at byte {len(b''.join(lines[:3]))}"):
        recover(path, RealDisk())
    assert path.read_bytes() == data
    assert [file.name for file in tmp_path.iterdir()] == ["events.jsonl"]


def test_a_lost_line_end_between_two_batches_is_not_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = written(1, 1)
    path.write_bytes(lines[0][:-1] + b"\x0b" + lines[1])

    with pytest.raises(JournalCorrupt, match=r"events\.jsonl:1"):
        recover(path, RealDisk())


def test_a_whole_line_of_a_newer_program_is_refused_and_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first = written(1)[0]
    newer, _ = encode(Event(2, TS, "r1", "run.note", {}, v=2), digest(first[:-1]))
    path.write_bytes(first + newer)

    with pytest.raises(JournalCorrupt, match="version 2, this program reads 1"):
        recover(path, RealDisk())
    assert path.read_bytes() == first + newer


def test_what_is_torn_is_told_from_what_is_lost() -> None:
    lines = written(1, 1)
    assert is_torn(b"", 1)
    assert is_torn(lines[0][:-5], 1)
    assert is_torn(bytes(300), 1)
    assert is_torn(lines[0][:-5] + b"\n", 1)
    assert not is_torn(lines[1], 1)
    assert not is_torn(b"junk\n" + lines[1], 1)


def test_a_full_disk_at_recovery_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_journal(path, "r1", notes(2))
    data = path.read_bytes()
    disk = FaultyDisk(lambda name, number: errno.ENOSPC if name == "write" else None)

    with pytest.raises(JournalFull, match="cannot be opened"):
        recover(path, disk)
    assert path.read_bytes() == data
    assert [file.name for file in tmp_path.iterdir()] == ["events.jsonl"]


def test_a_failed_sync_at_recovery_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_journal(path, "r1", notes(2))
    for call in ("sync", "sync_dir"):
        with pytest.raises(JournalError, match="cannot be opened"):
            recover(path, FaultyDisk(lambda name, number, call=call: errno.EIO if name == call else None))  # type: ignore[misc]
    assert verify(path) == 2


async def test_a_writer_that_dies_tells_everybody_who_waits(tmp_path: Path) -> None:
    class Dying(RealDisk):
        is_dying = False

        def write(self, fd: int, data: bytes) -> int:
            if self.is_dying:
                raise SystemExit("a bug in the writer")
            return super().write(fd, data)

    disk = Dying()
    journal = await open_journal(tmp_path / "events.jsonl", disk)
    disk.is_dying = True
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(journal.append(d) for d in notes(5)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {JournalPoisoned}
        disk.is_dying = False
        with pytest.raises(JournalPoisoned, match="a bug in the writer"):
            await journal.append(*notes(1))
        await journal.close()


async def test_a_draft_that_cannot_be_written_concerns_only_who_brought_it(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "events.jsonl", "r1", SystemClock(), inline=True)
    good, bad, also_good = await asyncio.gather(
        journal.append(*notes(2)),
        journal.append(Draft("run.note", {"text": object()})),
        journal.append(*notes(1)),
        return_exceptions=True,
    )
    await journal.close()

    assert isinstance(bad, TypeError)
    assert isinstance(good, list)
    assert isinstance(also_good, list)
    assert [event.seq for event in good + also_good] == [1, 2, 3]
    assert verify(tmp_path / "events.jsonl") == 3


async def test_inline_everything_of_one_turn_of_the_loop_is_one_write(tmp_path: Path) -> None:
    disk = FaultyDisk(lambda name, number: None)
    journal = await Journal.open(tmp_path / "events.jsonl", "r1", SystemClock(), disk, inline=True)
    results = await asyncio.gather(*(journal.append(draft) for draft in notes(50)))

    assert [event.seq for events in results for event in events] == list(range(1, 51))
    assert disk.calls["write"] == 1
    last = asyncio.ensure_future(journal.append(*notes(1)))
    await asyncio.sleep(0)
    await journal.close()
    assert (await last)[0].seq == 51
    with pytest.raises(JournalError, match="is closed"):
        await journal.append(*notes(1))


async def test_an_io_error_while_writing_closes_the_journal(tmp_path: Path) -> None:
    is_broken = False
    disk = FaultyDisk(lambda name, _: errno.EIO if is_broken and name == "write" else None)
    journal = await open_journal(tmp_path / "events.jsonl", disk)
    await journal.append(*notes(1))
    is_broken = True
    with pytest.raises(JournalPoisoned):
        await journal.append(*notes(1))
    await journal.close()
    assert verify(tmp_path / "events.jsonl") == 1
