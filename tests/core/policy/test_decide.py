"""The policy as plays: what happens, and what must follow."""

from __future__ import annotations

import random

import pytest
from tests.support.story import Story, planned, spec

from swarm_core.policy.effects import (
    EvaluateGate,
    KeepUnlanded,
    Land,
    MergeTask,
    PrepareRun,
    RetireInstance,
    RunAgent,
    StartInstance,
)
from swarm_core.vocabulary.machines import TASK


def test_a_goal_goes_to_the_architect_first() -> None:
    story = Story(spec("backend")) << PrepareRun()
    story.happens("run.started", base="b0", integration="b0") << StartInstance("architect-1")
    story.started("architect-1", "architect") << RunAgent("task_000", "architect-1", 1, 1)


def test_nothing_is_created_before_the_plan_is_approved() -> None:
    story = Story(spec("backend"))
    story.happens("run.started", base="b0", integration="b0").started("architect-1", "architect")
    story.happens("artifact.written", "task_000", type="plan", tasks=[planned(1, "backend")])
    story.submits("task_000", commit="", files=0) << EvaluateGate("gate_001")
    story.happens("gate.opened", gate="gate_001", evidence="e")

    assert list(story.view.tasks) == ["task_000"]
    assert story.acts == []


def test_a_rejected_plan_goes_back_with_the_note() -> None:
    story = Story(spec("backend"))
    story.happens("run.started", base="b0", integration="b0").started("architect-1", "architect")
    story.happens("artifact.written", "task_000", type="plan", tasks=[planned(1, "backend")])
    story.submits("task_000", commit="", files=0).opened_and("reject", "smaller steps")

    assert story.view.tasks["task_000"].notes == ("smaller steps",)
    story << RunAgent("task_000", "architect-1", 2, 2)


def test_a_task_waits_for_what_it_depends_on_and_independent_ones_run_together() -> None:
    tasks = [planned(1, "database"), planned(2, "backend", 1), planned(3, "frontend", 2), planned(4, "testing", 2)]
    story = Story(spec("database", "backend", "frontend", "testing")).planned(*tasks)
    story << StartInstance("database-1")
    assert StartInstance("backend-1") not in story.acts
    story.started("database-1", "database").submits("task_001").opened_and("approve")
    story << MergeTask("task_001", "c1")
    assert StartInstance("backend-1") not in story.acts
    story.merged("task_001") << StartInstance("backend-1") << RetireInstance("database-1")
    story.started("backend-1", "backend").submits("task_002").opened_and("approve").merged("task_002")
    story << StartInstance("frontend-1") << StartInstance("testing-1")


def test_a_rejected_merge_comes_back_to_the_same_instance_with_the_note() -> None:
    story = Story(spec("backend")).planned(planned(1, "backend")).started("backend-1", "backend")
    story.submits("task_001").opened_and("reject", "15 minutes, not 60")

    assert story.view.tasks["task_001"].notes == ("15 minutes, not 60",)
    story << RunAgent("task_001", "backend-1", 2, 2)
    story.submits("task_001", "c2").opened_and("approve") << MergeTask("task_001", "c2")


def test_two_tasks_never_share_an_instance_and_replicas_are_used() -> None:
    tasks = [planned(n, "backend") for n in range(1, 5)]
    story = Story(spec("backend", replicas=2)).planned(*tasks)
    story << StartInstance("backend-1") << StartInstance("backend-2")
    assert len([a for a in story.acts if isinstance(a, StartInstance)]) == 2
    story.started("backend-1", "backend").started("backend-2", "backend")
    running = [act for act in story.acts if isinstance(act, RunAgent)]

    assert {act.instance for act in running} == {"backend-1", "backend-2"}
    assert len(running) == 2


def test_no_more_tasks_run_than_max_parallel_allows() -> None:
    story = Story(spec("a", "b", "c", max_parallel=2)).planned(planned(1, "a"), planned(2, "b"), planned(3, "c"))

    assert len([act for act in story.acts if isinstance(act, StartInstance)]) == 2


