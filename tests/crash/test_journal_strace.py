"""The journal in a real process whose system calls the kernel is made to fail: what was acknowledged is on the disk."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.cli import environment

from swarm_core.journal.disk import RealDisk
from swarm_core.journal.journal import Journal, verify
from swarm_core.journal.segments import closed, read_all
from swarm_core.vocabulary.clock import SystemClock

EVENTS = 50
POISONED_EXIT = 70
DEADLINE_S = 20.0
STRACE = ("strace", "-f", "-qq", "-o", "/dev/null")

# Acknowledges with writev, which nothing else here calls: ``write`` is then the journal's alone.
WRITER = f"""
import asyncio, os, sys
from pathlib import Path
from swarm_core.journal.journal import Journal
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import JournalFull, JournalPoisoned
from swarm_core.vocabulary.events import Draft
async def main():
    journal = await Journal.open(Path(sys.argv[1]), "r1", SystemClock(), segment_bytes=2_000)
    while journal.last_seq < {EVENTS}:
        try:
            events = await journal.append(*[Draft("run.note", {{"text": "x" * 100}})] * 2)
        except JournalFull:
            os.writev(1, [b"full\\n"])
            continue
        os.writev(1, [b"%d\\n" % events[-1].seq])
    await journal.close()
try:
    asyncio.run(main())
except JournalPoisoned:
    os.writev(1, [b"poisoned\\n"])
    os._exit({POISONED_EXIT})
"""


def reason_against_strace() -> str:
    if shutil.which("strace") is None:
        return "there is no strace"
    done = subprocess.run(
        [*STRACE, "-e", "trace=getppid", "-e", "inject=getppid:retval=7", "sh", "-c", "exit 0"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else f"strace may not trace here: {done.stderr.strip()[:100]}"


REASON = reason_against_strace()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


def write_under(path: Path, inject: str) -> tuple[list[str], int, float]:
    """What the writer said, its exit status, and how long it lived, with one of its system calls tampered with."""
    call = inject.partition(":")[0]
    started = time.monotonic()
    done = subprocess.run(
        [*STRACE, "-e", f"trace={call}", "-e", f"inject={inject}", sys.executable, "-B", "-c", WRITER, str(path)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=DEADLINE_S,
        check=False,
    )
    return done.stdout.split(), done.returncode, time.monotonic() - started


def acknowledged(said: list[str]) -> int:
    return max([0, *(int(word) for word in said if word.isdigit())])


def recovered(path: Path) -> int:
    """The last event after the next start, which must be able to go on."""

    async def start() -> int:
        journal = await Journal.open(path, "r1", SystemClock())
        await journal.close()
        return journal.last_seq

    last = asyncio.run(start())
    assert verify(path) == last
    assert [event.seq for event in read_all(path)] == list(range(1, last + 1))
    return last


@pytest.mark.parametrize(
    "inject",
    [f"fdatasync:signal=KILL:when={k}" for k in (1, 2, 7, 25)]
    + [f"write:signal=KILL:when={k}" for k in (1, 9)]
    + [f"/^rename:signal=KILL:when={k}" for k in (1, 3)]
    + ["/^mkdir:signal=KILL:when=1", "fsync:signal=KILL:when=5"],
)
def test_a_process_killed_in_a_system_call_loses_nothing_it_acknowledged(tmp_path: Path, inject: str) -> None:
    path = tmp_path / "events.jsonl"
    said, _, _ = write_under(path, inject)

    assert acknowledged(said) < EVENTS, "it was not killed"
    assert recovered(path) >= acknowledged(said)


@pytest.mark.parametrize("inject", [f"fdatasync:error=EIO:when={k}" for k in (1, 3, 20)] + ["fsync:error=EIO:when=6"])
def test_a_process_whose_sync_fails_leaves_at_once(tmp_path: Path, inject: str) -> None:
    path = tmp_path / "events.jsonl"
    said, status, seconds = write_under(path, inject)

    assert (said[-1], status) == ("poisoned", POISONED_EXIT)
    assert seconds < DEADLINE_S / 2
    assert recovered(path) >= acknowledged(said)


@pytest.mark.parametrize("k", [1, 2, 14])
def test_a_full_disk_is_waited_for(tmp_path: Path, k: int) -> None:
    path = tmp_path / "events.jsonl"
    said, status, _ = write_under(path, f"write:error=ENOSPC:when={k}")

    assert "full" in said
    assert (acknowledged(said), status) == (EVENTS, 0)
    assert recovered(path) == EVENTS


def test_a_segment_that_cannot_be_moved_grows_until_it_can(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    said, status, _ = write_under(path, "/^rename:error=ENOSPC:when=1..4")

    assert (acknowledged(said), status) == (EVENTS, 0)
    assert recovered(path) == EVENTS
    assert len(closed(path, RealDisk())) >= 2
