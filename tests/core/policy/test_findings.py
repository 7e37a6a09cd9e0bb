"""The life of a finding as plays: who is sent, who verifies, what ends at the operator."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.story import Story, planned, spec

from swarm_core.policy.effects import EvaluateGate, MergeTask
from swarm_core.policy.findings import MAX_FIXES, owner_of
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.spec import SwarmSpec


def found(story: Story, name: str = "W-1", by: str = "testing-1", **more: str) -> Story:
    data = {"finding": name, "title": "No limiter", "severity": "HIGH", "location": "backend/a.py:3", **more}
    return story >> Draft("finding.opened", data, actor=by, task="task_001", agent=by)


def working() -> Story:
    """A tester at work on task_001, the backend has nothing to do."""
    return Story(spec("backend", "testing")).planned(planned(1, "testing")).started("testing-1", "testing")


def to_the_fix(story: Story) -> Story:
    return found(story).started("backend-1", "backend").submits("task_002", "c2").opened_and("approve")


def test_a_finding_becomes_a_task_of_whoever_owns_its_path() -> None:
    story = found(working(), owner="testing")

    fix = story.view.tasks["task_002"]
    assert (fix.assigned_to, fix.priority) == ("backend", "high")
    assert "W-1" in fix.title
    finding = story.view.findings["W-1"]
    assert (finding.status, finding.owner, finding.task) == ("fixing", "backend", "task_002")


def test_a_finding_is_fixed_with_the_commit_of_the_merge_and_verified_by_who_raised_it() -> None:
    story = to_the_fix(working()) << MergeTask("task_002", "c2")
    story.merged("task_002", "c2")
    finding, review = story.view.findings["W-1"], story.view.tasks["task_003"]
    assert (finding.status, finding.commit) == ("fixed", "i-task_002")
    assert (review.kind, review.assigned_to, review.subject) == ("review", "testing", "i-task_002")

    story.submits("task_001", commit="", files=0).opened_and("approve")
    assert story.view.tasks["task_003"].base == "i-task_002"
    story.submits("task_003", commit="i-task_002", files=0)
    finding = story.view.findings["W-1"]
    assert (finding.status, finding.resolution, story.view.tasks["task_003"].status) == ("closed", "verified", "done")


def test_what_is_still_there_is_given_out_again_and_the_third_time_ends_at_the_operator() -> None:
    story = to_the_fix(working()).merged("task_002", "c2")
    story.submits("task_001", commit="", files=0).opened_and("approve")
    for fix, review in (("task_002", "task_003"), ("task_004", "task_005"), ("task_006", "task_007")):
        if fix != "task_002":
            story.submits(fix, "c" + fix).opened_and("approve").merged(fix, "c" + fix)
        name = story.view.tasks[review].instance
        story >> Draft("finding.reopened", {"finding": "W-1", "reason": "still"}, actor=name, task=review)
        story.submits(review, commit="x", files=0)

    assert story.view.findings["W-1"].status == "unresolved"
    assert "task_008" not in story.view.tasks
    gate = story.view.latest_gate("escalation", "W-1")
    assert gate is not None
    story << EvaluateGate(gate.id)
    story.opened_and("approve", "use a bucket")
    assert "use a bucket" in story.view.tasks["task_008"].description


def test_a_fix_that_changes_nothing_escalates_and_a_no_accepts_the_finding() -> None:
    story = found(working()).started("backend-1", "backend").submits("task_002", "", files=0).opened_and("approve")
    assert story.view.findings["W-1"].status == "unresolved"
    story.opened_and("reject", "we live with it")

    finding = story.view.findings["W-1"]
    assert (finding.status, finding.resolution, finding.reason) == ("closed", "accepted", "we live with it")


def test_nobody_verifies_what_its_own_service_fixed() -> None:
    story = found(working(), location="testing/t.py")
    assert story.view.tasks["task_002"].assigned_to == "testing"
    story.submits("task_001", commit="", files=0).opened_and("approve")
    story.submits("task_002", "c2").opened_and("approve").merged("task_002", "c2")

    assert story.view.findings["W-1"].status == "fixed"
    assert not any(task.is_review for task in story.view.tasks.values())
    with pytest.raises(IllegalTransition, match="cannot verify it"):
        story >> Draft("finding.closed", {"finding": "W-1", "resolution": "verified"}, actor="testing-1")
    story >> Draft("finding.closed", {"finding": "W-1", "resolution": "accepted"}, actor=OPERATOR)


def test_low_severity_goes_to_the_backlog_and_what_nobody_owns_stays_open() -> None:
    story = found(found(working(), severity="LOW"), "W-2", location="nowhere/x")

    assert story.view.findings["W-1"].resolution == "backlog"
    assert story.view.findings["W-2"].status == "open"
    assert list(story.view.tasks) == ["task_000", "task_001"]


def test_an_agent_that_raises_without_end_makes_no_work_without_end() -> None:
    story = working()
    for number in range(MAX_FIXES + 5):
        found(story, f"W-{number}", title=f"t{number}")

    assert len([task for task in story.view.tasks.values() if task.title.startswith("Fix")]) == MAX_FIXES


def test_the_build_is_not_sealed_before_a_fix_is_verified() -> None:
    story = to_the_fix(working())
    story.submits("task_001", commit="", files=0).opened_and("approve")
    story.merged("task_002", "c2")

    assert story.view.phases["build"].status == "active"
    story.submits("task_003", commit="x", files=0)
    assert story.view.phases["build"].status == "sealed"


@pytest.mark.parametrize(
    ("location", "owner"),
    [
        ("backend/a.py:3", "backend"),
        ("backend/a.py:3:7", "backend"),
        ("./backend/deep/a.py", "deep"),
        ("backendish/a.py", ""),
        ("testing#/paths/x", "testing"),
        ("", ""),
    ],
)
def test_the_closest_directory_owns_a_place(location: str, owner: str) -> None:
    base = spec("backend", "testing", "deep")
    deep = replace(base.services["deep"], directories=("backend/deep",))
    assert owner_of(SwarmSpec({**base.services, "deep": deep}), location) == owner
