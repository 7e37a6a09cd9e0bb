"""Around a gate's evidence: who is asked first, what a rule makes of it, and what a phase has to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from swarm_core.checks.run import CheckRun
from swarm_core.policy.gating import RULE, aspects_of, holds_of, ruling
from swarm_core.policy.reviews import Review, review_of
from swarm_core.vocabulary.entities import CheckResult, Gate, Stat
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.findings import Finding
from swarm_core.vocabulary.gating import GatingSpec, PhaseSpec
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.view import RunView

from .evidence import Evidence, check_lines, encode, indent

TASKS_DONE = "tasks-done"
NO_CRITICAL_FINDINGS = "no-critical-findings"
REVIEWED_PLACES = ("merge", "phase", "landing")


def consultation(gates: GatingSpec, gate: Gate, about: str, paths: Sequence[str]) -> Draft | None:
    """The fact that reviewers are to be asked about a gate, if somebody is and was not yet about this commit."""
    if gate.place not in REVIEWED_PLACES or (gate.consultations and gate.consulted_about == about):
        return None
    reviewers = gates.asked(gate.place, aspects=tuple(aspects_of(gates, paths)), subject=gate.subject)
    if not reviewers:
        return None
    data = {"gate": gate.id, "reviewers": list(reviewers), "about": about}
    return Draft("gate.consulted", data, task=gate.task or None)


def with_rules(
    evidence: Evidence,
    gates: GatingSpec,
    view: RunView,
    gate: Gate,
    paths: Sequence[str],
    conflicts: Sequence[str] = (),
) -> Evidence:
    """The evidence with what a reviewer said, and with why no rule may pass it."""
    aspects = aspects_of(gates, paths)
    holds = holds_of(aspects, conflicts)
    document = evidence.document
    if gate.place == "landing" and (forced := [found.id for found in view.gates.values() if found.forced]):
        holds.append(f"forced before: {', '.join(forced)}")
    if (review := review_of(view, gate)) is not None:
        document = _reviewed(review) + document
        if review.verdict != "approve":
            holds.append(f"{review.reviewer} {review.verdict.replace('_', ' ') or 'gave no verdict'}")
    return replace(evidence, document=document, aspects=tuple(aspects), holds=tuple(holds))


def outcome(gates: GatingSpec, gate: Gate, evidence: Evidence, name: str) -> Draft:
    """What becomes of an evaluated gate: it opens for the operator, or the rule decides."""
    data = evidence.data(gate.id, name)
    ruled = ruling(
        gates,
        gate,
        evidence.results,
        blockers=evidence.blockers,
        holds=evidence.holds,
        aspects=evidence.aspects,
    )
    if ruled is None:
        return Draft("gate.opened", data, task=gate.task or None)
    verdict, note = ruled
    if verdict != "approve":
        note = "\n".join([note, *_tails(evidence.checks)])
    return Draft("gate.decided", {**data, "verdict": verdict, "note": note, "by": RULE}, task=gate.task or None)


def plan_fact(plan: Mapping[str, Any], spec: SwarmSpec, known: Sequence[str]) -> CheckResult:
    """Whether a plan can be carried out: services there are, dependencies there are, and no circle."""
    tasks = plan["tasks"]
    ids = {str(task["id"]) for task in tasks} | set(known)
    wrong = [f"{t['id']} is for {t.get('assigned_to')!r}" for t in tasks if t.get("assigned_to") not in spec.workers]
    wrong += [f"{t['id']} needs {d}" for t in tasks for d in t.get("dependencies", ()) if d not in ids]
    try:
        TopologicalSorter({str(t["id"]): t.get("dependencies", ()) for t in tasks}).prepare()
    except CycleError:
        wrong.append("tasks wait for each other")
    return CheckResult("plan", not wrong, "; ".join(wrong) or f"{len(tasks)} tasks")


def phase_evidence(
    gate: Gate, view: RunView, phase: PhaseSpec, checks: Sequence[CheckRun], *, diff: bytes, stat: Stat
) -> Evidence:
    """What a phase came to. A check it needs that nothing measured is shown as such, and has not passed."""
    facts = tuple(phase_facts(view, phase, {check.name for check in checks}))
    tasks = [task for task in view.tasks.values() if task.is_work and task.phase == phase.key]
    open_ = [finding for finding in view.findings.values() if finding.status != "closed"]
    lines = [
        f"{gate.id} · {phase.gate} · {phase.title or phase.key}",
        f"round {gate.round} · the integration branch is at {view.run.integration}",
        "",
        "Tasks",
        *(f"  {'✓' if t.status == 'done' else '✗'} {t.id} {t.title} · {t.assigned_to} · {t.status}" for t in tasks),
        "",
        "Checks on the integration branch, measured by the engine",
        *(check_lines(checks) if checks else []),
        *(f"  {'✓' if fact.has_passed else '✗'} {fact.name} · {fact.detail}" for fact in facts),
    ]
    if open_:
        lines += ["", "Open findings", *(f"  {_told(finding)}" for finding in open_)]
    results = [*(c.name for c in checks if not c.has_passed), *(f.name for f in facts if not f.has_passed)]
    return Evidence(
        document=encode([*lines, "", "─" * 72, ""]) + diff,
        summary=f"{len(tasks)} tasks · {'not passed: ' + ', '.join(results) if results else 'every check passed'}",
        on_yes=f"{phase.key} is sealed with its receipt and the next phase begins.",
        on_no="The architect gets your comment and plans what is missing; then it comes to this gate again.",
        about=view.run.integration,
        stat=stat,
        checks=tuple(checks),
        facts=facts,
    )


def phase_facts(view: RunView, phase: PhaseSpec, measured: set[str]) -> list[CheckResult]:
    """The checks of a phase that follow from the run's state, and those that nothing measured."""
    out = []
    for name in phase.checks:
        if name == TASKS_DONE:
            tasks = [task for task in view.tasks.values() if task.is_work and task.phase == phase.key]
            done = sum(task.status == "done" for task in tasks)
            out.append(CheckResult(name, bool(tasks) and done == len(tasks), f"{done} of {len(tasks)}"))
        elif name == NO_CRITICAL_FINDINGS:
            open_ = [f.id for f in view.findings.values() if f.status != "closed" and f.severity == "CRITICAL"]
            out.append(CheckResult(name, not open_, ", ".join(open_) or "none is open"))
        elif name not in measured:
            out.append(CheckResult(name, False, "not measured"))
    return out


def _reviewed(review: Review) -> bytes:
    word = review.verdict.replace("_", " ") or "no verdict"
    return encode([f"Reviewed by {review.reviewer}: {word}", *indent(review.reasons or "(no reasons)"), "", ""])


def _tails(checks: Sequence[CheckRun]) -> list[str]:
    return [f"{check.name}: {line}" for check in checks if not check.has_passed for line in check.tail]


def _told(finding: Finding) -> str:
    return f"{finding.severity} {finding.id} {finding.title} · {finding.location} · {finding.status}"
