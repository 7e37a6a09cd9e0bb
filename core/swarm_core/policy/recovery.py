"""The recovery protocol: contain, diagnose, choose, carry out, verify, resume.

A rule halts the run and begins it (``actions``); from there it follows from the state alone. The architect finds out
what happened while everybody else stands still, the operator chooses at a gate, and what was chosen is carried out. A
rollback is measured before the run goes on; other ways are measured at the gates of their tasks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from swarm_core.vocabulary.entities import DIAGNOSIS, Gate, Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.findings import Incident
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.rules import Firing
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.view import RunView

from .effects import Effect, EvaluateGate, Record
from .matrix import open_firings
from .names import Names
from .phases import mark, reopened

PLACE = "recovery"
WAYS = ("fix", "rollback [seq:N]", "revert TASK", "reassign TASK to SERVICE", "resume")
_SEQ = re.compile(r"seq:([0-9]{1,18})")
NewGate = Callable[[str, str], Record]


@dataclass(frozen=True, slots=True)
class Way:
    """How a run goes on. ``why_not`` says why it cannot, and is empty if it can."""

    way: str = ""
    task: str = ""
    service: str = ""
    seq: int = 0
    note: str = ""
    why_not: str = ""


class Recovering:
    """One look at the incidents that a protocol is about. ``new_gate`` takes a title and the incident's id."""

    def __init__(self, view: RunView, spec: SwarmSpec, new_gate: NewGate, new_task: Callable[[], str]) -> None:
        self.view, self.spec, self.new_gate, self.new_task = view, spec, new_gate, new_task

    def effects(self) -> Iterator[Effect]:
        for firing in open_firings(self.view):
            incident = self.view.incidents.get(firing.incident)
            if "recovery_protocol" in firing.done and incident is not None:
                yield from self._look(firing, incident)

    def _look(self, firing: Firing, incident: Incident) -> Iterator[Effect]:
        task = self._diagnosis(firing)
        gate = self.view.latest_gate(PLACE, incident.id)
        if incident.status == "closed" or not self.view.is_held:
            yield from self._leave(incident, task, gate)
        elif (self.view.run.status, self.view.run.pause) != ("halted", "halt"):
            return
        elif task is not None and task.status not in TASK.terminal:
            yield from self._diagnose(task)
        elif gate is None or gate.status == "aborted":
            yield self.new_gate(f"{incident.id}: how does the run go on?", incident.id)
        elif gate.status == "evaluating":
            yield EvaluateGate(gate.id)
        elif gate.status == "passed" and incident.status in ("contained", "escalated"):
            yield self._carry_out(gate, incident)

    def _diagnosis(self, firing: Firing) -> Task | None:
        tasks = (self.view.tasks.get(name) for name in firing.tasks)
        return next((task for task in tasks if task is not None and task.kind == DIAGNOSIS), None)

    def _leave(self, incident: Incident, task: Task | None, gate: Gate | None) -> Iterator[Effect]:
        """The run goes on: nobody has to find out or to choose any more."""
        reason = f"{incident.id} is over: the run was resumed"
        drafts = []
        if gate is not None and gate.status in ("open", "evaluating"):
            drafts.append(Draft("gate.aborted", {"gate": gate.id, "reason": reason}))
        if task is not None and task.status in ("pending", "ready", "running", "blocked", "failed"):
            drafts.append(Draft("task.cancelled", {"reason": reason}, task=task.id))
        if incident.status == "escalated":
            drafts.append(Draft("incident.closed", {"incident": incident.id}))
        if drafts:
            yield Record(tuple(drafts))

    def _diagnose(self, task: Task) -> Iterator[Effect]:
        match task.status:
            case "pending":
                yield Record((Draft("task.ready", {"reason": "the run waits for it"}, task=task.id),))
            case "verifying":
                yield diagnosed(task)
            case "failed" | "blocked":
                yield Record((Draft("task.cancelled", {"reason": f"no diagnosis: {task.reason}"}, task=task.id),))

    def _carry_out(self, gate: Gate, incident: Incident) -> Record:
        way = way_of(self.view, self.spec, gate.note, gate.about)
        if way.why_not:  # it could be when it was chosen, or nobody looked
            return Record((Draft("gate.invalidated", {"gate": gate.id, "reason": way.why_not}),))
        if way.way == "reassign" and self.view.tasks[way.task].status != "failed":  # first it is taken from its agent
            data = {"reason": self._reason(way, incident), "kind": "incident"}
            return Record((Draft("task.failed", data, task=way.task),))
        why = gate.note or "the operator named no other way"
        decided = {
            "decision": gate.id,
            "subject": incident.id,
            "question": f"how does the run go on after {incident.id}?",
            "candidates": list(WAYS),
            "chosen": [way.way],
            "method": "operator",
            "rule": "recovery_protocol",
            "why": why,
            "evidence": [gate.evidence],
        }
        resumed = Draft("run.resumed", {"incident": incident.id})
        return Record(
            (Draft("decision.made", decided), *self._drafts(way, incident), *((resumed,) if not way.seq else ()))
        )

    def _drafts(self, way: Way, incident: Incident) -> list[Draft]:
        reason = self._reason(way, incident)
        match way.way:
            case "rollback" | "revert":
                return [Draft("recovery.started", {"to_seq": way.seq, "incident": incident.id, "reason": reason})]
            case "reassign":
                given = {"assigned_to": way.service, "note": reason, "by": "operator"}
                return [Draft("task.reassigned", given, task=way.task)]
            case "fix":
                return self._fix(incident, way.note)
        return []

    def _reason(self, way: Way, incident: Incident) -> str:
        return f"{incident.id}: {way.way} {way.note}".strip()

    def _fix(self, incident: Incident, note: str) -> list[Draft]:
        firing = self.view.firings.get(incident.subject)
        told = firing.why if firing is not None else incident.reason
        diagnosis = self._diagnosis(firing) if firing is not None else None
        found = "\n".join(diagnosis.handoff.values()) if diagnosis is not None else ""
        service = Names(self.view, self.spec).responsible(firing.fact).chosen if firing else self.spec.workers[0]
        data = {
            "title": f"Mend what {incident.id} is about",
            "description": "\n\n".join(
                part for part in (told, found, note, "Add a test that fails without it.") if part
            ),
            "assigned_to": service,
            "created_by": "matrix",
            "priority": "critical",
            **mark(self.view, self.spec),
        }
        task = self.new_task()
        drafts = [*reopened(self.view, self.spec, incident.id), Draft("task.created", data, task=task)]
        finding = self.view.findings.get(firing.fact.key.partition(":")[2]) if firing is not None else None
        if finding is not None and finding.status == "open":  # this is its fix: nobody else is sent for it
            begun = {"finding": finding.id, "owner": service, "task": task}
            drafts.append(Draft("finding.fix_started", begun))
        return drafts


