"""The index kept beside the entities is the one that could be built from them, after every event of any history."""

from __future__ import annotations

import random
from typing import Any

import pytest

from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.index import Index
from swarm_core.vocabulary.rules import Matrix, Rule
from swarm_core.vocabulary.state import indexed
from swarm_core.vocabulary.view import RunView

SERVICES = ("api", "web", "ops")
TASK_KINDS = (
    "task.ready",
    "task.claimed",
    "task.released",
    "task.blocked",
    "task.submitted",
    "task.verified",
    "task.reopened",
    "task.done",
    "task.failed",
    "task.reassigned",
    "task.cancelled",
    "task.skipped",
    "merge.queued",
    "merge.checking",
    "merge.conflicted",
    "merge.completed",
)
ENDING = ("task.cancelled", "task.skipped", "task.failed")
GATE_KINDS = ("gate.opened", "gate.decided", "gate.invalidated", "gate.aborted")
RUN_KINDS = ("run.paused", "run.halted", "run.resumed", "recovery.started", "recovery.completed", "recovery.failed")


class History:
    """Throws events at a view, of which many do not fit."""

    def __init__(self, seed: int) -> None:
        self.chance, self.view, self.seq = random.Random(seed), RunView(), 0
        self.kinds: set[str] = set()
        self.happens("run.created")
        self.happens("run.started", base="b0")

    def happens(self, kind: str, task: str | None = None, agent: str | None = None, **data: Any) -> bool:
        try:
            self.view.apply(Event(self.seq + 1, "2026-11-21T10:00:00.000Z", "r1", kind, data, task=task, agent=agent))
        except IllegalTransition:
            return False
        self.seq += 1
        self.kinds.add(kind)
        return True

    def step(self) -> None:
        chance, tasks, gates = self.chance, list(self.view.tasks), list(self.view.gates)
        match chance.choices(("create", "task", "merge", "gate", "decide", "run", "rollback"), (5, 24, 2, 2, 4, 2, 1))[
            0
        ]:
            case "create":
                name = f"task_{len(tasks):03d}"
                foretold = [f"task_{len(tasks) + chance.randint(1, 3):03d}"] if chance.random() < 0.1 else []
                needs = chance.sample(tasks, min(len(tasks), chance.randint(0, 3))) + foretold
                about = chance.choice(tasks) if tasks and chance.random() < 0.2 else ""
                data: dict[str, Any] = {"assigned_to": chance.choice(SERVICES), "dependencies": needs, "about": about}
                self.happens("task.created", name, **data)
            case "task" if tasks:
                task = chance.choice(tasks)
                agent = self.view.tasks[task].instance or "api-1"
                order = chance.sample(TASK_KINDS, len(TASK_KINDS))
                for kind in sorted(order, key=lambda k: k in ENDING and chance.random() < 0.8):
                    more = {"assigned_to": chance.choice(SERVICES)} if kind == "task.reassigned" else {}
                    if self.happens(kind, task, agent if chance.random() < 0.9 else "api-9", commit="c1", **more):
                        break
            case "merge" if tasks:
                happened = chance.choice(("merge.queued", "merge.checking", "merge.conflicted", "merge.completed"))
                for task in self.view.index.in_status("merging"):
                    self.happens(happened, task, commit="c1", paths=["a.py"])
            case "gate":
                task = chance.choice([*tasks, ""])
                name = f"gate_{len(gates) + 1 if chance.random() < 0.95 else len(gates) + 990:03d}"
                self.happens("gate.evaluating", task or None, gate=name, place=chance.choice(("merge", "landing")))
            case "decide" if gates:
                verdict = chance.choice(("approve", "reject"))
                self.happens(chance.choice(GATE_KINDS), gate=chance.choice(gates), verdict=verdict)
            case "run":
                self.happens(chance.choice(RUN_KINDS))
            case "rollback" if tasks and self.view.run.status == "recovering":
                names = chance.sample(tasks, chance.randint(1, len(tasks)))
                self.happens("rollback.done", tasks={n: chance.choice(("again", "drop")) for n in names})


@pytest.mark.parametrize("seed", range(16))
def test_the_index_is_what_the_entities_say_after_every_event(seed: int) -> None:
    history = History(seed)
    for _ in range(400):
        before = history.seq
        history.step()
        view = history.view
        assert view.index == indexed(view), f"after event {view.last_seq}"
        assert history.seq == view.last_seq >= before
    assert view.last_seq > 80, "hardly anything fitted"


def test_the_histories_contain_everything_that_moves_a_task_or_a_gate() -> None:
    seen = set()
    for seed in range(16):
        history = History(seed)
        for _ in range(400):
            history.step()
        seen |= history.kinds

    assert seen >= {*TASK_KINDS, *GATE_KINDS, *RUN_KINDS, "rollback.done", "task.created", "gate.evaluating"}


