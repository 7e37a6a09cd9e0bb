"""What an agent is told besides its task: the worklist of its critic, and answers to what it asked."""

from __future__ import annotations

from swarm_core.vocabulary.changes_work import answer_note
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.findings import Finding
from swarm_core.vocabulary.view import RunView

MAX_ITEMS = 40
MAX_PATHS = 100
MAX_ITEM_CHARS = 1_500


def worklist(view: RunView, task: Task) -> list[str]:
    """The findings about ``task`` that its author has to correct, one text each."""
    findings = (view.findings[name] for name in view.index.open_findings)
    mine = [found for found in findings if found.about == task.id and found.status in ("open", "fixing", "unresolved")]
    told = [_item(found) for found in mine[:MAX_ITEMS]]
    return [*told, f"and {len(mine) - MAX_ITEMS} more findings"] if len(mine) > MAX_ITEMS else told


def latest_notes(view: RunView, task: Task) -> list[str]:
    """The last note, and the answers that came before it: an answer must not be lost behind a later note."""
    last = list(task.notes[-1:])
    asked = ((key, one) for key, one in view.questions.items() if one.get("task") == task.id and one.get("answer"))
    return [note for key, one in asked if (note := answer_note(key, one)) not in last] + last


def _item(found: Finding) -> str:
    parts = [f"{found.id} ({found.severity}) {found.location}: {found.title}.", found.issue]
    parts += [f"To do: {found.fix}"] if found.fix else []
    parts += [f"To verify: {found.verification}"] if found.verification else []
    parts += [f"Still there: {found.reason}"] if found.reason else []
    return clean_line(" ".join(part for part in parts if part), MAX_ITEM_CHARS)
