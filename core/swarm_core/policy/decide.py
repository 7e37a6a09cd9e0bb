"""What should happen next, as a pure function of the state.

``decide`` is level-triggered: it looks at what is true and says what is missing, so a restart needs no special case.
The runner starts each effect that is not under way, cancels agents that are no longer wanted, and asks again when
the state has changed. A look costs what is open, not what was.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from swarm_core.vocabulary.budgets import Budget
from swarm_core.vocabulary.entities import CONSULTATION, DIAGNOSIS, PLANNING_TASK, Gate, Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.findings import Finding
from swarm_core.vocabulary.ids import numbered
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.view import RunView

from .actions import Acting
from .asks import asks
from .budgets import Budgeting
from .critics import Critics
from .effects import (
    Effect,
    KeepUnlanded,
    Land,
    MergeTask,
    PrepareRun,
    Record,
    RetireInstance,
    RollBack,
    RunAgent,
    SealPhase,
)
from .escalation import Escalating
from .findings import Findings
from .matrix import blocking, fire, is_of_a_rule
from .outlook import Outlook
from .phases import Phases
from .planning import Planning
from .recovery import Recovering, diagnosed
from .reviews import evaluated
from .staffing import Staffing


def decide(view: RunView, spec: SwarmSpec, outlook: Outlook | None = None) -> list[Effect]:
    """The effects that the present state calls for, records first."""
    effects = list(_Decision(view, spec, outlook or Outlook()).effects())
    return sorted(effects, key=lambda effect: not isinstance(effect, Record))


class _Decision:
    """One look at one state. Holds what was already given away in this look."""

    def __init__(self, view: RunView, spec: SwarmSpec, outlook: Outlook) -> None:
        self.view, self.spec, self.outlook = view, spec, outlook
        self.gate_numbers = itertools.count(len(view.gates) + 1)
        self.task_numbers: Iterator[int] | None = None
        self.staffing = Staffing(view, spec, outlook)
        self.has_fired = self.has_recorded = False
        self.planning = Planning(view, self._task_id)
        self.critics = Critics(view, spec, self._task_id)
        self.findings = Findings(view, spec, self._task_id, self._finding_gate)
        self.phases = Phases(view, spec, self._new_gate, self.planning.consultation, self._evaluated)

    def effects(self) -> Iterator[Effect]:
        for effect in self._look():
            self.has_recorded = self.has_recorded or isinstance(effect, Record)
            yield effect

    def _look(self) -> Iterator[Effect]:
        view, pause = self.view, self.view.run.pause
        if view.is_over:
            yield from (SealPhase(p.key, p.round) for p in view.phases.values() if p.status == "gating")
            yield from (RetireInstance(i.id) for i in view.instances.values() if i.status != "retired")
            return
        if view.run.status == "created":
            yield PrepareRun()
            return
        if view.run.status == "recovering":
            yield RollBack(view.run.rollback_to)
            return
        yield from self._incidents()
        yield from self._rules()
        if pause != "stop":
            yield from self._agents()
        if not pause or pause == "drain":
            yield from self._progress()
        if not pause:
            yield from self._beginnings()

    def _incidents(self) -> Iterator[Effect]:
        """A halt contains what happened; what was recovered from, or resumed after, is over."""
        for name in list(self.view.index.open_incidents):
            incident = self.view.incidents[name]
            kind = {"open": "incident.contained", "resolved": "incident.closed"}.get(incident.status)
            if incident.status == "contained" and not self.view.is_held:
                kind = "incident.closed"
            if kind:
                yield Record((Draft(kind, {"incident": incident.id}),))

    def _rules(self) -> Iterator[Effect]:
        """What the decision matrix says follows from what was measured and found."""
        view = self.view
        fired = list(fire(view))
        self.has_fired = bool(fired)
        yield from fired
        if view.open_firings:
            yield from Acting(view, self.spec, self._task_id).effects()
            yield from Recovering(view, self.spec, self._recovery_gate, self._task_id).effects()
        if any(name in view.index.by_status.get("ready", ()) for name in self._diagnoses()):
            yield from self.staffing.claims()  # everybody else is held, and is not claimed
        gate = view.latest_gate("landing")
        if gate is not None and gate.status == "open" and view.index.unended:
            yield Record((Draft("gate.invalidated", {"gate": gate.id, "reason": "there is work to be done again"}),))

    def _diagnoses(self) -> Iterator[str]:
        if self.view.is_held:
            for name in self.view.open_firings:
                yield from (
                    task for task in self.view.firings[name].tasks if self.view.is_diagnosis(self.view.tasks[task])
                )

    def _agents(self) -> Iterator[Effect]:
        """Whoever has work goes on; where it is held, it waits at its next step."""
        for name in self.view.index.in_status("running"):
            task = self.view.tasks[name]
            yield RunAgent(task.id, task.instance, task.iteration, task.attempt)
        yield from self.staffing.moods()

    def _progress(self) -> Iterator[Effect]:
        """What finishes work that was begun."""
        view = self.view
        yield from asks(view, self.gate_numbers)
        for name in view.index.in_status("verifying"):
            yield from self._verifying(view.tasks[name])
        yield from self._merging()
        yield from Budgeting(view, self.spec, self._budget_gate).effects()
        for gate in view.open_gates:
            if gate.task and not gate.ask and view.tasks[gate.task].status in TASK.terminal:
                data = {"gate": gate.id, "reason": f"{gate.task} is {view.tasks[gate.task].status}"}
                yield Record((Draft("gate.aborted", data, task=gate.task),))

    def _beginnings(self) -> Iterator[Effect]:
        """What begins something new."""
        view = self.view
        if PLANNING_TASK not in view.tasks:
            yield self.planning.first_task()
            return
        for name in view.index.doomed:
            task = view.tasks[name]
            dead = sorted(d for d in task.dependencies if view.tasks[d].status in ("cancelled", "skipped"))
            reason = f"needs {', '.join(dead)}, which will not be done"
            yield Record((Draft("task.cancelled", {"reason": reason}, task=name),))
        due = [name for name in view.index.unblocked if self.phases.has_begun(view.tasks[name])]
        for name in due:
            yield Record((Draft("task.ready", {"reason": "everything it depends on is done"}, task=name),))
        for key, request in view.requests.items():
            yield self.planning.consultation(
                f"Weigh a request of {request['task']}", str(request.get("reason", "")), key, ""
            )
        if not due:  # what is ready in a moment may be more urgent than what is ready now
            yield from self.staffing.claims()
        yield from Escalating(view, self._gate, self._new_gate, self.planning.consultation, self._evaluated).effects()
        found = list(self._found())
        yield from found
        # A record of this look may bring work that the state does not show yet: nothing ends before the next look.
        yield from self.phases.effects(is_settled=not found and not self.has_recorded and not self.findings.is_waiting)
        yield from self.staffing.leavings()
        if not self.has_recorded:
            yield from self._ending()

    def _found(self) -> Iterator[Effect]:
        """Rules come first: what one of them does about a finding is not done twice."""
        if not self.has_fired:
            yield from self.findings.effects()

    # -- names

    def _task_id(self) -> str:
        if self.task_numbers is None:  # most looks make no task
            self.task_numbers = itertools.count(self.view.next_task_number())
        return numbered("task", next(self.task_numbers))

    # -- finishing

    def _verifying(self, task: Task) -> Iterator[Effect]:
        if task.kind == CONSULTATION or task.is_review:  # what they said is told; there is nothing to merge
            yield Record((Draft("task.done", {"commit": ""}, task=task.id),))
            return
        if task.is_planning and self.planning.needs_no_gate(task):
            yield self.planning.planned(task, self.phases.placed)
            return
        if task.kind == DIAGNOSIS:
            yield diagnosed(task)
            return
        if (before := self.critics.step(task)) is not None:
            yield from before
            return
        place = "plan" if task.is_planning else "merge"
        gate = self._gate(place, task, task.iteration)
        if gate is None:
            yield self._new_gate(place, f"{task.id} · {task.title}", task, task.iteration)
        elif gate.status == "evaluating":
            yield from self._evaluated(gate)
        elif gate.status == "blocked":
            data = {"note": gate.note, "gate": gate.id, "iteration": task.iteration + 1}
            yield Record((Draft("task.reopened", data, task=task.id),))
        elif gate.status == "passed" and gate.about not in ("", task.commit):
            data = {"gate": gate.id, "reason": f"it was about {gate.about[:12]}, the work is at {task.commit[:12]}"}
            yield Record((Draft("gate.invalidated", data, task=task.id),))
        elif gate.status == "passed":
            yield self._accepted(task, gate)

    def _accepted(self, task: Task, gate: Gate) -> Record:
        if task.is_planning:
            return self.planning.planned(task, self.phases.placed)
        if not task.stat.files:
            return Record((Draft("task.done", {"commit": ""}, task=task.id),))
        return Record((Draft("task.verified", {"gate": gate.id}, task=task.id),))

    def _merging(self) -> Iterator[Effect]:
        """One at a time, first come first served; one that was under way in a crash goes on."""
        view, index = self.view, self.view.index
        for name in index.merge_unqueued:
            yield Record((Draft("merge.queued", {"commit": view.tasks[name].commit}, task=name),))
        for name in index.merge_finished:
            yield Record((Draft("task.done", {"commit": view.merges[name].merged_as}, task=name),))
        for name in itertools.islice(itertools.chain(index.merge_checking, index.merge_queue), 1):
            yield MergeTask(name, view.merges[name].commit)

    # -- gates

    def _gate(self, place: str, task: Task | None, round_: int) -> Gate | None:
        gate = self.view.latest_gate(place, task.id if task else "")
        return gate if gate is not None and gate.round == round_ and gate.status != "aborted" else None

    def _evaluated(self, gate: Gate) -> Iterator[Effect]:
        return evaluated(self.view, gate, self._task_id)

    def _budget_gate(self, budget: Budget) -> Record:
        return self._new_gate("budget", f"The budget {budget.id} is used up", None, budget.round, budget.id)

    def _recovery_gate(self, title: str, incident: str) -> Record:
        return self._new_gate("recovery", title, None, 1, incident)

    def _finding_gate(self, finding: Finding) -> Record:
        title = f"{finding.id} is not resolved: {finding.title}"
        return self._new_gate("escalation", title, None, finding.rounds, finding.id)

    def _new_gate(self, place: str, title: str, task: Task | None, round_: int, subject: str = "") -> Record:
        gate = numbered("gate", next(self.gate_numbers))
        data = {"gate": gate, "place": place, "title": title, "round": round_}
        if subject:
            data["subject"] = subject
        return Record((Draft("gate.evaluating", data, task=task.id if task else None),))

    # -- phases and the end

    def _ending(self) -> Iterator[Effect]:
        view = self.view
        if view.index.unended or any(instance.status != "retired" for instance in view.instances.values()):
            return
        if view.tasks[PLANNING_TASK].status != "done":
            reason = f"there is no plan: {view.tasks[PLANNING_TASK].reason}"
            yield Record((Draft("run.failed", {"reason": reason}),))
        elif not self.phases.are_over:
            return
        elif view.run.integration == view.run.base:
            data = {"outcome": "partial", "landed": False, "reason": "no task changed anything"}
            yield Record((Draft("run.completed", data),))
        elif "land" not in view.phases:
            yield Record((Draft("phase.started", phase="land"),))
        else:
            yield from self._landing()

    def _landing(self) -> Iterator[Effect]:
        gate = self.view.latest_gate("landing")
        if gate is None or gate.status == "aborted":
            round_ = gate.round + 1 if gate else 1
            yield self._new_gate("landing", f"Land: {self.view.run.title}", None, round_)
        elif gate.status == "evaluating":
            yield from self._evaluated(gate)
        elif gate.status == "passed" and gate.verdict != "force" and (blockers := blocking(self.view)):
            yield Record((Draft("gate.invalidated", {"gate": gate.id, "reason": "; ".join(blockers)}),))
        elif gate.status == "open" and set(blocking(self.view)) != {b for b in gate.blockers if is_of_a_rule(b)}:
            reason = "what the rules block on has changed"
            yield Record((Draft("gate.invalidated", {"gate": gate.id, "reason": reason}),))
        elif gate.status == "passed":
            yield Land(gate.id)
        elif gate.status == "blocked" and gate.verdict == "request_changes":
            if self.phases.is_answered(gate):
                yield self._new_gate("landing", f"Land: {self.view.run.title}", None, gate.round + 1)
            else:
                yield from self.phases.sent_back(gate, self.phases.work[-1])
        elif gate.status == "blocked":
            yield KeepUnlanded(gate.note or "the operator kept the work off the branch")
