"""Rules pass clean evidence and nothing else; every verdict has its effect; phases go one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.story import Story, planned, spec

from swarm_core.policy.effects import EvaluateGate, KeepUnlanded, Land, MergeTask, RunAgent, StartInstance
from swarm_core.policy.gating import aspects_of, holds_of, matches, ruling
from swarm_core.policy.receipts import differences, receipt
from swarm_core.vocabulary.entities import CheckResult, Gate
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.gating import AUTO_ROUNDS, SYNONYMS, VERDICTS, GatingSpec, PhaseSpec, canonical, is_deferred

PASSED, FAILED = CheckResult("tests", True, "1.0 s"), CheckResult("lint", False, "exit 1")
UNMEASURED = CheckResult("coverage", False, "not measured")
AUTO, THEN_HUMAN = GatingSpec(places={"merge": "auto"}), GatingSpec(places={"merge": "auto_then_human"})
MERGE = Gate("gate_001", "merge", "t")


# -- the rule


@pytest.mark.parametrize("gates", [AUTO, THEN_HUMAN])
def test_clean_evidence_passes_by_the_rule(gates: GatingSpec) -> None:
    assert ruling(gates, MERGE, [PASSED]) == ("approve", "every check passed: tests")


@pytest.mark.parametrize("checks", [[FAILED], [PASSED, FAILED], [UNMEASURED], [PASSED, UNMEASURED]])
def test_what_did_not_pass_goes_back_or_to_the_operator(checks: list[CheckResult]) -> None:
    ruled = ruling(AUTO, MERGE, checks)
    assert ruled is not None
    assert ruled[0] == "request_changes"
    assert ruling(THEN_HUMAN, MERGE, checks) is None
    assert ruling(GatingSpec(), MERGE, checks) is None


def test_nothing_measured_is_no_pass_and_no_agent_can_mend_it() -> None:
    assert ruling(AUTO, MERGE, []) is None
    assert ruling(THEN_HUMAN, MERGE, []) is None


@pytest.mark.parametrize("way", [{"blockers": ["dirty"]}, {"holds": ["conflicts"]}, {"aspects": ("migration",)}])
def test_no_rule_passes_what_needs_a_person(way: dict[str, object]) -> None:
    assert ruling(AUTO, MERGE, [PASSED], **way) is None  # type: ignore[arg-type]


def test_a_loop_that_does_not_get_better_ends_at_the_operator() -> None:
    assert ruling(AUTO, replace(MERGE, round=AUTO_ROUNDS - 1), [FAILED]) is not None
    assert ruling(AUTO, replace(MERGE, round=AUTO_ROUNDS), [FAILED]) is None


def test_the_fold_lets_no_rule_pass_what_was_not_measured() -> None:
    unmeasured: list[dict[str, Any]] = [
        {},
        {"evidence": "e"},
        {"evidence": "e", "checks": [{"name": "a", "passed": False}]},
    ]
    for data in unmeasured:
        with pytest.raises(IllegalTransition):
            at_merge().happens("gate.decided", gate="gate_002", verdict="approve", **data)
    held: dict[str, Any] = {"evidence": "e", "checks": [{"name": "a", "passed": True}], "holds": ["conflicts"]}
    with pytest.raises(IllegalTransition, match="passed in every check"):
        at_merge().happens("gate.decided", gate="gate_002", verdict="approve", **held)


# -- paths


@pytest.mark.parametrize(
    ("path", "pattern", "is_there"),
    [
        ("migrations/001.sql", "migrations/**", True),
        ("migrations/deep/001.sql", "migrations/**", True),
        ("migrations/001.sql", "migrations", True),
        ("db/migrations/001.sql", "migrations/**", False),
        ("db/migrations/001.sql", "**/migrations/**", True),
        ("src/a.sql", "*.sql", True),
        ("src/a.sqlx", "*.sql", False),
        ("docs/adr/1.md", "docs/*/1.md", True),
        ("docs/a/b/1.md", "docs/*/1.md", False),
        ("a+b.sql", "a+b.sql", True),
        ("migrations\n/x", "migrations/**", False),
    ],
)
def test_a_pattern_names_what_it_says(path: str, pattern: str, is_there: bool) -> None:
    assert matches(path, pattern) is is_there


def test_a_migration_is_said_to_be_the_operators() -> None:
    gates = GatingSpec(profile="autonomous", migrations=("migrations/**",), architecture=("docs/adr/**",))
    found = aspects_of(gates, ["migrations/2.sql", "docs/adr/1.md", "src/a.py"])
    assert found == {"migration": ["migrations/2.sql"], "architecture": ["docs/adr/1.md"]}
    assert holds_of(found) == ["a migration is yours to decide: it changes migrations/2.sql"]
    assert aspects_of(gates, ["src/a.py"]) == {}


@pytest.mark.parametrize(
    "path",
    ["artifacts/decision-matrix.yml", "multi-agent.yaml", ".agent-artifacts/registry.yml", ".claude/settings.json"],
)
def test_no_profile_lets_agents_change_what_rules_them_by_themselves(path: str) -> None:
    gates = GatingSpec(profile="autonomous")
    aspects = aspects_of(gates, [path])
    assert list(aspects) == ["rules"]
    assert gates.mode("merge", aspects=tuple(aspects)) == "human"
    assert ruling(gates, MERGE, [PASSED], holds=holds_of(aspects), aspects=tuple(aspects)) is None


# -- words


def test_the_seeds_words_are_verdicts() -> None:
    said = {word: canonical(word) for word in ("proceed", "continue", "force-pr", "stop", "abort", " Approve ")}
    assert list(said.values()) == ["approve", "approve", "force", "abort", "abort", "approve"]
    assert set(SYNONYMS.values()) <= set(VERDICTS)
    assert canonical("perhaps") not in VERDICTS


def test_what_is_put_off_comes_back() -> None:
    now = "2026-11-21T10:00:00Z"
    assert is_deferred("2026-11-21T10:00:01Z", now, {})
    assert not is_deferred("2026-11-21T10:00:00Z", now, {})
    assert is_deferred("task_003", now, {"task_003": True})
    assert not is_deferred("task_003", now, {"task_003": False})
    assert not is_deferred("task_777", now, {})


# -- verdicts, each with its effect


def at_merge(gates: GatingSpec | None = None) -> Story:
    story = Story(replace(spec("a"), gates=gates or GatingSpec())).planned(planned(1, "a"))
    return story.started("a-1", "a").submits("task_001") << EvaluateGate("gate_002")


def decided(story: Story, verdict: str, **data: Any) -> Story:
    return story.happens("gate.decided", gate="gate_002", verdict=verdict, note="n", **data)


def test_a_rule_that_passes_a_merge_lets_it_be_merged() -> None:
    story = at_merge(AUTO)
    clean = {"evidence": "e", "checks": [{"name": "tests", "passed": True}], "by": "rule"}
    decided(story, "approve", **clean) << MergeTask("task_001", "c1")
    gate = story.view.gates["gate_002"]
    assert (gate.status, gate.by, gate.evidence) == ("passed", "rule", "e")


def test_a_rule_that_sends_a_merge_back_gives_the_reason_to_the_agent() -> None:
    story = at_merge(AUTO)
    decided(story, "request_changes", evidence="e", by="rule") << RunAgent("task_001", "a-1", 2, 2)
    assert story.view.tasks["task_001"].notes == ("n",)


def test_a_request_for_changes_sends_the_work_back() -> None:
    story = at_merge().happens("gate.opened", gate="gate_002", evidence="e")
    decided(story, "request_changes") << RunAgent("task_001", "a-1", 2, 2)


def test_a_forced_merge_goes_on_and_the_gate_keeps_what_was_open() -> None:
    story = at_merge().happens("gate.opened", gate="gate_002", evidence="e")
    decided(story, "force", findings=["W-001"]) << MergeTask("task_001", "c1")
    gate = story.view.gates["gate_002"]
    assert (gate.forced, gate.findings) == (True, ("W-001",))


def test_a_retry_measures_again() -> None:
    story = at_merge().happens("gate.opened", gate="gate_002", evidence="e")
    story.happens("gate.invalidated", gate="gate_002", reason="again") << EvaluateGate("gate_002")


def test_what_is_put_off_stays_open_until_it_is_measured_anew() -> None:
    story = at_merge().happens("gate.opened", gate="gate_002", evidence="e")
    story.happens("gate.deferred", gate="gate_002", until="task_003")
    assert (story.view.gates["gate_002"].status, story.view.gates["gate_002"].deferred_until) == ("open", "task_003")
    story.happens("gate.invalidated", gate="gate_002").happens("gate.opened", gate="gate_002", evidence="f")
    assert story.view.gates["gate_002"].deferred_until == ""


def test_an_abort_closes_the_gate_before_the_run_ends() -> None:
    story = at_merge().happens("gate.opened", gate="gate_002", evidence="e")
    decided(story, "abort").happens("run.aborted", reason="n")
    assert (story.view.gates["gate_002"].status, story.view.run.status) == ("aborted", "aborted")


def test_a_decision_about_other_evidence_is_no_decision() -> None:
    story = at_merge().happens("gate.opened", gate="gate_002", evidence="e")
    for verdict in ("approve", "force", "reject"):
        with pytest.raises(IllegalTransition, match="is not what the decision is about"):
            decided(story, verdict, evidence="other")


def test_a_refused_merge_can_be_forced_while_the_run_is_held() -> None:
    story = at_merge().happens("gate.opened", gate="gate_002", evidence="e").happens("run.paused")
    decided(story, "reject")
    with pytest.raises(IllegalTransition):
        decided(story, "approve")
    decided(story, "force").happens("run.resumed") << MergeTask("task_001", "c1")


# -- landing


def landing() -> Story:
    story = at_merge().opened_and("approve").merged("task_001")
    for name in ("a-1", "architect-1"):
        story.happens("agent.retired", agent=name)
    return story.happens("gate.opened", gate="gate_003", evidence="e")


def test_changes_asked_for_at_the_landing_go_to_the_architect_and_come_back() -> None:
    story = landing().happens("gate.decided", gate="gate_003", verdict="request_changes", note="a manual, too")
    ask = story.view.tasks["task_002"]
    assert (ask.kind, ask.description, ask.about) == ("plan", "a manual, too", "gate_003")
    assert story.view.phases["build"].status == "active"
    story << StartInstance("architect-2")
    story.mediated(tasks=[], reassign=[], cancel=[])
    story.happens("agent.retired", agent="architect-2")
    assert story.view.gates["gate_004"].place == "landing"
    story.opened_and("approve") << Land("gate_004")


def test_a_rejected_landing_keeps_the_work() -> None:
    story = landing().happens("gate.decided", gate="gate_003", verdict="reject", note="not today")
    assert story.acts == [KeepUnlanded("not today")]


# -- phases

TWO = GatingSpec(phases=(PhaseSpec("one", "First", "G1", checks=("tasks-done",)), PhaseSpec("two", "Second", "G2")))


def phased() -> Story:
    tasks = [planned(1, "a", phase="one"), planned(2, "a", phase="two")]
    return Story(replace(spec("a"), gates=TWO)).planned(*tasks).started("a-1", "a")


def built(story: Story, task: str, commit: str) -> Story:
    return story.submits(task, commit).opened_and("approve").merged(task, commit)


def test_nothing_of_the_next_phase_begins_before_the_gate_of_this_one() -> None:
    story = built(phased(), "task_001", "c1")
    assert story.view.tasks["task_002"].status == "pending"
    gate = story.view.latest_gate("phase", "one")
    assert gate is not None
    assert (gate.title, gate.status) == ("G1 · First", "evaluating")
    story.happens("gate.opened", gate=gate.id, evidence="e", about="i-task_001")
    assert story.view.phases["one"].status == "gating"
    story.happens("gate.decided", gate=gate.id, verdict="approve", evidence="e")
    assert (story.view.phases["one"].status, story.view.tasks["task_002"].status) == ("sealed", "running")


def test_a_phase_gate_about_another_state_of_the_branch_is_measured_again() -> None:
    story = built(phased(), "task_001", "c1")
    story.happens("gate.opened", gate="gate_003", evidence="e", about="elsewhere")
    story.happens("gate.decided", gate="gate_003", verdict="approve") << EvaluateGate("gate_003")
    assert story.view.phases["one"].status == "gating"


def test_a_phase_whose_gate_is_not_passed_cannot_be_sealed() -> None:
    story = built(phased(), "task_001", "c1")
    with pytest.raises(IllegalTransition, match="cannot be sealed: its gate gate_003 is evaluating"):
        story.happens_in("one", "receipt.sealed", path="one.json")


def test_a_phase_that_is_sent_back_is_planned_on_and_comes_to_its_gate_again() -> None:
    story = built(phased(), "task_001", "c1")
    story.happens("gate.opened", gate="gate_003", evidence="e", about="i-task_001")
    story.happens("gate.decided", gate="gate_003", verdict="request_changes", note="no ADR")
    assert story.view.phases["one"].status == "active"
    story.mediated(tasks=[planned(4, "a", phase="")], reassign=[], cancel=[])
    story.opened_and("approve")
    assert story.view.tasks["task_004"].phase == "one", "what is planned now belongs to the phase that goes on"
    built(story, "task_004", "c4")
    again = story.view.latest_gate("phase", "one")
    assert again is not None
    assert (again.round, again.status) == (2, "evaluating")


def test_a_task_is_in_no_earlier_phase_than_what_it_needs() -> None:
    tasks = [planned(1, "a", 2, phase="one"), planned(2, "a", phase="two")]
    story = Story(replace(spec("a"), gates=TWO)).planned(*tasks)
    assert {task.phase for task in story.view.tasks.values() if task.is_work} == {"two"}


def test_a_phases_receipt_counts_what_is_its_own() -> None:
    story = built(phased(), "task_001", "c1")
    found = receipt(story.view, "one")
    assert found["counts"]["tasks"] == {"done": 1}
    assert found["counts"]["merges"] == 1
    assert receipt(story.view, "one") == found
    assert differences(found, {**found, "counts": {}}) == ["counts"]


# -- reviewers


def test_a_reviewer_is_asked_before_the_gate_is_measured_and_does_not_decide() -> None:
    story = at_merge()
    story.happens("gate.consulted", gate="gate_002", about="c1")
    review = story.view.tasks["task_002"]
    assert (review.kind, review.about, review.assigned_to) == ("consultation", "gate_002", "architect")
    assert EvaluateGate("gate_002") not in story.acts
    name = story.view.tasks["task_002"].instance
    data = {"what_i_did": "a.py:3 leaks", "recommendation": "request_changes"}
    story.happens("handoff.recorded", "task_002", name, **data).submits("task_002", "b0", files=0)
    assert story.view.tasks["task_002"].status == "done"
    story << EvaluateGate("gate_002")
    assert story.view.gates["gate_002"].status == "evaluating"


def test_a_review_that_fails_does_not_hold_the_gate_up() -> None:
    story = at_merge().happens("gate.consulted", gate="gate_002", about="c1")
    story.happens("task.failed", "task_002", story.view.tasks["task_002"].instance, reason="400")
    assert story.view.tasks["task_002"].status == "cancelled"
    story << EvaluateGate("gate_002")
