"""The machine dies at every call the engine's journal makes of the disk, and the run ends as if it had not.

A whole scripted swarm runs under virtual time with the real runner, policy, fold, recorder and journal; the journal
lies on a disk in memory that loses power. Whatever the loss left, the next engine opens it, adopts what was done, and
the run ends with the same tree and the same receipts, no task merged twice and no gate skipped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from swarm_core.journal import snapshot
from swarm_core.journal.journal import Journal
from swarm_core.journal.memory_disk import CHANGING, MemoryDisk
from swarm_core.journal.power_loss import Loss, PowerLoss
from swarm_core.journal.segments import read_all
from swarm_core.simulation.agent import Turn
from swarm_core.simulation.dice import Rates
from swarm_core.simulation.engine import RUN
from swarm_core.simulation.life import Life
from swarm_core.simulation.schedule import Schedule
from swarm_core.simulation.world import Talk
from swarm_core.vocabulary.errors import JournalPoisoned
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.view import RunView

pytestmark = pytest.mark.timeout(600)
PATH = Path("/run/events.jsonl")
SEED, TASKS = 4, 4
SEGMENT_BYTES = 6_000
VOLATILE = ("seq", "started_at", "completed_at", "evidence_sha", "iterations")
SHARDS = 8
IS_FULL = os.environ.get("SWARM_SWEEP") == "full"


class SteadyFate:
    """Every agent works for one turn and hands off with the next: what it makes depends on nothing else."""

    async def turn(self, task: str, talk: Talk) -> Turn:
        return Turn.HANDS_OFF if talk.turns else Turn.WORKS


class JournalOnDisk:
    """The real journal for one simulated process; tells the schedule what was acknowledged."""

    def __init__(self, journal: Journal, schedule: Swept, life: Life) -> None:
        self.journal, self.schedule, self.life = journal, schedule, life
        self.path, self.run, self.view, self.events = journal.path, journal.run, journal.view, journal.events

    @property
    def last_seq(self) -> int:
        return self.journal.last_seq

    @property
    def wants_snapshot(self) -> bool:
        return self.journal.wants_snapshot

    async def append(self, *drafts: Draft) -> list[Event]:
        self.life.require()
        try:
            events = await self.journal.append(*drafts)
        except JournalPoisoned:
            self.life.die()
            raise
        self.schedule.acknowledged(events)
        return events

    async def snapshot(self, view: RunView) -> bool:
        self.life.require()
        try:
            return await self.journal.snapshot(view)
        except PowerLoss:
            self.life.die()
            return False

    async def close(self) -> None:
        """The process may be dead: there is nobody to close it."""


class Swept(Schedule):
    """A schedule whose only faults are power losses: at the calls of the disk that ``crashes`` names, one a life."""

    def __init__(self, crashes: list[int], loss: Loss) -> None:
        super().__init__(SEED, TASKS, Rates.none())
        self.fate = SteadyFate()
        self.crashes_left = 0
        self.crashes, self.loss = list(crashes), loss
        self.disk = MemoryDisk()
        self.changes: list[int] = []
        self.losses = 0

    async def open_journal(self, life: Life) -> Journal:
        while True:
            if self.losses or self.disk.calls:
                self.disk = self.disk.after_power_loss(self.loss, self.losses) if self.disk.is_off else self.disk
            self.disk.calls.clear()
            self.disk.crash_at = self.crashes.pop(0) if self.crashes else 0
            try:
                journal = await Journal.open(PATH, RUN, self.clock, self.disk, segment_bytes=SEGMENT_BYTES)
            except PowerLoss:
                self.losses += 1
                continue  # it died while it recovered
            self._reconcile()
            return cast(Journal, JournalOnDisk(journal, self, life))

    def _reconcile(self) -> None:
        """What was acknowledged is there; what was not told and survived counts from now on."""
        found = list(read_all(PATH, self.disk)) if self.disk.identity(PATH) else []
        known = self.store.events
        assert found[: len(known)] == known, f"an acknowledged event is gone: {len(found)} of {len(known)}"
        self.store.add(found[len(known) :], self.loop.time())

    def acknowledged(self, events: list[Event]) -> None:
        fresh = [event for event in events if event.seq > len(self.store.events)]
        self.store.add(fresh, self.loop.time())

    async def _live(self) -> bool:
        is_over = await super()._live()
        self.changes = [n for n, name in enumerate(self.disk.calls, 1) if name in CHANGING]
        self.losses += self.disk.is_off
        return is_over


def swept(crashes: list[int], loss: Loss) -> Swept:
    schedule = Swept(crashes, loss)
    report = schedule.play()
    place = f"{loss.name} at {crashes}"
    assert report.violation is None, f"{place}: {report.violation}\n" + "\n".join(list(report.story())[-40:])
    assert report.status == "completed", place
    return schedule


def outcome(schedule: Swept) -> dict[str, Any]:
    """What must not depend on where it was killed."""
    world, view = schedule.world, schedule.invariants.view
    receipts = {}
    for path, text in world.documents.items():
        if path.name.endswith("_receipt.json"):
            receipt = {key: value for key, value in json.loads(text).items() if key not in VOLATILE}
            receipt["gates"] = sorted((gate["verdict"], gate["by"]) for gate in receipt["gates"])
            receipt["counts"].pop("iterations")
            receipts[path.name] = receipt
    merged = [event.task for event in schedule.store.events if event.kind == "merge.completed"]
    return {
        "files": dict(world.nodes[world.user_tip].files),
        "receipts": receipts,
        "merged": sorted(str(task) for task in merged),
        "tasks": {task.id: task.status for task in view.tasks.values()},
        "passed": sorted(gate.place for gate in view.gates.values() if gate.status == "passed"),
        "landings": world.landings,
    }


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots every few events, so that recovery begins at one as often as not."""
    monkeypatch.setattr(snapshot, "EVERY_EVENTS", 10)


