"""A play that goes on by itself: everybody does what is asked of them, and the operator says yes.

What a test is about it answers itself: ``says`` what is decided at a gate, ``plans`` what the architect answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support.story import Story

from swarm_core.policy.effects import (
    Act,
    EvaluateGate,
    KeepUnlanded,
    Land,
    MergeTask,
    PrepareRun,
    RetireInstance,
    RollBack,
    RunAgent,
    StartInstance,
)
from swarm_core.policy.matrix import blocking
from swarm_core.vocabulary.entities import Gate, Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.spec import SwarmSpec

MAX_STEPS = 400
PASSED = [{"name": "tests", "passed": True}]
Says = Callable[[Gate], tuple[str, str]]
Answer = Callable[[Task], Mapping[str, Any]]


def yes(gate: Gate) -> tuple[str, str]:
    return "approve", ""


def nothing(task: Task) -> Mapping[str, Any]:
    return {}


class Carried(Story):
    """``plan`` are the tasks of the architect's first plan."""

    def __init__(self, spec: SwarmSpec, plan: Sequence[Mapping[str, Any]], says: Says = yes, plans: Answer = nothing):
        self.plan, self.says, self.plans = plan, says, plans
        self.landed = 0
        super().__init__(spec)

    def go(self, until: Callable[[Carried], object] = lambda play: play.view.is_over) -> Carried:
        """Carry out one act after the other until ``until``."""
        for _ in range(MAX_STEPS):
            if until(self):
                return self
            act = next((one for one in self.acts if self._can(one)), None)
            if act is None:
                raise AssertionError(f"nobody has anything to do: {self.acts}, {self.standing()}")
            self.do(act)
        raise AssertionError(f"it never ends: {self.standing()}")

    def standing(self) -> list[str]:
        view = self.view
        rows = [(one.id, one.title, one.status) for one in view.tasks.values()]
        rows += [(one.id, one.title, one.status) for one in view.findings.values()]
        rows += [(one.id, one.title, one.status) for one in view.gates.values()]
        return [" ".join(row) for row in rows]

    def _can(self, act: Act) -> bool:
        held = isinstance(act, RunAgent) and self.view.why_held(self.view.tasks[act.task])
        return not held

    def do(self, act: Act) -> None:
        match act:
            case PrepareRun():
                self.happens("run.started", base="b0", base_ref="refs/heads/main", integration="b0")
            case StartInstance(instance):
                self.started(instance, instance.rpartition("-")[0])
            case RetireInstance(instance):
                self.happens("agent.retired", agent=instance)
            case RunAgent(task):
                self._works(self.view.tasks[task])
            case EvaluateGate(gate):
                self._decides(self.view.gates[gate])
            case MergeTask(task, commit):
                self.merged(task, commit)
            case RollBack(seq):
                incident = next(one.id for one in self.view.incidents.values() if one.status == "recovering")
                back = {"to_seq": seq, "integration": "b0", "tasks": {}, "phases": []}
                self._append(Draft("rollback.done", back))
                self.happens("recovery.completed", incident=incident, seconds=1.0)
            case Land(gate):
                self.landed += 1
                forced = any(one.forced for one in self.view.gates.values())
                outcome = "with_issues" if forced else "clean"
                self.happens("run.completed", outcome=outcome, landed=True, commit=self.view.run.integration)
            case KeepUnlanded(reason):
                self.happens("run.completed", outcome="partial", landed=False, reason=reason)
            case _:
                raise AssertionError(f"nobody here does {act}")

    def _works(self, task: Task) -> None:
        if task.is_planning:
            plan = {"tasks": self.plan} if task.id == "task_000" else self.plans(task)
            self.happens("artifact.written", task.id, task.instance, type="plan", **plan)
        if task.is_work:
            self.submits(task.id, f"c-{task.id}-{task.iteration}")
        else:
            self.submits(task.id, "", files=0)

    def _decides(self, gate: Gate) -> None:
        about = self.view.tasks[gate.task].commit if gate.place == "merge" else ""
        about = self.view.run.integration if gate.place in ("phase", "landing") else about
        about = f"seq:{self.view.started_seq}" if gate.place == "recovery" else about
        blockers = blocking(self.view) if gate.place == "landing" else []
        shown: dict[str, Any] = {
            "evidence": f"e{len(self.events)}",
            "about": about,
            "checks": PASSED,
            "blockers": blockers,
        }
        self.happens("gate.opened", gate=gate.id, **shown)
        if self.view.gates[gate.id].status != "open":
            return
        verdict, note = self.says(self.view.gates[gate.id])
        if verdict:
            evidence = self.view.gates[gate.id].evidence
            self.happens("gate.decided", gate=gate.id, verdict=verdict, note=note, evidence=evidence)

    # -- what a test asks

    def work(self) -> list[Task]:
        return [task for task in self.view.tasks.values() if task.is_work]

    def count(self, kind: str) -> int:
        return sum(event.kind == kind for event in self.events)
