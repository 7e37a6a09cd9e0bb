"""Reviewers: who is asked about a gate's evidence before it opens. What they say is evidence, not the decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from swarm_core.vocabulary.entities import ARCHITECT, CONSULTATION, Gate, Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.gating import PASSING, SENDING_BACK, canonical
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.view import RunView

from .effects import Effect, EvaluateGate, Record

HOW = (
    "You review; you change nothing. Read the work where it lies, then hand off: what_i_did holds your reasons, with "
    "file and line, and recommendation begins with one word: approve, or request_changes. What you say is shown at the "
    "gate; the decision is not yours."
)


@dataclass(frozen=True, slots=True)
class Review:
    """What a reviewer said about a gate. ``verdict`` is approve, request_changes, or empty if it gave none."""

    reviewer: str
    verdict: str
    reasons: str


def reviews_of(view: RunView, gate: Gate) -> list[Task]:
    """The consultations about a gate, oldest first."""
    tasks = (view.tasks[name] for name in view.index.plans_about.get(gate.id, ()))
    return [task for task in tasks if task.kind == CONSULTATION]


def review_of(view: RunView, gate: Gate) -> Review | None:
    """What came of the latest consultation that the gate asked for; None while there is none."""
    tasks = reviews_of(view, gate)
    if not gate.consultations or len(tasks) < gate.consultations or tasks[-1].status not in TASK.terminal:
        return None
    task = tasks[-1]
    if task.status != "done":
        return Review(task.assigned_to, "", task.reason or "the review was not made")
    said = task.handoff.get("recommendation", "").replace("*", " ").split()
    word = canonical(said[0].strip(".,:;!")) if said else ""
    verdict = "approve" if word in PASSING else "request_changes" if word in SENDING_BACK else ""
    return Review(task.assigned_to, verdict, task.handoff.get("what_i_did", ""))


def evaluated(view: RunView, gate: Gate, number: Callable[[], str]) -> Iterator[Effect]:
    """What brings a gate from its evaluation to its decision: the reviews it waits for, then the measurement."""
    tasks = reviews_of(view, gate)
    if len(tasks) < gate.consultations:
        about, tip = gate.consulted_about, view.run.integration
        since = view.run.base if about == tip else tip
        data = {
            "title": f"Review {gate.id}: {gate.title}"[:120],
            "description": f"{HOW}\n\n`git diff {since}...{about}` shows it, and `git show {about}:PATH` a file of it.",
            "assigned_to": ARCHITECT,
            "created_by": "orchestrator",
            "priority": "critical",
            "kind": CONSULTATION,
            "about": gate.id,
        }
        yield Record((Draft("task.created", data, task=number()),))
    elif not tasks or tasks[-1].status in TASK.terminal or not gate.consultations:
        yield EvaluateGate(gate.id)