def calls() -> list[int]:
    return swept([], Loss.ALL).changes


def test_undisturbed_every_task_is_done_and_all_is_exercised() -> None:
    schedule = swept([], Loss.ALL)

    assert all(task.status in TASK.terminal for task in schedule.invariants.view.tasks.values())
    assert len(outcome(schedule)["receipts"]) == 3
    assert schedule.disk.names(PATH.with_suffix("")), "segments were closed"
    assert schedule.disk.identity(PATH.with_name("snapshot.json")), "snapshots were written"
    assert len(schedule.changes) > 200


@pytest.mark.parametrize("shard", range(SHARDS))
def test_power_is_lost_at_every_call_and_the_run_ends_the_same(shard: int) -> None:
    wanted = outcome(swept([], Loss.ALL))
    for number, loss in _points(calls(), shard):
        schedule = swept([number], loss)
        assert schedule.losses == 1, f"{loss.name} at {number}"
        assert outcome(schedule) == wanted, f"{loss.name} at {number}"


def _points(numbers: list[int], shard: int) -> Iterator[tuple[int, Loss]]:
    """Every call, each with one kind of loss in turn; with SWARM_SWEEP=full each with all of them."""
    losses = cycle(Loss)
    for index, number in enumerate(numbers):
        loss = next(losses)
        if index % SHARDS == shard:
            yield from ((number, each) for each in (Loss if IS_FULL else (loss,)))


def test_it_dies_again_while_it_recovers_and_again_after_that() -> None:
    seed = int(os.environ.get("SWARM_SEED", "0")) or Random().randrange(1, 1 << 30)
    random, wanted, numbers = Random(seed), outcome(swept([], Loss.ALL)), calls()
    deaths = []
    for _ in range(400 if IS_FULL else 60):
        crashes = [random.choice(numbers), random.randint(1, 40), random.randint(1, 200)]
        loss = random.choice(list(Loss))
        schedule = swept(crashes, loss)
        deaths.append(schedule.losses)
        assert outcome(schedule) == wanted, f"SWARM_SEED={seed}: {loss.name} at {crashes}"
    assert sum(count >= 2 for count in deaths) > len(deaths) / 10, f"SWARM_SEED={seed}: {deaths}"
