"""The error agent of a run: woken by what happens, for as long as the run lives. It says what it noticed, no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from swarm_core.policy.monitoring import everything, noticed
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.view import RunView

WAKING = frozenset(
    {"gate.opened", "policy.denied", "artifact.rejected", "artifact.validated", "check.passed", "receipt.mismatch"}
)


class Monitor:
    """``say`` takes facts in order without waiting for the disk (``Recorder.enqueue``)."""

    def __init__(self, view: RunView, say: Callable[..., Any]) -> None:
        self.view, self._say = view, say
        self._is_new = True
        self._said: set[tuple[str, str]] = set()

    def take(self, events: Sequence[Event]) -> None:
        """Hear of events that were applied."""
        if self.view.is_over:
            return
        if self._is_new:
            self._is_new = False
            self._tell(everything(self.view))
        for event in events:
            if event.kind in WAKING:
                self._tell(noticed(self.view, event))

    def _tell(self, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            try:
                self.view.check(draft)
            except IllegalTransition:
                continue  # it was said a moment ago
            key = (draft.kind, str(draft.data.get("finding", "")))
            if key not in self._said:  # it may be on its way to the disk
                self._said.add(key)
                self._say(draft)
