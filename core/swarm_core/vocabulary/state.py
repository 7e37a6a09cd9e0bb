"""What is true of a run, and how a change of it is taken: the ground under the fold.

An event's change is a function that computes new entities and hands them to a sink. With a ``Sink`` nothing happens
(that is how an event is checked), with a ``Writer`` the state takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .entities import Gate, Instance, Merge, Run, Task, Usage
from .errors import IllegalTransition
from .events import Draft, Event
from .machines import RUN

AnyEvent = Draft | Event


class State:
    """The entities by id. They are frozen and replaced one by one."""

    def __init__(self) -> None:
        self.run = Run()
        self.tasks: dict[str, Task] = {}
        self.instances: dict[str, Instance] = {}
        self.gates: dict[str, Gate] = {}
        self.merges: dict[str, Merge] = {}
        self.plan: tuple[Mapping[str, Any], ...] = ()
        self.usage = Usage()
        self.denials = 0
        self.engine_pid = 0
        self.last_seq = 0
        self.last_ts = ""
        self.commands: set[str] = set()
        self.refused: dict[str, str] = {}

    @property
    def is_over(self) -> bool:
        return self.run.status in RUN.terminal

    @property
    def open_gates(self) -> list[Gate]:
        return [gate for gate in self.gates.values() if gate.status == "open"]


class Sink:
    """Takes the changes of a checked event and does nothing with them."""

    ts = ""
    seq = 0

    def run(self, run: Run) -> None: ...
    def task(self, task: Task) -> None: ...
    def instance(self, instance: Instance) -> None: ...
    def gate(self, gate: Gate) -> None: ...
    def merge(self, merge: Merge) -> None: ...
    def usage(self, usage: Usage) -> None: ...
    def mark(self, command: str, refused: str = "") -> None: ...
    def denial(self) -> None: ...
    def pid(self, pid: int) -> None: ...
    def plan(self, tasks: tuple[Mapping[str, Any], ...]) -> None: ...


class Writer(Sink):
    """Writes the changes of an applied event into the view."""

    def __init__(self, view: State, event: Event) -> None:
        self.view, self.ts, self.seq = view, event.ts, event.seq

    def run(self, run: Run) -> None:
        self.view.run = run

    def task(self, task: Task) -> None:
        self.view.tasks[task.id] = task

    def instance(self, instance: Instance) -> None:
        self.view.instances[instance.id] = instance

    def gate(self, gate: Gate) -> None:
        self.view.gates[gate.id] = gate

    def merge(self, merge: Merge) -> None:
        self.view.merges[merge.task] = merge

    def usage(self, usage: Usage) -> None:
        self.view.usage = self.view.usage + usage

    def mark(self, command: str, refused: str = "") -> None:
        if command:
            self.view.commands.add(command)
            if refused:
                self.view.refused[command] = refused

    def denial(self) -> None:
        self.view.denials += 1

    def pid(self, pid: int) -> None:
        self.view.engine_pid = pid

    def plan(self, tasks: tuple[Mapping[str, Any], ...]) -> None:
        self.view.plan = tasks


Change = Callable[[State, AnyEvent, Sink], None]
CHANGES: dict[str, Change] = {}


def on(*kinds: str) -> Callable[[Change], Change]:
    def register(change: Change) -> Change:
        for kind in kinds:
            CHANGES[kind] = change
        return change

    return register


def task_of(view: State, event: AnyEvent) -> Task:
    if event.task is None or event.task not in view.tasks:
        raise IllegalTransition(f"{event.kind}: there is no task {event.task}")
    return view.tasks[event.task]


def instance_of(view: State, event: AnyEvent) -> Instance:
    if event.agent is None or event.agent not in view.instances:
        raise IllegalTransition(f"{event.kind}: there is no instance {event.agent}")
    return view.instances[event.agent]


def gate_of(view: State, event: AnyEvent) -> Gate:
    gate = event.data.get("gate")
    if gate not in view.gates:
        raise IllegalTransition(f"{event.kind}: there is no gate {gate}")
    return view.gates[gate]


def merge_of(view: State, event: AnyEvent) -> Merge:
    if event.task is None or event.task not in view.merges:
        raise IllegalTransition(f"{event.kind}: nothing of task {event.task} is queued")
    return view.merges[event.task]
