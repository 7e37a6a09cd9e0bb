"""The running measures of a run (``metrics.json``), kept across restarts beside the journal's snapshot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from swarm_core.journal.projections import replace_durably
from swarm_core.journal.segments import read_all
from swarm_core.telemetry.metrics import Metrics, document
from swarm_core.vocabulary.errors import JournalError
from swarm_core.vocabulary.events import Event

CACHE = "metrics.cache.json"


class Measures:
    """Counts every event once. What the cache does not cover is counted again from the journal, in the background."""

    def __init__(self, journal: Path, last_seq: int, tail: Sequence[Event]) -> None:
        self._journal, self._last_seq = journal, last_seq
        self._cache = journal.with_name(CACHE)
        self._late: list[Event] = []
        self._metrics: Metrics | None = self._from_cache(tail)
        self._counting: asyncio.Task[None] | None = None

    def _from_cache(self, tail: Sequence[Event]) -> Metrics | None:
        """The measures as of the last event, if the cache and the events that were read join up."""
        first = tail[0].seq if tail else self._last_seq + 1
        metrics = Metrics() if first == 1 else self._thawed()
        if metrics is None or metrics.seq + 1 < first:
            return None
        for event in tail:
            if event.seq > metrics.seq:
                metrics.apply(event)
        return metrics if metrics.seq == self._last_seq else None

    def _thawed(self) -> Metrics | None:
        with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            return Metrics.thaw(json.loads(self._cache.read_bytes()))
        return None

    def take(self, events: Sequence[Event]) -> None:
        if self._metrics is not None:
            for event in events:
                self._metrics.apply(event)
            return
        self._late.extend(events)
        if self._counting is None:
            self._counting = asyncio.create_task(self._count_again(), name="measures")

    async def _count_again(self) -> None:
        try:
            metrics = await asyncio.to_thread(self._counted)
        except JournalError:
            return  # the journal's own opening says what is wrong with it
        for event in self._late:
            if event.seq > metrics.seq:
                metrics.apply(event)
        self._late, self._metrics = [], metrics

    def _counted(self) -> Metrics:
        metrics = Metrics()
        for event in read_all(self._journal):
            if event.seq > self._last_seq:
                break
            metrics.apply(event)
        return metrics

    def document(self) -> dict[str, Any] | None:
        """What ``metrics.json`` shows; None while it is being counted again."""
        return None if self._metrics is None else document(self._metrics)

    async def snapshot(self) -> None:
        """Keep the measures for the next start. A cache: losing it costs the time to count again."""
        if self._metrics is not None:
            data = json.dumps(self._metrics.freeze(), separators=(",", ":")).encode()
            with suppress(OSError):
                await asyncio.to_thread(replace_durably, self._cache, data)
