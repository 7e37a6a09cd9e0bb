"""The operator's decisions: applied if they are about what was shown, refused with a reason otherwise."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from swarm_core.policy.recovery import PLACE, way_of
from swarm_core.tools.permissions.kept import keep
from swarm_core.vocabulary.budgets import figure
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.errors import ConfigurationError, IllegalTransition, UsageError
from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.gating import PASSING, canonical, needs_a_reason, offered
from swarm_core.vocabulary.inbox import InboxItem

from .inbox import Verdict
from .measuring import is_forceable
from .runner import Runner

DEFER_S = 3600.0
_DURATION = re.compile(r"(\d{1,4})\s*(s|m|h|d)")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


async def decide_gate(runner: Runner, item: InboxItem) -> Verdict:
    """Apply ``gate.decide`` or say why not. Either way one event names the request, so that it is never taken twice."""
    gate_id, verdict = str(item.data["gate"]), canonical(str(item.data["verdict"]))
    note, evidence = str(item.data.get("note", "")).strip(), str(item.data["evidence"])
    gate = runner.view.gates.get(gate_id)
    if gate is None:
        return await _refuse(runner, item, f"there is no gate {gate_id!r} in this run")
    if gate.status != "open" and not (gate.status == "blocked" and _is_undone(runner, gate, verdict)):
        said = f" ({gate.verdict} by {gate.by})" if gate.verdict else ""
        return await _refuse(runner, item, f"{gate.id} is {gate.status}{said}, not open")
    if verdict not in offered(gate.place):
        choice = ", ".join(offered(gate.place))
        return await _refuse(runner, item, f"a {gate.place} gate takes no {verdict}: {choice}")
    if evidence != gate.evidence:
        return await _refuse(runner, item, f"the evidence of {gate.id} moved since it was shown: look again")
    document = runner.layout.dir / gate.document
    if await runner.papers.sha256(document) != gate.evidence:
        return await _measure_again(runner, item, gate, f"{gate.document} was changed on disk")
    if needs_a_reason(gate.place, verdict) and not note:
        word = "rejection" if verdict == "reject" else "request for changes"
        return await _refuse(runner, item, f"a {word} needs a reason: the agent works from it (--note)")
    if verdict == "approve" and (refusal := _unfit(runner, gate, note)):
        return await _refuse(runner, item, refusal)
    if verdict == "force" and item.data.get("typed") != gate.id:
        return await _refuse(runner, item, f"to force {gate.id}, type its id once more")
    if verdict in PASSING and (firm := [one for one in gate.blockers if verdict != "force" or not is_forceable(one)]):
        return await _measure_again(runner, item, gate, "; ".join(firm))
    if verdict == "defer":
        return await _defer(runner, item, gate, note)
    if verdict == "retry":
        return await _retry(runner, item, gate, note)
    data: dict[str, Any] = {"gate": gate.id, "verdict": verdict, "note": note, "evidence": evidence}
    data |= {"command": item.id, "by": item.by}
    if verdict == "force":
        data["findings"] = [f.id for f in runner.view.findings.values() if f.status != "closed"]
    if gate.ask and verdict == "approve":
        data["scope"] = str(item.data.get("scope") or "once")
        if reason := await _grant(runner, gate, data["scope"]):
            return await _refuse(runner, item, reason)
    drafts = [Draft("gate.decided", data, actor=OPERATOR, task=gate.task or None)]
    if verdict == "abort":
        ended = {"reason": note or f"the operator ended the run at {gate.id}", "command": item.id}
        drafts.append(Draft("run.aborted", ended, actor=OPERATOR))
    return await _apply(runner, item, *drafts)


async def _apply(runner: Runner, item: InboxItem, *drafts: Draft) -> Verdict:
    try:
        await runner.record(*drafts)
    except IllegalTransition as error:
        return await _refuse(runner, item, str(error))
    return Verdict(True, run=item.run)


def _is_undone(runner: Runner, gate: Gate, verdict: str) -> bool:
    """Whether a refusal has had no effect yet (the run is held), so that it can still be forced, or measured again."""
    view = runner.view
    if verdict not in ("force", "retry", "abort"):
        return False
    if gate.place == "phase":
        phase = view.phases.get(gate.subject)
        return phase is not None and phase.status == "gating" and phase.round == gate.round
    if gate.place == "merge":
        task = view.tasks[gate.task]
        return view.is_held and task.status == "verifying" and task.iteration == gate.round
    return gate.place == "landing" and view.is_held


def _unfit(runner: Runner, gate: Gate, note: str) -> str:
    """Why a plain yes does not do here; empty if it does."""
    if refusal := _too_little(runner, gate, note):
        return refusal
    failed = gate.failed_checks
    if failed and (gate.place == "phase" or runner.spec.gates.is_strict):
        return f"{', '.join(failed)} did not pass: send it back, have it measured again, or force {gate.id}"
    return ""


async def _retry(runner: Runner, item: InboxItem, gate: Gate, note: str) -> Verdict:
    """Measure again: nothing is decided."""
    kind = "gate.invalidated" if gate.status == "open" else "gate.reevaluated"
    reason = note or "the operator has it measured again"
    data = {"gate": gate.id, "reason": reason, "command": item.id, "by": item.by}
    return await _apply(runner, item, Draft(kind, data, actor=OPERATOR, task=gate.task or None))


async def _defer(runner: Runner, item: InboxItem, gate: Gate, note: str) -> Verdict:
    """Later: the gate stays open and says until when."""
    try:
        until = put_off(str(item.data.get("until", "")), runner.clock.now(), {*runner.view.tasks, *runner.view.gates})
    except UsageError as error:
        return await _refuse(runner, item, error.message)
    data = {"gate": gate.id, "until": until, "note": note, "command": item.id, "by": item.by}
    return await _apply(runner, item, Draft("gate.deferred", data, actor=OPERATOR, task=gate.task or None))


def put_off(text: str, now: str, known: Collection[str]) -> str:
    """Until when: the ISO time of a duration (``30m``; an hour when nothing is said) or of a time, or a known id.

    Raises UsageError if ``text`` is none of them, or is over already.
    """
    text = text.strip()
    if text in known:
        return text
    start = datetime.fromisoformat(now)
    match = _DURATION.fullmatch(text)
    try:
        if match is not None:
            until = start + timedelta(seconds=int(match[1]) * _UNITS_S[match[2]])
        elif text:
            until = datetime.fromisoformat(text)
            until = until.replace(tzinfo=start.tzinfo) if until.tzinfo is None else until
        else:
            until = start + timedelta(seconds=DEFER_S)
    except (ValueError, OverflowError):
        raise UsageError(f"{text[:80]!r} is no time: use 30m, 2h, a time such as {now}, a task or a gate") from None
    if until <= start:
        raise UsageError(f"{text[:80]!r} is over already")
    return until.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


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
