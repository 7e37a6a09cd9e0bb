"""The life of a finding: raised, given to whoever owns the place, fixed by a merge, verified by whoever raised it.

Findings of a review belong to the critic loop while the reviewed task goes on (see ``critics``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from swarm_core.vocabulary.entities import PLANNING_TASK, Gate, Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.findings import RULE, Finding
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.rules import NOTIFY, Firing
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.view import RunView

from .critics import CRITIQUE, path_of, review_of
from .effects import Effect, EvaluateGate, Record
from .phases import is_working, mark

FORENSIC = "forensic"
MONITOR = "monitor"
INCONSISTENCY = "inconsistency"
AGREEMENT = "consistency"  # the check of the integration line that shows an inconsistency which the engine raised
ERROR_AGENT = "error-agent"
MAX_FIXES = 50
MAX_ROUNDS = 3
MAX_ESCALATIONS = 3


class Findings:
    """One look at the findings that are not closed.

    ``new_task`` gives the id of a further task, ``new_gate`` the record of an escalation about a finding.
    """

    def __init__(
        self,
        view: RunView,
        spec: SwarmSpec,
        new_task: Callable[[], str],
        new_gate: Callable[[Finding], Record],
    ) -> None:
        self.view, self.spec, self.new_task, self.new_gate = view, spec, new_task, new_gate
        self._room: int | None = None

    def effects(self) -> Iterator[Effect]:
        for name in list(self.view.index.open_findings):
            yield from self._look_at(self.view.findings[name])
        for gate in self.view.open_gates:
            found = self.view.findings.get(gate.subject) if gate.place == "escalation" else None
            if found is not None and found.status == "closed":
                data = {"gate": gate.id, "reason": f"{found.id} is closed as {found.resolution}"}
                yield Record((Draft("gate.aborted", data),))

    @property
    def is_waiting(self) -> bool:
        """Whether the operator is asked about one: then its work is not over."""
        return any(gate.place == "escalation" and not gate.task for gate in self.view.open_gates)

    def _look_at(self, finding: Finding) -> Iterator[Effect]:
        about = self.view.tasks.get(finding.about)
        if finding.category in (FORENSIC, CRITIQUE) and about is not None:
            yield from self._after(finding, about)
            return
        if (measured := self._measured(finding)) is not None:
            yield measured
            return
        match finding.status:
            case _ if finding.category == RULE:  # the rule closes it
                return
            case "open":
                yield from self._give_out(finding)
            case "fixing":
                yield from self._fixing(finding)
            case "fixed":
                yield from self._verify(finding)
            case "unresolved":
                yield from self._escalate(finding)

    def _measured(self, finding: Finding) -> Record | None:
        """What the line itself says of an inconsistency that the engine raised: whether it is still there. The check
        is made with every merge, so that its last word is about the line as it is."""
        line = self.view.facts.get(f"check:{AGREEMENT}:")
        if finding.category != INCONSISTENCY or finding.raised_by != ERROR_AGENT or line is None:
            return None
        if finding.id not in line.seen and finding.status in ("open", "fixed", "unresolved"):
            commit = finding.commit or line.commit
            return Record((_told("finding.closed", finding, ERROR_AGENT, resolution="verified", commit=commit),))
        if finding.id in line.seen and finding.status == "fixed":
            reason = f"it is still there on {line.commit[:12]} (event {line.seq})"
            return Record((_told("finding.reopened", finding, ERROR_AGENT, reason=reason),))
        return None

    def _after(self, finding: Finding, about: Task) -> Iterator[Effect]:
        """What is about a task ends with it: whoever approved the work saw what was found."""
        if about.status not in TASK.terminal:
            return
        reason = f"{about.id} is {about.status}"
        if finding.status == "fixing":
            yield Record((_told("finding.unresolved", finding, reason=reason),))
            return
        resolution = "accepted" if about.status == "done" else "rejected"
        yield Record((_told("finding.closed", finding, resolution=resolution, reason=reason),))

    # -- giving out

    def _give_out(self, finding: Finding) -> Iterator[Effect]:
        owner = self.owner_of(finding)
        if self._is_ruled(finding) or not self._is_time():
            return
        if not finding.rounds and (task := self._of_a_rule(finding)) is not None:
            yield Record((_told("finding.fix_started", finding, owner=task.assigned_to, task=task.id),))
            return
        if not owner:
            return
        if finding.severity == "LOW":
            reason = "nobody is sent for a finding of low severity"
            yield Record((_told("finding.closed", finding, resolution="backlog", reason=reason),))
        elif finding.rounds >= MAX_ROUNDS:
            yield Record((_told("finding.fix_started", finding, owner=owner, task=""),))
        elif self._has_room():
            yield self._fix(finding, owner)

    def _is_ruled(self, finding: Finding) -> bool:
        """Whether a rule that fired for it is still to act, or has asked the architect, who has not answered."""
        tasks = self.view.tasks
        return any(
            any(action != NOTIFY for action in firing.pending)
            or any(tasks[name].is_planning and tasks[name].status not in TASK.terminal for name in firing.tasks)
            for firing in self._firings(finding)
        )

    def _of_a_rule(self, finding: Finding) -> Task | None:
        """The task that a rule made for it, or the last one that the architect planned for it."""
        for firing in self._firings(finding):
            for name in firing.tasks:
                task = self.view.tasks[name]
                if task.is_work:
                    return task
                planned = self.view.plans.get(name, {}).get("tasks", ())
                made = [self.view.tasks[one["id"]] for one in planned if one["id"] in self.view.tasks]
                if made:
                    return made[-1]
        return None

    def _firings(self, finding: Finding) -> list[Firing]:
        names = self.view.index.firings_of.get(f"finding:{finding.id}", ())
        return [self.view.firings[name] for name in names]

    def owner_of(self, finding: Finding) -> str:
        """The service that writes the finding's place; where there is none, the one that was named."""
        return owner_of(self.spec, finding.location) or (finding.owner if finding.owner in self.spec.workers else "")

    def _is_time(self) -> bool:
        """Between the plan and the end of the work on it."""
        plan = self.view.tasks.get(PLANNING_TASK)
        return plan is not None and plan.status == "done" and is_working(self.view, self.spec)

    def _has_room(self) -> bool:
        """An agent that raises without end must not make work without end: the rest is left to the operator."""
        if self._room is None:
            self._room = MAX_FIXES - sum(finding.rounds for finding in self.view.findings.values())
        self._room -= 1
        return self._room >= 0

    def _fix(self, finding: Finding, owner: str, note: str = "") -> Record:
        parts = [f"{finding.id} ({finding.severity}) at {finding.location or 'no place that was named'}", finding.issue]
        parts += [f"What to do: {finding.fix}"] if finding.fix else []
        parts += [f"How to see that it is gone: {finding.verification}"] if finding.verification else []
        parts += [f"Last time: {finding.reason}"] if finding.reason else []
        parts += [f"The operator says: {note}"] if note else []
        task = self.new_task()
        data = {
            "title": f"Fix {finding.id}: {finding.title}",
            "description": "\n\n".join(part for part in parts if part),
            "assigned_to": owner,
            "created_by": "orchestrator",
            "priority": finding.severity.lower(),
            "order": len(self.view.tasks),
            **mark(self.view, self.spec),
        }
        begun = _told("finding.fix_started", finding, owner=owner, task=task)
        return Record((Draft("task.created", data, task=task), begun))

    # -- what came of it

    def _fixing(self, finding: Finding) -> Iterator[Effect]:
        task = self.view.tasks.get(finding.task)
        if not finding.task:  # nobody was sent any more
            reason = f"it is still there after {finding.rounds - 1} attempts at fixing it"
            yield Record((_told("finding.unresolved", finding, reason=reason),))
        if task is None or task.status not in TASK.terminal:
            return
        merge = self.view.merges.get(task.id)
        if task.status == "done" and merge is not None and merge.merged_as:
            yield Record((_told("finding.fixed", finding, commit=merge.merged_as),))
        else:
            reason = f"{task.id} changed nothing" if task.status == "done" else f"{task.id} is {task.status}"
            yield Record((_told("finding.unresolved", finding, reason=reason),))

    def _verify(self, finding: Finding) -> Iterator[Effect]:
        """By the service that raised it, in a tree with the fix. What the engine found, its monitor looks at again."""
        service = self._raiser(finding)
        if not service or finding.category == MONITOR:
            return
        review = review_of(self.view, finding.task, finding.commit, service)
        if review is None and self._is_time():
            yield self._verification(finding, service)
        elif review is not None and review.status == "done":
            yield Record((_told("finding.closed", finding, review.instance, resolution="verified"),))

    def _raiser(self, finding: Finding) -> str:
        """The service whose word counts: never the one that fixed it."""
        instance = self.view.instances.get(finding.raised_by)
        fixer = self.view.tasks.get(finding.task)
        if instance is None or instance.service not in self.spec.workers:
            return ""
        return instance.service if fixer is None or fixer.assigned_to != instance.service else ""

    def _verification(self, finding: Finding, service: str) -> Record:
        lines = [
            f"Your worktree holds the merged work with the fix of {finding.id} (commit {finding.commit[:12]}).",
            "Find out whether it is gone. If it is still there, record it once more with `finding`, with the same",
            "title and place, and say what is left. Otherwise hand off. Change nothing.",
            "",
            f"{finding.severity} {finding.location}: {finding.title}",
            finding.issue,
            finding.verification,
        ]
        data = {
            "title": f"Verify {finding.id}: {finding.title}",
            "description": "\n".join(lines).rstrip(),
            "assigned_to": service,
            "created_by": "orchestrator",
            "priority": finding.severity.lower(),
            "order": len(self.view.tasks),
            "kind": "review",
            "about": finding.task,
            "subject": finding.commit,
        }
        return Record((Draft("task.created", data, task=self.new_task()),))

    def _escalate(self, finding: Finding) -> Iterator[Effect]:
        """Nobody could fix it: the operator sends somebody again, or lives with it. Not for ever: then it stays open,
        and the landing shows it."""
        if finding.rounds >= MAX_ROUNDS + MAX_ESCALATIONS:
            return
        gate: Gate | None = self.view.latest_gate("escalation", finding.id)
        if gate is None or gate.round != finding.rounds or gate.status == "aborted":
            if self._is_time():
                yield self.new_gate(finding)
        elif gate.status == "evaluating":
            yield EvaluateGate(gate.id)
        elif gate.status == "blocked":
            reason = gate.note or f"accepted at {gate.id}"
            yield Record((_told("finding.closed", finding, resolution="accepted", reason=reason),))
        elif gate.status == "passed":
            yield self._fix(finding, self.owner_of(finding) or finding.owner, gate.note)


def owner_of(spec: SwarmSpec, location: str) -> str:
    """The service that writes the directory in which ``location`` is; the closest directory decides, then the file's
    order. Empty if no service does."""
    path = path_of(location)
    best, owner = -1, ""
    for key in spec.workers if path else ():
        service = spec.services[key]
        for directory in service.directories if service.writes else ():
            is_inside = directory == "/" or path == directory or path.startswith(f"{directory}/")
            depth = 0 if directory == "/" else len(directory)
            if is_inside and depth > best:
                best, owner = depth, key
    return owner


def _told(kind: str, finding: Finding, actor: str = "engine", **data: str) -> Draft:
    return Draft(kind, {"finding": finding.id, **data}, actor=actor)
