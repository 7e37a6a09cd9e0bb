"""Journals for tests and pictures, written without an engine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from swarm_core.journal.lines import GENESIS, Chain, encode
from swarm_core.vocabulary.events import Draft, Event


def write_journal(
    path: Path, run: str, drafts: Iterable[Draft], ts: str | Iterable[str] = "2026-11-21T10:00:00.000Z"
) -> list[Event]:
    """A valid journal of ``drafts``; ``ts`` is one time for all, or one for each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stamps = iter(ts) if not isinstance(ts, str) else None
    events, prev = [], GENESIS
    with open(path, "wb") as file:
        for seq, draft in enumerate(drafts, 1):
            stamp = next(stamps) if stamps is not None else str(ts)
            event = Event(seq, stamp, run, draft.kind, draft.data, draft.actor, draft.task, draft.agent, draft.phase)
            line, prev = encode(event, prev)
            file.write(line)
            events.append(event)
    return events


def extend_journal(path: Path, *drafts: Draft, ts: str = "2026-11-21T10:04:00.000Z") -> list[Event]:
    """Append ``drafts`` to a journal that exists, as an engine that goes on does."""
    chain = Chain(path)
    *_, last = chain.take_all(path.read_bytes())
    events = []
    with open(path, "ab") as file:
        for draft in drafts:
            place = (chain.seq + 1, ts, last.run)
            event = Event(*place, draft.kind, draft.data, draft.actor, draft.task, draft.agent, draft.phase)
            line, _ = encode(event, chain.prev)
            chain.take(line[:-1])
            file.write(line)
            events.append(event)
    return events