def test_priority_comes_before_the_order_of_the_plan() -> None:
    tasks = [planned(1, "a", priority="low"), planned(2, "b", priority="critical")]
    story = Story(spec("a", "b", max_parallel=1)).planned(*tasks)

    assert [act for act in story.acts if isinstance(act, StartInstance)] == [StartInstance("b-1")]


def test_one_merge_at_a_time_first_come_first_served() -> None:
    story = Story(spec("a", "b")).planned(planned(1, "a"), planned(2, "b"))
    story.started("a-1", "a").started("b-1", "b")
    story.submits("task_002", "cb").opened_and("approve").submits("task_001", "ca").opened_and("approve")

    merges = [act for act in story.acts if isinstance(act, MergeTask)]
    assert merges == [MergeTask("task_002", "cb")]
    story.merged("task_002", "cb") << MergeTask("task_001", "ca")


def test_a_conflict_is_reported_at_a_gate_and_never_forced() -> None:
    story = Story(spec("a")).planned(planned(1, "a")).started("a-1", "a").submits("task_001").opened_and("approve")
    story.happens("merge.checking", "task_001", commit="c1")
    story.happens("merge.conflicted", "task_001", paths=["x.py"])

    assert story.view.tasks["task_001"].status == "blocked"
    assert "x.py" in story.view.tasks["task_001"].reason
    assert not any(isinstance(act, MergeTask) for act in story.acts)
    story.opened_and("approve", "keep both") << RunAgent("task_001", "a-1", 2, 2)
    story.submits("task_001", "c2").opened_and("approve") << MergeTask("task_001", "c2")


def test_giving_up_a_task_cancels_what_depends_on_it() -> None:
    story = Story(spec("a", "b")).planned(planned(1, "a"), planned(2, "b", 1), planned(3, "b"))
    story.started("a-1", "a").started("b-1", "b")
    story.happens("task.failed", "task_001", "a-1", reason="400").mediated().opened_and("reject", "not today")

    assert story.view.tasks["task_001"].status == story.view.tasks["task_002"].status == "cancelled"
    assert story.view.tasks["task_003"].status == "running"


def test_a_failed_instance_is_replaced_and_the_architect_says_who_goes_on() -> None:
    story = Story(spec("a", "b")).planned(planned(1, "a")).started("a-1", "a")
    story.happens("task.failed", "task_001", "a-1", reason="it gave up")
    story << RetireInstance("a-1")
    story.mediated(reassign=[{"task": "task_001", "assigned_to": "b", "note": "b knows this"}])

    assert story.view.tasks["task_001"].notes == ("b knows this",)
    assert story.view.open_gates == []
    story << StartInstance("b-1")
    story.started("b-1", "b") << RunAgent("task_001", "b-1", 1, 2)


def test_the_same_service_goes_on_with_another_instance() -> None:
    story = Story(spec("a")).planned(planned(1, "a")).started("a-1", "a")
    story.happens("task.failed", "task_001", "a-1", reason="it gave up")
    story.mediated(reassign=[{"task": "task_001", "assigned_to": "a"}])

    story << StartInstance("a-2")
    story.started("a-2", "a") << RunAgent("task_001", "a-2", 1, 2)


def test_the_operator_is_asked_when_the_architect_has_no_answer() -> None:
    story = Story(spec("a")).planned(planned(1, "a")).started("a-1", "a")
    story.happens("task.failed", "task_001", "a-1", reason="it gave up").mediated()

    assert [gate.place for gate in story.view.gates.values()][-1] == "escalation"
    story.opened_and("approve", "try harder") << StartInstance("a-2")


def test_the_operator_is_asked_when_the_next_instance_fails_too() -> None:
    story = Story(spec("a")).planned(planned(1, "a")).started("a-1", "a")
    story.happens("task.failed", "task_001", "a-1", reason="it gave up")
    story.mediated(reassign=[{"task": "task_001", "assigned_to": "a"}])
    story.started("a-2", "a").happens("task.failed", "task_001", "a-2", reason="again")

    assert [gate.place for gate in story.view.gates.values()][-1] == "escalation"


