"""The journal: what was acknowledged is there, what is there is what was written."""

from __future__ import annotations

import asyncio
import errno
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cli import environment
from tests.support.journals import write_journal

from swarm_core.journal.disk import FaultyDisk, RealDisk
from swarm_core.journal.journal import Journal, verify
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import JournalCorrupt, JournalError, JournalFull, JournalPoisoned
from swarm_core.vocabulary.events import Draft

CLOCK = SystemClock()


def notes(count: int) -> list[Draft]:
    return [Draft("run.note", {"text": f"note {number} ✓"}) for number in range(count)]


async def open_journal(path: Path, disk: RealDisk | None = None) -> Journal:
    return await Journal.open(path, "r1", CLOCK, disk)


async def test_events_come_back_as_they_were_appended(tmp_path: Path) -> None:
    path = tmp_path / "run" / "events.jsonl"
    journal = await open_journal(path)
    written = await journal.append(*notes(3), Draft("run.note", {"text": "x"}, task="task_001", cause=2))
    await journal.close()

    again = await open_journal(path)
    assert again.events == written
    assert [event.seq for event in again.events] == [1, 2, 3, 4]
    assert verify(path) == 4
    await again.close()


async def test_what_waits_during_a_sync_goes_out_with_the_next(tmp_path: Path) -> None:
    disk = FaultyDisk(lambda name, number: None)
    journal = await open_journal(tmp_path / "events.jsonl", disk)
    before = disk.calls.get("sync", 0)

    results = await asyncio.gather(*(journal.append(draft) for draft in notes(200)))

    assert sorted(event.seq for events in results for event in events) == list(range(1, 201))
    assert disk.calls["sync"] - before < 50
    await journal.close()


def test_every_cut_of_the_last_line_loses_only_that_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_journal(path, "r1", notes(3))
    whole = path.read_bytes()
    last = whole.rfind(b"\n", 0, -1) + 1

    async def reopen() -> Journal:
        journal = await open_journal(path)
        await journal.append(*notes(1))
        await journal.close()
        return journal

    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        journal = asyncio.run(reopen())
        assert [event.seq for event in journal.events] == [1, 2]
        assert journal.torn_bytes == cut - last
        assert verify(path) == 3


async def test_a_torn_tail_of_zeros_is_cut_and_kept_beside(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_journal(path, "r1", notes(2))
    good = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"\0" * 100)

    journal = await open_journal(path)

    assert journal.last_seq == 2
    assert (tmp_path / f"events.jsonl.torn-{good}").read_bytes() == b"\0" * 100
    await journal.close()


def test_every_changed_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_journal(path, "r1", notes(3))
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(JournalCorrupt, match=r"events\.jsonl:\d"):
            verify(path)


async def test_damage_in_the_middle_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_journal(path, "r1", notes(3))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])

    with pytest.raises(JournalCorrupt, match=r":2: the line at byte \d+ has seq 3 where 2 belongs"):
        await open_journal(path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
async def test_a_full_disk_loses_nothing_and_the_next_try_goes_on(tmp_path: Path, number: int) -> None:
    path = tmp_path / "events.jsonl"
    is_full = False
    disk = FaultyDisk(lambda name, _: number if is_full and name == "write" else None)
    journal = await open_journal(path, disk)
    await journal.append(*notes(2))
    is_full = True
    with pytest.raises(JournalFull):
        await journal.append(*notes(2))
    assert verify(path) == 2
    is_full = False
    events = await journal.append(*notes(1))

    assert events[0].seq == 3
    await journal.close()
    assert verify(path) == 3


async def test_a_failed_sync_closes_the_journal_for_good(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    is_broken = False
    disk = FaultyDisk(lambda name, _: errno.EIO if is_broken and name == "sync" else None)
    journal = await open_journal(path, disk)
    is_broken = True
    with pytest.raises(JournalPoisoned):
        await journal.append(*notes(1))
    is_broken = False
    with pytest.raises(JournalPoisoned):
        await journal.append(*notes(1))
    await journal.close()


async def test_a_write_that_cannot_be_taken_back_closes_the_journal(tmp_path: Path) -> None:
    is_broken = False
    disk = FaultyDisk(lambda name, _: errno.ENOSPC if is_broken and name in ("write", "truncate") else None)
    journal = await open_journal(tmp_path / "events.jsonl", disk)
    is_broken = True
    with pytest.raises(JournalPoisoned):
        await journal.append(*notes(1))
    await journal.close()


async def test_a_link_in_the_journals_place_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("mine")
    (tmp_path / "events.jsonl").symlink_to(target)

    with pytest.raises(JournalError, match="cannot be opened"):
        await open_journal(tmp_path / "events.jsonl")
    assert target.read_text() == "mine"


WRITER = """
import asyncio, sys
from pathlib import Path
from swarm_core.journal.journal import Journal
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.events import Draft
async def main():
    journal = await Journal.open(Path(sys.argv[1]), "r1", SystemClock())
    while True:
        events = await journal.append(*[Draft("run.note", {"text": "x" * 300})] * 3)
        print(events[-1].seq, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 5, 40])
def test_a_killed_writer_loses_no_acknowledged_event(tmp_path: Path, acknowledged: int) -> None:
    path = tmp_path / "events.jsonl"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=environment()
    )
    assert writer.stdout is not None
    for _ in range(acknowledged):
        last = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.wait()
    writer.stdout.close()
    last = max([last, *(int(seq) for seq in rest if seq.isdigit())])

    journal = asyncio.run(open_journal(path))
    assert journal.last_seq >= last
    asyncio.run(journal.close())
    assert verify(path) == journal.last_seq


def test_a_real_limit_on_the_file_is_a_full_disk(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow: the same answer as a full device."""
    program = f"""
import asyncio, resource, signal
from pathlib import Path
from swarm_core.journal.journal import Journal
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import JournalFull
from swarm_core.vocabulary.events import Draft
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, {resource.RLIM_INFINITY}))
async def main():
    journal = await Journal.open(Path({str(tmp_path / "events.jsonl")!r}), "r1", SystemClock())
    try:
        while True:
            await journal.append(Draft("run.note", {{"text": "x" * 300}}))
    except JournalFull:
        seq = journal.last_seq
        resource.setrlimit(resource.RLIMIT_FSIZE, ({resource.RLIM_INFINITY}, {resource.RLIM_INFINITY}))
        assert (await journal.append(Draft("run.note")))[0].seq == seq + 1
        print("went on")
    await journal.close()
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=False
    )

    assert done.stdout == "went on\n", done.stderr
    assert verify(tmp_path / "events.jsonl") > 5
    assert (tmp_path / "events.jsonl").stat().st_size < 5000
