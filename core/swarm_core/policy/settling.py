"""How what a rule did comes to its end: what it fired for is over, or all that it asked for is done."""

from __future__ import annotations

from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.rules import NOTIFY, Firing
from swarm_core.vocabulary.view import RunView

from .effects import Record
from .matrix import is_over


def settled(view: RunView, firing: Firing) -> Record | None:
    """What follows when what a rule fired for is over, or when all it wanted is done."""
    over = is_over(view, firing)
    if firing.pending == (NOTIFY,) or (firing.fact.kind == "finding" and "add_to_backlog" in firing.done):
        over = ""  # what it did about it closed it, or it only has to be told
    tasks = [view.tasks[name] for name in firing.tasks if name in view.tasks]
    unended = [task for task in tasks if task.status not in TASK.terminal]
    drafts: list[Draft] = []
    if over and firing.fact.kind == "check":
        drafts += [_withdrawn(task, over) for task in unended if _is_untouched(task)]
        finding = view.findings.get(firing.finding)
        if finding is not None and finding.status in ("open", "fixed", "unresolved"):
            drafts.append(Draft("finding.closed", {"finding": finding.id, "resolution": "verified"}))
    if over and not unended and not _binds(view, firing, drafts):
        waiting = [action for action in firing.pending if action != NOTIFY]
        how = f"over: {over}" + (f"; not needed any more: {', '.join(waiting)}" if waiting else "")
        return Record((*drafts, Draft("rule.settled", {"firing": firing.id, "how": how})))
    if not over and not firing.pending and not unended and not _binds(view, firing, drafts):
        return Record((*drafts, Draft("rule.settled", {"firing": firing.id, "how": "all it asked for is done"})))
    return Record(tuple(drafts)) if drafts else None


def _binds(view: RunView, firing: Firing, drafts: list[Draft]) -> bool:
    """Whether it still blocks on a finding, or holds the run by an incident."""
    closing = {str(draft.data["finding"]) for draft in drafts if draft.kind == "finding.closed"}
    finding = view.findings.get(firing.finding)
    if finding is not None and finding.status != "closed" and finding.id not in closing:
        return True
    incident = view.incidents.get(firing.incident)
    return incident is not None and incident.status != "closed"


def _withdrawn(task: Task, over: str) -> Draft:
    return Draft("task.cancelled", {"reason": f"not needed any more: {over}"}, task=task.id)


def _is_untouched(task: Task) -> bool:
    return task.status in ("pending", "ready") and not task.attempt
