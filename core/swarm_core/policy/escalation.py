"""Work that failed: the architect gives it to somebody else, then the operator is asked, or everything stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from swarm_core.vocabulary.entities import CONSULTATION, DIAGNOSIS, PLANNING_TASK, Gate, Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.view import RunView

from .critics import CRITIQUE
from .effects import Effect, Record
from .failures import BLAST_TASKS, halting
from .phases import Consult, Evaluated, NewGate

MAX_MEDIATIONS = 1
FoundGate = Callable[[str, Task | None, int], Gate | None]


class Escalating:
    """One look at the tasks that failed or are stuck. ``new_gate`` and ``consult`` make records of gates and of the
    architect's tasks, ``gate`` finds the one of a round, ``evaluated`` says what brings it to its decision."""

    def __init__(
        self, view: RunView, gate: FoundGate, new_gate: NewGate, consult: Consult, evaluated: Evaluated
    ) -> None:
        self.view, self._gate, self._new_gate = view, gate, new_gate
        self._consult, self._evaluated = consult, evaluated

    def effects(self) -> Iterator[Effect]:
        for name in self.view.index.in_status("blocked", "failed"):
            yield from self._failed(self.view.tasks[name])
        yield from self._blast_radius()

    def _failed(self, task: Task) -> Iterator[Effect]:
        """First the architect gives the task to somebody else, then the operator is asked."""
        if task.held:
            return
        if (task.is_planning or task.kind in (CONSULTATION, DIAGNOSIS)) and task.id != PLANNING_TASK:
            reason = f"the architect could not help: {task.reason}"
            yield Record((Draft("task.cancelled", {"reason": reason}, task=task.id),))
            return
        if (
            task.status == "failed"
            and task.failed_kind != CRITIQUE
            and not task.is_planning
            and task.mediations < MAX_MEDIATIONS
        ):
            plans = [self.view.tasks[name] for name in self.view.index.plans_about.get(task.id, ())]
            if any(plan.status not in TASK.terminal for plan in plans):
                return
            if len(plans) <= task.mediations:
                yield self._consult(f"{task.id} failed: who goes on with it?", task.reason, "", task.id)
                return
        gate = self._gate("escalation", task, task.attempt)
        if gate is None:
            yield self._new_gate("escalation", f"{task.id} · {task.title}", task, task.attempt, "")
        elif gate.status == "evaluating":
            yield from self._evaluated(gate)
        elif gate.status == "blocked":
            reason = f"given up at {gate.id}: {gate.note}" if gate.note else f"given up at {gate.id}"
            yield Record((Draft("task.cancelled", {"reason": reason}, task=task.id),))
        elif gate.status == "passed" and task.status == "failed":
            yield Record((Draft("task.reassigned", {"note": gate.note, "gate": gate.id}, task=task.id),))
        elif gate.status == "passed":
            again = {"note": gate.note, "reason": task.reason, "iteration": task.iteration + 1}
            yield Record((Draft("task.ready", again, task=task.id),))

    def _blast_radius(self) -> Iterator[Effect]:
        """Several tasks that failed at once are one problem: everything stops until somebody looked at it."""
        failed = self.view.index.in_status("failed")
        if len(failed) < BLAST_TASKS:
            return
        seen = {name for incident in self.view.incidents.values() for name in incident.subject.split()}
        fresh = [name for name in failed if name not in seen]
        if len(fresh) >= BLAST_TASKS:
            reason = f"{len(fresh)} tasks failed: {', '.join(fresh)}"
            yield Record(halting(self.view, reason, trigger="failures", scope="phase", subject=" ".join(fresh)))
