"""Budgets in the policy: set, warned of, decided; and what a refusal leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.story import Story, planned, spec

from swarm_core.policy.effects import EvaluateGate, RunAgent
from swarm_core.vocabulary.budgets import Budget, figure, raised_limit
from swarm_core.vocabulary.spec import BudgetSpec, SwarmSpec


def limited(*budgets: tuple[str, str, float]) -> SwarmSpec:
    return replace(spec("a", "b"), budgets=tuple(BudgetSpec(*budget) for budget in budgets))


def at_work(*budgets: tuple[str, str, float]) -> Story:
    """Two agents at work, each on its task."""
    story = Story(limited(*budgets)).planned(planned(1, "a"), planned(2, "b"))
    return story.started("a-1", "a").started("b-1", "b")


def test_budgets_are_set_at_the_start_and_a_tasks_own_when_it_begins() -> None:
    story = at_work(("run", "usd", 5.0), ("service.a", "tokens", 1e6), ("task", "iterations", 9.0))

    assert set(story.view.budgets) == {
        "run.usd", "service.a.tokens", "task.task_000.iterations", "task.task_001.iterations",
        "task.task_002.iterations",
    }  # fmt: skip


def test_at_four_fifths_the_operator_is_told_once_and_again_after_a_raise() -> None:
    story = at_work(("run", "usd", 1.0))
    for cost in (0.79, 0.01, 0.1):
        story.happens("llm.call", "task_001", "a-1", cost_usd=cost)
    assert [event.data["spent"] for event in story.events if event.kind == "budget.warning"] == [0.8]
    story.happens("budget.raised", budget="run.usd", limit=1.1)
    assert [event.kind for event in story.events].count("budget.warning") == 2


def test_what_was_spent_without_being_reserved_uses_a_budget_up_too() -> None:
    story = at_work(("run", "usd", 1.0)).happens("llm.call", "task_001", "a-1", cost_usd=1.2)
    assert story.view.budgets["run.usd"].status == "exhausted"
    story.happens("budget.raised", budget="run.usd", limit=2.0)
    assert story.view.budgets["run.usd"].status == "ok"


def test_a_used_up_budget_holds_whoever_needs_it_and_nobody_else() -> None:
    story = at_work(("service.a", "usd", 1.0)).happens("budget.exhausted", budget="service.a.usd", spent=1.0, asked=0.2)
    tasks = story.view.tasks

    story << EvaluateGate("gate_002") << RunAgent("task_001", "a-1", 1, 1)
    story.happens("gate.opened", gate="gate_002", evidence="e")
    assert "service.a.usd is used up: decide at gate_002" in story.view.why_held(tasks["task_001"])
    assert story.view.why_held(tasks["task_002"]) == ""


@pytest.mark.parametrize(("note", "limit"), [("", 1.8), ("25 and not more", 25.0), ("to $7.50", 7.5), ("go on", 1.8)])
def test_a_yes_raises_to_the_amount_of_the_note_or_to_what_the_gate_said(note: str, limit: float) -> None:
    story = at_work(("run", "usd", 1.0)).happens("budget.exhausted", budget="run.usd", spent=1.0, asked=0.2)
    story.opened_and("approve", note)

    assert (story.view.budgets["run.usd"].status, story.view.budgets["run.usd"].limit) == ("ok", limit)
    assert story.view.why_held(story.view.tasks["task_001"]) == ""


def test_a_no_drops_what_is_unfinished_and_keeps_what_was_done() -> None:
    story = at_work(("run", "usd", 1.0)).submits("task_001")
    story.happens("budget.exhausted", budget="run.usd", spent=1.0)
    gates = {gate.place: gate.id for gate in story.view.gates.values()}
    for place, verdict in (("budget", "reject"), ("merge", "approve")):
        story.happens("gate.opened", gate=gates[place], evidence="e")
        story.happens("gate.decided", gate=gates[place], verdict=verdict)
    story.merged("task_001")

    assert story.view.tasks["task_002"].status == "cancelled"
    assert story.view.tasks["task_001"].status == "done"


def test_a_gate_closes_when_nobody_needs_the_budget_any_more() -> None:
    story = at_work(("task", "usd", 1.0)).happens("budget.exhausted", budget="task.task_001.usd", spent=1.0)
    story.happens("gate.opened", gate="gate_002", evidence="e").happens("task.cancelled", "task_001")
    assert story.view.gates["gate_002"].status == "aborted"


def test_a_raise_never_lowers_a_limit() -> None:
    story = at_work(("run", "usd", 9.0)).happens("budget.raised", budget="run.usd", limit=3.0)
    assert story.view.budgets["run.usd"].limit == 9.0


def test_a_proposed_raise_has_room_for_the_call_that_did_not_fit() -> None:
    assert raised_limit(Budget("run.usd", limit=1.0, spent=0.9, asked=0.5, dimension="usd")) == pytest.approx(2.9)
    assert raised_limit(Budget("run.iterations", limit=5, spent=5, asked=1, dimension="iterations")) == 9


@pytest.mark.parametrize("text", ["", "no", "nan", "-5", "inf", "to", "$"])
def test_what_is_no_amount_is_none(text: str) -> None:
    assert figure(text) is None
