"""The document of an escalation about a finding that nobody resolved. A pure function."""

from __future__ import annotations

from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.findings import Finding

from .evidence import Evidence, encode


def finding_evidence(gate: Gate, finding: Finding) -> Evidence:
    lines = [
        f"{gate.id} · {finding.id} · {finding.title}",
        f"{finding.severity} · {finding.location or 'no place'} · raised by {finding.raised_by}",
        f"given to {finding.owner or 'nobody'} {finding.rounds} times · last {finding.task or 'no task'}",
        "",
        "What is wrong",
        *(f"  {line}" for line in (finding.issue or finding.title).splitlines()),
        "",
        "Why it is not resolved",
        *(f"  {line}" for line in (finding.reason or "nobody said").splitlines()),
    ]
    if finding.fix:
        lines += ["", "What was to be done", *(f"  {line}" for line in finding.fix.splitlines())]
    if finding.verification:
        lines += ["", "How to see that it is gone", *(f"  {line}" for line in finding.verification.splitlines())]
    return Evidence(
        document=encode(lines),
        summary=f"{finding.severity} {finding.title}",
        on_yes=f"{finding.owner or 'its owner'} gets a new task for it, with your comment.",
        on_no="It is closed as accepted: it stays in the receipt, and nobody works on it.",
        about=f"{finding.id} {finding.rounds}",
    )
