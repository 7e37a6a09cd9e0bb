"""What should happen next, as a pure function of the state.

``decide`` is level-triggered: it looks at what is true and says what is missing, so a restart needs no special case.
The runner starts each effect that is not under way, cancels acts that are no longer wanted, and asks again when
the state has changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from swarm_core.vocabulary.entities import ARCHITECT, PLANNING_TASK, PRIORITIES, Gate, Instance, Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.ids import numbered
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.spec import ServiceSpec, SwarmSpec
from swarm_core.vocabulary.view import RunView

from .effects import (
    Effect,
    EvaluateGate,
    KeepUnlanded,
    Land,
    MergeTask,
    PrepareRun,
    Record,
    RetireInstance,
    RunAgent,
    StartInstance,
)


def decide(view: RunView, spec: SwarmSpec) -> list[Effect]:
    """The effects that the present state calls for, records first."""
    effects = list(_Decision(view, spec).effects())
    return sorted(effects, key=lambda effect: not isinstance(effect, Record))


def ready_order(task: Task) -> tuple[int, int, str]:
    """Rework first comes by its place in the plan: priority, then order, then id."""
    rank = PRIORITIES.index(task.priority) if task.priority in PRIORITIES else len(PRIORITIES)
    return rank, task.order, task.id


class _Decision:
    """One look at one state. Holds what was already given away in this look."""

    def __init__(self, view: RunView, spec: SwarmSpec) -> None:
        self.view, self.spec = view, spec
        self.gate_numbers = itertools.count(len(view.gates) + 1)
        self.working = {t.instance: t.id for t in view.tasks.values() if t.status == "running"}
        self.taken: set[str] = set()

    def effects(self) -> Iterator[Effect]:
        view = self.view
        if view.is_over:
            yield from (RetireInstance(i.id) for i in view.instances.values() if i.status != "retired")
            return
        if view.run.status == "created":
            yield PrepareRun()
            return
        if PLANNING_TASK not in view.tasks:
            yield self._create_planning()
            return
        for task in sorted(view.tasks.values(), key=ready_order):
            yield from self._task(task)
        yield from self._merge_queue()
        yield from self._instances()
        yield from self._ending()

    # -- tasks

    def _create_planning(self) -> Record:
        run = self.view.run
        data = {
            "title": f"Plan: {run.title}",
            "description": run.goal,
            "assigned_to": ARCHITECT,
            "created_by": "orchestrator",
            "dependencies": [],
            "priority": "critical",
            "order": 0,
        }
        return Record((Draft("task.created", data, task=PLANNING_TASK),))

    def _task(self, task: Task) -> Iterator[Effect]:
        match task.status:
            case "pending":
                yield from self._pending(task)
            case "ready":
                yield from self._ready(task)
            case "running":
                yield RunAgent(task.id, task.instance, task.iteration, task.attempt)
            case "verifying":
                yield from self._verifying(task)
            case "merging":
                yield from self._merging(task)
            case "blocked" | "failed":
                yield from self._escalated(task)

    def _pending(self, task: Task) -> Iterator[Effect]:
        states = {dep: self.view.tasks[dep].status for dep in task.dependencies}
        dead = sorted(dep for dep, status in states.items() if status in ("cancelled", "skipped"))
        if dead:
            reason = f"needs {', '.join(dead)}, which will not be done"
            yield Record((Draft("task.cancelled", {"reason": reason}, task=task.id),))
        elif all(status == "done" for status in states.values()):
            yield Record((Draft("task.ready", {"reason": "everything it depends on is done"}, task=task.id),))

    def _ready(self, task: Task) -> Iterator[Effect]:
        service = self.spec.services.get(task.assigned_to)
        if service is None:
            reason = f"no service {task.assigned_to!r} is configured"
            yield Record((Draft("task.cancelled", {"reason": reason}, task=task.id),))
            return
        busy = len(self.working) + len(self.taken)
        if busy >= self.spec.max_parallel:
            return
        live = [i for i in self.view.instances.values() if i.service == service.key and i.status != "retired"]
        given = self.taken | self.working.keys()
        idle = [i for i in live if i.status == "idle" and i.id not in given]
        if idle:
            instance = next((i for i in idle if i.id == task.instance), idle[0])
            self.taken.add(instance.id)
            data = {"attempt": task.attempt + 1, "base": self.view.run.integration}
            yield Record((Draft("task.claimed", data, task=task.id, agent=instance.id),))
        elif name := self._new_instance(service, live):
            self.taken.add(name)
            yield StartInstance(name)

    def _new_instance(self, service: ServiceSpec, live: list[Instance]) -> str:
        """The name of a further instance, or nothing when all replicas exist or are being started."""
        for instance in live:
            if instance.status == "starting" and instance.id not in self.taken:
                return instance.id
        started = {name for name in self.taken if name not in self.view.instances}
        started = {name for name in started if name.rpartition("-")[0] == service.key}
        if len(live) + len(started) >= service.replicas:
            return ""
        known = self.view.instances.keys() | self.taken
        return next(n for k in itertools.count(1) if (n := f"{service.key}-{k}") not in known)

    def _verifying(self, task: Task) -> Iterator[Effect]:
        place = "plan" if task.id == PLANNING_TASK else "merge"
        gate = self._gate(place, task, task.iteration)
        if gate is None:
            yield self._new_gate(place, f"{task.id} · {task.title}", task, task.iteration)
        elif gate.status == "evaluating":
            yield EvaluateGate(gate.id)
        elif gate.status == "blocked":
            data = {"note": gate.note, "gate": gate.id, "iteration": task.iteration + 1}
            yield Record((Draft("task.reopened", data, task=task.id),))
        elif gate.status == "passed":
            yield self._accepted(task, gate)

    def _accepted(self, task: Task, gate: Gate) -> Record:
        if task.id == PLANNING_TASK:
            created = tuple(
                Draft("task.created", {k: v for k, v in planned.items() if k != "id"}, task=planned["id"])
                for planned in self.view.plan
                if planned["id"] not in self.view.tasks
            )
            return Record((*created, Draft("task.done", {"commit": ""}, task=task.id)))
        if not task.stat.files:
            return Record((Draft("task.done", {"commit": ""}, task=task.id),))
        return Record((Draft("task.verified", {"gate": gate.id}, task=task.id),))

    def _merging(self, task: Task) -> Iterator[Effect]:
        merge = self.view.merges.get(task.id)
        if merge is None or merge.status == "conflicted":
            yield Record((Draft("merge.queued", {"commit": task.commit}, task=task.id),))
        elif merge.status == "merged":
            yield Record((Draft("task.done", {"commit": merge.merged_as}, task=task.id),))

    def _escalated(self, task: Task) -> Iterator[Effect]:
        gate = self._gate("escalation", task, task.attempt)
        if gate is None:
            yield self._new_gate("escalation", f"{task.id} · {task.title}", task, task.attempt)
        elif gate.status == "evaluating":
            yield EvaluateGate(gate.id)
        elif gate.status == "blocked":
            reason = f"given up at {gate.id}: {gate.note}" if gate.note else f"given up at {gate.id}"
            yield Record((Draft("task.cancelled", {"reason": reason}, task=task.id),))
        elif gate.status == "passed":
            data = {"note": gate.note, "gate": gate.id}
            if task.status == "failed":
                yield Record((Draft("task.reassigned", data, task=task.id),))
            else:
                again = {**data, "reason": task.reason, "iteration": task.iteration + 1}
                yield Record((Draft("task.ready", again, task=task.id),))

    # -- gates, merges, instances, the end

    def _gate(self, place: str, task: Task | None, round_: int) -> Gate | None:
        gate = self.view.latest_gate(place, task.id if task else "")
        return gate if gate is not None and gate.round == round_ else None

    def _new_gate(self, place: str, title: str, task: Task | None, round_: int) -> Record:
        gate = numbered("gate", next(self.gate_numbers))
        data = {"gate": gate, "place": place, "title": title, "round": round_}
        return Record((Draft("gate.evaluating", data, task=task.id if task else None),))

    def _merge_queue(self) -> Iterator[Effect]:
        """One at a time, first come first served; one that was under way in a crash goes on."""
        merging = {t.id for t in self.view.tasks.values() if t.status == "merging"}
        waiting = [m for m in self.view.merges.values() if m.task in merging and m.status in ("queued", "checking")]
        if waiting:
            merge = min(waiting, key=lambda m: (m.status != "checking", m.order))
            yield MergeTask(merge.task, merge.commit)

    def _instances(self) -> Iterator[Effect]:
        wanted = {t.assigned_to for t in self.view.tasks.values() if t.status not in TASK.terminal}
        planned = self.view.tasks[PLANNING_TASK].status in TASK.terminal
        for instance in self.view.instances.values():
            if instance.id in self.taken:
                continue
            if instance.status == "starting":
                yield StartInstance(instance.id)
            elif instance.status == "idle" and instance.id in self.working:
                yield Record((Draft("agent.busy", task=self.working[instance.id], agent=instance.id),))
            elif instance.status in ("busy", "waiting") and instance.id not in self.working:
                yield Record((Draft("agent.idle", agent=instance.id),))
            elif instance.status == "idle" and planned and instance.service not in wanted:
                yield RetireInstance(instance.id)

    def _ending(self) -> Iterator[Effect]:
        tasks = self.view.tasks
        if any(task.status not in TASK.terminal for task in tasks.values()):
            return
        if any(instance.status != "retired" for instance in self.view.instances.values()):
            return
        if tasks[PLANNING_TASK].status != "done":
            reason = f"there is no plan: {tasks[PLANNING_TASK].reason}"
            yield Record((Draft("run.failed", {"reason": reason}),))
        elif self.view.run.integration == self.view.run.base:
            data = {"outcome": "partial", "landed": False, "reason": "no task changed anything"}
            yield Record((Draft("run.completed", data),))
        else:
            yield from self._landing()

    def _landing(self) -> Iterator[Effect]:
        gate = self.view.latest_gate("landing")
        if gate is None:
            yield self._new_gate("landing", f"Land: {self.view.run.title}", None, 1)
        elif gate.status == "evaluating":
            yield EvaluateGate(gate.id)
        elif gate.status == "passed":
            yield Land(gate.id)
        elif gate.status == "blocked":
            yield KeepUnlanded(gate.note or "the operator kept the work off the branch")
