"""The document of a recovery gate: what happened, what the architect found out, and how the run can go on."""

from __future__ import annotations

from collections.abc import Sequence

from swarm_core.checks.run import CheckRun
from swarm_core.vocabulary.entities import DIAGNOSIS, Gate
from swarm_core.vocabulary.events import Draft

from .evidence import Evidence, encode
from .runner import Runner

_WAYS = (
    "fix [WHAT]                    the responsible service gets a critical task, everybody goes on",
    "rollback [seq:N]              the branch and the tasks become what they were then; the checks are measured first",
    "revert TASK                   the same, to just before that task was merged",
    "reassign TASK to SERVICE      somebody else goes on with a task",
    "resume                        everybody goes on as if nothing had happened",
)


async def recovery_evidence(runner: Runner, gate: Gate) -> Evidence:
    """Ends with where a rollback would go: the last gate that passed and took effect."""
    view = runner.view
    incident = view.incidents[gate.subject]
    firing = view.firings.get(incident.subject)
    about, point = await _point(runner)
    lines = [
        f"{gate.id} · {incident.id} · {incident.severity}",
        f"opened {incident.opened_at} · every agent is held at its next step, nothing is lost",
        "",
        "What happened",
        *(f"  {line}" for line in incident.reason.splitlines()),
    ]
    said = "nobody could say"
    for name in firing.tasks if firing is not None else ():
        task = view.tasks[name]
        if task.kind == DIAGNOSIS and task.handoff:
            said = " ".join(task.handoff.get("recommendation", "").split()) or "no recommendation"
            lines += ["", f"What {task.instance or task.assigned_to} found out"]
            lines += [f"  {line}" for text in task.handoff.values() for line in text.strip().splitlines()]
    running = [task for task in view.tasks.values() if task.status in ("running", "verifying", "merging", "blocked")]
    if running:
        lines += ["", "Held", *(f"  {task.id} {task.title} · {task.assigned_to} · {task.status}" for task in running)]
    lines += ["", "How it can go on: approve, with a note that begins with one of", *(f"  {way}" for way in _WAYS)]
    lines += ["", f"rollback goes to {point}"]
    return Evidence(
        document=encode(lines),
        summary=f"{incident.reason[:80]} · recommended: {said[:60]}",
        on_yes="What your note begins with is done; without a note, fix.",
        on_no="The run stays halted. swarm-tui resume goes on, swarm-tui rollback goes back.",
        about=about,
    )


async def _point(runner: Runner) -> tuple[str, str]:
    """Where a rollback goes, and what that is called."""
    gates = [gate for gate in runner.view.gates.values() if gate.status == "passed" and gate.place in ("merge", "plan")]
    if not gates:
        return "", "nowhere: no gate has passed yet"
    latest = max(gates, key=lambda gate: gate.decided_seq)
    seq = await runner.papers.settled_at(runner.layout.journal, latest)
    return f"seq:{seq}", f"what was true when {latest.id} had taken effect ({latest.title}), event {seq}"


def verdict_after(incident: str, gate: Gate | None, checks: Sequence[CheckRun], seconds: float) -> list[Draft]:
    """How a rollback ended: by the checks of the tree it led to, where a protocol asked for it."""
    failed = [check.name for check in checks if not check.has_passed]
    if gate is None or not failed:
        return [Draft("recovery.completed", {"incident": incident, "seconds": seconds})]
    reason = f"the tree it led to fails {', '.join(failed)}"
    again = Draft("gate.invalidated", {"gate": gate.id, "reason": reason})
    return [Draft("recovery.failed", {"incident": incident, "reason": reason}), again]
