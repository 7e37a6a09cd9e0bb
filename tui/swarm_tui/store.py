"""What the room knows: the fold of the journal, the last events as they came, and the engine's pulse."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from swarm_core.client import EngineStatus
from swarm_core.vocabulary.entities import Gate, Task
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.gating import is_deferred
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.view import RunView

KEPT_EVENTS = 3_000
STALE_S = 5.0


class Store:
    """State comes only from the journal and ``engine.json``; nothing here is decided by the room."""

    def __init__(self, run: str, view: RunView | None = None, activity: Iterable[Event] = ()) -> None:
        self.run = run
        self.view = view or RunView()
        self.activity = deque(activity, maxlen=KEPT_EVENTS)
        self.engine = EngineStatus()
        self.gates_seen: set[tuple[str, int]] = set()
        self.moved: dict[str, int] = {}
        """By group of events (``finding``, ``rule``): the last that came since the room follows the run."""

    def apply(self, events: Iterable[Event]) -> None:
        for event in events:
            self.view.apply(event)
            self.activity.append(event)
            self.moved[event.kind.partition(".")[0]] = event.seq

    def new_gates(self) -> list[Gate]:
        """Gates that opened, or opened anew, since the last call."""
        fresh = [gate for gate in self.view.open_gates if (gate.id, gate.opened_seq) not in self.gates_seen]
        self.gates_seen.update((gate.id, gate.opened_seq) for gate in fresh)
        return fresh

    def last_move(self, groups: Iterable[str]) -> int:
        """The last event of any of these groups; 0 if none came."""
        return max((self.moved.get(group, 0) for group in groups), default=0)

    @property
    def is_engine_lost(self) -> bool:
        """Work is left and nobody does it: the process is gone or has not given a sign for five seconds."""
        if self.view.is_over or not self.view.run.id:
            return False
        return not self.engine.is_alive or self.engine.heartbeat_age_s > STALE_S

    def next_gate(self, after: str = "") -> Gate | None:
        """The open gate that follows ``after``, round and round; None when none waits. What was put off comes when
        nothing else waits."""
        waiting = [gate for gate in self.view.open_gates if not self.is_put_off(gate)] or self.view.open_gates
        later = [gate for gate in waiting if gate.id > after]
        return next(iter(later or waiting), None)

    def is_put_off(self, gate: Gate) -> bool:
        """Whether the operator wants to be asked later, and it is not later yet."""
        view, until = self.view, gate.deferred_until
        if not until:
            return False
        task, other = view.tasks.get(until), view.gates.get(until)
        is_open = (task is not None and task.status not in TASK.terminal) or (
            other is not None and other.status in ("evaluating", "open")
        )
        return is_deferred(until, view.last_ts, {until: is_open})

    def document_of(self, task: Task) -> Gate | None:
        """The latest gate of a task that has something to show."""
        gates = [gate for gate in self.view.gates.values() if gate.task == task.id and gate.document]
        return gates[-1] if gates else None
