"""Receipts: counted from the state alone, so that anybody can derive the same again."""

from __future__ import annotations

import json

from tests.support.story import Story, planned, spec

from swarm_core.policy.receipts import receipt
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView


def worked() -> Story:
    """Two tasks: one merged in its second round, one dropped; model calls in both."""
    story = Story(spec("api", "web")).planned(planned(1, "api"), planned(2, "web"))
    story.started("api-1", "api").started("web-1", "web")
    call = {"input_tokens": 100, "output_tokens": 10, "cost_usd": 0.1}
    story.happens("llm.call", "task_001", "api-1", **call)
    story.happens("llm.call", "task_002", "web-1", **call)
    story.happens("llm.call", "task_000", "architect-1", **call)
    story.submits("task_001", "c1", files=2).opened_and("reject", "once more")
    story.submits("task_001", "c2", files=3).opened_and("approve").merged("task_001", "c2")
    return story.happens("task.cancelled", "task_002", reason="not needed")


def test_the_receipt_of_building_counts_what_the_state_holds() -> None:
    story = worked()
    found = receipt(story.view, "build")

    assert found["counts"] == {
        "tasks": {"cancelled": 1, "done": 1},
        "iterations": 3,
        "gates": {"blocked": 1, "passed": 1},
        "merges": 1,
        "files": 3,
    }
    assert (found["tokens"], found["cost_usd"]) == (220, 0.2)
    assert (found["status"], found["missing_required"]) == ("PARTIAL", ["task_002"])
    assert found["recommended_action"] == "REVIEW"
    assert [(gate["verdict"], gate["note"]) for gate in found["gates"]] == [("reject", "once more"), ("approve", "")]
    assert found["evidence_sha"] == story.view.run.integration == "i-task_001"


def test_the_receipt_of_the_plan_counts_planning_alone() -> None:
    found = receipt(worked().view, "plan")

    assert found["counts"]["tasks"] == {"done": 1}
    assert (found["counts"]["merges"], found["tokens"]) == (0, 110)
    assert (found["status"], found["recommended_action"]) == ("VERIFIED", "PROCEED")


def test_a_receipt_derived_again_from_the_events_is_the_same_byte_for_byte() -> None:
    story = worked()
    sealed = [event for event in story.events if event.kind == "receipt.sealed"]
    assert [event.phase for event in sealed] == ["plan", "build"]
    for event in sealed:
        once, again = (receipt(RunView.of(story.events[: event.seq - 1]), str(event.phase)) for _ in range(2))
        through_disk = [json.loads(json.dumps(one)) for one in (once, again)]
        assert json.dumps(once) == json.dumps(again)
        assert through_disk == [once, again]
        assert once["seq"] == event.seq - 1


def test_what_happens_later_does_not_change_a_receipt_of_then() -> None:
    story = worked()
    seal = next(event.seq for event in story.events if event.kind == "receipt.sealed")
    then = receipt(RunView.of(story.events[: seal - 1]), "plan")
    later = receipt(story.view, "plan")

    assert then["seq"] < later["seq"]
    assert {**then, "seq": 0, "tokens": 0, "cost_usd": 0.0} == {**later, "seq": 0, "tokens": 0, "cost_usd": 0.0, **{
        key: then[key] for key in ("evidence_sha", "completed_at")}}  # fmt: skip


def test_a_check_that_failed_is_named_and_nothing_is_called_verified() -> None:
    story = Story(spec("api")).planned(planned(1, "api")).started("api-1", "api").submits("task_001")
    checks = [{"name": "tests", "passed": False, "detail": "exit 1"}, {"name": "lint", "passed": True}]
    story.happens("gate.opened", gate="gate_002", evidence="e", checks=checks)
    story.happens("gate.decided", gate="gate_002", verdict="approve").merged("task_001")
    found = receipt(story.view, "build")

    assert found["checks_failed"] == ["gate_002:tests"]
    assert (found["status"], found["recommended_action"]) == ("UNVERIFIED", "REVIEW")


def test_an_open_finding_stands_in_the_receipt_until_it_is_closed() -> None:
    story = worked()
    story.happens("finding.opened", finding="f2", title="slow").happens("finding.opened", finding="f1", title="ugly")
    assert receipt(story.view, "build")["findings_open"] == ["f1", "f2"]
    story.happens("finding.closed", finding="f1", resolution="accepted")

    assert receipt(story.view, "build")["findings_open"] == ["f2"]


def test_a_receipt_knows_its_round() -> None:
    story = worked()
    phase = story.view.phases["build"]
    story.view.apply(Event(story.view.last_seq + 1, "t", "r", "phase.reopened", {}, phase="build"))

    assert receipt(story.view, "build")["round"] == phase.round + 1
