"""The phases of a run's work: one after the other, each closed by its receipt and, where one is configured, its gate.

A phase whose gate sends it back goes to the architect, who plans what is missing; then it comes to its gate again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from swarm_core.vocabulary.entities import CONSULTATION, PLANNING_TASK, Gate, Phase, Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.view import RunView

from .effects import Effect, Record, SealPhase

UNENDED = ("pending", "ready", "running", "verifying", "merging", "blocked", "failed")
NewGate = Callable[[str, str, Task | None, int, str], Record]
Consult = Callable[[str, str, str, str], Record]
Evaluated = Callable[[Gate], Iterator[Effect]]


def phases_of_work(spec: SwarmSpec) -> tuple[str, ...]:
    """The phases between the plan and the landing, in their order."""
    return tuple(phase.key for phase in spec.gates.phases) or ("build",)


def present(view: RunView, spec: SwarmSpec) -> str:
    """The first phase of work that is not over; the last one when all are."""
    work = phases_of_work(spec)
    sealed = {key for key in work if key in view.phases and view.phases[key].status == "sealed"}
    return next((key for key in work if key not in sealed), work[-1])


def is_working(view: RunView, spec: SwarmSpec) -> bool:
    """Whether a phase of work goes on."""
    phase = view.phases.get(present(view, spec))
    return phase is not None and phase.status == "active"


def mark(view: RunView, spec: SwarmSpec) -> dict[str, str]:
    """What a further task says of the phase it belongs to; nothing where no phases are configured."""
    return {"phase": present(view, spec)} if spec.gates.phases else {}


def reopened(view: RunView, spec: SwarmSpec, reason: str) -> list[Draft]:
    """Opens the phase that further work belongs to, if it is over. One that waits at its gate opens by itself."""
    key = present(view, spec)
    phase = view.phases.get(key)
    is_over = phase is not None and (
        phase.status == "sealed" or (phase.status == "gating" and spec.gates.phase(key) is None)
    )
    return [Draft("phase.reopened", {"reason": reason}, phase=key)] if is_over else []


class Phases:
    """One look at the phases of one state. ``new_gate`` and ``consult`` make records of gates and of the architect's
    tasks, ``evaluated`` says what brings a gate to its decision."""

    def __init__(
        self, view: RunView, spec: SwarmSpec, new_gate: NewGate, consult: Consult, evaluated: Evaluated
    ) -> None:
        self.view, self.spec, self._new_gate, self._consult = view, spec, new_gate, consult
        self._evaluated = evaluated
        self.work = phases_of_work(spec)
        self.order = ("plan", *self.work)

    def effects(self, *, is_settled: bool) -> Iterator[Effect]:
        """``is_settled``: nothing that was found or measured may call for more work. Until then no phase ends, and one
        that waits at its gate is left there: work that comes opens it again, once it is there."""
        view = self.view
        if view.tasks[PLANNING_TASK].status != "done":
            return
        yield from self._phase("plan", is_done=True, is_settled=True)
        for key in self.work:
            yield from self._phase(key, is_done=self._is_done(key), is_settled=is_settled)

    @property
    def are_over(self) -> bool:
        """Whether all the work is sealed."""
        return self._is_sealed(self.work[-1])

    def has_begun(self, task: Task) -> bool:
        """Whether a task's phase goes on: nothing begins before the phases before it are sealed."""
        if not task.is_work or not self.spec.gates.phases or task.phase not in self.work:
            return True
        phase = self.view.phases.get(task.phase)
        return phase is not None and phase.status in ("active", "gating")

    def placed(self, tasks: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Planned tasks, each with its phase: its own, but no earlier than the present one or those it depends on."""
        if not self.spec.gates.phases:
            yield from map(dict, tasks)
            return
        planned = {task["id"]: task for task in tasks}
        places: dict[str, int] = {}
        present = next((i for i, key in enumerate(self.work) if not self._is_sealed(key)), len(self.work) - 1)

        def place(name: str) -> int:
            if name not in places:
                task = planned.get(name)
                known = self.view.tasks.get(name)
                wanted = str(task.get("phase", "")) if task is not None else known.phase if known is not None else ""
                own = self.work.index(wanted) if wanted in self.work else present
                places[name] = own if task is None else max(own, present)
                if task is not None:
                    places[name] = max([places[name], *map(place, task.get("dependencies", ()))])
            return places[name]

        for task in tasks:
            yield {**task, "phase": self.work[place(task["id"])]}

    def sent_back(self, gate: Gate, key: str) -> Iterator[Effect]:
        """The architect is asked for what is missing; the phase goes on. Once for each gate."""
        drafts = []
        if key in self.view.phases and self.view.phases[key].status in ("gating", "sealed"):
            drafts.append(Draft("phase.reopened", {"reason": f"sent back at {gate.id}: {gate.note}"}, phase=key))
        asked = self._consult(f"Sent back at {gate.id}: what is missing?", gate.note, "", gate.id)
        yield Record((*drafts, *asked.drafts))

    def is_answered(self, gate: Gate) -> bool | None:
        """Whether the architect's answer to a gate that sent work back is carried out; None before it was asked."""
        about = (self.view.tasks[name] for name in self.view.index.plans_about.get(gate.id, ()))
        plans = [task for task in about if task.is_planning]
        return all(plan.status in TASK.terminal for plan in plans) if plans else None

    # -- one phase

    def _phase(self, key: str, *, is_done: bool, is_settled: bool) -> Iterator[Effect]:
        phase = self.view.phases.get(key)
        before = self.order[self.order.index(key) - 1] if key != self.order[0] else ""
        if phase is None and self._is_sealed(before):
            yield Record((Draft("phase.started", phase=key),))
        elif phase is not None and phase.status == "active" and is_done and is_settled and self._is_sealed(before):
            yield Record((Draft("phase.work_done", phase=key),))
        elif phase is not None and phase.status == "gating" and (is_settled or not is_done):
            yield from self._gated(phase, is_done)

    def _gated(self, phase: Phase, is_done: bool) -> Iterator[Effect]:
        found = self.spec.gates.phase(phase.key)
        if found is None:
            yield SealPhase(phase.key, phase.round)
            return
        gate = self.view.latest_gate("phase", phase.key)
        if gate is not None and (gate.round != phase.round or gate.status == "aborted"):
            gate = None
        if not is_done:
            drafts = [Draft("phase.reopened", {"reason": "there is more work in it"}, phase=phase.key)]
            if gate is not None and gate.status in ("open", "evaluating"):
                gone = {"gate": gate.id, "reason": f"there is more work in {phase.key}"}
                drafts.append(Draft("gate.aborted", gone))
            yield Record(tuple(drafts))
        elif gate is None:
            yield self._new_gate("phase", f"{found.gate} · {found.title or phase.key}", None, phase.round, phase.key)
        elif gate.status == "evaluating":
            yield from self._evaluated(gate)
        elif gate.status == "passed" and gate.about != self.view.run.integration:
            reason = "the integration branch moved after the decision"
            yield Record((Draft("gate.invalidated", {"gate": gate.id, "reason": reason}),))
        elif gate.status == "passed":
            yield SealPhase(phase.key, phase.round)
        elif gate.status == "blocked":
            yield from self.sent_back(gate, phase.key)

    def _is_done(self, key: str) -> bool:
        if not self.spec.gates.phases:
            return not self.view.index.unended
        left = (self.view.tasks[name] for name in self.view.index.in_status(*UNENDED))
        return not any(task.kind != CONSULTATION and (not task.is_work or task.phase == key) for task in left)

    def _is_sealed(self, key: str) -> bool:
        return not key or (key in self.view.phases and self.view.phases[key].status == "sealed")
