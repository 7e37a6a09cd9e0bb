"""Time in one run: pauses after failures, waiting in the queue, signs of life. All by the monotonic clock.

Nothing here is state: a restart begins every lease anew and derives what is left of a pause from the journal, so a
wall clock that was set forwards or back can shorten a pause, and never lengthen it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from swarm_core.policy.outlook import Outlook
from swarm_core.policy.ranking import ranks
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.view import RunView

MIN_WAKE_S = 0.001  # a difference of two readings may be a hair above nothing for ever
BEGINS_WAITING = frozenset({"task.ready", "task.reopened", "task.released", "task.reassigned"})

LETS_GO_ON = frozenset(
    {"run.resumed", "task.resumed", "service.resumed", "recovery.completed", "recovery.failed", "budget.raised"}
)


class _Waited(Mapping[str, float]):
    """Seconds that each ready task has waited; computed where somebody asks, for few of thousands are looked at."""

    def __init__(self, since: Mapping[str, float], now_s: float) -> None:
        self._since, self._now_s = since, now_s

    def __getitem__(self, task: str) -> float:
        return self._now_s - self._since[task]

    def __iter__(self) -> Iterator[str]:
        return iter(self._since)

    def __len__(self) -> int:
        return len(self._since)


class Watch:
    """Follows one run's events. ``beat`` is a sign of life of whoever works on a task; ``began_s`` is when the last
    task was begun."""

    def __init__(self, view: RunView, spec: SwarmSpec, clock: Clock) -> None:
        self.view, self.spec, self.clock = view, spec, clock
        self.began_s = 0.0
        self._rests: dict[str, float] = {}
        self._ready_since: dict[str, float] = {}
        self._beats: dict[str, float] = {}
        self._ranks: Mapping[str, float] = {}
        self._ranked_at = (-1, -1)
        now_s = clock.monotonic_s()
        for name in view.index.in_status("ready"):
            self._ready_since[name] = now_s
            if (left_s := self._left_s(view.tasks[name])) > 0:
                self._rests[name] = now_s + left_s

    def observe(self, event: Event) -> None:
        """Take an event that was just applied to the view."""
        now_s = self.clock.monotonic_s()
        if event.kind in LETS_GO_ON:  # nobody could show a sign of life while it was held
            self._beats.update(dict.fromkeys(self.view.index.in_status("running"), now_s))
        if event.task is None:
            return
        if event.kind in BEGINS_WAITING:
            self._ready_since[event.task] = now_s
            self._rests.pop(event.task, None)
            if wait_s := float(event.data.get("wait_s", 0.0)):
                self._rests[event.task] = now_s + wait_s
        elif event.kind == "task.claimed":
            self._ready_since.pop(event.task, None)
            self._beats[event.task] = self.began_s = now_s

    def beat(self, task: str) -> None:
        self._beats[task] = self.clock.monotonic_s()

    def is_stopped(self, task: Task) -> bool:
        """Whether whoever works on a task has to wait. A draining run lets its agents finish."""
        is_draining = self.view.run.status == "paused" and self.view.run.pause == "drain"
        return bool(self.view.why_held(task)) and not (is_draining and not task.held and not self.view.why_unpaid(task))

    def outlook(self, slots: int) -> Outlook:
        now_s = self.clock.monotonic_s()
        self._rests = {name: until for name, until in self._rests.items() if until > now_s}
        return Outlook(frozenset(self._rests), slots, self._current_ranks(), _Waited(self._ready_since, now_s))

    def lost(self) -> Iterator[Task]:
        """Running tasks whose worker has shown no sign of life for too long."""
        now_s = self.clock.monotonic_s()
        for task, limit_s in self._limits():
            if now_s - self._beats.setdefault(task.id, now_s) >= limit_s:
                yield task

    def next_wake_s(self) -> float | None:
        """Seconds until the passing of time alone changes something; None if it never does."""
        now_s = self.clock.monotonic_s()
        ends = list(self._rests.values())
        ends += [self._beats.setdefault(task.id, now_s) + limit_s for task, limit_s in self._limits()]
        return max(MIN_WAKE_S, min(ends) - now_s) if ends else None

    def _limits(self) -> Iterator[tuple[Task, float]]:
        for name in self.view.index.in_status("running"):
            task = self.view.tasks[name]
            service = self.spec.services.get(task.assigned_to)
            if service is not None and not service.is_human and not self.is_stopped(task):
                yield task, service.lease_s if service.is_external else service.heartbeat_s

    def _left_s(self, task: Task) -> float:
        if not task.not_before:
            return 0.0
        left = datetime.fromisoformat(task.not_before) - datetime.fromisoformat(self.clock.now())
        return min(left.total_seconds(), task.wait_s)

    def _current_ranks(self) -> Mapping[str, float]:
        """Made anew when tasks were added, or a fiftieth of them has ended: so they cost little per event."""
        count, done = len(self.view.tasks), self.view.index.done
        known_count, known_done = self._ranked_at
        if count != known_count or done - known_done > count // 50:
            self._ranks, self._ranked_at = ranks(self.view), (count, done)
        return self._ranks
