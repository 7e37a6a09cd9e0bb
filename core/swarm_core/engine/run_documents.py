"""The papers of a run that follow from its state: written when what they show has changed, and never read back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swarm_core.documents import error_report, open_questions, recovery_actions, worklist
from swarm_core.documents.messages import Message, messages
from swarm_core.journal.projections import replace_durably
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.layout import RunLayout
from swarm_core.vocabulary.view import RunView

SHOWN = ("finding.", "incident.", "recovery.", "question.", "status.", "engine.", "run.")
MAX_WAITING = 1_000


class RunDocuments:
    """``error-reports.md``, ``recovery-actions.yml``, ``open_questions.md``, the critics' worklist, ``ac_status.json``,
    and the messages."""

    def __init__(self, layout: RunLayout) -> None:
        self.layout = layout
        self._is_due = True
        self._written: dict[Path, str] = {}
        self._events: list[Event] = []

    def take(self, events: Sequence[Event]) -> None:
        self._is_due = self._is_due or any(event.kind.startswith(SHOWN) for event in events)
        self._events += events
        del self._events[:-MAX_WAITING]

    async def write(self, view: RunView) -> None:
        """Raises OSError."""
        told = [message for event in self._events for message in messages(view, event)]
        self._events.clear()
        changed = {}
        if self._is_due:
            self._is_due = False
            rendered = documents(view, self.layout)
            changed = {path: text for path, text in rendered.items() if self._written.get(path) != text}
        if told or changed:
            await asyncio.to_thread(_write, self.layout, changed, told)
        self._written.update(changed)


def documents(view: RunView, layout: RunLayout) -> dict[Path, str]:
    """What each paper says as of the view's last event; one with nothing to say is not there."""
    found = {
        layout.dir / "error-reports.md": error_report.render(error_report.report(view)),
        layout.dir / recovery_actions.FILE: recovery_actions.render(recovery_actions.actions(view)),
    }
    if view.questions:
        found[layout.dir / "open_questions.md"] = open_questions.render(open_questions.questions(view))
    if items := worklist.worklist(view):
        found[layout.dir / "build" / "code_critique.md"] = worklist.render(items)
    if sections := ac_status(view)["acs"]:
        text = json.dumps({"acs": sections}, indent=2, ensure_ascii=False)
        found[layout.dir / "build" / "ac_status.json"] = text + "\n"
    return found


def ac_status(view: RunView) -> dict[str, Any]:
    """Seed 002's ledger: how far each part is, as its agent says. One section has one writer, its task."""
    acs = {}
    for task in view.tasks.values():
        for section, state in task.progress.items():
            name = section if section not in acs else f"{section} ({task.id})"
            acs[name] = {"impl_status": state, "task": task.id, "description": task.title}
    return {"acs": acs}


def _write(layout: RunLayout, changed: dict[Path, str], told: Sequence[Message]) -> None:
    for path, text in changed.items():
        replace_durably(path, text.encode("utf-8", "replace"))
    for message in told:
        box = layout.repo.control / "messages" / message.box
        box.mkdir(parents=True, exist_ok=True)
        temporary = box / f"{message.id}.tmp"
        temporary.write_text(json.dumps(message.document(), ensure_ascii=False, indent=2) + "\n", errors="replace")
        temporary.replace(box / f"{message.id}.json")
