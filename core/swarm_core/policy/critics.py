"""The critic loop: a service's commit is reviewed, and goes back with the worklist until the critic finds nothing more.

It ends by evidence. The same findings twice, a worklist that nobody worked on, or too many rounds end it at the
operator; nothing but a review without findings, or the operator's word on each of them, lets a commit pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.findings import Finding
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.spec import CriticSpec, SwarmSpec
from swarm_core.vocabulary.view import RunView

from .effects import Effect, Record

CRITIQUE = "critique"
GIVEN_BACK = ("fixing", "unresolved")


class Critics:
    """One look at the reviews of one state. ``new_task`` gives the id of a further task."""

    def __init__(self, view: RunView, spec: SwarmSpec, new_task: Callable[[], str]) -> None:
        self.view, self.spec, self.new_task = view, spec, new_task

    def step(self, task: Task) -> Sequence[Effect] | None:
        """What comes before the gate of a task that was handed in: nothing yet (empty), or nothing any more (None)."""
        critic = self.spec.critics.get(task.assigned_to)
        if critic is None or task.is_planning or not task.commit or not task.stat.files:
            return None
        found = critique_of(self.view, task)
        review = self._review(task, critic)
        returned = [finding for finding in found if finding.status in GIVEN_BACK]
        if review is None:
            returned = [finding for finding in found if finding.status in (*GIVEN_BACK, "open")]
            return self._reported_fixed(task, returned) if returned else [self._new_review(task, critic, found)]
        if review.status not in TASK.terminal:
            return []
        if review.status != "done":
            return None  # nobody could review it: the gate says so, and a person decides
        if returned:
            return [self._to_the_operator(task, "nothing was changed since the critique", found)]
        if fixed := [finding for finding in found if finding.status == "fixed"]:
            closing = {"resolution": "verified"}
            return [Record(tuple(_told("finding.closed", one, review.instance, **closing) for one in fixed))]
        if not found:
            return None
        return [self._send_back(task, critic, found)]

    def _review(self, task: Task, critic: CriticSpec) -> Task | None:
        """The review of exactly this commit."""
        return review_of(self.view, task.id, task.commit, critic.service)

    def _new_review(self, task: Task, critic: CriticSpec, found: Sequence[Finding]) -> Record:
        data = {
            "title": f"Review {task.id}: {task.title}",
            "description": _assignment(task, found),
            "assigned_to": critic.service,
            "created_by": "orchestrator",
            "priority": task.priority,
            "order": task.order,
            "kind": "review",
            "about": task.id,
            "subject": task.commit,
        }
        return Record((Draft("task.created", data, task=self.new_task()),))

    def _reported_fixed(self, task: Task, returned: Sequence[Finding]) -> list[Effect]:
        again = [_told("finding.fix_started", one) for one in returned if one.status != "fixing"]
        drafts = again or [_told("finding.fixed", one, commit=task.commit) for one in returned]
        return [Record(tuple(drafts))]

    def _send_back(self, task: Task, critic: CriticSpec, found: Sequence[Finding]) -> Record:
        signature = signature_of(found)
        if signature == task.critique:
            return self._to_the_operator(task, "the critic found the same again", found)
        if task.critiques >= critic.rounds:
            return self._to_the_operator(
                task, f"the critic found something in each of {critic.rounds + 1} rounds", found
            )
        note = f"{critic.service} found {_count(found)}: {', '.join(one.id for one in found)}. Correct each of them."
        drafts = [_told("finding.fix_started", one, owner=task.assigned_to, task=task.id) for one in found]
        data = {"note": note, "iteration": task.iteration + 1, "critique": signature}
        return Record((*drafts, Draft("task.reopened", data, task=task.id)))

    def _to_the_operator(self, task: Task, why: str, found: Sequence[Finding]) -> Record:
        """The loop ends without an end: the task fails, and only a person lets it go on."""
        drafts = [_told("finding.unresolved", one, reason=why) for one in found if one.status == "fixing"]
        items = "; ".join(f"{one.id} {one.severity} {one.location} {one.title}".replace("  ", " ") for one in found)
        data = {"reason": f"{why}: {items}", "kind": CRITIQUE}
        return Record((*drafts, Draft("task.failed", data, task=task.id)))


def review_of(view: RunView, task: str, commit: str, service: str) -> Task | None:
    """The review of one commit of a task by one service."""
    reviews = (view.tasks[name] for name in view.index.reviews_about.get(task, ()))
    return next((one for one in reviews if (one.subject, one.assigned_to) == (commit, service)), None)


def critique_of(view: RunView, task: Task) -> list[Finding]:
    """What reviews of a task found and is not closed."""
    findings = (view.findings[name] for name in view.index.open_findings)
    return [one for one in findings if one.category == CRITIQUE and one.about == task.id]


def signature_of(found: Sequence[Finding]) -> str:
    """The same for the same findings, whatever lines they have moved to and whatever they are called now."""
    return " | ".join(sorted({f"{path_of(one.location)} {' '.join(one.title.lower().split())}" for one in found}))


def path_of(location: str) -> str:
    """The path in ``path``, ``path:line``, ``path:line:column`` or ``artifact#pointer``."""
    path = location.strip().partition("#")[0].split(" ")[0]
    head, _, tail = path.rpartition(":")
    while head and tail.isdecimal():
        path = head
        head, _, tail = path.rpartition(":")
    return path.strip().removeprefix("./").strip("/")


def _assignment(task: Task, found: Sequence[Finding]) -> str:
    lines = [
        f"Your worktree holds what {task.assigned_to} handed in for {task.id} (commit {task.commit[:12]}). Read it and",
        "record each thing that has to be changed with `finding`: its place, what is wrong, what to do and how to see",
        "that it is done. Change nothing. If nothing is left to find, hand off without a finding.",
        "",
        f"The task was: {task.title}",
        task.description,
    ]
    if found:
        lines += [
            "",
            "These are said to be fixed. Record what is still there once more, with the same title and place:",
        ]
        lines += [f"- {one.id} {one.location}: {one.title}" for one in found]
    return "\n".join(lines)


def _told(kind: str, finding: Finding, actor: str = "engine", **data: Any) -> Draft:
    return Draft(kind, {"finding": finding.id, **data}, actor=actor)


def _count(found: Sequence[Finding]) -> str:
    return "1 finding" if len(found) == 1 else f"{len(found)} findings"
