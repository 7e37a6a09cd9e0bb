"""A question that needs leave has one gate, and loses it when nobody waits for the answer."""

from __future__ import annotations

import pytest
from tests.support.story import Story, planned, spec

from swarm_core.policy.effects import EvaluateGate
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.freeze import freeze, thaw
from swarm_core.vocabulary.waits import waits_for

QUESTION = {"ask": "q1", "tool": "Bash", "subject": "npm test", "service": "backend", "attempt": 1}


def working() -> Story:
    story = Story(spec("backend")).planned(planned(1, "backend")).started("backend-1", "backend")
    return story.happens("permission.requested", "task_001", "backend-1", proposed=["Bash(npm test)"], **QUESTION)


def test_a_question_gets_a_gate_and_its_answer_stays() -> None:
    story = working()
    (gate,) = [gate for gate in story.view.gates.values() if gate.place == "permission"]
    story << EvaluateGate(gate.id)
    story.happens("gate.opened", "task_001", gate=gate.id, evidence="e")
    assert waits_for(story.view, story.view.tasks["task_001"]) == f"waits at {gate.id} for your leave"
    story.happens("gate.decided", "task_001", gate=gate.id, verdict="approve", scope="session", note="fine")
    ask = story.view.asks["q1"]
    assert (ask.answer, ask.scope, ask.note, ask.gate) == ("approve", "session", "fine", gate.id)
    assert story.view.open_asks == {}
    assert vars(thaw(freeze(story.view))) == vars(story.view)


def test_a_no_has_no_scope() -> None:
    story = working()
    story.opened_and("reject", "not now")
    assert (story.view.asks["q1"].answer, story.view.asks["q1"].scope) == ("reject", "")


@pytest.mark.parametrize("is_open", [False, True])
def test_who_has_left_is_not_asked_for(is_open: bool) -> None:
    story = working()
    gate = next(gate.id for gate in story.view.gates.values() if gate.place == "permission")
    if is_open:
        story.happens("gate.opened", "task_001", gate=gate, evidence="e")
    story.happens("task.cancelled", "task_001", reason="dropped")
    assert story.view.asks["q1"].answer == "withdrawn"
    assert story.view.gates[gate].status == "aborted"


def test_content_is_asked_about_at_a_trust_gate_that_outlives_its_task() -> None:
    story = working()
    story.happens("permission.requested", ask="t1", tool="mcp_server db", sha256="0" * 64)
    story.happens("task.cancelled", "task_001", reason="dropped")
    assert [gate.place for gate in story.view.gates.values() if gate.ask == "t1"] == ["trust"]
    assert story.view.asks["t1"].answer == ""


def test_the_same_question_is_not_journaled_twice() -> None:
    with pytest.raises(IllegalTransition, match="cannot be asked"):
        working().happens("permission.requested", "task_001", "backend-1", **QUESTION)
