"""``kill -9`` at any time, and control files deleted at any time: the same tree, the same receipts, nothing twice."""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from pathlib import Path

import pytest
from tests.support.cli import wait_until
from tests.support.endurance import (
    begin,
    drive,
    end,
    events,
    kill,
    kill_engine_alone,
    landed_tree,
    merged_once,
    no_gate_skipped,
    receipts,
    repository,
)

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.view import RunView

pytestmark = pytest.mark.timeout(240)

KILLS = int(os.environ.get("SWARM_KILLS", "20"))
PAUSE_S = 1.0
SERVICES = ("api", "web", "docs", "jobs")


def calm(tmp_path: Path) -> tuple[SwarmClient, str]:
    """A run that nothing happened to."""
    client = repository(tmp_path / "calm", SERVICES, pause_s=PAUSE_S)
    run = begin(client)
    drive(client, run)
    end(client)
    return client, run


def same_as(calm: tuple[SwarmClient, str], client: SwarmClient, run: str) -> None:
    """Whether a run with trouble came to the same as one without."""
    view, found = client.view(run), events(client, run)
    assert view.run.landed
    assert view.run.outcome == "clean"
    assert landed_tree(client) == landed_tree(calm[0])
    assert receipts(client, run) == receipts(*calm)
    assert merged_once(found) == merged_once(events(*calm))
    no_gate_skipped(view, found)


def test_twenty_kills_at_random_times_change_nothing_that_counts(tmp_path: Path) -> None:
    seed = int(os.environ.get("SWARM_SEED", random.randrange(1 << 32)))
    sys.stdout.write(f"SWARM_SEED={seed}\n")  # shown if the test fails
    chance = random.Random(seed)
    undisturbed = calm(tmp_path)
    client = repository(tmp_path / "killed", SERVICES, pause_s=PAUSE_S)
    run = begin(client, speed=1)
    left, due = KILLS, time.monotonic() + chance.uniform(0.0, 1.0)

    def strike(view: RunView) -> None:
        nonlocal left, due
        if not left or view.is_over or time.monotonic() < due:
            return
        if not client.engine().is_alive:
            client.ensure_engine()
        chance.choice((kill, kill_engine_alone))(client)
        left -= 1
        client.ensure_engine()
        due = time.monotonic() + chance.uniform(0.0, 0.8)

    view = drive(client, run, strike, timeout_s=200)
    end(client)
    same_as(undisturbed, client, run)
    crashes = sum(event.kind == "engine.crash_detected" for event in events(client, run))
    assert crashes >= KILLS // 2, f"{crashes} crashes were noticed, {left} kills came too late"
    assert max(task.attempt for task in view.tasks.values()) == 1  # an agent that was killed goes on where it was


def test_deleting_the_control_directory_loses_nothing(tmp_path: Path) -> None:
    undisturbed = calm(tmp_path)
    client = repository(tmp_path / "deleted", SERVICES, pause_s=PAUSE_S)
    run = begin(client)
    marks = [15, 40]

    def delete(view: RunView) -> None:
        if marks and view.last_seq >= marks[0]:
            marks.pop(0)
            # A request that nobody took yet would be gone with the directory, as a letter with its box.
            wait_until("an empty inbox", lambda: not [*client.layout.inbox.glob("*.json")])
            shutil.rmtree(client.layout.control, ignore_errors=True)
            wait_until("the engine's sign of life", lambda: client.engine().is_alive, timeout_s=10)

    drive(client, run, delete)
    end(client)
    assert not marks
    same_as(undisturbed, client, run)
    assert sum(event.kind == "engine.started" for event in events(client, run)) == 1


def test_deleting_the_control_directory_and_the_snapshot_after_a_kill_loses_nothing(tmp_path: Path) -> None:
    undisturbed = calm(tmp_path)
    client = repository(tmp_path / "deleted", SERVICES, pause_s=PAUSE_S)
    run = begin(client)
    marks = [30]

    def lose_everything_derived(view: RunView) -> None:
        if not marks or view.last_seq < marks[0]:
            return
        marks.pop()
        kill(client)
        shutil.rmtree(client.layout.control)
        directory = client.layout.run(run).dir
        for cache in (*directory.glob("*snapshot*"), directory / "metrics.cache.json"):
            cache.unlink(missing_ok=True)

    drive(client, run, lose_everything_derived)
    end(client)
    assert not marks
    same_as(undisturbed, client, run)
