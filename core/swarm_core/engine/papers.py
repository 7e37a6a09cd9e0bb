"""What lies beside the journal: the projections written from it, the documents that gates show, and its own past."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from swarm_core.journal.projections import projections, replace_durably, write
from swarm_core.recovery.index import index_entry, run_meta, update_index
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.layout import RunLayout
from swarm_core.vocabulary.view import RunView

from .measures import Measures
from .rollback import settled_at, view_at
from .run_documents import RunDocuments


class Papers(Protocol):
    """Writes projections and documents, and says which bytes a document has now."""

    def take(self, events: Sequence[Event]) -> None:
        """Hear of events that were applied."""
        ...

    async def project(self, view: RunView) -> None:
        """Write the projections of ``view`` as it is when this is called. Raises OSError."""
        ...

    async def snapshot(self) -> None:
        """Keep what else must not be counted from the beginning at the next start. Never fails."""
        ...

    async def keep(self, document: Path, data: bytes) -> None:
        """Write a document durably, whole or not at all. Raises OSError."""
        ...

    async def sha256(self, document: Path) -> str:
        """The SHA-256 of a file's bytes in hexadecimal; "" if it cannot be read."""
        ...

    async def view_at(self, journal: Path, seq: int) -> RunView:
        """What was true after event ``seq``. Raises JournalError if there is no such event."""
        ...

    async def settled_at(self, journal: Path, gate: Gate) -> int:
        """The event with which the decision of a passed gate had its effect."""
        ...


class PapersOnDisk:
    """The files themselves, in a thread so that a slow device holds up nobody.

    ``is_shown`` says whether this run is the one that the repository's control files show.

    ``tasks.json``, ``state.json`` and ``metrics.json`` follow every event; ``.runs/index.json`` and ``run_meta.json``
    follow what they show, which changes a few times in a run.
    """

    def __init__(self, layout: RunLayout, measures: Measures) -> None:
        self.layout, self.measures = layout, measures
        self.is_shown: Callable[[], bool] = lambda: True
        self.documents = RunDocuments(layout)
        self._indexed: tuple[Any, ...] = ()
        self._meta: dict[str, Any] = {}

    def take(self, events: Sequence[Event]) -> None:
        self.measures.take(events)
        self.documents.take(events)

    async def project(self, view: RunView) -> None:
        if self.is_shown():
            documents = projections(view, self.layout.repo)
            metrics = self.measures.document()
            if metrics is not None:
                documents[self.layout.repo.metrics_file] = metrics
            await asyncio.to_thread(write, documents)
        await self._describe(view)
        await self.documents.write(view)

    async def _describe(self, view: RunView) -> None:
        run = view.run
        shown = (run.status, run.outcome, run.landed)
        if shown != self._indexed:
            await asyncio.to_thread(update_index, self.layout.repo.runs, [index_entry(view)])
            self._indexed = shown
        meta = run_meta(view)
        if meta != self._meta:
            text = json.dumps(meta, indent=2, ensure_ascii=False) + "\n"
            await asyncio.to_thread(replace_durably, self.layout.dir / "run_meta.json", text.encode())
            self._meta = meta

    async def snapshot(self) -> None:
        await self.measures.snapshot()

    async def keep(self, document: Path, data: bytes) -> None:
        await asyncio.to_thread(replace_durably, document, data)

    async def sha256(self, document: Path) -> str:
        return await asyncio.to_thread(_sha256, document)

    async def view_at(self, journal: Path, seq: int) -> RunView:
        return await asyncio.to_thread(view_at, journal, seq)

    async def settled_at(self, journal: Path, gate: Gate) -> int:
        return await asyncio.to_thread(settled_at, journal, gate)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
