"""One schedule: a seeded swarm, its world, its faults and crashes, from the first event to the last.

Faults stop at some time; from then on the run has to come to its end by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from swarm_core.engine.diagnostics import LOGGER
from swarm_core.journal.journal import Journal
from swarm_core.policy.effects import Act
from swarm_core.vocabulary.entities import PRIORITIES
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.ids import numbered
from swarm_core.vocabulary.spec import CheckSpec, ServiceSpec, SwarmSpec

from .agent import AgentFate, RandomFate
from .dice import Dice, Rates
from .engine import RUN, SimulatedEngine
from .invariants import Invariants, Violation
from .journal import Store, open_journal
from .life import EngineDied, Life
from .loop import Deadlock, SimulatedClock, SimulatedLoop
from .operator import SimulatedOperator
from .world import World

CALM_AFTER_S = (600.0, 4 * 86_400.0)
PATIENCE_S = 60 * 86_400.0
MAX_STEPS = 400_000
DOWN_S = (0.2, 3600.0)
STEPS_BETWEEN_CRASHES = (20.0, 3000.0)
MAX_CRASHES = 6
_TELLING = ("gate", "place", "verdict", "note", "commit", "integration", "paths", "reason", "kind", "attempt", "files")


@dataclass(slots=True)
class Report:
    """What became of a schedule. ``digest`` is one hash over its journal, ``notes`` what the journal cannot know."""

    seed: int
    tasks: int
    status: str = ""
    virtual_s: float = 0.0
    steps: int = 0
    crashes: int = 0
    events: list[Event] = field(default_factory=list)
    digest: str = ""
    times_s: list[float] = field(default_factory=list)
    notes: list[tuple[float, str]] = field(default_factory=list)
    violation: Violation | None = None

    def story(self) -> Iterator[str]:
        """Virtual time and what happened, a line each."""
        happened = [*zip(self.times_s, map(_told, self.events), strict=True), *self.notes]
        for at_s, what in sorted(happened, key=lambda entry: entry[0]):
            yield f"{_hours(at_s)}  {what}"


def _hours(seconds: float) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{int(hours):4d}:{int(rest // 60):02d}:{rest % 60:06.3f}"


def _told(event: Event) -> str:
    who = " ".join(part for part in (event.task, event.agent) if part)
    data = ", ".join(f"{key} {value}" for key, value in event.data.items() if key in _TELLING and value)
    return f"{event.seq:4d} {event.kind:<20} {who:<22} {data}"[:160].rstrip()


def make_spec(random: Random) -> SwarmSpec:
    """A small swarm: one to three services with one or two replicas each."""
    services = {"architect": ServiceSpec("architect", access_level="global_read", directories=("/",))}
    for number in range(1, random.randint(1, 3) + 1):
        key = f"service{number}"
        replicas = random.randint(1, 2)
        services[key] = ServiceSpec(
            key, directories=(key,), replicas=replicas, timeout_s=7200.0, heartbeat_s=random.choice((1000.0, 3600.0))
        )
    checks = (CheckSpec("tests", "make test"),) if random.random() < 0.5 else ()
    return SwarmSpec(services, checks=checks, max_parallel=random.randint(1, 4))


def make_plan(random: Random, spec: SwarmSpec, tasks: int) -> list[dict[str, Any]]:
    """A plan without cycles; a task needs up to three of those before it."""
    plan = []
    for number in range(1, tasks + 1):
        before = [numbered("task", n) for n in range(1, number)]
        plan.append(
            {
                "id": numbered("task", number),
                "title": f"work {number}",
                "description": "",
                "assigned_to": random.choice(spec.workers),
                "created_by": "architect",
                "dependencies": sorted(random.sample(before, min(len(before), random.choice((0, 0, 1, 1, 2, 3))))),
                "priority": random.choice(PRIORITIES),
                "order": number,
                "writes": random.choice(([], [], [f"service1/file{number % 4}"], ["service1/*"], ["service2/src/"])),
            }
        )
    return plan


class Schedule:
    """Plays one seed. ``tasks`` 0 lets the seed choose between 3 and 12."""

    def __init__(self, seed: int, tasks: int = 0, rates: Rates | None = None) -> None:
        random = Random(seed)
        self.loop = SimulatedLoop(Random(random.random()))
        self.dice = Dice(Random(random.random()), rates or Rates())
        self.spec = make_spec(random)
        self.report = Report(seed, tasks or random.randint(3, 12))
        self.clock = SimulatedClock(self.loop)
        self.world = World(make_plan(random, self.spec, self.report.tasks))
        self.invariants = Invariants(self.spec, self.world, self._broken)
        self.world.merged = self.invariants.merged
        self.store = Store(self._saw)
        self.world.history = lambda: self.store.events
        self.operator = SimulatedOperator(self.world, self.store, self.clock, self.dice, RUN)
        self.calm_at_s = self.dice.seconds(*CALM_AFTER_S)
        self.crashes_left = random.randint(0, MAX_CRASHES)
        self.fate: AgentFate = RandomFate(self.dice, self.clock)
        self.life = Life(0)

    def _saw(self, event: Event) -> None:
        self.invariants.saw(event)
        self.world.tell()

    def _broken(self, violation: Violation) -> None:
        self.report.violation = violation
        self.life.die()

    def _surprised(self, act: Act, error: Exception) -> None:
        self.invariants.fail("hands fail with errors that are known", f"{act}: {error!r}")

    def _tell(self, what: str) -> None:
        self.report.notes.append((self.loop.time(), what))

    def play(self) -> Report:
        """From an empty repository to the end of the run. Never raises for what the engine does wrong: see
        ``Report.violation``."""
        report = self.report
        with _quiet():
            try:
                self.loop.run_until_complete(self._play())
            except Deadlock as error:
                self._broken(Violation("the run goes on", str(error), len(self.store.events)))
            finally:
                self._close()
        report.status = self.invariants.view.run.status
        report.virtual_s, report.steps = self.loop.time(), self.loop.steps
        report.events, report.times_s, report.digest = self.store.events, self.store.times_s, self.store.digest
        return report

    async def _play(self) -> None:
        watching = asyncio.ensure_future(self.operator.watch())
        calm = self.loop.call_at(self.calm_at_s, self._calm_down)
        self.loop.at_step(MAX_STEPS, self._give_up)
        self.loop.call_at(self.calm_at_s + PATIENCE_S, self._give_up).when()
        is_over = False
        while not is_over and self.report.violation is None:
            is_over = await self._live()
        calm.cancel()
        watching.cancel()
        self.operator.stop()
        if self.report.violation is None:
            self.invariants.at_the_end(self.world.answers, set(self.operator.sent))

    async def _live(self) -> bool:
        """One life of the engine. True if it ended by itself."""
        self.life = life = Life(self.life.number + 1)
        if self.crashes_left and not self.dice.is_calm:
            self.crashes_left -= 1
            self.loop.at_step(self.loop.steps + int(self.dice.seconds(*STEPS_BETWEEN_CRASHES)), life.die)
        self.clock.booted_s = self.dice.seconds(1, 10_000_000) - self.loop.time()
        journal = await self.open_journal(life)
        engine = SimulatedEngine(
            life, self.world, journal, self.spec, self.clock, self.dice, self.fate, self._surprised
        )
        self.invariants.same(engine.runner.view, self.store.events)
        work = life.start(engine.run())
        await life.ended.wait()
        try:
            await work
        except (EngineDied, asyncio.CancelledError):
            pass
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is what this is looking for
            self._broken(Violation("the engine does not fail by itself", repr(error), len(self.store.events)))
            return True
        if not engine.has_finished:
            self.report.crashes += 1
            self._tell("** the engine died **")
            await self.clock.sleep(self.dice.seconds(*DOWN_S))
            return False
        self.invariants.same(engine.runner.view, self.store.events)
        return True

    async def open_journal(self, life: Life) -> Journal:
        """The journal as a process finds it when it starts."""
        return open_journal(self.store, RUN, life, self.clock, self.dice)

    def _calm_down(self) -> None:
        self.dice.is_calm = True
        self._tell("-- from here on nothing fails --")

    def _give_up(self) -> None:
        self._broken(Violation("the run ends", f"it is {self.invariants.view.run.status} after all that time"))

    def _close(self) -> None:
        """End what is left, so that nothing is collected while it waits."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.call_soon(self.loop.stop)
        for _ in range(100):
            if not asyncio.all_tasks(self.loop):
                break
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
        self.loop.close()


def play(seed: int, tasks: int = 0, rates: Rates | None = None) -> Report:
    """Play one seed from beginning to end."""
    return Schedule(seed, tasks, rates).play()


@contextmanager
def _quiet() -> Iterator[None]:
    """The engine's diagnostics would tell of failures that are meant."""
    level = LOGGER.level
    LOGGER.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        LOGGER.setLevel(level)
