"""The fold: a run's state as a function of its journal, used by the engine, the room and every projection.

``RunView.apply`` costs the same for the first and the millionth event. An event that does not fit raises
IllegalTransition and leaves the view as it was; the engine asks ``check`` before it writes. What each kind of event
changes stands in the module ``changes_*`` of what it is about.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Self

from . import (
    changes_agents,
    changes_evidence,
    changes_gates,
    changes_permission,
    changes_rules,
    changes_run,
    changes_work,
)
from .entities import Gate
from .errors import IllegalTransition
from .events import Event
from .state import ALWAYS_FIT, CHANGES, FURTHER, AnyEvent, Sink, State
from .writer import Writer

__all__ = [
    "RunView",
    "changes_agents",
    "changes_evidence",
    "changes_gates",
    "changes_permission",
    "changes_rules",
    "changes_run",
    "changes_work",
]

# A run that is over keeps the tasks, gates and merges it ended with; costs and departures are still told.
ENDED_WITH_THE_RUN = (
    *("task.", "tasks.", "gate.", "merge.", "service.", "permission.", "recovery.", "rollback."),
    *("rule.", "action.", "message.", "matrix."),
)


class RunView(State):
    """What is true after the events applied so far."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        view = cls()
        for event in events:
            view.apply(event)
        return view

    # -- questions

    def latest_gate(self, place: str, task: str = "") -> Gate | None:
        """The youngest gate of a place and task."""
        gate = self.index.latest_gate.get((place, task))
        return self.gates[gate] if gate is not None else None

    # -- the fold

    def check(self, event: AnyEvent) -> None:
        """Raise IllegalTransition if ``event`` does not fit the present state."""
        if self.is_over and event.kind.startswith(ENDED_WITH_THE_RUN):
            raise IllegalTransition(f"run {self.run.id} is {self.run.status}: {event.kind} comes too late")
        change = CHANGES.get(event.kind)
        if change is not None and event.kind not in ALWAYS_FIT:
            change(self, event, Sink())

    def apply(self, event: Event) -> None:
        """Take ``event`` into the view; unknown kinds only move ``last_seq``."""
        change = CHANGES.get(event.kind)
        if change is not None:
            change(self, event, Writer(self, event))
        for further in FURTHER.get(event.kind, ()):
            further(self, event, Writer(self, event))
        self.last_seq, self.last_ts = event.seq, event.ts
        if event.agent and (instance := self.instances.get(event.agent)):
            self.instances[event.agent] = replace(instance, last_ts=event.ts)
