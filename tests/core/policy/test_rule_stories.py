"""Rules and the life of findings together: what a rule does about a finding is done once, and everything ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.support.carried import Carried, yes
from tests.support.story import planned, spec

from swarm_core.definitions.gates import read_gates
from swarm_core.definitions.marked import compose
from swarm_core.definitions.matrix import shipped_matrix
from swarm_core.policy.matrix import blocking
from swarm_core.vocabulary.entities import Gate, Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.gating import GatingSpec
from swarm_core.vocabulary.spec import CriticSpec, ServiceSpec, SwarmSpec

WORKERS = ("backend", "frontend", "database", "security")


def swarm(gates: GatingSpec | None = None, **more: Any) -> SwarmSpec:
    base = spec(*WORKERS, max_parallel=8)
    return replace(base, gates=gates or GatingSpec(), **more)


def play(of: SwarmSpec | None = None, *tasks: Mapping[str, Any], **more: Any) -> Carried:
    """A run with the shipped matrix, up to where everybody works."""
    story = Carried(of or swarm(), tasks or [planned(1, "backend"), planned(2, "security")], **more)
    story.happens("matrix.adopted", **shipped_matrix().data())
    return story.go(lambda one: len(one.view.index.in_status("running")) >= 1 and "task_001" in one.view.tasks)


def working(story: Carried, *services: str) -> Carried:
    def are_all(one: Carried) -> bool:
        return {one.view.tasks[name].assigned_to for name in one.view.index.in_status("running")} >= set(services)

    for act in [act for act in story.acts if type(act).__name__ == "StartInstance"]:
        story.do(act)
    assert are_all(story)
    return story


def found(story: Carried, name: str, severity: str, category: str, by: str = "security-1", **more: str) -> Carried:
    data = {"finding": name, "title": "it is wrong", "location": "backend/app.py:3", **more}
    data |= {"severity": severity, "category": category}
    story >> Draft("finding.opened", data, actor=by, task="task_002", agent=by)
    return story


def fixes(story: Carried) -> list[Task]:
    """Work that nobody planned."""
    return [task for task in story.work() if task.id not in ("task_001", "task_002")]


def test_a_critical_vulnerability_blocks_its_owner_gets_one_task_and_closing_lifts_the_block() -> None:
    story = found(working(play(), "backend", "security"), "W-001", "CRITICAL", "security")
    assert len(blocking(story.view)) == 1
    (fix,) = fixes(story)
    assert (fix.assigned_to, fix.title) == ("backend", "Fix W-001: it is wrong")

    story.go(lambda one: one.view.findings["W-001"].status == "fixed")
    assert len(blocking(story.view)) == 1, "what is fixed and not verified blocks as before"
    story.go(lambda one: one.view.findings["W-001"].status == "closed")
    assert blocking(story.view) == []
    story.go()
    finding = story.view.findings["W-001"]
    assert (finding.resolution, finding.commit) == ("verified", story.view.merges[fix.id].merged_as)
    assert (story.view.run.landed, story.view.run.outcome, len(fixes(story))) == (True, "clean", 1)
    assert all(firing.settled for firing in story.view.firings.values())


def test_a_hotfix_is_the_fix_of_its_finding() -> None:
    story = found(working(play(), "backend", "security"), "W-002", "HIGH", "security", location="frontend/a.js:1")
    (hotfix,) = fixes(story)
    assert (hotfix.created_by, hotfix.branch, hotfix.assigned_to) == ("matrix", "fix/it-is-wrong", "frontend")
    begun = [event.data for event in story.events if event.kind == "finding.fix_started"]
    assert [(data["finding"], data["task"]) for data in begun] == [("W-002", hotfix.id)]

    story.go()
    finding = story.view.findings["W-002"]
    assert (finding.status, finding.resolution) == ("closed", "verified")
    assert finding.commit == story.view.merges[hotfix.id].merged_as
    assert [task.title for task in story.view.tasks.values() if task.is_review] == ["Verify W-002: it is wrong"]
    assert (len(fixes(story)), story.view.run.outcome) == (1, "clean")


def test_a_medium_vulnerability_goes_to_the_backlog_and_nobody_is_sent() -> None:
    story = found(working(play(), "backend", "security"), "W-003", "MEDIUM", "security").go()

    finding = story.view.findings["W-003"]
    assert (finding.status, finding.resolution, fixes(story)) == ("closed", "backlog", [])
    assert story.view.run.landed


def halted(note: str, **more: Any) -> Carried:
    """Everybody stands still after a critical error; the operator says ``note`` at the recovery gate."""

    def says(gate: Gate) -> tuple[str, str]:
        return ("approve", note) if gate.place == "recovery" else yes(gate)

    story = working(play(says=says, **more), "backend", "security")
    story.happens("handoff.recorded", "task_001", "backend-1", what_i_did="x")
    return found(story, "W-004", "CRITICAL", "error")


@pytest.mark.parametrize("note", ["fix the empty file", "", "resume", "reassign task_001 to frontend", "rollback"])
def test_each_way_of_recovery_ends_with_one_fix_of_the_finding(note: str) -> None:
    story = halted(note)
    assert (story.view.run.status, story.view.run.pause) == ("halted", "halt")
    (diagnosis,) = (task for task in story.view.tasks.values() if task.kind == "diagnosis")
    story.go(lambda one: one.view.run.status == "running")
    assert story.view.tasks[diagnosis.id].status == "done"
    assert story.view.incidents["incident_001"].status == "closed"
    story.go()

    finding = story.view.findings["W-004"]
    assert (finding.status, finding.resolution) == ("closed", "verified")
    (fix,) = fixes(story)
    assert finding.commit == story.view.merges[fix.id].merged_as
    assert fix.title == (
        "Mend what incident_001 is about" if note in ("", "fix the empty file") else "Fix W-004: it is wrong"
    )
    assert story.view.run.landed
    if note.startswith("reassign"):
        assert story.view.tasks["task_001"].assigned_to == "frontend"


def test_a_way_that_there_is_not_is_asked_about_once_more() -> None:
    notes = iter(["revert task_777", "resume"])
    story = halted("")
    story.says = lambda gate: ("approve", next(notes)) if gate.place == "recovery" else yes(gate)
    story.go()
    invalid = [event.data["reason"] for event in story.events if event.kind == "gate.invalidated"]
    assert invalid == ["task_777 was not merged; those that were: none"]
    assert story.view.run.landed


def test_a_merge_is_reverted_and_its_finding_is_still_mended_once() -> None:
    def says(gate: Gate) -> tuple[str, str]:
        return ("approve", "revert task_001") if gate.place == "recovery" else yes(gate)

    story = play(swarm(), planned(1, "backend"), planned(2, "security", 1), says=says)
    story.go(lambda one: one.view.tasks["task_002"].status == "running")
    before = story.view.merges["task_001"].merged_seq - 1
    found(story, "W-004", "CRITICAL", "error")
    story.go(lambda one: any(event.kind == "recovery.started" for event in one.events))
    started = next(event for event in story.events if event.kind == "recovery.started")
    assert started.data["to_seq"] == before
    story.go()
    assert len(fixes(story)) == 1
    assert story.view.findings["W-004"].status == "closed"


def test_an_inconsistency_is_clarified_and_what_the_architect_plans_is_its_fix() -> None:
    def plans(task: Task) -> Mapping[str, Any]:
        assert task.title.startswith("Clarify")
        return {"tasks": [planned(9, "database", title="migrate")]}

    story = found(working(play(plans=plans), "backend", "security"), "W-005", "MEDIUM", "inconsistency").go()
    (fix,) = fixes(story)
    assert (fix.title, fix.assigned_to) == ("migrate", "database")
    finding = story.view.findings["W-005"]
    assert (finding.resolution, finding.task, finding.commit) == (
        "verified",
        fix.id,
        story.view.merges[fix.id].merged_as,
    )


def test_an_architect_who_plans_nothing_leaves_the_inconsistency_to_its_owner() -> None:
    story = found(working(play(), "backend", "security"), "W-005", "MEDIUM", "inconsistency").go()
    (fix,) = fixes(story)
    assert (fix.title, fix.assigned_to) == ("Fix W-005: it is wrong", "backend")


def measured(story: Carried, name: str, *, passed: bool, **data: Any) -> Carried:
    story.happens("check.passed" if passed else "check.failed", None, name=name, tree="merged", **data)
    return story


def test_a_rules_own_finding_gets_no_task_of_its_own() -> None:
    story = measured(working(play(), "backend", "security"), "tests", passed=False, files=["backend/a.py"])
    assert (story.view.findings["D-001"].owner, fixes(story)) == ("backend", [])
    story.says = lambda gate: ("", "") if gate.place == "landing" else yes(gate)
    story.go(lambda one: any(gate.place == "landing" and gate.status == "open" for gate in one.view.gates.values()))
    assert fixes(story) == []


def stopped_at_landing(verdict: str, note: str = "") -> Carried:
    """A run whose landing a failing test blocks; the operator says ``verdict`` to what he is shown first."""
    said: list[str] = []

    def says(gate: Gate) -> tuple[str, str]:
        if gate.place != "landing":
            return yes(gate)
        said.append(gate.id)
        return (verdict, note) if len(said) == 1 else ("", "")

    story = measured(working(play(says=says), "backend", "security"), "tests", passed=False)
    return story.go(lambda one: bool(said))


def test_an_open_landing_is_shown_anew_when_what_a_rule_blocks_on_changes() -> None:
    story = stopped_at_landing("")
    gate = story.view.latest_gate("landing")
    assert gate is not None
    assert (gate.status, len(gate.blockers)) == ("open", 1)
    measured(story, "tests", passed=True)
    gate = story.view.latest_gate("landing")
    assert gate is not None
    assert gate.status == "evaluating"
    story.says = yes
    assert story.go().view.run.outcome == "clean"


def test_a_block_that_comes_while_a_landing_waits_takes_its_approval_away() -> None:
    story = stopped_at_landing("")
    measured(story, "tests", passed=True)
    story.says = lambda gate: ("", "")
    story.go(lambda one: any(g.place == "landing" and g.status == "open" for g in one.view.gates.values()))
    measured(story, "secret-scan", passed=False)
    assert (gate := story.view.latest_gate("landing")) is not None
    assert gate.status == "evaluating"


def test_an_approval_past_a_block_lands_nothing() -> None:
    story = stopped_at_landing("approve")
    gate = story.view.latest_gate("landing")
    assert gate is not None
    assert (gate.status, story.landed) == ("evaluating", 0)


def test_a_forced_landing_lands_once_and_with_issues() -> None:
    story = stopped_at_landing("force").go()
    assert (story.view.run.landed, story.view.run.outcome, story.landed) == (True, "with_issues", 1)
    assert not [event for event in story.events if event.kind == "gate.invalidated"]


# -- configured phases


def platform(**more: Any) -> SwarmSpec:
    return swarm(read_gates(compose("set: platform", "multi-agent.yaml")), **more)


PHASES = tuple(phase.key for phase in platform().gates.phases)
ALL_PHASES = [
    planned(number, ("backend", "security", "frontend", "database")[number % 4], *([number - 1] if number > 1 else []))
    | {"phase": key}
    for number, key in enumerate(PHASES, 1)
]


def raised_in(phase: str, happens: Callable[[Carried], object], of: SwarmSpec | None = None, **more: Any) -> Carried:
    """Seven phases with a task each; something happens while the task of ``phase`` is worked on."""
    story = Carried(of or platform(), ALL_PHASES, **more)
    story.happens("matrix.adopted", **shipped_matrix().data())
    number = PHASES.index(phase) + 1
    story.go(lambda one: (task := one.view.tasks.get(f"task_{number:03d}")) is not None and task.status == "running")
    happens(story)
    return story


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    ("severity", "category", "tasks"),
    [("CRITICAL", "security", 1), ("HIGH", "security", 1), ("HIGH", "inconsistency", 1), ("CRITICAL", "error", 1)],
)
def test_what_rules_and_findings_make_belongs_to_the_phase_and_every_phase_ends(
    phase: str, severity: str, category: str, tasks: int
) -> None:
    story = raised_in(phase, lambda one: found(one, "W-1", severity, category, by="error-agent"))
    story.go(lambda one: one.view.is_over or one.view.findings["W-1"].status == "fixed")
    assert story.view.findings["W-1"].status == "fixed", "nobody is here who could verify it"
    made = [task for task in story.work() if task.id > f"task_{len(PHASES):03d}"]
    assert [task.phase for task in made] == [phase] * tasks
    story.happens("finding.closed", finding="W-1", resolution="accepted")
    story.go()
    assert story.view.run.landed
    assert {key: story.view.phases[key].status for key in PHASES} == dict.fromkeys(PHASES, "sealed")


def test_too_little_coverage_makes_work_in_the_phase_that_goes_on() -> None:
    story = raised_in("p5-tests", lambda one: measured(one, "coverage", passed=True, value=70.0))
    made = [task for task in story.work() if task.title.startswith("More tests")]
    assert {task.phase for task in made} == {"p5-tests"}
    assert story.go().view.run.landed


def test_critics_review_in_every_phase() -> None:
    services = {**platform().services, "critic": ServiceSpec("critic", access_level="global_read", directories=("/",))}
    of = replace(platform(), services=services, critics={"backend": CriticSpec("critic")})
    story = Carried(of, ALL_PHASES).go()
    reviewed = {task.about for task in story.view.tasks.values() if task.is_review}
    assert reviewed == {task.id for task in story.work() if task.assigned_to == "backend"}
    assert story.view.run.landed


def test_the_architects_review_of_a_phase_gate_does_not_reopen_the_phase() -> None:
    story = Carried(platform(), ALL_PHASES)
    story.go(lambda one: any(gate.place == "phase" and gate.status == "evaluating" for gate in one.view.gates.values()))
    (gate,) = (gate for gate in story.view.gates.values() if gate.place == "phase")
    story.happens("gate.consulted", gate=gate.id, about=story.view.run.integration)
    (review,) = (task for task in story.view.tasks.values() if task.kind == "consultation")
    story.go(lambda one: one.view.phases["p1-architecture"].status == "sealed")
    assert story.view.tasks[review.id].status == "done"
    assert story.count("phase.reopened") == 0
    assert story.go().view.run.landed
