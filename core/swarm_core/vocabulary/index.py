"""Which tasks, gates and merges are where: kept beside the entities, so that a look at a run costs what is open, not
what was.

Everything here follows from the entities and can be built from them at any time.
"""

from __future__ import annotations

from collections.abc import Iterable

from .budgets import Budget
from .entities import Gate, Merge, Task
from .findings import Finding, Incident
from .rules import Fact, Firing

DEAD = ("cancelled", "skipped")


class Index:
    """Sets keep the order of arrival (they are dictionaries without values)."""

    def __init__(self) -> None:
        self.by_status: dict[str, dict[str, None]] = {}
        self.dependents: dict[str, list[str]] = {}
        self.open_dependencies: dict[str, int] = {}
        self.dead_dependencies: dict[str, int] = {}
        self.ready_of: dict[str, dict[str, None]] = {}
        self.unended_of: dict[str, int] = {}
        self.unblocked: dict[str, None] = {}
        self.doomed: dict[str, None] = {}
        self.latest_gate: dict[tuple[str, str], str] = {}
        self.open_gates: dict[str, None] = {}
        self.plans_about: dict[str, list[str]] = {}
        self.reviews_about: dict[str, list[str]] = {}
        self.open_findings: dict[str, None] = {}
        self.open_incidents: dict[str, None] = {}
        self.due: dict[str, tuple[str, ...]] = {}
        self.facts_of: dict[str, dict[str, None]] = {}
        self.firings_of: dict[str, dict[str, None]] = {}
        self.merge_unqueued: dict[str, None] = {}
        self.merge_queue: dict[str, None] = {}
        self.merge_checking: dict[str, None] = {}
        self.merge_finished: dict[str, None] = {}
        self.exhausted: dict[str, dict[str, None]] = {}
        self.done = 0
        self.highest = -1
        self._statuses: dict[str, str] = {}
        self._merges: dict[str, str] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Index) and self._contents() == other._contents()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _contents(self) -> dict[str, object]:
        """What it says. A state or service that nothing is in any more is as one that nothing was ever in."""
        emptied = {name: {k: v for k, v in vars(self)[name].items() if v} for name in ("by_status", "ready_of")}
        return {**vars(self), **emptied, "unended_of": {k: v for k, v in self.unended_of.items() if v}}

    @classmethod
    def of(
        cls,
        tasks: Iterable[Task],
        gates: Iterable[Gate],
        merges: Iterable[Merge] = (),
        budgets: Iterable[Budget] = (),
        findings: Iterable[Finding] = (),
        incidents: Iterable[Incident] = (),
        firings: Iterable[Firing] = (),
    ) -> Index:
        """The index of entities in the order of their creation, of merges in the order of the queue."""
        index = cls()
        for task in tasks:
            index.task(None, task)
        for gate in gates:
            index.gate(gate)
        for merge in merges:
            index.merge(merge.task, merge.status)
        for budget in budgets:
            index.budget(budget)
        for finding in findings:
            index.finding(finding)
        for incident in incidents:
            index.incident(incident)
        for firing in firings:
            index.firing(firing)
        return index

    def in_status(self, *statuses: str) -> list[str]:
        """Ids of the tasks in these states."""
        return [task for status in statuses for task in self.by_status.get(status, ())]

    def count(self, *statuses: str) -> int:
        return sum(len(self.by_status.get(status, ())) for status in statuses)

    @property
    def unended(self) -> int:
        """How many tasks are not done, cancelled or skipped."""
        return sum(self.unended_of.values())

    def task(self, before: Task | None, after: Task) -> None:
        """Take a new task, or a task's new state."""
        if before is None:
            self._add(after)
        elif before.status == after.status and before.assigned_to == after.assigned_to:
            return
        else:
            self._leave(before)
        self._enter(after, before.status if before else "")

    def gate(self, gate: Gate) -> None:
        key = (gate.place, gate.task or gate.subject)
        latest = self.latest_gate.get(key, "")
        if (len(latest), latest) < (len(gate.id), gate.id):
            self.latest_gate[key] = gate.id
        if gate.status == "open":
            self.open_gates[gate.id] = None
        else:
            self.open_gates.pop(gate.id, None)

    def budget(self, budget: Budget) -> None:
        """Which scopes have a budget that is used up."""
        if budget.status == "exhausted":
            self.exhausted.setdefault(budget.scope, {})[budget.id] = None
        elif budget.id in self.exhausted.get(budget.scope, ()):
            _take(self.exhausted, budget.scope, budget.id)

    def finding(self, finding: Finding) -> None:
        """Which findings are not closed, in the order in which they were raised."""
        if finding.status == "closed":
            self.open_findings.pop(finding.id, None)
        else:
            self.open_findings[finding.id] = None

    def incident(self, incident: Incident) -> None:
        """Which incidents are not closed."""
        if incident.status == "closed":
            self.open_incidents.pop(incident.id, None)
        else:
            self.open_incidents[incident.id] = None

    def fact(self, before: Fact | None, after: Fact | None, due: tuple[str, ...] = ()) -> None:
        """Which facts are about a task, and which rules are ``due``: they hold for a fact and have not fired for it."""
        for gone in (before,) if before is not None else ():
            self.due.pop(gone.key, None)
            if gone.task and gone.key in self.facts_of.get(gone.task, ()):
                _take(self.facts_of, gone.task, gone.key)
        if after is not None:
            if after.task:
                self.facts_of.setdefault(after.task, {})[after.key] = None
            if due:
                self.due[after.key] = due

    def firing(self, firing: Firing) -> None:
        """Which rules fired for a subject, oldest first. What has fired is not due any more."""
        key = firing.fact.key
        self.firings_of.setdefault(key, {})[firing.id] = None
        if left := tuple(rule for rule in self.due.get(key, ()) if rule != firing.rule):
            self.due[key] = left
        else:
            self.due.pop(key, None)

    def merge(self, task: str, status: str) -> None:
        """Take what became of a task's merge; an empty ``status`` when there is none any more."""
        if status:
            self._merges[task] = status
        else:
            self._merges.pop(task, None)
        self._line_up(task)

    def _line_up(self, task: str) -> None:
        """Where the merge queue has a task that is to be merged. A queue keeps the order of arrival."""
        status = self._merges.get(task, "") if self._statuses.get(task) == "merging" else None
        for members, belongs in (
            (self.merge_unqueued, status in ("", "conflicted")),
            (self.merge_queue, status == "queued"),
            (self.merge_checking, status == "checking"),
            (self.merge_finished, status == "merged"),
        ):
            if belongs:
                members[task] = None
            else:
                members.pop(task, None)

    def _add(self, task: Task) -> None:
        number = task.id.rpartition("_")[2]
        self.highest = max(self.highest, int(number) if number.isdecimal() else -1)
        states = [self._statuses.get(name, "") for name in task.dependencies]
        for name in task.dependencies:
            self.dependents.setdefault(name, []).append(task.id)
        if task.about:
            about = self.reviews_about if task.is_review else self.plans_about
            about.setdefault(task.about, []).append(task.id)
        self.open_dependencies[task.id] = sum(state != "done" for state in states)
        self.dead_dependencies[task.id] = sum(state in DEAD for state in states)

    def _leave(self, task: Task) -> None:
        _take(self.by_status, task.status, task.id)
        if task.status == "ready":
            _take(self.ready_of, task.assigned_to, task.id)
        if task.status != "done" and task.status not in DEAD:
            self.unended_of[task.assigned_to] -= 1
            if not self.unended_of[task.assigned_to]:
                del self.unended_of[task.assigned_to]

    def _enter(self, task: Task, was: str) -> None:
        self.by_status.setdefault(task.status, {})[task.id] = None
        self._statuses[task.id] = task.status
        if task.status == "ready":
            self.ready_of.setdefault(task.assigned_to, {})[task.id] = None
        if task.status != "done" and task.status not in DEAD:
            self.unended_of[task.assigned_to] = self.unended_of.get(task.assigned_to, 0) + 1
        is_done, was_done = task.status == "done", was == "done"
        is_dead, was_dead = task.status in DEAD, was in DEAD
        self.done += is_done - was_done
        if is_done != was_done or is_dead != was_dead:
            for name in self.dependents.get(task.id, ()):
                self.open_dependencies[name] += was_done - is_done
                self.dead_dependencies[name] += is_dead - was_dead
                self._place(name)
        self._place(task.id)
        if "merging" in (was, task.status):
            self._line_up(task.id)

    def _place(self, task: str) -> None:
        is_pending = self._statuses.get(task) == "pending"
        for members, belongs in (
            (self.unblocked, is_pending and not self.open_dependencies[task]),
            (self.doomed, is_pending and self.dead_dependencies[task] > 0),
        ):
            if belongs:
                members[task] = None
            else:
                members.pop(task, None)


def _take(groups: dict[str, dict[str, None]], group: str, member: str) -> None:
    """Out of its group; an empty group is none, so that equal states have equal indexes."""
    groups[group].pop(member, None)
    if not groups[group]:
        del groups[group]
