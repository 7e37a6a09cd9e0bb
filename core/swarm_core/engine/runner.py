"""Carries out one run: asks the policy, starts its effects, records facts, and nothing else decides.

``drive`` is the loop. Facts go through ``record``: checked against the fold, appended durably, then applied; so the
view never holds what the disk does not.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from swarm_core.journal.journal import Journal
from swarm_core.policy import Act, Record, decide
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import IllegalTransition, JournalFull, JournalPoisoned, SwarmError
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.layout import RunLayout
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.view import RunView

from .crash_points import CrashPoint, reached
from .diagnostics import LOGGER
from .papers import Papers, PapersOnDisk

MAX_ACT_TRIES = 3
RETRY_BASE_S = 1.0
FULL_DISK_POLL_S = 1.0
PROJECTION_EVERY_S = 0.25


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
        papers: Papers | None = None,
    ) -> None:
        self.layout, self.journal, self.spec, self.clock, self.say = layout, journal, spec, clock, say
        self.papers = papers or PapersOnDisk()
        self.view = RunView.of(journal.events)
        self.performer: Performer | None = None
        self.jobs: dict[Act, asyncio.Task[None]] = {}
        self.tries: Counter[Act] = Counter()
        self.changed = asyncio.Event()
        self._outdated = asyncio.Event()
        self._outdated.set()
        self._recording = asyncio.Lock()
        self._fatal: BaseException | None = None

    # -- facts

    async def record(self, *drafts: Draft) -> list[Event]:
        """Append and apply; durable when it returns. Raises IllegalTransition before anything is written.

        A full disk holds everybody here until there is space again: nothing is lost and nothing runs ahead. The work
        goes on even if the caller is cancelled, so the view and the disk never part.
        """
        return await asyncio.shield(asyncio.ensure_future(self._record(drafts)))

    async def _record(self, drafts: tuple[Draft, ...]) -> list[Event]:
        is_paused = False
        async with self._recording:
            while True:
                for draft in drafts:
                    self.view.check(draft)
                reached(CrashPoint.BEFORE_APPEND)
                try:
                    events = await self.journal.append(*drafts)
                    break
                except JournalFull as error:
                    LOGGER.error("paused: %s", error, extra={"run": self.layout.run})
                    self.say(f"paused: {error.message}")
                    is_paused = True
                    await self.clock.sleep(FULL_DISK_POLL_S)
                except JournalPoisoned as error:
                    self._fatal = error
                    self.changed.set()
                    raise
            reached(CrashPoint.AFTER_APPEND_BEFORE_APPLY)
            for event in events:
                self.view.apply(event)
        if is_paused:
            self.say("ready")
        self._outdated.set()
        self.changed.set()
        return events

    # -- the loop

    async def drive(self) -> None:
        """Work until the run is over and everything it started has ended. Raises JournalPoisoned."""
        projecting = asyncio.create_task(self._project())
        try:
            while self._fatal is None:
                self.changed.clear()
                if await self._settle():
                    continue
                if self.view.is_over and not self.jobs:
                    return
                await self.changed.wait()
            raise self._fatal
        finally:
            projecting.cancel()
            await self.stop()

    async def _settle(self) -> bool:
        """One look at the state. True if facts were recorded, so that it must be looked at again."""
        effects = decide(self.view, self.spec)
        records = [effect for effect in effects if isinstance(effect, Record)]
        for record in records:
            try:
                await self.record(*record.drafts)
            except IllegalTransition as error:  # something else happened between the look and the write
                LOGGER.info("not recorded: %s", error, extra={"run": self.layout.run})
        if records:
            return True
        acts = [effect for effect in effects if not isinstance(effect, Record)]
        if self.view.is_over:
            for act, job in self.jobs.items():
                if act not in acts:
                    job.cancel()
        for act in acts:
            if act not in self.jobs:
                self.jobs[act] = asyncio.create_task(self._perform(act), name=str(act))
        return False

    async def _perform(self, act: Act) -> None:
        assert self.performer is not None
        try:
            await self.performer.perform(act)
            del self.tries[act]
        except (asyncio.CancelledError, JournalPoisoned):
            raise
        except Exception as error:  # noqa: BLE001 -- an act's failure is a fact to record, not the end of the engine
            await self._failed(act, error)
        finally:
            self.jobs.pop(act, None)
            self.changed.set()

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
            await self._write_projections()
            await self.clock.sleep(PROJECTION_EVERY_S)

    async def _write_projections(self) -> None:
        try:
            await self.papers.project(self.view, self.layout.repo)
        except OSError as error:
            LOGGER.warning("projections are behind: %s", error, extra={"run": self.layout.run})
