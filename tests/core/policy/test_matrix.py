"""The decision matrix as plays: what is measured or found, and what the swarm does about it by itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.story import Story, planned, spec

from swarm_core.definitions.matrix import read_matrix, shipped_matrix
from swarm_core.policy.effects import EvaluateGate, Land, RollBack, RunAgent, StartInstance
from swarm_core.policy.matrix import Candidate, blocking, fitting
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.rules import Fact, Rule
from swarm_core.vocabulary.spec import ServiceSpec, SwarmSpec
from swarm_core.vocabulary.view import RunView

WORKERS = ("backend", "frontend", "database", "testing", "security")


def story(*tasks: dict[str, Any], matrix: str = "") -> Story:
    """A run with the shipped matrix, or another one, whose plan is approved."""
    play = Story(spec(*WORKERS, max_parallel=8))
    rules = read_matrix(matrix.encode()) if matrix else shipped_matrix()
    play.happens("matrix.adopted", **rules.data())
    return play.planned(*(tasks or (planned(1, "backend"),)))


def measured(play: Story, name: str, *, passed: bool = False, task: str = "", **data: Any) -> Story:
    tree = "agent" if task else "merged"
    kind = "check.passed" if passed else "check.failed"
    return play.happens(kind, task or None, name=name, tree=tree, evidence=f"checks/{name}.txt", **data)


def found(play: Story, name: str, severity: str, category: str, **data: Any) -> Story:
    return play.happens(
        "finding.opened", finding=name, title="it is wrong", severity=severity, category=category, **data
    )


def fired(play: Story) -> list[str]:
    return [firing.rule.split(".", 1)[1] for firing in play.view.firings.values()]


def built(play: Story) -> Story:
    """The first task is merged and everybody has left: the landing is measured."""
    play.started("backend-1", "backend").submits("task_001").opened_and("approve").merged("task_001")
    for instance in list(play.view.instances):
        play.happens("agent.retired", agent=instance)
    return play


def test_a_critical_vulnerability_blocks_the_landing_until_its_finding_is_closed() -> None:
    play = found(story(), "W-001", "CRITICAL", "security", location="app.py:3")
    assert fired(play) == ["if_vulnerability_found.severity_critical"]
    built(play)
    gate = next(gate for gate in play.view.gates.values() if gate.place == "landing")
    play << EvaluateGate(gate.id)
    blockers = blocking(play.view)
    assert "W-001" in blockers[0]
    play.happens("gate.opened", gate=gate.id, evidence="e", blockers=blockers)
    play.happens("gate.decided", gate=gate.id, verdict="approve")
    assert not [act for act in play.acts if isinstance(act, Land)], "an approval past the finding lands nothing"
    play << EvaluateGate(gate.id)
    play.happens("finding.closed", finding="W-001", resolution="accepted")
    play.happens("gate.opened", gate=gate.id, evidence="e2", blockers=[])
    play.happens("gate.decided", gate=gate.id, verdict="approve") << Land(gate.id)
    assert play.view.firings["firing_001"].settled


def test_one_cause_that_shows_in_every_task_fires_once_and_again_only_when_it_is_settled() -> None:
    play = story(planned(1, "backend"), planned(2, "frontend"))
    measured(play, "tests", task="task_001")
    measured(play, "tests", task="task_002")
    measured(play, "tests")
    assert fired(play) == ["if_tests_fail"]

    measured(play, "tests", task="task_001", passed=True)
    assert play.view.firings["firing_001"].settled
    assert [firing.fact.task for firing in play.view.firings.values()] == ["task_001", ""], "the line is broken still"


def test_what_was_measured_on_a_task_that_has_ended_fires_nothing_any_more() -> None:
    play = story(planned(1, "backend"), planned(2, "frontend"))
    measured(play, "tests", task="task_001")
    measured(play, "tests", task="task_002")
    play.happens("task.cancelled", "task_002", reason="not wanted")
    measured(play, "tests", task="task_001", passed=True)
    assert fired(play) == ["if_tests_fail"]
    assert blocking(play.view) == []


def test_a_secret_that_a_check_finds_on_an_agents_tree_blocks_and_is_told() -> None:
    play = measured(story(), "secret-scan", task="task_001", files=["backend/app.py"])

    finding = play.view.findings["D-001"]
    assert (finding.severity, finding.owner, finding.status) == ("CRITICAL", "backend", "open")
    assert "nobody here is called error-agent, devops-agent" in play.view.firings["firing_001"].outcome["notify"]
    assert play.view.letters["architect"], "a name that nobody has is told to the architect"
    measured(play, "secret-scan", task="task_001", passed=True)
    assert (finding := play.view.findings["D-001"]).status == "closed"
    assert finding.resolution == "verified"


def test_a_high_vulnerability_becomes_a_hotfix_with_a_branch_for_the_owner_of_the_file() -> None:
    play = found(story(), "W-002", "HIGH", "security", location="frontend/login.js:12")

    task = play.view.tasks["task_002"]
    assert (task.priority, task.assigned_to, task.branch) == ("critical", "frontend", "fix/it-is-wrong")
    assert task.created_by == "matrix"
    assert "frontend owns frontend/login.js" in play.view.firings["firing_001"].outcome["create_hotfix"]
    play << StartInstance("frontend-1")


def test_a_medium_vulnerability_goes_to_the_backlog() -> None:
    play = found(story(), "W-003", "MEDIUM", "security")

    assert (play.view.findings["W-003"].status, play.view.findings["W-003"].resolution) == ("closed", "backlog")
    assert "told architect" in play.view.firings["firing_001"].outcome["notify"]
    assert play.view.firings["firing_001"].settled


def test_a_low_vulnerability_fires_nothing() -> None:
    assert fired(found(story(), "W-004", "LOW", "security")) == []


def test_coverage_below_the_limit_asks_each_named_service_for_tests_of_the_files() -> None:
    play = measured(story(), "coverage", value=79.9, unit="%", files=["backend/a.py", "backend/b.py"])

    tasks = [task for task in play.view.tasks.values() if task.created_by == "matrix"]
    assert [task.assigned_to for task in tasks] == ["backend", "frontend"]
    assert all("backend/b.py" in task.description and "79.9" in task.title for task in tasks)


def test_coverage_at_the_limit_fires_nothing_and_what_was_not_measured_neither() -> None:
    play = measured(story(), "coverage", value=80.0, unit="%", passed=True)
    play.happens("check.not_measured", name="coverage", tree="merged", result="not_measured", value=None)
    play.happens("check.failed", name="coverage", tree="merged", result="error", value=3.0)

    assert fired(play) == []


def test_what_a_task_measures_on_its_own_tree_asks_nobody_else_for_tests() -> None:
    assert fired(measured(story(), "coverage", task="task_001", value=12.0)) == []


def test_a_measurement_repeated_while_somebody_works_on_it_asks_for_nothing_twice() -> None:
    play = measured(story(), "coverage", value=71.0)
    measured(play, "coverage", value=71.0)
    measured(play, "coverage", value=71.5)

    assert fired(play) == ["if_coverage_below_80"]


def test_when_the_tests_are_there_and_it_is_still_too_little_it_asks_again() -> None:
    play = measured(story(), "coverage", value=71.0)
    for task, service in (("task_002", "backend"), ("task_003", "frontend")):
        name = f"{service}-{len([i for i in play.view.instances.values() if i.service == service]) + 1}"
        play.started(name, service).submits(task, commit=f"c-{task}").opened_and("approve").merged(task)
    assert play.view.firings["firing_001"].settled == "all it asked for is done"
    measured(play, "coverage", value=78.0)

    assert fired(play) == ["if_coverage_below_80"] * 2


def test_what_nobody_has_begun_is_withdrawn_when_the_measurement_is_right() -> None:
    play = measured(story(), "coverage", value=71.0)
    measured(play, "coverage", value=86.0, passed=True)

    assert [play.view.tasks[name].status for name in ("task_002", "task_003")] == ["cancelled", "cancelled"]
    assert play.view.firings["firing_001"].settled.startswith("over: coverage is 86")


def test_failing_tests_block_and_the_responsible_agent_hears_of_it() -> None:
    play = story().started("backend-1", "backend")
    measured(play, "tests", task="task_001", exit_code=1)

    assert play.view.findings["D-001"].owner == "backend"
    assert any("if_tests_fail" in note for note in play.view.tasks["task_001"].notes)


def test_a_merged_tree_that_passes_closes_what_was_approved_in_spite_of_failing() -> None:
    play = story().started("backend-1", "backend")
    measured(play, "tests", task="task_001")
    play.submits("task_001").opened_and("approve").merged("task_001")
    assert play.view.findings["D-001"].status == "open", "an approval is no measurement"
    measured(play, "tests", passed=True)

    assert play.view.findings["D-001"].resolution == "verified"


def test_a_slow_response_becomes_a_task_for_the_database() -> None:
    play = measured(story(), "response-time", value=0.24, unit="s", detail="GET /routes: SELECT * FROM stops")

    task = play.view.tasks["task_002"]
    assert task.assigned_to == "database"
    assert "SELECT * FROM stops" in task.description


def test_a_response_below_the_limit_fires_nothing() -> None:
    assert fired(measured(story(), "response_time", value=200.0, unit="ms")) == []


def test_much_memory_gives_the_measured_service_one_replica_more_and_staffing_uses_it() -> None:
    play = story(planned(1, "backend"), planned(2, "backend")).started("backend-1", "backend")
    assert StartInstance("backend-2") not in play.acts
    measured(play, "memory", value=91.0, unit="%", service="backend")

    assert play.view.replicas == {"backend": 2}
    play << StartInstance("backend-2")


def test_no_service_gets_more_replicas_than_it_may_have() -> None:
    services = {"architect": ServiceSpec("architect", access_level="global_read", directories=("/",))}
    services["backend"] = ServiceSpec("backend", directories=("backend",), replicas=2, max_replicas=2)
    play = Story(SwarmSpec(services))
    play.happens("matrix.adopted", **shipped_matrix().data()).planned(planned(1, "backend"))
    measured(play, "memory", value=91.0, service="backend")

    assert play.view.replicas == {}
    assert "may have no more" in play.view.firings["firing_001"].outcome["scale_horizontally"]


def test_a_critical_error_halts_everybody_and_the_architect_finds_out_why() -> None:
    play = found(story().started("backend-1", "backend"), "W-005", "CRITICAL", "error", location="backend/app.py")

    assert (play.view.run.status, play.view.run.pause) == ("halted", "halt")
    assert play.view.incidents["incident_001"].status == "contained"
    assert play.view.why_held(play.view.tasks["task_001"]) == "the run is halted"
    diagnosis = play.view.tasks["task_002"]
    assert (diagnosis.kind, diagnosis.assigned_to, diagnosis.status) == ("diagnosis", "architect", "running")
    play << RunAgent("task_002", "architect-1", 1, 1)


def diagnosed() -> Story:
    play = story(planned(1, "backend"), planned(2, "backend", 1)).started("backend-1", "backend")
    play.submits("task_001").opened_and("approve").merged("task_001")
    found(play, "W-005", "CRITICAL", "error", location="backend/app.py")
    play.happens("handoff.recorded", "task_003", "architect-1", what_i_did="app.py is empty", recommendation="fix it")
    play.submits("task_003", commit="", files=0)
    gate = play.view.latest_gate("recovery", "incident_001")
    assert gate is not None
    play << EvaluateGate(gate.id)
    return play.happens("gate.opened", gate=gate.id, evidence="e", about="seq:9")


def chosen(play: Story, note: str) -> Story:
    gate = play.view.latest_gate("recovery", "incident_001")
    assert gate is not None
    return play.happens("gate.decided", gate=gate.id, verdict="approve", note=note)


def test_fixing_forward_gives_the_responsible_service_a_critical_task_and_goes_on() -> None:
    play = chosen(diagnosed(), "fix the empty file")

    task = play.view.tasks["task_004"]
    assert (task.assigned_to, task.priority) == ("backend", "critical")
    assert "app.py is empty" in task.description
    assert play.view.run.status == "running"
    assert play.view.incidents["incident_001"].status == "closed"
    assert play.events[-1].kind != "event.refused"


def test_a_rollback_goes_back_to_the_last_gate_and_the_run_goes_on() -> None:
    play = chosen(diagnosed(), "rollback") << RollBack(9)
    play.happens("rollback.done", to_seq=9, integration="b0", tasks={"task_001": "again"}, phases=[])
    play.happens("recovery.completed", incident="incident_001", seconds=1.0)

    assert play.view.run.status == "running"
    assert play.view.incidents["incident_001"].status == "closed"


def test_a_merge_is_reverted_by_going_back_to_before_it() -> None:
    play = diagnosed()
    seq = play.view.merges["task_001"].merged_seq
    chosen(play, "revert task_001") << RollBack(seq - 1)


def test_reassigning_gives_the_task_to_another_service_and_goes_on() -> None:
    play = chosen(diagnosed(), "reassign task_002 to frontend")

    assert play.view.tasks["task_002"].assigned_to == "frontend"
    assert play.view.run.status == "running"


def test_a_run_that_the_operator_resumes_by_hand_needs_no_choice_any_more() -> None:
    play = diagnosed().happens("run.resumed")

    gate = play.view.latest_gate("recovery", "incident_001")
    assert gate is not None
    assert gate.status == "aborted"
    assert play.view.incidents["incident_001"].status == "closed"


def test_an_inconsistency_asks_the_architect_and_tells_those_concerned() -> None:
    play = story(planned(1, "backend", writes=["artifacts/api.yml"]))
    found(play, "W-006", "MEDIUM", "inconsistency", location="artifacts/api.yml#/phone_number")

    task = play.view.tasks["task_002"]
    assert (task.kind, task.assigned_to) == ("plan", "architect")
    assert "backend" in task.description
    assert any("phone_number" in note or "if_inconsistency" in note for note in play.view.tasks["task_001"].notes)


@pytest.mark.parametrize(
    ("value", "limit", "fires"),
    [(79.9, "80", True), (80.0, "80", False), (89.9, "90", True), (79.4, "79_5", True), (79.5, "79.5", False)],
)
def test_editing_the_number_in_a_rules_name_changes_what_fires(value: float, limit: str, fires: bool) -> None:
    text = f"decision_rules:\n  testing_agent:\n    if_coverage_below_{limit}:\n      action: request_more_tests\n"
    assert bool(fired(measured(story(matrix=text), "coverage", value=value, passed=True))) is fires


def test_several_rules_act_in_the_order_halt_block_create_backlog_notify() -> None:
    text = """
