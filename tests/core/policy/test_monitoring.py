"""The error agent raises what it sees once, looks again, and fixes nothing."""

from __future__ import annotations

from typing import Any

from tests.support.story import Story, planned, spec

from swarm_core.policy.monitoring import DENIALS, everything, noticed
from swarm_core.vocabulary.events import Draft


def working() -> Story:
    return Story(spec("backend")).planned(planned(1, "backend")).started("backend-1", "backend")


def watched(
    story: Story, kind: str, task: str | None = "task_001", agent: str | None = None, **data: Any
) -> list[Draft]:
    """What the monitor says to an event, which is then told."""
    story.happens(kind, task, agent, **data)
    said = [draft for event in story.events if event.kind == kind for draft in noticed(story.view, event)]
    fresh = {str(draft.data["finding"]): draft for draft in said}
    for draft in fresh.values():
        story >> draft
    return list(fresh.values())


def test_an_agent_that_keeps_being_denied_is_raised_once() -> None:
    story = working()
    said = [watched(story, "policy.denied", agent="backend-1", tool="Bash") for _ in range(DENIALS + 3)]

    assert [len(drafts) for drafts in said] == [0] * (DENIALS - 1) + [1, 0, 0, 0]
    (draft,) = said[DENIALS - 1]
    assert (draft.actor, draft.kind, draft.data["category"]) == ("error-agent", "finding.opened", "monitor")
    assert everything(story.view) == []


def test_a_monitor_that_comes_late_says_what_it_would_have_said() -> None:
    story = working()
    for _ in range(DENIALS):
        story.happens("policy.denied", "task_001", "backend-1", tool="Bash")

    (draft,) = everything(story.view)
    assert "denied" in draft.data["title"]


def test_an_artifact_that_stays_rejected_is_raised_for_its_writer_and_closed_when_it_is_accepted() -> None:
    story, path = working(), "backend/api.yml"
    for _ in range(2):
        story.happens("artifact.written", "task_001", "backend-1", path=path, type="api")
        said = watched(story, "artifact.rejected", path=path, reason="line 3")
    (draft,) = said
    assert (draft.data["location"], draft.data["owner"]) == (path, "backend")

    name = str(draft.data["finding"])
    assert story.view.findings[name].status == "fixing"  # its owner was sent; the monitor fixes nothing
    story.happens("artifact.written", "task_001", "backend-1", path=path, type="api")
    story >> Draft("finding.fixed", {"finding": name, "commit": "c"})
    (closed,) = watched(story, "artifact.validated", path=path)
    assert (closed.data["resolution"], story.view.findings[name].status) == ("verified", "closed")


def test_a_check_that_fails_where_all_work_is_together_is_raised_and_verified_by_the_check() -> None:
    story = working().submits("task_001", "c1").opened_and("approve").merged("task_001", "c1")
    story.happens("agent.retired", agent="backend-1").happens("agent.retired", agent="architect-1")
    failing = [{"name": "tests", "passed": False, "detail": "exit 1"}]
    gate = next(gate.id for gate in story.view.gates.values() if gate.status == "evaluating")
    (draft,) = watched(story, "gate.opened", None, gate=gate, evidence="e", checks=failing)
    assert (draft.data["severity"], draft.data["verification"]) == ("HIGH", "check:tests")

    assert watched(story, "check.passed", name="tests", tree="agent") == []
    (closed,) = watched(story, "check.passed", name="tests", tree="merged")
    assert closed.kind == "finding.closed"


def test_a_check_that_fails_in_three_rounds_of_a_task_is_raised() -> None:
    story, said = working(), []
    for number in range(3):
        story.submits("task_001", f"c{number}")
        gate = next(gate.id for gate in story.view.gates.values() if gate.status == "evaluating")
        failing = [{"name": "tests", "passed": False}]
        said = watched(story, "gate.opened", "task_001", gate=gate, evidence="e", checks=failing)
        story.happens("gate.decided", gate=gate, verdict="reject", note="again")
    (draft,) = said
    assert "3 rounds of task_001" in draft.data["title"]


def test_an_edited_receipt_is_critical() -> None:
    story = working()
    event_data = {"path": "plan/plan_receipt.json", "expected": "a", "found": "b"}
    event = story.events[-1]
    said = noticed(story.view, type(event)(99, "", "r", "receipt.mismatch", event_data))
    assert [draft.data["severity"] for draft in said] == ["CRITICAL"]
