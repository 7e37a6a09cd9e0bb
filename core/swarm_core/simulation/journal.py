"""The journal of a simulated run: durable in the store, written by whichever engine lives, with a disk that fails.

The store outlives the engine. What was told to be durable is in it; of a batch that was being written when the engine
died, any number of its first events may be.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import cast

from swarm_core.journal.journal import Journal
from swarm_core.journal.lines import encode_body
from swarm_core.vocabulary.errors import JournalFull, JournalPoisoned
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.view import RunView

from .dice import Dice
from .life import Life
from .loop import SimulatedClock

FULL_FOR_S = (0.5, 20.0)
SYNC_S = (0.000_2, 0.05)


class Store:
    """The durable events, in order. ``watch`` is called with each one as it becomes durable."""

    def __init__(self, watch: Callable[[Event], None]) -> None:
        self.events: list[Event] = []
        self.times_s: list[float] = []
        self.watch = watch

    def add(self, events: list[Event], at_s: float) -> None:
        for event in events:
            self.events.append(event)
            self.times_s.append(at_s)
            self.watch(event)

    @property
    def digest(self) -> str:
        """One hash over everything that happened."""
        whole = hashlib.sha256()
        for event in self.events:
            whole.update(json.dumps(encode_body(event), sort_keys=True).encode())
        return whole.hexdigest()


class SimulatedJournal:
    """One engine's hold on the store, with the surface of ``Journal`` that the runner uses."""

    def __init__(self, store: Store, run: str, life: Life, clock: SimulatedClock, dice: Dice) -> None:
        self.store, self.run, self.life, self.clock, self.dice = store, run, life, clock, dice
        self.events = list(store.events)
        self.view = RunView.of(self.events)
        self.wants_snapshot = False
        self._last_seq = self.events[-1].seq if self.events else 0
        self._being_written: list[Event] = []
        self._is_poisoned = False
        self._full_until_s = -1.0
        life.at_death(self._tear)

    async def append(self, *drafts: Draft) -> list[Event]:
        if self._is_poisoned:
            raise JournalPoisoned("the journal is closed after a failed sync")
        self._refuse_if_full()
        ts = self.clock.now()
        events = [
            Event(self._last_seq + number, ts, self.run, d.kind, d.data, d.actor, d.task, d.agent, d.phase, d.cause)
            for number, d in enumerate(drafts, 1)
        ]
        self._being_written = events
        await asyncio.sleep(self.dice.seconds(*SYNC_S))
        self.life.require()
        self._being_written = []
        if self.dice.strikes("sync_fails"):
            self._is_poisoned = True
            self.store.add(events[: self._some(events)], self.clock.loop.time())
            raise JournalPoisoned("sync failed")
        self._last_seq += len(events)
        self.store.add(events, self.clock.loop.time())
        await asyncio.sleep(0)  # durable, and not told yet
        return events

    async def snapshot(self, view: RunView) -> bool:
        """The whole store is read at each opening: nothing is gained by one."""
        return True

    async def close(self) -> None:
        """Nothing is held."""

    def _refuse_if_full(self) -> None:
        now_s = self.clock.loop.time()
        if self.dice.strikes("disk_full"):
            self._full_until_s = now_s + self.dice.seconds(*FULL_FOR_S)
        if now_s < self._full_until_s and not self.dice.is_calm:
            raise JournalFull("no space left on the simulated disk")

    def _some(self, events: list[Event]) -> int:
        return int(self.dice.random.random() * (len(events) + 1))

    def _tear(self) -> None:
        self.store.add(self._being_written[: self._some(self._being_written)], self.clock.loop.time())


def open_journal(store: Store, run: str, life: Life, clock: SimulatedClock, dice: Dice) -> Journal:
    """The journal as a process finds it when it starts."""
    return cast(Journal, SimulatedJournal(store, run, life, clock, dice))
