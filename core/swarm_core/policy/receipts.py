"""Phase receipts: what a phase came to, counted from the state and from nothing anybody said.

A receipt is a pure function of the state at its ``seq``, so that it can be derived again at any time and compared.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.view import RunView

SCHEMA_VERSION = 1
PLACES = {"plan": ("plan",), "build": ("merge", "escalation", "budget", "recovery"), "land": ("landing",)}


def receipt(view: RunView, key: str) -> dict[str, Any]:
    """The receipt of a phase (``plan``, ``build`` or ``land``) as of the view's last event."""
    phase = view.phases[key]
    tasks = [task for task in view.tasks.values() if task.is_planning == (key == "plan")] if key != "land" else []
    gates = [gate for gate in view.gates.values() if gate.place in PLACES[key]]
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
            "merges": sum(merge.status == "merged" for merge in view.merges.values()) if key == "build" else 0,
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
