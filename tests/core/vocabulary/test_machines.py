"""The state machines are those that were designed, and the fold lets nothing past them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from swarm_core.vocabulary.budgets import Budget
from swarm_core.vocabulary.changes_gates import VERDICT_STATES
from swarm_core.vocabulary.entities import Artifact, Gate, Instance, Merge, Phase, Run, Task
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.findings import Finding, Incident
from swarm_core.vocabulary.machines import MACHINES, Machine
from swarm_core.vocabulary.view import RunView

# The machines as they were designed.
CORPUS = Path(__file__).parents[2] / "corpus" / "state_machines.yaml"
DESIGN = {name: {tuple(edge) for edge in machine["t"]} for name, machine in yaml.safe_load(CORPUS.read_text()).items()}

# What was designed and is not there, with the reason.
LEFT_OUT = {
    ("phase", "gating > active : gate.decided"): "a phase is opened again by an event of its own, phase.reopened",
    ("agent", "paused > idle : agent.resumed"): "who is held keeps its task and goes on with it: paused > busy",
    ("gate", "pending > evaluating : gate.evaluating"): "a gate begins to exist when it is evaluated",
    ("merge", "conflicted > queued : merge.mediated"): "the mended commit is queued like any other: merge.queued",
    ("merge", "conflicted > rejected : merge.rejected"): "a task that is given up ends; its merge stays as it was",
}

# The ways out of an end: work that is taken back, a gate whose subject is gone or that is forced or measured again.
OUT_OF_AN_END = {
    "task.reset",
    "gate.aborted",
    "gate.invalidated",
    "gate.decided",  # a blocked gate is forced, or ends the run
    "gate.reevaluated",
    "phase.reopened",
}


@pytest.mark.parametrize("name", DESIGN)
def test_every_designed_transition_is_there_or_left_out_for_a_reason(name: str) -> None:
    missing = DESIGN[name] - set(MACHINES[name].transitions)

    reasons = {line for machine, line in LEFT_OUT if machine == name}
    assert {f"{source} > {target} : {event}" for source, target, event in missing} == reasons


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_every_state_is_reachable_and_an_end_is_an_end(machine: Machine) -> None:
    reached = {machine.initial}
    while more := {target for source, target, _ in machine.transitions if source in reached} - reached:
        reached |= more

    assert reached >= machine.states | machine.terminal
    assert {event for source, _, event in machine.transitions if source in machine.terminal} <= OUT_OF_AN_END
    assert all(any(source == state for source, _, _ in machine.transitions) for state in reached - machine.terminal)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_a_machine_takes_its_own_steps_and_no_others(machine: Machine) -> None:
    events = {event for each in MACHINES.values() for _, _, event in each.transitions}
    for state in machine.states | machine.terminal:
        for event in events:
            targets = {t for source, t, kind in machine.transitions if (source, kind) == (state, event)}
            for wanted in machine.states | {None, "elsewhere"}:
                if wanted in targets or (wanted is None and len(targets) == 1):
                    assert machine.step(state, event, wanted) in targets
                else:
                    with pytest.raises(IllegalTransition, match=f"{machine.name} x is {state}: {event} does not apply"):
                        machine.step(state, event, wanted, subject="x")


# -- through the fold


@dataclass(frozen=True)
class Subject:
    """How a state of one machine is set up in a view and read off it again. ``data`` of an event, in its variants."""

    put: Callable[[RunView, str], None]
    status: Callable[[RunView], str]
    data: Mapping[str, Any] = field(default_factory=dict)


def put_run(view: RunView, status: str) -> None:
    view.run = Run("r1", status=status, integration="i0")


def put_task(view: RunView, status: str) -> None:
    task = Task("task_001", "one", status=status, assigned_to="api", instance="api-1", attempt=1)
    view.index.task(None, task)
    view.tasks[task.id] = task
    view.merges[task.id] = Merge(task.id, "c1", "checking")


def put_gate(view: RunView, status: str) -> None:
    gate = Gate("gate_001", "merge", "one", status=status)
    view.index.gate(gate)
    view.gates[gate.id] = gate
    view.run = Run("r1", status="awaiting_operator" if status == "open" else "running")


def put_merge(view: RunView, status: str) -> None:
    put_task(view, "merging")
    view.merges["task_001"] = Merge("task_001", "c1", status)


def put_incident(view: RunView, status: str) -> None:
    view.incidents["incident_001"] = Incident("incident_001", status=status)


SUBJECTS = {
    "run": Subject(put_run, lambda view: view.run.status),
    "phase": Subject(lambda v, s: v.phases.update(build=Phase("build", s)), lambda v: v.phases["build"].status),
    "task": Subject(put_task, lambda view: view.tasks["task_001"].status),
    "agent": Subject(
        lambda v, s: v.instances.update({"api-1": Instance("api-1", "api", s, "task_001")}),
        lambda v: v.instances["api-1"].status,
    ),
    "gate": Subject(put_gate, lambda view: view.gates["gate_001"].status, {"gate": "gate_001"}),
    "merge": Subject(put_merge, lambda view: view.merges["task_001"].status),
    "artifact": Subject(
        lambda v, s: v.artifacts.update({"a.md": Artifact("a.md", status=s)}),
        lambda v: v.artifacts["a.md"].status,
        {"path": "a.md"},
    ),
    "finding": Subject(
        lambda v, s: v.findings.update({"f1": Finding("f1", status=s)}),
        lambda v: v.findings["f1"].status,
        {"finding": "f1"},
    ),
    "incident": Subject(put_incident, lambda v: v.incidents["incident_001"].status, {"incident": "incident_001"}),
    "budget": Subject(
        lambda v, s: v.budgets.update(b=Budget("b", status=s)), lambda v: v.budgets["b"].status, {"budget": "b"}
    ),
}


def verdicts(name: str, state: str) -> tuple[str, ...]:
    """The verdicts that a gate in this state can take; for a state that takes none, what should be refused."""
    return tuple(VERDICT_STATES.get(state, {})) if name == "gate" and state in VERDICT_STATES else ("approve", "reject")


def situations(name: str, state: str, kind: str) -> Iterator[tuple[RunView, Event]]:
    """Views in which the subject is in ``state``, and an event for each: whatever else the event needs is in order."""
    subject = SUBJECTS[name]
    for verdict in verdicts(name, state) if kind == "gate.decided" else ("",):
        for open_gates in (0, 1, 2) if name == "run" else (0,):
            view = RunView()
            subject.put(view, state)
            data = {**subject.data, "verdict": verdict}
            if name == "gate" and state == "evaluating":
                data |= {"evidence": "e", "checks": [{"name": "tests", "passed": True}]}
            if name == "run" and kind.startswith("gate."):
                if open_gates == 0:
                    continue
                data["gate"] = "gate_001"
            if name == "incident" and kind.startswith("recovery."):
                view.run = Run("r1", status={"recovery.started": "halted"}.get(kind, "recovering"))
            for number in range(1, open_gates + 1):
                is_due = kind == "gate.opened" and number == 1
                gate = Gate(f"gate_{number:03d}", "merge", "", status="evaluating" if is_due else "open")
                view.index.gate(gate)
                view.gates[gate.id] = gate
            agent = "api-1" if name in ("agent", "task") else None
            yield (
                view,
                Event(7, "2026-11-21T10:00:00.000Z", "r1", kind, data, task="task_001", agent=agent, phase="build"),
            )


def snapshot(view: RunView) -> dict[str, Any]:
    return copy.deepcopy(vars(view))


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_the_fold_takes_what_the_machine_allows_and_else_stays_as_it_was(machine: Machine) -> None:
    events = sorted({event for _, _, event in machine.transitions} - {"task.reset", "merge.queued"})
    taken = set()
    for state in sorted(machine.states | machine.terminal):
        for kind in events:
            targets = {target for source, target, event in machine.transitions if (source, event) == (state, kind)}
            for view, event in situations(machine.name, state, kind):
                before = snapshot(view)
                if targets:
                    view.check(event)
                    assert snapshot(view) == before, f"{kind} was only asked about"
                    view.apply(event)
                    assert SUBJECTS[machine.name].status(view) in targets
                    taken.add((state, SUBJECTS[machine.name].status(view), kind))
                else:
                    for refuse in (view.check, view.apply):
                        with pytest.raises(IllegalTransition):
                            refuse(event)
                        assert snapshot(view) == before, f"{kind} of {machine.name} in {state} left a trace"

    assert taken == {t for t in machine.transitions if t[2] in events}


@pytest.mark.parametrize("state", sorted(MACHINES["task"].states))
def test_a_rollback_brings_a_task_of_any_state_back_to_its_beginning(state: str) -> None:
    view = RunView()
    put_run(view, "recovering")
    put_task(view, state)
    view.apply(Event(8, "t", "r1", "rollback.done", {"tasks": {"task_001": "again"}, "integration": "i1"}))

    task = view.tasks["task_001"]
    assert (task.status, task.commit, task.instance, task.iteration) == ("pending", "", "", 2)
    assert "task_001" not in view.merges
    assert view.run.integration == "i1"


UNKNOWN = [
    ("task.ready", {}),
    ("merge.checking", {}),
    ("agent.busy", {}),
    ("gate.decided", {"gate": "gate_009", "verdict": "approve"}),
    ("artifact.sealed", {"path": "nothing.md"}),
    ("finding.fixed", {"finding": "f9"}),
    ("incident.closed", {"incident": "incident_009"}),
    ("budget.raised", {"budget": "b9"}),
    ("rollback.done", {"tasks": {"task_001": "again", "task_009": "again"}, "integration": "i1"}),
    ("service.resumed", {"service": "api"}),
]


@pytest.mark.parametrize(("kind", "data"), UNKNOWN)
def test_an_event_about_nothing_that_exists_changes_nothing(kind: str, data: dict[str, Any]) -> None:
    view = RunView()
    put_task(view, "done")
    put_run(view, "recovering")
    before = snapshot(view)
    with pytest.raises(IllegalTransition):
        view.apply(Event(7, "t", "r1", kind, data, task="task_009", agent="api-9"))

    assert snapshot(view) == before


def test_a_recovery_of_an_incident_that_does_not_fit_changes_nothing() -> None:
    view = RunView()
    put_run(view, "halted")
    put_incident(view, "closed")
    before = snapshot(view)
    with pytest.raises(IllegalTransition, match="incident_001 is closed"):
        view.apply(Event(7, "t", "r1", "recovery.started", {"to_seq": 3, "incident": "incident_001"}))

    assert snapshot(view) == before


# -- fencing

SAID = ("task.submitted", "task.failed", "task.released", "commit.created")


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize(
    ("agent", "attempt"), [("api-2", None), ("api-1", 1), ("api-1", 3), ("api-2", 2)], ids=lambda value: f"{value}"
)
def test_what_an_instance_says_of_a_task_taken_from_it_is_refused(kind: str, agent: str, attempt: int | None) -> None:
    view = RunView()
    task = Task("task_001", "one", status="running", assigned_to="api", instance="api-1", attempt=2)
    view.index.task(None, task)
    view.tasks[task.id] = task
    before = snapshot(view)
    data = {"commit": "c9"} if attempt is None else {"commit": "c9", "attempt": attempt}

    with pytest.raises(IllegalTransition, match="comes too late"):
        view.apply(Event(7, "t", "r1", kind, data, task="task_001", agent=agent))
    assert snapshot(view) == before
    view.apply(Event(7, "t", "r1", kind, {"commit": "c9", "attempt": 2}, task="task_001", agent="api-1"))
    assert snapshot(view) != before
