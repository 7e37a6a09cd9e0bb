"""How events change a run and its gates."""

from __future__ import annotations

from dataclasses import replace

from .entities import CheckResult, Gate, Run, Stat
from .errors import IllegalTransition
from .events import Event
from .machines import GATE, RUN
from .state import AnyEvent, Sink, State, gate_of, on

VERDICT_STATES = {"approve": "passed", "reject": "blocked"}


# -- run


@on("run.created")
def _run_created(view: State, event: AnyEvent, out: Sink) -> None:
    if view.run.id:
        raise IllegalTransition(f"run {view.run.id} is already created")
    data = event.data
    out.run(
        Run(
            id=event.run if isinstance(event, Event) else "",
            title=data.get("title", ""),
            goal=data.get("goal", ""),
            created_at=out.ts,
            services=data.get("services", {}),
            options=data.get("options", {}),
            spec_sha256=data.get("spec_sha256", ""),
        )
    )
    out.mark(data.get("command", ""))


@on("run.started")
def _run_started(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    out.run(
        replace(
            view.run,
            status=RUN.step(view.run.status, event.kind, subject=view.run.id),
            base_ref=data.get("base_ref", ""),
            base=data.get("base", ""),
            hub=data.get("hub", ""),
            integration=data.get("integration", data.get("base", "")),
        )
    )


@on("run.completed", "run.failed", "run.aborted")
def _run_ended(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    out.run(
        replace(
            view.run,
            status=RUN.step(view.run.status, event.kind, subject=view.run.id),
            outcome=data.get("outcome", ""),
            reason=data.get("reason", ""),
            landed=bool(data.get("landed", False)),
            ended_at=out.ts,
        )
    )
    out.mark(data.get("command", ""))
    if event.kind != "run.completed":
        for gate in view.open_gates:
            out.gate(replace(gate, status="aborted"))


@on("engine.started", "engine.released")
def _engine_moved(view: State, event: AnyEvent, out: Sink) -> None:
    """``engine_pid`` is who works on the run; it stays when an engine is killed, and so tells of the crash."""
    out.pid(int(event.data.get("pid", 0)) if event.kind == "engine.started" else 0)


# -- gates


@on("gate.evaluating")
def _gate_evaluating(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    if data.get("gate") in view.gates:
        raise IllegalTransition(f"gate {data.get('gate')} already exists")
    out.gate(
        Gate(
            id=data["gate"],
            place=data.get("place", ""),
            title=data.get("title", ""),
            task=event.task or "",
            round=int(data.get("round", 1)),
        )
    )


@on("gate.opened")
def _gate_opened(view: State, event: AnyEvent, out: Sink) -> None:
    gate = gate_of(view, event)
    data = event.data
    status = GATE.step(gate.status, event.kind, subject=gate.id)
    run_status = RUN.step(view.run.status, event.kind, subject=view.run.id)
    out.gate(
        replace(
            gate,
            status=status,
            document=data.get("document", ""),
            evidence=data.get("evidence", ""),
            about=data.get("about", ""),
            summary=data.get("summary", ""),
            on_yes=data.get("on_yes", ""),
            on_no=data.get("on_no", ""),
            stat=Stat.of(data.get("stat", {})),
            checks=tuple(
                CheckResult(str(c.get("name", "")), bool(c.get("passed")), str(c.get("detail", "")))
                for c in data.get("checks", ())
            ),
            blockers=tuple(data.get("blockers", ())),
            opened_seq=out.seq,
            opened_at=out.ts,
            verdict="",
            note="",
            by="",
        )
    )
    out.run(replace(view.run, status=run_status))


@on("gate.decided", "gate.invalidated")
def _gate_decided(view: State, event: AnyEvent, out: Sink) -> None:
    gate = gate_of(view, event)
    data = event.data
    verdict = data.get("verdict", "")
    wanted = VERDICT_STATES.get(verdict, "?") if event.kind == "gate.decided" else None
    status = GATE.step(gate.status, event.kind, wanted, subject=gate.id)
    if gate.status == "open":
        waiting = len(view.open_gates) > 1
        target = "awaiting_operator" if waiting else "running"
        out.run(replace(view.run, status=RUN.step(view.run.status, event.kind, target)))
    note, by = data.get("note", ""), data.get("by", "")
    out.gate(replace(gate, status=status, verdict=verdict, note=note, by=by, decided_seq=out.seq))
    out.mark(data.get("command", ""))


@on("decision.refused")
def _refused(view: State, event: AnyEvent, out: Sink) -> None:
    out.mark(event.data.get("command", ""), refused=event.data.get("reason", "refused"))