decision_rules:
  a:
    if_flood_detected:
      action: [add_to_backlog, create_hotfix]
      notify: ALL
    if_fire_detected: {action: block_deployment}
    if_storm_detected: {action: halt_all_agents}
"""
    play = story(matrix=text)
    for number, category in enumerate(("flood", "fire"), 1):  # all of them are known before anybody looks
        play._append(Draft("finding.opened", {"finding": f"W-{number}", "category": category, "severity": "HIGH"}))
    found(play, "W-3", "HIGH", "storm")
    done = [event.data["action"] for event in play.events if event.kind == "action.done"]

    assert done == ["halt_all_agents", "block_deployment", "add_to_backlog"]
    play.happens("run.resumed")
    done = [event.data["action"] for event in play.events if event.kind == "action.done"]
    assert done[3:] == ["create_hotfix", "notify"]


def test_every_firing_is_journaled_with_its_rule_its_why_and_its_evidence() -> None:
    play = measured(story(), "coverage", value=71.0, unit="%")
    decided = next(event for event in play.events if event.kind == "decision.made")

    assert decided.data["rule"] == "testing_agent.if_coverage_below_80"
    assert decided.data["method"] == "rule"
    assert "71%" in decided.data["why"]
    assert "checks/coverage.txt" in decided.data["evidence"]


def test_the_operator_takes_a_block_on_himself() -> None:
    play = measured(story(), "tests")
    play.happens("rule.waived", firing="firing_001", note="known flake")

    assert play.view.findings["D-001"].resolution == "accepted"
    assert play.view.firings["firing_001"].settled == "waived by the operator: known flake"


def test_nothing_is_created_before_the_plan_is_approved() -> None:
    play = Story(spec("backend"))
    play.happens("matrix.adopted", **shipped_matrix().data())
    play.happens("run.started", base="b0", integration="b0").started("architect-1", "architect")
    found(play, "W-001", "HIGH", "security")

    assert list(play.view.tasks) == ["task_000"]
    assert play.view.firings["firing_001"].pending


@pytest.mark.parametrize("what", ["coverage", "tests", "error"])
def test_a_crash_after_any_event_repeats_nothing_and_leaves_nothing_out(what: str) -> None:
    play = story()
    before = len(play.events)
    if what == "error":
        found(play, "W-9", "CRITICAL", "error")
    else:
        measured(play, what, value=71.0)
    told = [(event.kind, event.task, event.data.get("action")) for event in play.events]
    for length in [length for length in play.wholes if length > before]:
        again = Story(play.spec)
        again.events.clear()
        again.view = RunView()
        for event in play.events[:length]:
            again.view.apply(event)
            again.events.append(event)
        again.settle()
        assert [(event.kind, event.task, event.data.get("action")) for event in again.events] == told


# -- properties

_FACTS = st.lists(
    st.one_of(
        st.builds(
            lambda name, value, status: Fact(f"check:{name}:", "check", name, status, value, tree="merged"),
            st.sampled_from(["coverage", "tests", "response_time", "memory", "secret_scan"]),
            st.one_of(st.none(), st.floats(0, 400, allow_nan=False)),
            st.sampled_from(["pass", "fail", "error", "not_measured"]),
        ),
        st.builds(
            lambda number, severity, name: Fact(f"finding:W-{number}", "finding", name, "open", severity=severity),
            st.integers(1, 9),
            st.sampled_from(["CRITICAL", "HIGH", "MEDIUM", "LOW"]),
            st.sampled_from(["security", "error", "inconsistency", "style", ""]),
        ),
    ),
    max_size=8,
    unique_by=lambda fact: fact.key,
)
RULES = shipped_matrix().rules


@given(_FACTS, st.randoms(use_true_random=False))
def test_the_same_facts_in_any_order_fit_the_same_rules_in_the_same_order(facts: list[Fact], random: Any) -> None:
    shuffled = list(facts)
    random.shuffle(shuffled)

    assert fitting(RULES, facts) == fitting(RULES, shuffled)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["coverage", "tests", "memory", "secret_scan"]), st.floats(0, 100), st.booleans()),
        max_size=6,
        unique_by=lambda one: one[0],
    ),
    st.randoms(use_true_random=False),
)
def test_the_same_measurements_in_any_order_fire_the_same_rules_once(
    results: list[tuple[str, float, bool]], random: Any
) -> None:
    shuffled = list(results)
    random.shuffle(shuffled)
    plays = []
    for order in (results, [*shuffled, *shuffled]):
        play = story()
        for name, value, passed in order:
            measured(play, name, value=value, passed=passed)
        plays.append(sorted(fired(play)))

    assert plays[0] == plays[1]


def test_a_rule_about_a_unit_compares_what_can_be_compared() -> None:
    rule = Rule("r", metric="memory", sign=">", limit=500, unit="mb")
    big = Fact("check:memory:", "check", "memory", "pass", 600_000_000.0, "bytes", tree="merged")
    share = Fact("check:memory:", "check", "memory", "pass", 600.0, "%", tree="merged")

    assert fitting([rule], [big]) == [Candidate(rule, big)]
    assert fitting([rule], [share]) == []
    assert Task("task_001", "t").branch == ""
