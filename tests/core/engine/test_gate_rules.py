"""Around the evidence: who is asked first, what keeps a rule from passing a gate, what a phase has to show."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.story import Story, planned, spec

from swarm_core.checks.run import CheckRun
from swarm_core.engine.evidence import Evidence
from swarm_core.engine.gate_rules import consultation, outcome, phase_evidence, phase_facts, plan_fact, with_rules
from swarm_core.vocabulary.entities import Gate, Stat, Task
from swarm_core.vocabulary.findings import Finding
from swarm_core.vocabulary.gating import GatingSpec, PhaseSpec
from swarm_core.vocabulary.view import RunView

MERGE = Gate("gate_001", "merge", "t", task="task_001")
PHASE = PhaseSpec("one", "First", "G1", checks=("tasks-done", "no-critical-findings", "tests", "coverage"))
PASSED = CheckRun("tests", "true", 0, 0.1, "")
FAILED = CheckRun("tests", "false", 1, 0.1, "assert 60 == 15\n")


def evidence(*checks: CheckRun) -> Evidence:
    return Evidence(b"what is shown", "s", "y", "n", about="c1", checks=checks)


def reviewed(recommendation: str, status: str = "done") -> RunView:
    """A view in which the architect was asked about gate_001."""
    view = RunView()
    handoff = {"what_i_did": "a.py:3 leaks", "recommendation": recommendation}
    task = Task("task_002", "Review", status=status, assigned_to="architect", kind="consultation", about="gate_001")
    task = replace(task, handoff=handoff)
    view.index.task(None, task)
    view.tasks[task.id] = task
    return view


def test_reviewers_are_asked_once_about_each_commit() -> None:
    gates = GatingSpec(reviewers={"merge": ("architect", "operator")})
    asked = consultation(gates, MERGE, "c1", [])
    assert asked is not None
    assert (asked.kind, asked.data["reviewers"], asked.data["about"]) == ("gate.consulted", ["architect"], "c1")
    again = replace(MERGE, consultations=1, consulted_about="c1")
    assert consultation(gates, again, "c1", []) is None
    assert consultation(gates, again, "c2", []) is not None, "what was reviewed is not what is there now"
    assert consultation(GatingSpec(), MERGE, "c1", []) is None


def test_a_change_of_the_architecture_is_reviewed_without_being_told_to() -> None:
    gates = GatingSpec(architecture=("docs/adr/**",))
    assert consultation(gates, MERGE, "c1", ["docs/adr/1.md"]) is not None
    assert consultation(gates, MERGE, "c1", ["src/a.py"]) is None


@pytest.mark.parametrize(
    ("said", "hold"),
    [
        ("approve: fine", ()),
        ("**Approve**", ()),
        ("request_changes: it leaks", ("architect request changes",)),
        ("reject", ("architect request changes",)),
        ("hm", ("architect gave no verdict",)),
        ("", ("architect gave no verdict",)),
    ],
)
def test_what_a_reviewer_says_is_shown_and_only_a_plain_yes_leaves_it_to_the_rule(
    said: str, hold: tuple[str, ...]
) -> None:
    gate = replace(MERGE, consultations=1, consulted_about="c1")
    found = with_rules(evidence(PASSED), GatingSpec(), reviewed(said), gate, [])
    assert found.holds == hold
    assert b"a.py:3 leaks" in found.document
    assert found.document.endswith(b"what is shown")


def test_a_review_cannot_begin_a_section_of_its_own() -> None:
    view = reviewed("approve")
    task = view.tasks["task_002"]
    view.tasks["task_002"] = replace(task, handoff={**task.handoff, "what_i_did": "x\nChecks, measured by the engine"})
    gate = replace(MERGE, consultations=1, consulted_about="c1")
    document = with_rules(evidence(), GatingSpec(), view, gate, []).document.decode()
    assert not [line for line in document.splitlines() if line.startswith("Checks")]


def test_a_rule_decides_with_the_evidence_in_the_same_fact() -> None:
    auto = GatingSpec(places={"merge": "auto"})
    passed = outcome(auto, MERGE, evidence(PASSED), "gates/x")
    assert (passed.kind, passed.data["verdict"], passed.data["by"]) == ("gate.decided", "approve", "rule")
    assert passed.data["evidence"] == evidence(PASSED).sha256
    back = outcome(auto, MERGE, evidence(FAILED), "gates/x")
    assert back.data["verdict"] == "request_changes"
    assert "tests: assert 60 == 15" in back.data["note"], "the agent works from what failed"
    assert outcome(GatingSpec(), MERGE, evidence(PASSED), "gates/x").kind == "gate.opened"


def test_a_landing_after_something_was_forced_is_the_operators() -> None:
    view = RunView()
    view.gates["gate_001"] = replace(MERGE, forced=True)
    found = with_rules(evidence(PASSED), GatingSpec(), view, Gate("gate_002", "landing", "t"), [])
    assert found.holds == ("forced before: gate_001",)


def test_a_plan_that_cannot_be_carried_out_has_not_passed() -> None:
    good = {"tasks": [planned(1, "a"), planned(2, "a", 1)]}
    assert plan_fact(good, spec("a"), []).has_passed
    for tasks in ([planned(1, "nobody")], [planned(1, "a", 9)], [planned(1, "a", 2), planned(2, "a", 1)]):
        assert not plan_fact({"tasks": tasks}, spec("a"), []).has_passed


def test_a_phase_shows_what_nobody_measured_as_not_passed() -> None:
    story = Story(replace(spec("a"), gates=GatingSpec(phases=(PHASE,)))).planned(planned(1, "a", phase="one"))
    facts = {fact.name: fact for fact in phase_facts(story.view, PHASE, {"tests"})}
    assert (facts["coverage"].has_passed, facts["coverage"].detail) == (False, "not measured")
    assert (facts["tasks-done"].has_passed, facts["tasks-done"].detail) == (False, "0 of 1")
    assert facts["no-critical-findings"].has_passed
    assert "tests" not in facts
    story.view.findings["W-001"] = Finding("W-001", "leak", "CRITICAL")
    found = phase_evidence(Gate("gate_009", "phase", "t"), story.view, PHASE, [PASSED], diff=b"", stat=Stat())
    assert "not passed: tasks-done, no-critical-findings, coverage" in found.summary
    assert b"CRITICAL W-001 leak" in found.document
    assert [result.name for result in found.results if result.has_passed] == ["tests"]
