"""Directories that may not be written: a named error with the next step, and a journal that is intact."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.instant import Shape, carry_out, open_run
from tests.support.cli import environment, wait_until
from tests.support.endurance import approve, begin, drive, end, events, gate_opens, message, repository

from swarm_core.client import SwarmClient
from swarm_core.engine.keeper import POISONED_EXIT
from swarm_core.journal.disk import FaultyDisk
from swarm_core.journal.journal import verify
from swarm_core.vocabulary.errors import EngineError, JournalPoisoned, SwarmError

pytestmark = pytest.mark.timeout(120)


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Mount a directory over itself, read-only: that holds for root as well. Skips where it is not allowed."""
    for arguments in (["--bind", str(place), str(place)], ["-o", "remount,ro,bind", str(place)]):
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"only root can mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def engine(client: SwarmClient) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "swarm_core.engine", str(client.layout.root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), timeout=30)


def test_a_control_directory_that_cannot_be_made_is_a_named_error(tmp_path: Path) -> None:
    """Something lies where the directory belongs: nobody, root included, can make it."""
    client = repository(tmp_path / "repo")
    client.layout.control.write_text("in the way")
    done = engine(client)
    assert done.returncode == EngineError.exit_code
    assert f"{client.layout.control} cannot be written" in done.stderr
    assert "next:" in done.stderr
    with pytest.raises(EngineError, match="cannot be used"):
        client.ensure_engine()


@pytest.mark.parametrize("name", [".runs", ".multi-agent"])
def test_a_read_only_directory_is_a_named_error_and_changes_nothing(tmp_path: Path, name: str) -> None:
    client = repository(tmp_path / "repo")
    run = begin(client)
    gate_opens(client, run)
    end(client)
    before = [event.seq for event in events(client, run)]
    with read_only(client.layout.root / name):
        if name == ".multi-agent":
            done = engine(client)
            assert done.returncode == EngineError.exit_code
            assert "cannot be written: Read-only file system" in done.stderr
            assert "next:" in done.stderr
        else:  # the engine lives, for other runs; this one it cannot take up, and says so
            said = client.ensure_engine().message
            assert f"run {run} cannot be resumed" in said
            assert "Read-only file system" in said
            refused = client.ask("run.pause", run)
            answer = wait_until("the refusal", lambda: client.answer(refused))
            assert answer.result == "refused"
            assert "Read-only file system" in answer.reason
            end(client)
        assert [event.seq for event in events(client, run)] == before
    assert drive(client, run).run.landed
    end(client)
    assert verify(client.layout.run(run).journal) == len(events(client, run))


def test_a_journal_that_becomes_read_only_ends_the_engine_which_recovers_from_the_disk(tmp_path: Path) -> None:
    client = repository(tmp_path / "repo")
    run = begin(client)
    gate_opens(client, run)
    journal = client.layout.run(run).journal
    if subprocess.run(["chattr", "+i", str(journal)], capture_output=True, check=False).returncode:
        pytest.skip("only root can make a file immutable, on a file system that knows how")
    before = [event.seq for event in events(client, run)]
    try:
        approve(client, run)
        # The engine leaves at once; the one its keeper brings cannot repair the journal, says so and tries again.
        assert "not permitted" in message(client, f"run {run} cannot be resumed")
        said = (client.layout.control / "engine.out").read_text()
        assert f"{journal}: cannot be written" in said or "could not be taken back" in said
        assert "next: start again" in said
        assert [event.seq for event in events(client, run)] == before
    finally:
        subprocess.run(["chattr", "-i", str(journal)], check=True)
    wait_until("the run", lambda: client.engine().message == "ready")
    assert drive(client, run).run.landed
    end(client)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EIO])
async def test_a_write_that_is_not_allowed_any_more_poisons_the_journal_and_loses_nothing(
    tmp_path: Path, number: int
) -> None:
    """In process, for any user: everybody who waits is told, and what was acknowledged is there afterwards."""
    shape = Shape(chains=2, length=2, services=2, agents=2)
    runner, _ = await open_run(
        tmp_path,
        shape,
        disk=FaultyDisk(lambda name, count: number if name == "write" and count == 20 else None),
    )
    with pytest.raises(JournalPoisoned, match=os.strerror(number)):
        await carry_out(runner)
    known = runner.view.last_seq
    assert verify(runner.layout.journal) == known > 10

    again, hands = await open_run(tmp_path, shape)
    assert again.view.last_seq == known
    await carry_out(again)
    assert again.view.run.status == "completed"
    assert len(hands.merged) <= shape.tasks
    assert verify(again.layout.journal) == again.view.last_seq


def test_the_exit_status_of_a_poisoned_engine_is_its_own() -> None:
    """Whoever supervises the engine can tell "start me again" from every other end."""
    assert POISONED_EXIT == 70
    assert all(kind.exit_code != POISONED_EXIT for kind in _all(SwarmError))


def _all(kind: type[SwarmError]) -> Iterator[type[SwarmError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _all(each)


def test_worktrees_that_cannot_be_written_are_a_reason_the_operator_sees(tmp_path: Path) -> None:
    """The run is halted with it; resumed when they can be written, it goes on as if nothing had happened."""
    client = repository(tmp_path / "repo")
    run = begin(client)
    gate_opens(client, run)
    with read_only(client.layout.run(run).state_dir):
        approve(client, run)  # the plan: now the services need worktrees

        def noted() -> bool:
            notes = [event.data["text"] for event in events(client, run) if event.kind == "run.note"]
            return len([note for note in notes if "Read-only file system" in note]) == 2  # of both services

        wait_until("a reason", noted, timeout_s=30)
        wait_until("a halt", lambda: client.view(run).run.status == "halted")
        assert "has no worktree" in client.view(run).run.reason
    client.ask("run.resume", run)
    wait_until("the run to go on", lambda: client.view(run).run.status == "running")
    view = drive(client, run)
    assert view.run.landed
    assert [task.attempt for task in view.tasks.values()] == [1] * len(view.tasks)
    end(client)
    assert verify(client.layout.run(run).journal) == len(events(client, run))