def test_new_work_the_architect_wants_needs_the_operator() -> None:
    story = Story(spec("a", "b")).planned(planned(1, "a")).started("a-1", "a")
    story.happens("tasks.requested", "task_001", "a-1", request="r1", reason="somebody has to write the docs")
    story.mediated(tasks=[{**planned(3, "b"), "title": "docs"}])
    assert "task_003" not in story.view.tasks
    story.opened_and("approve")

    assert story.view.tasks["task_003"].status == "ready"
    assert story.view.requests == {}


def test_a_pause_stops_beginnings_and_a_drain_lets_agents_finish() -> None:
    story = Story(spec("a", max_parallel=1)).planned(planned(1, "a"), planned(2, "a")).started("a-1", "a")
    story.happens("run.paused", mode="drain") << RunAgent("task_001", "a-1", 1, 1)
    story.submits("task_001").opened_and("approve") << MergeTask("task_001", "c1")
    story.merged("task_001")
    assert story.acts == []
    story.happens("run.resumed") << RunAgent("task_002", "a-1", 1, 1)
    story.happens("run.paused") << RunAgent("task_002", "a-1", 1, 1)  # it waits at its next step
    story.submits("task_002", "c2")
    assert story.acts == []
    story.happens("run.halted", mode="stop")
    assert story.acts == []
    story.happens("run.resumed") << EvaluateGate("gate_003")


def test_an_emergency_stop_takes_the_agents_away() -> None:
    story = Story(spec("a")).planned(planned(1, "a")).started("a-1", "a")
    story.happens("run.halted", mode="stop")

    assert story.acts == []
    story.happens("run.resumed") << RunAgent("task_001", "a-1", 1, 1)


def test_several_failures_at_once_stop_the_run_and_once_only() -> None:
    names = ("a", "b", "c")
    story = Story(spec(*names)).planned(*(planned(n, name) for n, name in enumerate(names, 1)))
    for name in names:
        story.started(f"{name}-1", name)
    for number, name in enumerate(names, 1):
        story.happens("task.failed", f"task_{number:03d}", f"{name}-1", reason="400")

    assert story.view.run.status == "halted"
    assert [incident.status for incident in story.view.incidents.values()] == ["contained"]
    story.happens("run.resumed")
    assert story.view.run.status != "halted"
    assert [incident.status for incident in story.view.incidents.values()] == ["closed"]


def test_a_held_task_and_a_held_service_are_not_begun() -> None:
    story = Story(spec("a", "b")).planned(planned(1, "a"), planned(2, "b"))
    story.happens("task.paused", "task_001").happens("service.paused", service="b")
    story.started("a-1", "a").started("b-1", "b")
    assert not any(isinstance(act, RunAgent) for act in story.acts)
    story.happens("task.resumed", "task_001") << RunAgent("task_001", "a-1", 1, 1)
    story.happens("service.resumed", service="b") << RunAgent("task_002", "b-1", 1, 1)


def test_two_tasks_never_hold_the_same_path() -> None:
    tasks = [planned(1, "a", writes=["src/api"]), planned(2, "b", writes=["src/api/users.py"]), planned(3, "c")]
    story = Story(spec("a", "b", "c")).planned(*tasks)
    assert StartInstance("b-1") not in story.acts
    story.started("a-1", "a").submits("task_001").opened_and("approve") << MergeTask("task_001", "c1")
    assert StartInstance("b-1") not in story.acts
    story.merged("task_001") << StartInstance("b-1")


def finished(verdict: str) -> Story:
    story = Story(spec("a")).planned(planned(1, "a")).started("a-1", "a").submits("task_001").opened_and("approve")
    story.merged("task_001") << RetireInstance("a-1")
    story.happens("agent.retired", agent="architect-1").happens("agent.retired", agent="a-1")
    return story.opened_and(verdict, "not today")


def test_the_branch_moves_only_after_the_landing_gate() -> None:
    story = finished("approve")

    assert story.acts == [Land("gate_003")]


def test_a_refused_landing_keeps_the_work() -> None:
    assert finished("reject").acts == [KeepUnlanded("not today")]


