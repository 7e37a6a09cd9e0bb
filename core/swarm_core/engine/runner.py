"""Carries out one run: asks the policy, starts its effects, records facts, and nothing else decides.

``drive`` is the loop. Facts go through ``record``: checked against the fold, appended durably, then applied; so the
view never holds what the disk does not.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Protocol

from swarm_core.journal.journal import Journal
from swarm_core.policy import Act, Record, decide
from swarm_core.policy.effects import RunAgent
from swarm_core.policy.failures import after_failure, halting
from swarm_core.policy.outlook import UNLIMITED
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import IllegalTransition, JournalPoisoned, SwarmError
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.layout import RunLayout
from swarm_core.vocabulary.secrets import NO_SECRETS, Secrets
from swarm_core.vocabulary.spec import SwarmSpec

from .diagnostics import LOGGER
from .measures import Measures
from .papers import Papers, PapersOnDisk
from .recorder import Recorder
from .seating import STAFFING, seats_of
from .watch import Watch

MAX_ACT_TRIES = 3
RETRY_BASE_S = 1.0
PROJECTION_EVERY_S = 0.25
PROJECTION_REST = 20.0  # writing them takes at most a twentieth of the time, however large a run is


class Performer(Protocol):
    """Performs acts and says what to record when one cannot be performed."""

    async def perform(self, act: Act) -> None: ...

    def give_up(self, act: Act, error: Exception) -> list[Draft]: ...

    async def close(self) -> None: ...


class Runner:
    """One run in progress. ``view`` is its state, ``performer`` its hands."""

    def __init__(
        self,
        layout: RunLayout,
        journal: Journal,
        spec: SwarmSpec,
        clock: Clock,
        say: Callable[[str], None] = lambda message: None,
        *,
        random: Random | None = None,
        papers: Papers | None = None,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self.layout, self.journal, self.spec, self.clock, self.say = layout, journal, spec, clock, say
        self.papers = papers or PapersOnDisk(layout, Measures(journal.path, journal.last_seq, journal.events))
        self.view = journal.view
        self.watch = Watch(self.view, spec, clock)
        self.random = random or Random()
        self.performer: Performer | None = None
        self.slots: Callable[[], int] = lambda: UNLIMITED
        self.on_staffed: Callable[[], None] = lambda: None
        self.jobs: dict[Act, asyncio.Task[None]] = {}
        self.workers: dict[str, asyncio.Future[Any]] = {}
        self.tries: Counter[Act] = Counter()
        self.naming = asyncio.Lock()
        self.listeners: list[Callable[[Sequence[Event]], None]] = []
        self.changed = asyncio.Event()
        self.secrets = secrets
        self.recorder = Recorder(journal, self.view, clock, self._applied, self._stop_for_good, say, secrets)
        self._outdated = asyncio.Event()
        self._outdated.set()
        self._fatal: BaseException | None = None
        self._moved = asyncio.Event()

    # -- facts

    async def record(self, *drafts: Draft) -> list[Event]:
        """Append and apply in one step; durable when it returns.

        Raises IllegalTransition if a draft does not fit the state: then nothing is applied and the refusal is
        journaled. A full disk holds everybody here until there is space again. The work goes on even if the caller
        is cancelled, so the view and the disk never part.
        """
        return await self.recorder.record(*drafts)

    def _applied(self, events: Sequence[Event]) -> None:
        for event in events:
            self.watch.observe(event)
        self.papers.take(events)
        for listener in self.listeners:
            listener(events)
        self._outdated.set()
        if any(event.kind in STAFFING for event in events):
            self.on_staffed()
        self._outdated.set()
        self.wake()

    def _stop_for_good(self, error: BaseException) -> None:
        self._fatal = error
        self.wake()

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for something that becomes true with an event, or with ``wake``. False if it did not in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def moved(self) -> None:
        """Return at the next event, or ``wake``."""
        await self._moved.wait()

    def wake(self) -> None:
        """Let the loop look again, and everybody who waits for leave to go on."""
        self.changed.set()
        self._moved.set()
        self._moved = asyncio.Event()

    # -- leave to go on

    async def clearance(self, task: str) -> None:
        """Return when whoever works on ``task`` may take the next step; it waits here while the task is held.

        An agent that is held stops between two steps: nothing is under way, and nothing is lost.
        """
        self.watch.beat(task)
        if not self.must_wait(task):
            return
        agent = self.view.tasks[task].instance
        await self._try(Draft("agent.paused", {"reason": self.view.why_held(self.view.tasks[task])}, agent=agent))
        while self.must_wait(task):
            await self._moved.wait()
        self.watch.beat(task)
        await self._try(Draft("agent.resumed", agent=agent))

    def must_wait(self, task: str) -> bool:
        return self.watch.is_stopped(self.view.tasks[task])

    async def _try(self, draft: Draft) -> None:
        if self._fits(draft):
            await self.record(draft)

    # -- failures

    async def fail(self, task: str, kind: str, reason: str, *, attempt: int, command: str = "") -> None:
        """Record that an attempt at a running task failed, and what follows from it. ``command`` is the request that
        said so.

        Raises IllegalTransition if it comes too late: the task was taken from that attempt.
        """
        found = self.view.tasks[task]
        if found.attempt != attempt:
            raise IllegalTransition(f"task {task} is at attempt {found.attempt}: attempt {attempt} comes too late")
        service = self.spec.services.get(found.assigned_to)
        drafts = after_failure(
            self.view,
            found,
            kind,
            reason,
            retries=service.retries if service else 0,
            now=self.clock.now(),
            random=self.random,
        )
        if command:
            drafts = (replace(drafts[0], data={**drafts[0].data, "command": command}), *drafts[1:])
        await self.record(*drafts)

    async def _watch_leases(self) -> None:
        """Take tasks back from agents that show no sign of life."""
        for task in list(self.watch.lost()):
            self.watch.beat(task.id)
            await self._try(Draft("agent.stalled", {"reason": "no sign of life"}, agent=task.instance))
            reason = f"{task.worker or task.instance} showed no sign of life"
            if self.view.tasks[task.id].status != "running":
                continue  # it was handed in at the last moment
            try:
                await self.fail(task.id, "lost", reason, attempt=task.attempt)
            except IllegalTransition:
                continue

    # -- the loop

    async def drive(self) -> None:
        """Work until the run is over and everything it started has ended. Raises JournalPoisoned."""
        projecting = asyncio.create_task(self._project())
        try:
            while self._fatal is None:
                self.changed.clear()
                await self._watch_leases()
                if await self._settle():
                    continue
                if self.view.is_over and not self.jobs and not self.changed.is_set():
                    return
                await self._rest()
            raise self._fatal
        finally:
            projecting.cancel()
            await self.stop()

    async def _rest(self) -> None:
        """Until something changed, or time alone changes something."""
        try:
            async with asyncio.timeout(self.watch.next_wake_s()):
                await self.changed.wait()
        except TimeoutError:
            return

    async def _settle(self) -> bool:
        """One look at the state. True if facts were recorded, so that it must be looked at again."""
        effects = decide(self.view, self.spec, self.watch.outlook(self.slots()))
        seen = self.view.last_seq
        refused = await self._record_each([effect for effect in effects if isinstance(effect, Record)])
        if self.view.last_seq != seen:  # acts that were called for then may have been done meanwhile
            return True
        acts = [effect for effect in effects if not isinstance(effect, Record)]
        wanted = set(acts)
        for act, job in self.jobs.items():
            if act not in wanted and (self.view.is_over or isinstance(act, RunAgent)) and not job.cancelling():
                job.cancel()  # once: who is leaving must not be disturbed at it
        seated = [act for act in self.jobs if isinstance(act, RunAgent)]
        taken = {act.task for act in seated} | {act.instance for act in seated}
        for act in acts:
            if act in self.jobs or not taken.isdisjoint(seats_of(act)):
                continue  # an agent that was cancelled leaves before the next one sits down, or its tree is removed
            self.jobs[act] = asyncio.create_task(self._perform(act), name=str(act))
        if refused and not self.jobs and not self.view.open_gates and not self.view.is_held and not self.view.is_over:
            return await self._stands_still(refused[0])
        return False

    async def _stands_still(self, refusal: str) -> bool:
        """Nothing goes on by itself where the state refuses what follows from it: whoever waits is told so."""
        reason = f"the next step does not fit the state: {refusal}"
        LOGGER.error("%s", reason, extra={"run": self.layout.run})
        await self.record(*halting(self.view, reason, trigger="policy"))
        return True

    async def _record_each(self, records: Sequence[Record]) -> list[str]:
        """Record what follows from one look, with as few syncs as it can be. Returns why some of it was refused."""
        refused: list[str] = []
        outcomes = [self.recorder.enqueue(*record.drafts) for record in records]
        for outcome in outcomes:
            try:
                await asyncio.shield(outcome)
            except IllegalTransition as error:  # as a rule something else happened between the look and the write
                refused.append(error.message)
        return refused

    async def _perform(self, act: Act) -> None:
        try:
            await self._try_to_perform(act)
        except JournalPoisoned as error:
            self._stop_for_good(error)  # whoever drives the run hears of it, and nobody else has to
        finally:
            self.jobs.pop(act, None)
            self.changed.set()

    async def _try_to_perform(self, act: Act) -> None:
        assert self.performer is not None
        try:
            await self.performer.perform(act)
            del self.tries[act]
        except (asyncio.CancelledError, JournalPoisoned):
            raise
        except Exception as error:  # noqa: BLE001 -- an act's failure is a fact to record, not the end of the engine
            await self._failed(act, error)

    async def _failed(self, act: Act, error: Exception) -> None:
        """Try again a little later; after the third time let the operator decide."""
        expected = isinstance(error, SwarmError)
        LOGGER.error("%s failed: %s", act, error, exc_info=None if expected else error, extra={"run": self.layout.run})
        if self._fatal is not None or self.performer is None:
            return
        self.tries[act] += 1
        if self.tries[act] < MAX_ACT_TRIES:
            await self.clock.sleep(RETRY_BASE_S * 2 ** (self.tries[act] - 1))
            return
        del self.tries[act]
        drafts = [d for d in self.performer.give_up(act, error) if self._fits(d)]
        await self.record(Draft("run.note", {"text": f"{type(act).__name__}: {error}"}), *drafts)

    def _fits(self, draft: Draft) -> bool:
        try:
            self.view.check(draft)
        except IllegalTransition:
            return False
        return True

    async def leave(self) -> None:
        """Record that no engine works on the run any more, and bring the projections up to that."""
        await self.record(Draft("engine.released", {"pid": self.view.engine_pid}))
        await self._write_projections()
        await self._snapshot()

    async def stop(self) -> None:
        """Cancel what is under way and wait for it; the state stays as recorded."""
        jobs = list(self.jobs.values())
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        if self.performer is not None:
            await self.performer.close()

    # -- projections

    async def _project(self) -> None:
        """Keep ``tasks.json`` and ``state.json`` at most a quarter of a second behind the journal."""
        while True:
            await self._outdated.wait()
            self._outdated.clear()
            started_s = self.clock.monotonic_s()
            await self._write_projections()
            if self.journal.wants_snapshot:
                await self._snapshot()
            took_s = self.clock.monotonic_s() - started_s
            await self.clock.sleep(max(PROJECTION_EVERY_S, PROJECTION_REST * took_s))

    async def _write_projections(self) -> None:
        try:
            await self.papers.project(self.view)
        except OSError as error:
            LOGGER.warning("projections are behind: %s", error, extra={"run": self.layout.run})

    async def _snapshot(self) -> None:
        if await self.journal.snapshot(self.view):
            await self.papers.snapshot()
        else:
            LOGGER.warning("no snapshot was written", extra={"run": self.layout.run})