def test_questions_to_the_index_answer_as_a_look_at_all_entities_would() -> None:
    for seed in range(6):
        history = History(seed)
        for _ in range(300):
            history.step()
        view, index = history.view, history.view.index
        tasks = view.tasks

        def is_open(task: Task, tasks: dict[str, Task] = tasks) -> bool:
            return any(name not in tasks or tasks[name].status != "done" for name in task.dependencies)

        pending = [task for task in tasks.values() if task.status == "pending"]
        dead = {task.id for task in tasks.values() if task.status in ("cancelled", "skipped")}
        assert index.done == sum(task.status == "done" for task in tasks.values())
        assert index.unended == sum(task.status not in ("done", "cancelled", "skipped") for task in tasks.values())
        assert set(index.unblocked) == {task.id for task in pending if not is_open(task)}
        assert set(index.doomed) == {task.id for task in pending if not dead.isdisjoint(task.dependencies)}
        assert set(index.open_gates) == {gate.id for gate in view.gates.values() if gate.status == "open"}
        for service in SERVICES:
            ready = {t.id for t in tasks.values() if t.status == "ready" and t.assigned_to == service}
            assert set(index.ready_of.get(service, ())) == ready
        for (place, task), name in index.latest_gate.items():
            numbers = [int(g.id[5:]) for g in view.gates.values() if (g.place, g.task) == (place, task)]
            assert int(name[5:]) == max(numbers)


def test_two_indexes_that_differ_in_a_task_are_not_equal() -> None:
    one, other = Task("task_001", "one", assigned_to="api"), Task("task_001", "one", "", "ready", "api")

    assert Index.of([one], []) == Index.of([one], [])
    assert Index.of([one], []) != Index.of([other], [])
    assert Index.of([one], []) != Index.of([], [])


def test_a_task_taken_back_by_a_rollback_waits_again_and_so_does_what_needs_it() -> None:
    history = History(0)
    history.happens("task.created", "task_001", assigned_to="api")
    history.happens("task.created", "task_002", assigned_to="web", dependencies=["task_001"])
    history.happens("task.ready", "task_001")
    history.happens("task.claimed", "task_001", "api-1")
    history.happens("task.submitted", "task_001", "api-1")
    history.happens("task.done", "task_001")
    assert (history.view.index.done, list(history.view.index.unblocked)) == (1, ["task_002"])
    history.happens("run.halted")
    history.happens("recovery.started")
    history.happens("rollback.done", tasks={"task_001": "again"})

    assert (history.view.index.done, list(history.view.index.unblocked)) == (0, ["task_001"])


RULES = (
    Rule("tests", condition="tests_fail", do=("create_hotfix",)),
    Rule("coverage", metric="coverage", sign="<", limit=80.0, unit="%", do=("block_deployment",)),
    Rule("found", condition="vulnerability_found", do=("block_deployment",)),
    Rule("broken", condition="incident_opened", do=("add_to_backlog",)),
)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_due_is_what_a_rule_holds_for_and_has_not_fired_for(seed: int) -> None:
    history, chance = History(seed), random.Random(seed)
    view, fired = history.view, 0
    for number in range(6):
        history.happens("task.created", f"task_{number:03d}", assigned_to="api")
    for step in range(300):
        task = chance.choice([*view.tasks, None])
        name = f"W-{chance.randint(1, 9)}"
        match chance.randrange(9):
            case 0 | 1 | 2:
                result = chance.choice(("pass", "fail"))
                check = chance.choice((("tests", None), ("coverage", chance.choice((79.9, 80.0)))))
                data: dict[str, Any] = {
                    "name": check[0],
                    "value": check[1],
                    "result": result,
                    "unit": "%" if check[1] else "",
                }
                history.happens("check.passed", task, commit=chance.choice("ab"), **data)
            case 3:
                history.happens("finding.opened", task, finding=name, category=chance.choice(("security", "style")))
            case 4:
                history.happens("finding.closed", finding=name, resolution="accepted")
            case 5 if view.index.due:
                key = chance.choice(list(view.index.due))
                rule, fact = chance.choice(view.index.due[key]), view.facts[key]
                about = {"firing": f"firing_{step}", "rule": rule, "fact": key, "evidence": fact.evidence}
                fired += history.happens("rule.fired", actions=["create_hotfix"], **about)
            case 6:
                rules = tuple(chance.sample(RULES, chance.randint(1, len(RULES))))
                history.happens("matrix.adopted", **Matrix(rules).data())
            case 7:
                history.happens("incident.opened", incident=f"incident_{step:03d}", trigger="failures")
            case _:
                history.happens(chance.choice(("task.ready", "task.cancelled")), task)
        assert view.index == indexed(view), f"after event {view.last_seq}"
    assert fired > 2