def test_a_run_in_which_nothing_changed_ends_without_a_landing_gate() -> None:
    story = Story(spec("a")).planned(planned(1, "a")).started("a-1", "a")
    story.submits("task_001", "", files=0).opened_and("approve")
    story.happens("agent.retired", agent="architect-1").happens("agent.retired", agent="a-1")

    assert (story.view.run.status, story.view.run.outcome) == ("completed", "partial")
    assert story.view.latest_gate("landing") is None


def test_an_abort_retires_everybody() -> None:
    story = Story(spec("a")).planned(planned(1, "a")).started("a-1", "a")
    story.happens("run.aborted", reason="enough")

    assert set(story.acts) == {RetireInstance("architect-1"), RetireInstance("a-1")}


@pytest.mark.parametrize("seed", range(60))
def test_every_random_course_of_a_run_comes_to_an_end(seed: int) -> None:
    """Agents hand off, fail or conflict, the operator says yes or no; the invariants hold after each event."""
    chance = random.Random(seed)
    services = ["a", "b", "c"][: chance.randint(1, 3)]
    count = chance.randint(1, 9)
    tasks = [
        planned(n, chance.choice(services), *chance.sample(range(1, n), chance.randint(0, min(2, n - 1))))
        for n in range(1, count + 1)
    ]
    story = Story(spec(*services, replicas=chance.randint(1, 2), max_parallel=chance.randint(1, 4))).planned(*tasks)
    for step in range(2_000):
        if story.view.is_over and not story.acts:
            break
        open_gates = story.view.open_gates
        if story.view.is_held:
            story.happens("run.resumed")
            continue
        if open_gates and (not story.acts or chance.random() < 0.3):
            verdict = "approve" if chance.random() < 0.7 else "reject"
            story.happens("gate.decided", gate=chance.choice(open_gates).id, verdict=verdict, note="n")
        else:
            assert story.acts, "nothing to do and nobody to ask"
            perform(story, chance, step)
        running = [t for t in story.view.tasks.values() if t.status == "running"]
        assert len({t.instance for t in running}) == len(running) <= story.spec.max_parallel
        for task in running:
            assert all(story.view.tasks[d].status == "done" for d in task.dependencies)
    assert story.view.is_over
    assert all(t.status in TASK.terminal for t in story.view.tasks.values())


def perform(story: Story, chance: random.Random, step: int) -> None:
    act = chance.choice(story.acts)
    match act:
        case StartInstance(instance) if instance in story.view.instances:
            story.happens("agent.ready", agent=instance)
        case StartInstance(instance):
            story.started(instance, instance.rpartition("-")[0])
        case RunAgent(task, instance) if story.view.tasks[task].is_planning:
            about = story.view.tasks[task].about
            change = [{"task": about, "assigned_to": chance.choice(story.spec.workers)}] if about else []
            story.happens(
                "artifact.written", task, instance, type="plan", reassign=change if chance.random() < 0.7 else []
            )
            story.submits(task, "", files=0)
        case RunAgent(task, instance) if chance.random() < 0.15:
            story.happens("task.failed", task, instance, reason="model")
        case RunAgent(task):
            story.submits(task, f"c{step}", files=chance.randint(0, 2))
        case EvaluateGate(gate):
            story.happens("gate.opened", gate=gate, evidence=f"e{step}")
        case MergeTask(task, commit):
            story.happens("merge.checking", task, commit=commit)
            if chance.random() < 0.2:
                story.happens("merge.conflicted", task, paths=["x"])
            else:
                story.happens("merge.completed", task, commit=commit, integration=f"i{step}")
        case RetireInstance(instance):
            story.happens("agent.retired", agent=instance)
        case Land(gate) if chance.random() < 0.3:
            story.happens("gate.invalidated", gate=gate, reason="main moved")
        case Land():
            story.happens("run.completed", outcome="clean", landed=True)
        case KeepUnlanded(reason):
            story.happens("run.completed", outcome="partial", landed=False, reason=reason)
        case _:
            raise AssertionError(f"unknown act {act}")
