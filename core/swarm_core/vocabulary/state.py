"""What is true of a run, and how a change of it is taken: the ground under the fold.

An event's change is a function that computes new entities and hands them to a sink. With a ``Sink`` nothing happens
(that is how an event is checked), with a ``Writer`` the state takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .asks import Ask
from .budgets import Amounts, Budget, OpenCall, scopes_of
from .conditions import due
from .entities import DIAGNOSIS, Artifact, Gate, Instance, Limit, Merge, Phase, Run, Task, Usage
from .errors import IllegalTransition
from .events import Draft, Event
from .findings import Finding, Incident
from .index import Index
from .machines import RUN
from .rules import Fact, Firing, Matrix

AnyEvent = Draft | Event


class State:
    """The entities by id. They are frozen and replaced one by one; ``index`` follows from them."""

    def __init__(self) -> None:
        self.index = Index()
        self.run = Run()
        self.phases: dict[str, Phase] = {}
        self.tasks: dict[str, Task] = {}
        self.instances: dict[str, Instance] = {}
        self.gates: dict[str, Gate] = {}
        self.merges: dict[str, Merge] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.findings: dict[str, Finding] = {}
        self.incidents: dict[str, Incident] = {}
        self.budgets: dict[str, Budget] = {}
        self.limits: dict[str, Limit] = {}
        self.held_services: dict[str, str] = {}
        self.requests: dict[str, Mapping[str, Any]] = {}
        self.plans: dict[str, Mapping[str, Any]] = {}
        self.questions: dict[str, Mapping[str, Any]] = {}
        self.asks: dict[str, Ask] = {}
        self.open_asks: dict[str, None] = {}
        self.usage = Usage()
        self.spent: dict[str, Amounts] = {}
        self.open_calls: dict[str, OpenCall] = {}
        self.denials = 0
        self.engine_pid = 0
        self.started_seq = 0
        self.last_seq = 0
        self.last_ts = ""
        self.commands: set[str] = set()
        self.refused: dict[str, str] = {}
        self.matrix = Matrix()
        self.facts: dict[str, Fact] = {}
        self.firings: dict[str, Firing] = {}
        self.open_firings: dict[str, None] = {}
        self.fired: dict[str, str] = {}
        self.letters: dict[str, tuple[str, ...]] = {}
        self.replicas: dict[str, int] = {}

    @property
    def is_over(self) -> bool:
        return self.run.status in RUN.terminal

    @property
    def open_gates(self) -> list[Gate]:
        return [self.gates[gate] for gate in self.index.open_gates]

    @property
    def is_held(self) -> bool:
        """Whether the operator or a failure holds the whole run."""
        return self.run.status in ("paused", "halted", "recovering")

    def is_diagnosis(self, task: Task) -> bool:
        """Whether it finds out why the run stands still, which is what a halted run waits for."""
        return task.kind == DIAGNOSIS and (self.run.status, self.run.pause) == ("halted", "halt")

    def why_held(self, task: Task) -> str:
        """Why nobody works on a task although it could be worked on; empty when nothing is in the way."""
        if self.is_held and not self.is_diagnosis(task):
            return f"the run is {self.run.status}"
        if task.held:
            return task.held
        return self.held_services.get(task.assigned_to, "") or self.why_unpaid(task)

    def why_unpaid(self, task: Task) -> str:
        """Which budget that ``task`` needs is used up; empty if none is."""
        if self.index.exhausted:
            for scope in scopes_of(task):
                for budget in self.index.exhausted.get(scope, ()):
                    gate = self.latest_budget_gate(budget)
                    return f"the budget {budget} is used up" + (f": decide at {gate}" if gate else "")
        return ""

    def next_task_number(self, planner: str = "") -> int:
        """The number of the next task: above those there are, and those planned by another task than ``planner``."""
        plans = (plan["tasks"] for task, plan in self.plans.items() if task != planner and plan.get("tasks"))
        planned = [str(tasks[-1].get("id", "")).rpartition("_")[2] for tasks in plans]
        return max(self.index.highest, *(int(number) for number in planned if number.isdecimal()), -1) + 1

    def latest_budget_gate(self, budget: str) -> str:
        """The open gate at which a budget can be raised, if there is one."""
        gate = self.gates.get(self.index.latest_gate.get(("budget", budget), ""))
        return gate.id if gate is not None and gate.status == "open" else ""


def indexed(state: State) -> Index:
    """The index that follows from the entities of a state."""
    index = Index.of(
        state.tasks.values(),
        state.gates.values(),
        sorted(state.merges.values(), key=lambda merge: merge.order),
        state.budgets.values(),
        state.findings.values(),
        state.incidents.values(),
        state.firings.values(),
    )
    for fact in state.facts.values():
        index.fact(None, fact, due(state.matrix.rules, state.fired, fact))
    return index


class Sink:
    """Takes the changes of a checked event and does nothing with them."""

    ts = ""
    seq = 0

    def run(self, run: Run) -> None: ...
    def phase(self, phase: Phase) -> None: ...
    def task(self, task: Task) -> None: ...
    def instance(self, instance: Instance) -> None: ...
    def gate(self, gate: Gate) -> None: ...
    def merge(self, merge: Merge) -> None: ...
    def unmerge(self, task: str) -> None: ...
    def artifact(self, artifact: Artifact) -> None: ...
    def finding(self, finding: Finding) -> None: ...
    def incident(self, incident: Incident) -> None: ...
    def budget(self, budget: Budget) -> None: ...
    def limit(self, gate: str, limit: Limit | None) -> None: ...
    def hold(self, service: str, reason: str) -> None: ...
    def request(self, key: str, request: Mapping[str, Any] | None) -> None: ...
    def usage(self, usage: Usage) -> None: ...
    def spend(self, scopes: tuple[str, ...], amounts: Amounts) -> None: ...
    def open_call(self, agent: str, call: OpenCall | None) -> None: ...
    def mark(self, command: str, refused: str = "") -> None: ...
    def denial(self) -> None: ...
    def pid(self, pid: int) -> None: ...
    def started(self) -> None: ...
    def plan(self, task: str, plan: Mapping[str, Any]) -> None: ...
    def question(self, key: str, question: Mapping[str, Any]) -> None: ...
    def ask(self, ask: Ask) -> None: ...
    def matrix(self, matrix: Matrix) -> None: ...
    def fact(self, key: str, fact: Fact | None) -> None: ...
    def firing(self, firing: Firing) -> None: ...
    def spent(self, firing: Firing, fact: Fact) -> None: ...
    def letters(self, service: str, letters: tuple[str, ...]) -> None: ...
    def replicas(self, service: str, count: int) -> None: ...


Change = Callable[[State, AnyEvent, Sink], None]
CHANGES: dict[str, Change] = {}
FURTHER: dict[str, list[Change]] = {}


ALWAYS_FIT: set[str] = set()


def on(*kinds: str, fits_always: bool = False, also: bool = False) -> Callable[[Change], Change]:
    """Register the change that events of these kinds make. ``fits_always``: no state refuses them; ``also``: after the
    one change that says whether the event fits; such a change never raises."""

    def register(change: Change) -> Change:
        for kind in kinds:
            if also:
                FURTHER.setdefault(kind, []).append(change)
            else:
                CHANGES[kind] = change
            if fits_always:
                ALWAYS_FIT.add(kind)
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
