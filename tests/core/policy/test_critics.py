"""The critic loop as plays: a commit passes by evidence, and a loop without an end ends at the operator."""

from __future__ import annotations

from dataclasses import replace

from tests.support.story import Story, planned, spec

from swarm_core.policy.effects import EvaluateGate, RunAgent
from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.spec import CriticSpec


def handed_in(rounds: int = 3) -> Story:
    """A backend that handed in commit c1, and its critic."""
    base = spec("backend", "critic")
    services = {**base.services, "critic": replace(base.services["critic"], access_level="global_read")}
    story = Story(replace(base, services=services, critics={"backend": CriticSpec("critic", rounds)}))
    story.planned(planned(1, "backend")).started("backend-1", "backend").submits("task_001", "c1")
    return story.started("critic-1", "critic")


def finds(story: Story, name: str, title: str = "No test", line: int = 3) -> Story:
    review = next(task for task in story.view.tasks.values() if task.is_review and task.status == "running")
    data = {"finding": name, "title": title, "severity": "HIGH", "location": f"backend/a.py:{line}"}
    more = {"category": "critique", "about": "task_001", "owner": "backend"}
    return story >> Draft("finding.opened", {**data, **more}, actor=review.instance, task=review.id)


def again(story: Story, name: str) -> Story:
    return story >> Draft("finding.reopened", {"finding": name, "reason": "still"}, actor="critic-1")


def reviewed(story: Story) -> Story:
    review = next(task for task in story.view.tasks.values() if task.is_review and task.status == "running")
    return story.submits(review.id, review.subject, files=0)


def test_a_review_of_the_commit_comes_before_the_gate() -> None:
    story = handed_in()
    review = story.view.tasks["task_002"]

    assert (review.kind, review.about, review.subject, review.base) == ("review", "task_001", "c1", "c1")
    assert story.view.latest_gate("merge", "task_001") is None
    story << RunAgent("task_002", "critic-1", 1, 1)
    reviewed(story) << EvaluateGate("gate_002")


def test_author_and_critic_take_turns_until_nothing_is_left() -> None:
    story = reviewed(finds(handed_in(), "W-1"))
    task = story.view.tasks["task_001"]
    assert (task.status, task.iteration, task.critiques) == ("running", 2, 1)
    assert "W-1" in task.notes[-1]
    assert story.view.findings["W-1"].status == "fixing"

    story.submits("task_001", "c2")
    assert (story.view.findings["W-1"].status, story.view.findings["W-1"].commit) == ("fixed", "c2")
    assert story.view.latest_gate("merge", "task_001") is None
    reviewed(story) << EvaluateGate("gate_002")
    assert (story.view.findings["W-1"].status, story.view.findings["W-1"].resolution) == ("closed", "verified")


def test_the_same_findings_twice_end_at_the_operator_although_their_lines_moved() -> None:
    story = reviewed(finds(handed_in(), "W-1")).submits("task_001", "c2")
    reviewed(again(story, "W-1"))

    task = story.view.tasks["task_001"]
    assert (task.status, task.failed_kind) == ("failed", "critique")
    assert "found the same again" in task.reason
    assert story.view.findings["W-1"].status == "open"
    gate = story.view.latest_gate("escalation", "task_001")
    assert gate is not None
    story << EvaluateGate(gate.id)  # and not the architect: nobody else may let it pass


def test_a_worklist_nobody_worked_on_ends_at_the_operator_and_his_yes_does_not_merge_it() -> None:
    story = reviewed(finds(handed_in(), "W-1")).submits("task_001", "c1")
    assert "nothing was changed" in story.view.tasks["task_001"].reason
    story.opened_and("approve", "really do it")
    assert story.view.tasks["task_001"].status == "running"
    assert story.view.latest_gate("merge", "task_001") is None

    story.submits("task_001", "c1")
    assert story.view.tasks["task_001"].status == "failed"
    story.opened_and("approve", "once more").submits("task_001", "c2")
    assert story.view.findings["W-1"].status == "fixed"
    reviewed(story)
    assert story.view.latest_gate("merge", "task_001") is not None


def test_the_fuse_blows_after_the_configured_rounds_and_never_passes() -> None:
    story = handed_in(rounds=2)
    for number in (1, 2, 3):
        reviewed(finds(story, f"W-{number}", f"thing {number}"))
        if number < 3:
            story.submits("task_001", f"c{number + 1}")

    task = story.view.tasks["task_001"]
    assert (task.status, task.critiques) == ("failed", 2)
    assert "3 rounds" in task.reason
    assert story.view.latest_gate("merge", "task_001") is None


def test_the_operator_can_accept_what_the_critic_insists_on() -> None:
    story = reviewed(finds(handed_in(), "W-1")).submits("task_001", "c2")
    again(story, "W-1") >> Draft("finding.closed", {"finding": "W-1", "resolution": "accepted"}, actor=OPERATOR)

    reviewed(story)
    assert story.view.latest_gate("merge", "task_001") is not None


def test_a_new_round_of_the_operator_is_reviewed_anew() -> None:
    story = reviewed(handed_in()).opened_and("reject", "shorter").submits("task_001", "c2")

    reviews = [task.subject for task in story.view.tasks.values() if task.is_review]
    assert reviews == ["c1", "c2"]
    assert story.view.tasks["task_001"].status == "verifying"


def test_what_a_critic_found_in_dropped_work_is_closed_with_it() -> None:
    story = reviewed(finds(handed_in(), "W-1")).happens("task.cancelled", "task_001", reason="dropped")

    assert story.view.findings["W-1"].resolution == "rejected"