def diagnosed(task: Task) -> Record:
    """A diagnosis changes nothing, so nobody has to approve it."""
    return Record((Draft("task.done", {"commit": ""}, task=task.id),))


def way_of(view: RunView, spec: SwarmSpec, note: str, about: str) -> Way:
    """The way that a note names: its first words. Without one, something is mended and the run goes on.

    ``about`` is where a rollback goes if the note names no event: ``seq:N``.
    """
    words = note.split()
    first = words[0].lower().rstrip(":,.") if words else "fix"
    match first:
        case "rollback":
            named = _SEQ.fullmatch(words[1]) if len(words) > 1 else None
            point = named or _SEQ.fullmatch(about)
            seq = int(point[1]) if point else 0
            if not view.started_seq <= seq <= view.last_seq:
                return Way(first, why_not="there is no event to go back to: name one, as in `rollback seq:120`")
            return Way(first, seq=seq, note=" ".join(words[1:]))
        case "revert":
            task = words[1] if len(words) > 1 else ""
            merge = view.merges.get(task)
            if merge is None or merge.status != "merged":
                merged = ", ".join(name for name, one in view.merges.items() if one.status == "merged") or "none"
                return Way(first, why_not=f"{task or 'no task'} was not merged; those that were: {merged}")
            return Way(first, task=task, seq=merge.merged_seq - 1, note=f"{task} and what was merged after it")
        case "reassign":
            names = [word for word in words[1:] if word.lower() != "to"]
            task, service = (names[0], names[1].rstrip(".,")) if len(names) > 1 else ("", "")
            found = view.tasks.get(task)
            if found is None or found.status not in ("running", "verifying", "blocked", "failed"):
                return Way(first, why_not=f"{task or 'no task'} is not under way: write `reassign TASK to SERVICE`")
            if service not in spec.workers:
                return Way(first, why_not=f"there is no service {service!r}: {', '.join(spec.workers)}")
            return Way(first, task=task, service=service, note=f"given to {service}")
        case "resume":
            return Way(first, note=" ".join(words[1:]))
    return Way("fix", note=note if first != "fix" else " ".join(words[1:]))
