"""What the swarm noticed and mended by itself, in a few lines: the end of the demonstration, read off its journal."""

from __future__ import annotations

from collections.abc import Iterable

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.findings import Finding
from swarm_core.vocabulary.rules import Firing
from swarm_core.vocabulary.view import RunView

NEXT = (
    ("swarm-tui decisions", "which rule fired, why, and what came of it"),
    ("swarm-tui trace artifacts/api-contracts.yml", "who wrote it, from what, at which gate"),
    ("swarm-tui findings --all", "what was found, and the commit that mended it"),
)
WIDTH = 110


def told(events: Iterable[Event]) -> list[str]:
    """Refused artifacts, and each finding with the rule that took care of it and the commit that closed it."""
    seen = list(events)
    view = RunView.of(seen)
    refused = {
        str(e.data.get("path", "")): str(e.data.get("reason", "")) for e in seen if e.kind == "artifact.rejected"
    }
    lines = []
    for path, reason in refused.items():
        known = view.artifacts.get(path)
        if known is not None and known.status in ("valid", "sealed"):
            lines += [f"refused  {reason}", "         its author was told at once, and wrote it again"]
    for finding in view.findings.values():
        lines += _of_a_finding(view, finding)
    return [clean_line(line, WIDTH) for line in lines]


def _of_a_finding(view: RunView, finding: Finding) -> list[str]:
    lines = [f"found    {finding.title}", f"         {finding.id} at {finding.location}"]
    firing = next((one for one in view.firings.values() if one.fact.key == f"finding:{finding.id}"), None)
    if firing is not None:
        lines.append(f"decided  {', '.join(firing.actions)}, by the rule {firing.rule}")
        lines.append(f"         {_who_followed(view, firing)}")
    if finding.commit:
        lines.append(f"mended   by the commit {finding.commit[:12]}, merged after its gate: {_state(finding)}")
    else:
        lines.append(f"now      {_state(finding)}")
    return lines


def _state(finding: Finding) -> str:
    return f"{finding.status} ({finding.resolution})" if finding.resolution else finding.status


def _who_followed(view: RunView, firing: Firing) -> str:
    """The tasks that the rule made, and those that the architect planned in them."""
    made = [str(one["id"]) for task in firing.tasks for one in view.plans.get(task, {}).get("tasks", ())]
    tasks = [view.tasks[name] for name in (*firing.tasks, *made) if name in view.tasks]
    return " → ".join(f"{task.assigned_to} ({task.id})" for task in tasks) or "nobody has been asked yet"


def next_steps() -> list[str]:
    """Commands to try in the repository, each with what it shows."""
    width = max(len(command) for command, _ in NEXT)
    return [f"{command:<{width}}  {what}" for command, what in NEXT]
