"""No space left: the engine waits and says so, loses nothing it acknowledged, and goes on by itself."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.instant import Shape, carry_out, open_run
from tests.support.cli import wait_until
from tests.support.endurance import approve, begin, drive, end, events, gate_opens, message, repository

from swarm_core.client import SwarmClient
from swarm_core.journal.disk import FaultyDisk
from swarm_core.journal.journal import verify
from swarm_core.vocabulary.clock import SystemClock

pytestmark = pytest.mark.timeout(120)


class Impatient(SystemClock):
    """Waits a hundredth of what it is asked to."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 100)


def the_run_ends_whole(client: SwarmClient, run: str, decision: str) -> None:
    """What was decided while there was no space counts, once, and the journal is one chain."""
    answer = wait_until("the answer to the decision", lambda: client.answer(decision))
    assert answer.result == "applied", answer.reason
    view = drive(client, run)
    end(client)
    assert view.run.landed
    found = events(client, run)
    assert sum(event.data.get("command") == decision for event in found) == 1
    assert verify(client.layout.run(run).journal) == len(found)
    assert sum(event.kind == "engine.started" for event in found) == 1  # it waited; it did not die


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process can be set on Linux only")
def test_an_engine_that_may_not_write_more_waits_and_goes_on(tmp_path: Path) -> None:
    """A limit on the size of files, which every user may lower, stands for the full disk (EFBIG)."""
    client = repository(tmp_path / "repo")
    run = begin(client)
    before = gate_opens(client, run).last_seq
    journal, pid = client.layout.run(run).journal, client.engine().pid
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (journal.stat().st_size + 40, unlimited[1]))
    decision = approve(client, run)
    said = message(client, "paused")
    assert str(journal) in said
    assert client.view(run).last_seq == before  # nothing half written is to be seen
    assert client.engine().pid == pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    message(client, "ready")
    the_run_ends_whole(client, run, decision)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two mebibytes."""
    place = tmp_path / "repo" / ".runs"
    place.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system can be mounted by root only: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(ballast: Path, size: int) -> None:
    with ballast.open("ab", buffering=0) as file:
        while True:
            file.write(b"x" * size)


def test_a_full_file_system_holds_the_run_until_there_is_space(small_disk: Path) -> None:
    client = repository(small_disk.parent)
    run = begin(client)
    before = gate_opens(client, run).last_seq
    ballast = small_disk / "ballast"
    for size in (1 << 16, 1 << 12, 1):
        with pytest.raises(OSError, match="No space left"):
            fill(ballast, size)
    journal = client.layout.run(run).journal
    with journal.open("rb") as file:  # the last page of the journal has room for a few events yet
        room = -os.fstat(file.fileno()).st_size % os.sysconf("SC_PAGE_SIZE")
    decision = approve(client, run)
    said = message(client, "paused")
    assert "No space left" in said
    assert client.view(run).last_seq <= before + room // 200
    ballast.unlink()
    the_run_ends_whole(client, run, decision)


async def test_every_third_write_finds_no_space_and_the_run_ends_the_same(tmp_path: Path) -> None:
    """In process: the disk is full again and again, in the middle of whatever was being written."""
    shape = Shape(chains=4, length=3, services=2, agents=4)
    calls = 0

    def fail(name: str, count: int) -> int | None:
        nonlocal calls
        calls = max(calls, count)
        return errno.ENOSPC if name == "write" and count % 3 == 0 else None

    said: list[str] = []
    runner, hands = await open_run(tmp_path, shape, disk=FaultyDisk(fail), clock=Impatient(), say=said.append)
    await carry_out(runner)
    assert runner.view.run.status == "completed"
    assert sorted(hands.merged) == sorted(f"task_{n:03d}" for n in range(1, shape.tasks + 1))
    assert any("paused" in text for text in said)
    assert "ready" in said
    assert verify(runner.layout.journal) == runner.view.last_seq
    assert calls > 30
