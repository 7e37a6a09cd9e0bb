"""Phase receipts: what a phase came to, counted from the state and from nothing anybody said.

A receipt is a pure function of the state at its ``seq``, so that it can be derived again at any time and compared.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from swarm_core.vocabulary.entities import Gate, Task, Usage
from swarm_core.vocabulary.view import RunView

SCHEMA_VERSION = 1
PLACES = {"plan": ("plan",), "build": ("merge", "escalation", "budget", "recovery"), "land": ("landing",)}


def differences(receipt_then: dict[str, Any], receipt_now: dict[str, Any]) -> list[str]:
    """What a receipt counts otherwise than the same receipt derived again."""
    keys = receipt_then.keys() | receipt_now.keys()
    return sorted(key for key in keys if receipt_then.get(key) != receipt_now.get(key))


def _is_in(task: Task, key: str) -> bool:
    """Whether a task belongs to a phase. Work that names no phase is the phase ``build``'s."""
    if key == "plan":
        return task.is_planning
    return task.is_work and (task.phase or "build") == key


def _is_of(gate: Gate, key: str, tasks: set[str]) -> bool:
    if gate.place == "phase":
        return gate.subject == key
    return gate.place in PLACES[key] if key in PLACES else gate.place in PLACES["build"] and gate.task in tasks


def _merged(view: RunView, tasks: set[str], key: str) -> int:
    if key == "plan":
        return 0
    return sum(merge.status == "merged" and merge.task in tasks for merge in view.merges.values())


def receipt(view: RunView, key: str) -> dict[str, Any]:
    """The receipt of a phase (``plan``, ``build`` or a configured one, ``land``) as of the view's last event."""
    phase = view.phases[key]
    tasks = [task for task in view.tasks.values() if _is_in(task, key)] if key != "land" else []
    names = {task.id for task in tasks}
    gates = [gate for gate in view.gates.values() if _is_of(gate, key, names)]
    failed = sorted({f"{gate.id}:{check.name}" for gate in gates for check in gate.checks if not check.has_passed})
    unfinished = [task.id for task in tasks if task.status != "done"]
    usage = sum((task.usage for task in tasks), Usage())
    status = "VERIFIED" if not unfinished and not failed else "PARTIAL" if not failed else "UNVERIFIED"
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": view.run.id,
        "phase": key,
        "round": phase.round,
        "seq": view.last_seq,
        "status": status,
        "recommended_action": "PROCEED" if status == "VERIFIED" else "REVIEW",
        "missing_required": unfinished,
        "counts": {
            "tasks": dict(sorted(Counter(task.status for task in tasks).items())),
            "iterations": sum(task.iteration for task in tasks),
            "gates": dict(sorted(Counter(gate.status for gate in gates).items())),
            "merges": _merged(view, names, key),
            "files": sum(task.stat.files for task in tasks),
        },
        "checks_failed": failed,
        "findings_open": sorted(f.id for f in view.findings.values() if f.status != "closed"),
        "gates": [
            {"gate": gate.id, "verdict": gate.verdict, "by": gate.by, "evidence": gate.evidence, "note": gate.note}
            for gate in gates
            if gate.verdict
        ],
        "evidence_sha": view.run.integration,
        "tokens": usage.tokens,
        "cost_usd": round(usage.cost_usd, 6),
        "started_at": phase.started_at,
        "completed_at": view.last_ts,
    }
