"""Messages between services: notes the engine derives from events, so that a person can read who was told what.

Nobody acts on them. An agent's context is made from facts, and deleting all of them changes nothing (seed 001's
``messages/``; the boxes are named by service).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.entities import ARCHITECT, Task
from swarm_core.vocabulary.events import OPERATOR, Event
from swarm_core.vocabulary.ids import SLUG
from swarm_core.vocabulary.view import RunView

MAX_BODY_CHARS = 2_000
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Message:
    """``box`` is the service it is for. ``kind``: task_assignment, task_result, notify, clarification, operator_note or
    escalation. ``refs`` point to what it is about: tasks, findings, gates, commits."""

    id: str
    kind: str
    sender: str
    box: str
    event_seq: int
    at: str
    run: str
    refs: tuple[str, ...] = ()
    body: str = ""
    task: Task | None = None

    def document(self) -> dict[str, Any]:
        """As it is written. A task has the eight fields of seed 001."""
        out: dict[str, Any] = {
            "id": self.id,
            "kind": self.kind,
            "from": self.sender,
            "to": self.box,
            "at": self.at,
            "run": self.run,
            "event_seq": self.event_seq,
            "refs": list(self.refs),
            "body": clean(self.body)[:MAX_BODY_CHARS],
        }
        if self.task is not None:
            out["task"] = {
                "id": self.task.id,
                "title": clean(self.task.title),
                "status": self.task.status,
                "assigned_to": self.task.assigned_to,
                "created_by": self.task.created_by,
                "dependencies": list(self.task.dependencies),
                "priority": self.task.priority,
                "description": clean(self.task.description),
            }
        return out


def messages(view: RunView, event: Event) -> Iterator[Message]:
    """Who is to be told of an event; ``view`` is the state after it, or a later one."""
    for kind, sender, box, refs, body, task in _told(view, event):
        if SLUG.fullmatch(box):
            shown = tuple(ref for ref in refs if ref)
            name = message_id(event, f"{kind}/{box}")
            yield Message(name, kind, sender, box, event.seq, event.ts, event.run, shown, body, task)


_Told = tuple[str, str, str, tuple[str, ...], str, Task | None]


def _told(view: RunView, event: Event) -> Iterator[_Told]:
    data, task = event.data, view.tasks.get(event.task or "")
    match event.kind:
        case "task.claimed" if task is not None:
            yield "task_assignment", task.created_by or ARCHITECT, task.assigned_to, (task.id,), task.title, task
        case "task.submitted" if task is not None:
            said = task.handoff.get("what_i_did", "")
            yield "task_result", task.assigned_to, ARCHITECT, (task.id, str(data.get("commit", ""))), said, None
        case "task.reopened" if task is not None:
            refs = (task.id, str(data.get("gate", "")))
            yield "operator_note", OPERATOR, task.assigned_to, refs, str(data.get("note", "")), None
        case "tasks.requested" if task is not None:
            refs = (task.id, str(data.get("request", "")))
            yield "clarification", task.assigned_to, ARCHITECT, refs, str(data.get("reason", "")), None
        case "question.raised" if task is not None:
            yield "clarification", task.assigned_to, OPERATOR, (str(data["question"]),), str(data.get("text", "")), None
        case "question.answered":
            question = view.questions.get(str(data.get("question", "")), {})
            asker = view.tasks.get(str(question.get("task", "")))
            if asker is not None:
                refs = (str(data.get("question", "")), asker.id)
                yield "operator_note", OPERATOR, asker.assigned_to, refs, str(data.get("answer", "")), None
        case "finding.opened" | "finding.fix_started" | "finding.reopened":
            found = view.findings.get(str(data.get("finding", "")))
            if found is not None and found.owner:
                about = (found.id, found.location, found.task)
                yield "notify", found.raised_by, found.owner, about, f"{found.severity} {found.title}", None
        case "gate.opened":
            gate = view.gates.get(str(data.get("gate", "")))
            if gate is not None and gate.place == "escalation":
                yield "escalation", "engine", OPERATOR, (gate.id, gate.task, gate.subject), gate.summary, None


def message_id(event: Event, salt: str) -> str:
    """A ULID that follows from the event: writing a message again finds its own file."""
    try:
        ms = int(datetime.fromisoformat(event.ts).timestamp() * 1000)
    except ValueError:
        ms = event.seq
    noise = hashlib.sha256(f"{event.run} {event.seq} {salt}".encode()).digest()[:10]
    value = ms << 80 | int.from_bytes(noise, "big")
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))
