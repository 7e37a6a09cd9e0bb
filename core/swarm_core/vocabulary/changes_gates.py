"""How events change gates, and with them whether the run waits for the operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .changes_permission import answer, begin_asking
from .entities import CheckResult, Gate, Stat
from .errors import IllegalTransition
from .machines import GATE, RUN
from .state import AnyEvent, Sink, State, gate_of, on

# What a verdict makes of a gate. The rule decides at the end of an evaluation; a blocked gate takes force or an end.
VERDICT_STATES = {
    "evaluating": {"approve": "passed", "request_changes": "blocked", "reject": "blocked"},
    "open": {
        "approve": "passed",
        "force": "passed",
        "request_changes": "blocked",
        "reject": "blocked",
        "abort": "aborted",
    },
    "blocked": {"force": "passed", "abort": "aborted"},
}


@on("gate.evaluating")
def _gate_evaluating(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    if data.get("gate") in view.gates:
        raise IllegalTransition(f"gate {data.get('gate')} already exists")
    ask = str(data.get("ask", ""))
    if ask:
        begin_asking(view, ask, data["gate"], out)
    out.gate(
        Gate(
            id=data["gate"],
            place=data.get("place", ""),
            title=data.get("title", ""),
            task=event.task or "",
            round=int(data.get("round", 1)),
            subject=data.get("subject", ""),
            ask=ask,
        )
    )


@on("gate.opened")
def _gate_opened(view: State, event: AnyEvent, out: Sink) -> None:
    gate = gate_of(view, event)
    data = event.data
    status = GATE.step(gate.status, event.kind, subject=gate.id)
    run_status = RUN.step(view.run.status, event.kind, subject=view.run.id)
    opened = replace(_shown(gate, data), status=status, opened_seq=out.seq, opened_at=out.ts, verdict="", note="")
    out.gate(replace(opened, by="", deferred_until="", forced=False, findings=()))
    out.run(replace(view.run, status=run_status))


def _shown(gate: Gate, data: Mapping[str, Any]) -> Gate:
    """The gate with the evidence that an event carries."""
    return replace(
        gate,
        document=data.get("document", ""),
        evidence=data.get("evidence", ""),
        about=data.get("about", ""),
        summary=data.get("summary", ""),
        on_yes=data.get("on_yes", ""),
        on_no=data.get("on_no", ""),
        stat=Stat.of(data.get("stat", {})),
        checks=tuple(CheckResult.of(check) for check in data.get("checks", ())),
        blockers=tuple(data.get("blockers", ())),
        aspects=tuple(data.get("aspects", ())),
        holds=tuple(data.get("holds", ())),
    )


@on("gate.consulted")
def _gate_consulted(view: State, event: AnyEvent, out: Sink) -> None:
    """Reviewers are asked before it is measured."""
    gate = gate_of(view, event)
    status = GATE.step(gate.status, event.kind, subject=gate.id)
    asked = replace(gate, status=status, consultations=gate.consultations + 1)
    out.gate(replace(asked, consulted_about=str(event.data.get("about", ""))))


@on("gate.deferred")
def _gate_deferred(view: State, event: AnyEvent, out: Sink) -> None:
    """It stays open; the operator wants to be asked later."""
    gate = gate_of(view, event)
    status = GATE.step(gate.status, event.kind, subject=gate.id)
    out.gate(replace(gate, status=status, deferred_until=str(event.data.get("until", ""))))
    out.mark(event.data.get("command", ""))


@on("gate.reevaluated")
def _gate_reevaluated(view: State, event: AnyEvent, out: Sink) -> None:
    """What was refused is measured again."""
    gate = gate_of(view, event)
    out.gate(replace(gate, status=GATE.step(gate.status, event.kind, subject=gate.id), verdict="", note="", by=""))
    out.mark(event.data.get("command", ""))


@on("gate.decided", "gate.invalidated")
def _gate_decided(view: State, event: AnyEvent, out: Sink) -> None:
    gate = gate_of(view, event)
    data = event.data
    verdict = data.get("verdict", "")
    wanted = VERDICT_STATES.get(gate.status, {}).get(verdict, "?") if event.kind == "gate.decided" else None
    status = GATE.step(gate.status, event.kind, wanted, subject=gate.id)
    if event.kind == "gate.decided":
        gate = _judged(gate, data, verdict)
    if gate.status == "open":
        waiting = "awaiting_operator" if len(view.index.open_gates) > 1 else "running"
        target = view.run.status if view.is_held else waiting
        out.run(replace(view.run, status=RUN.step(view.run.status, event.kind, target)))
    note, by = data.get("note", ""), data.get("by", "")
    if gate.ask and event.kind == "gate.decided":
        said = "reject" if verdict in ("abort", "request_changes") else verdict
        answer(view, gate.ask, said, data.get("scope", ""), note, out)
    findings = tuple(data.get("findings", ()))
    decided = replace(gate, status=status, verdict=verdict, note=note, by=by, decided_seq=out.seq, deferred_until="")
    out.gate(replace(decided, forced=verdict == "force", findings=findings))
    out.mark(data.get("command", ""))


def _judged(gate: Gate, data: Mapping[str, Any], verdict: str) -> Gate:
    """The gate with the evidence a decision is about. Raises IllegalTransition if that is not what it rests on: the
    rule decides about what it measured itself, and passes nothing that was not measured or did not pass."""
    if gate.status == "evaluating":
        shown = _shown(gate, data)
        if not shown.evidence:
            raise IllegalTransition(f"gate {gate.id}: nothing was measured to decide by")
        if verdict == "approve" and not shown.has_clean_evidence:
            raise IllegalTransition(f"gate {gate.id}: a rule passes only what was measured and passed in every check")
        return shown
    if "evidence" in data and data["evidence"] != gate.evidence:
        raise IllegalTransition(f"gate {gate.id}: its evidence is not what the decision is about")
    return gate


@on("gate.aborted")
def _gate_aborted(view: State, event: AnyEvent, out: Sink) -> None:
    """What the gate was about is gone."""
    gate = gate_of(view, event)
    if gate.status == "open" and not view.is_held:
        target = "awaiting_operator" if len(view.index.open_gates) > 1 else "running"
        out.run(replace(view.run, status=target))
    out.gate(replace(gate, status=GATE.step(gate.status, event.kind, subject=gate.id)))


@on("decision.refused")
def _refused(view: State, event: AnyEvent, out: Sink) -> None:
    out.mark(event.data.get("command", ""), refused=event.data.get("reason", "refused"))
