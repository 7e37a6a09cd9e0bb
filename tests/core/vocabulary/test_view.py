"""The fold: legal events change the view, illegal ones change nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.vocabulary.clean import clean, clean_line
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.machines import MACHINES
from swarm_core.vocabulary.view import RunView


def stream(*steps: tuple[str, str | None, str | None, dict[str, Any]]) -> RunView:
    view = RunView()
    for seq, (kind, task, agent, data) in enumerate(steps, 1):
        view.apply(Event(seq, "2026-11-21T00:00:00.000Z", "r1", kind, data, task=task, agent=agent))
    return view


STARTED: tuple[tuple[str, str | None, str | None, dict[str, Any]], ...] = (
    ("run.created", None, None, {"title": "T", "goal": "G"}),
    ("run.started", None, None, {"base": "b", "base_ref": "refs/heads/main"}),
    ("task.created", "task_001", None, {"title": "one", "assigned_to": "backend"}),
    ("task.ready", "task_001", None, {}),
    ("agent.starting", None, "backend-1", {"service": "backend"}),
    ("agent.ready", None, "backend-1", {}),
    ("task.claimed", "task_001", "backend-1", {"attempt": 1}),
    ("agent.busy", "task_001", "backend-1", {}),
)


def test_a_claimed_task_runs_on_its_instance() -> None:
    view = stream(*STARTED)

    assert view.tasks["task_001"].status == "running"
    assert view.tasks["task_001"].instance == "backend-1"
    assert view.instances["backend-1"].task == "task_001"


def test_an_illegal_event_is_refused_and_changes_nothing() -> None:
    view = stream(*STARTED)
    before = dict(view.tasks)

    with pytest.raises(IllegalTransition, match="task_001 is running"):
        view.check(Event(9, "", "r1", "task.ready", {}, task="task_001"))
    assert before == view.tasks


def test_check_never_changes_the_view() -> None:
    view = stream(*STARTED)

    view.check(Event(9, "", "r1", "task.submitted", {"commit": "c"}, task="task_001"))

    assert view.tasks["task_001"].status == "running"
    assert view.last_seq == len(STARTED)


def test_costs_of_tasks_add_up_to_the_cost_of_the_run() -> None:
    call = {"input_tokens": 10, "output_tokens": 5, "cost_usd": 0.25}
    view = stream(*STARTED, *[("llm.call", "task_001", "backend-1", call)] * 3)

    assert sum(task.usage.cost_usd for task in view.tasks.values()) == view.usage.cost_usd == 0.75
    assert view.instances["backend-1"].usage.tokens == 45


def test_the_run_waits_for_the_operator_until_the_last_open_gate_is_decided() -> None:
    def gate(name: str) -> list[tuple[str, str | None, str | None, dict[str, Any]]]:
        return [
            ("gate.evaluating", None, None, {"gate": name, "place": "merge"}),
            ("gate.opened", None, None, {"gate": name, "evidence": "e"}),
        ]

    opened = stream(*STARTED, *gate("gate_001"), *gate("gate_002"))
    assert opened.run.status == "awaiting_operator"
    decided = ("gate.decided", None, None, {"gate": "gate_001", "verdict": "approve"})
    one_left = stream(*STARTED, *gate("gate_001"), *gate("gate_002"), decided)
    assert one_left.run.status == "awaiting_operator"
    last = ("gate.decided", None, None, {"gate": "gate_002", "verdict": "reject"})
    done = stream(*STARTED, *gate("gate_001"), *gate("gate_002"), decided, last)
    assert done.run.status == "running"
    assert (done.gates["gate_001"].status, done.gates["gate_002"].status) == ("passed", "blocked")


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_every_state_of_a_machine_is_reached_and_left(name: str) -> None:
    machine = MACHINES[name]
    reached = {machine.initial}
    while more := {t for s, t, _ in machine.transitions if s in reached} - reached:
        reached |= more

    assert reached == machine.states | machine.terminal - (machine.terminal - machine.states)
    stuck = {s for s in machine.states if not any(s == source for source, _, _ in machine.transitions)}
    assert stuck <= machine.terminal


@given(st.text())
def test_clean_text_holds_no_control_character(text: str) -> None:
    assert not any((ord(c) < 0x20 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in clean(text))
    assert "\n" not in clean_line(text)


def test_an_attempt_to_paint_stays_visible() -> None:
    assert clean("a\x1b]0;PWNED\x07b\u202e") == "a␛]0;PWNED␇b\ufffd"
