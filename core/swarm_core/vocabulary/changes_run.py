"""How events change a run and its phases."""

from __future__ import annotations

from dataclasses import replace

from .entities import Limit, Phase, Run, Stat, Task
from .errors import IllegalTransition
from .events import Event
from .machines import INCIDENT, PHASE, RUN, TASK
from .state import AnyEvent, Sink, State, on

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
    out.started()


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


@on("run.paused", "run.halted", "run.resumed")
def _run_held(view: State, event: AnyEvent, out: Sink) -> None:
    """Held by the operator or by a failure that nobody may work past; a resumed run waits where its gates wait."""
    data = event.data
    wanted = None
    if event.kind == "run.resumed":
        wanted = "awaiting_operator" if view.index.open_gates else "running"
    status = RUN.step(view.run.status, event.kind, wanted, subject=view.run.id)
    mode = {"run.paused": "pause", "run.halted": "halt", "run.resumed": ""}[event.kind]
    pause = data.get("mode", mode) if mode else ""
    out.run(replace(view.run, status=status, pause=pause, reason=data.get("reason", "")))
    out.mark(data.get("command", ""))


@on("service.paused", "service.resumed")
def _service_held(view: State, event: AnyEvent, out: Sink) -> None:
    service = str(event.data.get("service", ""))
    if event.kind == "service.paused":
        out.hold(service, event.data.get("reason", "") or "the operator holds this service")
    elif service not in view.held_services:
        raise IllegalTransition(f"service {service} is not paused")
    else:
        out.hold(service, "")
    out.mark(event.data.get("command", ""))


@on("spec.drift")
def _drifted(view: State, event: AnyEvent, out: Sink) -> None:
    """The configuration is not what the run began with any more (or is again: then nothing drifts)."""
    path, now = str(event.data.get("path", "")), str(event.data.get("sha256", ""))
    others = tuple(name for name in view.run.drift if name != path)
    out.run(replace(view.run, drift=others if now == view.run.spec_sha256 else (*others, path)))


@on("event.refused")
def _event_refused(view: State, event: AnyEvent, out: Sink) -> None:
    """Somebody wanted to write what does not fit the state: kept as evidence, applied never."""
    out.mark(event.data.get("command", ""), refused=event.data.get("reason", "refused"))


# -- phases


@on("phase.started", "phase.work_done", "phase.skipped", "phase.reopened", "receipt.sealed", "receipt.mismatch")
def _phase_moved(view: State, event: AnyEvent, out: Sink) -> None:
    key = event.phase or ""
    phase = view.phases.get(key) or Phase(key)
    data = event.data
    status = PHASE.step(phase.status, event.kind, subject=key)
    if status == "sealed":
        gate = view.gates.get(view.index.latest_gate.get(("phase", key), ""))
        if gate is not None and gate.round == phase.round and gate.status != "passed":
            raise IllegalTransition(f"phase {key} cannot be sealed: its gate {gate.id} is {gate.status}")
        out.phase(
            replace(
                phase,
                status=status,
                receipt=data.get("path", ""),
                receipt_sha256=data.get("sha256", ""),
                sealed_at=out.ts,
            )
        )
    elif event.kind == "phase.reopened":
        out.phase(replace(phase, status=status, round=phase.round + 1, sealed_at=""))
    else:
        out.phase(replace(phase, status=status, started_at=phase.started_at or out.ts))


# -- recovery


@on("recovery.started", "recovery.completed", "recovery.failed")
def _recovery(view: State, event: AnyEvent, out: Sink) -> None:
    wanted = None
    if event.kind == "recovery.completed":
        wanted = "awaiting_operator" if view.index.open_gates else "running"
    status = RUN.step(view.run.status, event.kind, wanted, subject=view.run.id)
    target = int(event.data.get("to_seq", 0)) if event.kind == "recovery.started" else 0
    pause = "" if event.kind == "recovery.completed" else view.run.pause
    if (incident := view.incidents.get(str(event.data.get("incident", "")))) is not None:
        out.incident(replace(incident, status=INCIDENT.step(incident.status, event.kind, subject=incident.id)))
    out.run(replace(view.run, status=status, rollback_to=target, pause=pause, reason=event.data.get("reason", "")))
    out.mark(event.data.get("command", ""))


@on("rollback.done")
def _rolled_back(view: State, event: AnyEvent, out: Sink) -> None:
    """Tasks named here begin again or are dropped; what came after the point is history, not state."""
    data = event.data
    changes = data.get("tasks", {})
    if unknown := [name for name in changes if name not in view.tasks]:
        raise IllegalTransition(f"rollback: there is no task {', '.join(unknown)}")
    for name, change in changes.items():
        out.task(_taken_back(view.tasks[name], str(change), out.ts))
        out.unmerge(name)
    for gate in list(view.gates.values()):
        is_undecided = gate.status in ("open", "evaluating")
        if gate.place == "landing" or (is_undecided and (gate.place == "phase" or gate.task in changes)):
            out.gate(replace(gate, status="aborted"))
    for key in data.get("phases", ()):
        phase = view.phases.get(key)
        if phase is not None and phase.status != "active":
            out.phase(replace(phase, status="active", round=phase.round + 1, sealed_at=""))
    out.run(replace(view.run, integration=data.get("integration", view.run.integration)))


def _taken_back(task: Task, change: str, ts: str) -> Task:
    note = "The run was rolled back: this work is to be done again."
    if change == "drop":
        return replace(task, status="cancelled", reason="rolled back", ended_at=ts)
    return replace(
        task,
        status=TASK.step(task.status, "task.reset", subject=task.id) if task.status != "pending" else "pending",
        iteration=task.iteration + 1,
        failures=0,
        commit="",
        base="",
        stat=Stat(),
        reason="rolled back",
        notes=(*task.notes, note),
        instance="",
        ended_at="",
        wait_s=0.0,
        not_before="",
    )


@on("engine.started", "engine.released")
def _engine_moved(view: State, event: AnyEvent, out: Sink) -> None:
    """``engine_pid`` is who works on the run; it stays when an engine is killed, and so tells of the crash.

    A limit outlives an engine, what it thought of a server does not.
    """
    out.pid(int(event.data.get("pid", 0)) if event.kind == "engine.started" else 0)
    for gate in [gate for gate, limit in view.limits.items() if limit.kind == "breaker"]:
        out.limit(gate, None)


@on("limit.reached", "breaker.opened", "breaker.closed", fits_always=True)
def _limited(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    gate = str(data.get("gate", ""))
    if event.kind == "breaker.closed":
        out.limit(gate, None)
    else:
        kind = event.kind.partition(".")[0]
        out.limit(gate, Limit(gate, kind, str(data.get("until", "")), str(data.get("reason", ""))))
