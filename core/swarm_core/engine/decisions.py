"""The operator's decisions: applied if they are about what was shown, refused with a reason otherwise."""

from __future__ import annotations

import asyncio

from swarm_core.policy.recovery import PLACE, way_of
from swarm_core.tools.permissions.kept import keep
from swarm_core.vocabulary.budgets import figure
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.errors import ConfigurationError, IllegalTransition
from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.inbox import InboxItem

from .inbox import Verdict
from .runner import Runner

NEEDS_A_REASON = ("plan", "merge")


async def decide_gate(runner: Runner, item: InboxItem) -> Verdict:
    """Apply ``gate.decide`` or say why not. Either way one event names the request, so that it is never taken twice."""
    gate_id, verdict = str(item.data["gate"]), str(item.data["verdict"])
    note, evidence = str(item.data.get("note", "")).strip(), str(item.data["evidence"])
    gate = runner.view.gates.get(gate_id)
    if gate is None:
        return await _refuse(runner, item, f"there is no gate {gate_id!r} in this run")
    if gate.status != "open":
        said = f" ({gate.verdict} by {gate.by})" if gate.verdict else ""
        return await _refuse(runner, item, f"{gate.id} is {gate.status}{said}, not open")
    if evidence != gate.evidence:
        return await _refuse(runner, item, f"the evidence of {gate.id} moved since it was shown: look again")
    document = runner.layout.dir / gate.document
    if await runner.papers.sha256(document) != gate.evidence:
        return await _measure_again(runner, item, gate, f"{gate.document} was changed on disk")
    if verdict == "reject" and gate.place in NEEDS_A_REASON and not note:
        return await _refuse(runner, item, "a rejection needs a reason: the agent works from it (--note)")
    if verdict == "approve" and (refusal := _too_little(runner, gate, note)):
        return await _refuse(runner, item, refusal)
    if verdict == "approve" and gate.blockers:
        return await _measure_again(runner, item, gate, "; ".join(gate.blockers))
    data = {"gate": gate.id, "verdict": verdict, "note": note, "evidence": evidence, "command": item.id, "by": item.by}
    if gate.ask and verdict == "approve":
        data["scope"] = str(item.data.get("scope") or "once")
        if reason := await _grant(runner, gate, data["scope"]):
            return await _refuse(runner, item, reason)
    try:
        await runner.record(Draft("gate.decided", data, actor=OPERATOR, task=gate.task or None))
    except IllegalTransition as error:
        return await _refuse(runner, item, str(error))
    return Verdict(True, run=item.run)


def _too_little(runner: Runner, gate: Gate, note: str) -> str:
    """Why what a note names (a budget's new limit, how a run goes on) cannot be; empty if it can, or names nothing."""
    if gate.place == PLACE:
        return way_of(runner.view, runner.spec, note, gate.about).why_not
    limit = figure(note) if gate.place == "budget" else None
    if limit is None or limit > runner.view.budgets[gate.subject].limit:
        return ""
    return f"{gate.subject} is at {runner.view.budgets[gate.subject].limit:g}: {limit:g} is no raise"


async def _grant(runner: Runner, gate: Gate, scope: str) -> str:
    """Keep what is granted for good before the decision counts, so that a crash between loses neither. A reason if it
    cannot be."""
    ask = runner.view.asks[gate.ask]
    if scope == "once" or ask.answer:
        return ""
    if not ask.sha256 and not ask.proposed:
        return "no rule can be granted for this call: approve it once, or reject it"
    if scope != "always":
        return ""
    when = {"at": runner.clock.now(), "run": runner.layout.run, "gate": gate.id}
    kind, _, name = ask.tool.partition(" ")
    trusted = [{"kind": kind, "name": name, "sha256": ask.sha256, **when}] if ask.sha256 else []
    rules = [] if ask.sha256 else [{"rule": rule, "service": ask.service, **when} for rule in ask.proposed]
    try:
        await asyncio.to_thread(keep, runner.layout.repo, rules, trusted)
    except (ConfigurationError, OSError) as error:
        return f"it cannot be kept for good: {error}"
    return ""


async def _refuse(runner: Runner, item: InboxItem, reason: str) -> Verdict:
    data = {"command": item.id, "gate": str(item.data.get("gate", "")), "reason": reason}
    await runner.record(Draft("decision.refused", data))
    return Verdict(False, reason, item.run)


async def _measure_again(runner: Runner, item: InboxItem, gate: Gate, reason: str) -> Verdict:
    """The decision cannot hold, but the world may have moved on: refuse it and evaluate the gate anew."""
    verdict = await _refuse(runner, item, f"{reason} (measured again: look at the new evidence)")
    await runner.record(Draft("gate.invalidated", {"gate": gate.id, "reason": reason}, task=gate.task or None))
    return verdict
