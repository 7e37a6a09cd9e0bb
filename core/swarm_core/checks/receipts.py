"""Receipts held against the journal: the bytes that were sealed, and counts that are the same when derived again."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

from swarm_core.journal.check import differences
from swarm_core.journal.tail import JournalReader
from swarm_core.policy.receipts import receipt
from swarm_core.vocabulary.entities import Phase
from swarm_core.vocabulary.errors import IllegalTransition, JournalError
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView

from .measured import Found, Measured, broken, not_measured, verdict
from .site import Site

MAX_RECEIPT_BYTES = 8 << 20
SHOWN = 5


async def measure(site: Site) -> Measured:
    if site.around.journal is None:
        return not_measured("there is no run whose receipts could be looked at", "it is measured in a run")
    return await asyncio.to_thread(examine, site.around.journal)


def examine(journal: Path) -> Measured:
    """Every sealed receipt of a run. Reads the journal twice: to its end, and to each receipt's event."""
    try:
        with closing(_Fold(journal)) as fold:
            now = fold.to()
        sealed = [phase for phase in now.phases.values() if phase.receipt and phase.status == "sealed"]
        if not sealed:
            return not_measured("no receipt is sealed yet", "it is measured once a phase is sealed")
        found: list[Found] = []
        documents: list[tuple[int, Phase, dict[str, Any]]] = []
        for phase in sealed:
            document = _read(journal.parent / phase.receipt, phase, found)
            if document is not None:
                documents.append((document["seq"], phase, document))
        with closing(_Fold(journal)) as fold:
            for seq, phase, document in sorted(documents, key=lambda one: one[0]):
                derived = json.loads(json.dumps(receipt(fold.to(seq), phase.key)))
                places = list(differences(document, derived))
                found += [Found(place, phase.receipt, 0, "counts", "CRITICAL") for place in places[:SHOWN]]
    except (JournalError, IllegalTransition) as error:
        return broken(f"the journal cannot be folded: {error}", "swarm-tui replay --check names every place")
    return verdict(found, f"{len(sealed)} receipts derived again", Fraction(len(found)))


def _read(path: Path, phase: Phase, found: list[Found]) -> dict[str, Any] | None:
    """The document, if it is what was sealed."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_RECEIPT_BYTES)
    except OSError as error:
        found.append(Found(f"cannot be read: {error.strerror}", phase.receipt, 0, "receipt", "CRITICAL"))
        return None
    if hashlib.sha256(data).hexdigest() != phase.receipt_sha256:
        message = "is not what was sealed: its SHA-256 is not the one in the journal"
        found.append(Found(message, phase.receipt, 0, "receipt", "CRITICAL"))
        return None
    document = json.loads(data)
    if not isinstance(document, dict) or not isinstance(document.get("seq"), int):
        found.append(Found("is no receipt", phase.receipt, 0, "receipt", "CRITICAL"))
        return None
    return document


class _Fold:
    """The state of a run, moved forward event by event."""

    def __init__(self, journal: Path) -> None:
        self.view = RunView()
        self._reader = JournalReader(journal)
        self._waiting: deque[Event] = deque()

    def to(self, seq: int | None = None) -> RunView:
        """The state after event ``seq``, which is not before the last one asked for; without, after the last one."""
        while seq is None or self.view.last_seq < seq:
            if not self._waiting:
                self._waiting.extend(self._reader.poll())
            if not self._waiting:
                break
            self.view.apply(self._waiting.popleft())
        return self.view

    def close(self) -> None:
        self._reader.close()
