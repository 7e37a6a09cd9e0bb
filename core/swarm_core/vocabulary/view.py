"""The fold: a run's state as a function of its journal, used by the engine, the room and every projection.

``RunView.apply`` costs the same for the first and the millionth event. An event that does not fit raises
IllegalTransition and leaves the view as it was; the engine asks ``check`` before it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from .entities import CheckResult, Gate, Instance, Merge, Run, Stat, Task, Usage
from .errors import IllegalTransition
from .events import Draft, Event
from .machines import AGENT, GATE, MERGE, RUN, TASK

VERDICT_STATES = {"approve": "passed", "reject": "blocked"}
AnyEvent = Draft | Event


class RunView:
    """What is true after the events applied so far. Entities are frozen and replaced one by one."""

    def __init__(self) -> None:
        self.run = Run()
        self.tasks: dict[str, Task] = {}
        self.instances: dict[str, Instance] = {}
        self.gates: dict[str, Gate] = {}
        self.merges: dict[str, Merge] = {}
        self.plan: tuple[Mapping[str, Any], ...] = ()
        self.usage = Usage()
        self.denials = 0
        self.engine_pid = 0
        self.last_seq = 0
        self.last_ts = ""
        self.commands: set[str] = set()
        self.refused: dict[str, str] = {}

    @classmethod
    def of(cls, events: Iterable[Event]) -> RunView:
        view = cls()
        for event in events:
            view.apply(event)
        return view

    # -- questions

    @property
    def is_over(self) -> bool:
        return self.run.status in RUN.terminal

    @property
    def open_gates(self) -> list[Gate]:
        return [gate for gate in self.gates.values() if gate.status == "open"]

    def gates_of(self, place: str, task: str = "") -> list[Gate]:
        """Gates of a place and task, oldest first."""
        return [g for g in self.gates.values() if g.place == place and g.task == task]

    def latest_gate(self, place: str, task: str = "") -> Gate | None:
        gates = self.gates_of(place, task)
        return gates[-1] if gates else None

    # -- the fold

    def check(self, event: AnyEvent) -> None:
        """Raise IllegalTransition if ``event`` does not fit the present state."""
        change = _CHANGES.get(event.kind)
        if change is not None:
            change(self, event, _Dry())

    def apply(self, event: Event) -> None:
        """Take ``event`` into the view; unknown kinds only move ``last_seq``."""
        change = _CHANGES.get(event.kind)
        if change is not None:
            change(self, event, _Wet(self, event))
        self.last_seq, self.last_ts = event.seq, event.ts
        if event.agent and (instance := self.instances.get(event.agent)):
            self.instances[event.agent] = replace(instance, last_ts=event.ts)


class _Dry:
    """Takes the changes of a checked event and does nothing with them."""

    ts = ""
    seq = 0

    def run(self, run: Run) -> None: ...
    def task(self, task: Task) -> None: ...
    def instance(self, instance: Instance) -> None: ...
    def gate(self, gate: Gate) -> None: ...
    def merge(self, merge: Merge) -> None: ...
    def usage(self, usage: Usage) -> None: ...
    def mark(self, command: str, refused: str = "") -> None: ...
    def denial(self) -> None: ...
    def pid(self, pid: int) -> None: ...
    def plan(self, tasks: tuple[Mapping[str, Any], ...]) -> None: ...


class _Wet(_Dry):
    """Writes the changes of an applied event into the view."""

    def __init__(self, view: RunView, event: Event) -> None:
        self.view, self.ts, self.seq = view, event.ts, event.seq

    def run(self, run: Run) -> None:
        self.view.run = run

    def task(self, task: Task) -> None:
        self.view.tasks[task.id] = task

    def instance(self, instance: Instance) -> None:
        self.view.instances[instance.id] = instance

    def gate(self, gate: Gate) -> None:
        self.view.gates[gate.id] = gate

    def merge(self, merge: Merge) -> None:
        self.view.merges[merge.task] = merge

    def usage(self, usage: Usage) -> None:
        self.view.usage = self.view.usage + usage

    def mark(self, command: str, refused: str = "") -> None:
        if command:
            self.view.commands.add(command)
            if refused:
                self.view.refused[command] = refused

    def denial(self) -> None:
        self.view.denials += 1

    def pid(self, pid: int) -> None:
        self.view.engine_pid = pid

    def plan(self, tasks: tuple[Mapping[str, Any], ...]) -> None:
        self.view.plan = tasks


_Change = Callable[[RunView, AnyEvent, _Dry], None]
_CHANGES: dict[str, _Change] = {}


def _on(*kinds: str) -> Callable[[_Change], _Change]:
    def register(change: _Change) -> _Change:
        for kind in kinds:
            _CHANGES[kind] = change
        return change

    return register


def _task(view: RunView, event: AnyEvent) -> Task:
    if event.task is None or event.task not in view.tasks:
        raise IllegalTransition(f"{event.kind}: there is no task {event.task}")
    return view.tasks[event.task]


def _instance(view: RunView, event: AnyEvent) -> Instance:
    if event.agent is None or event.agent not in view.instances:
        raise IllegalTransition(f"{event.kind}: there is no instance {event.agent}")
    return view.instances[event.agent]


def _gate(view: RunView, event: AnyEvent) -> Gate:
    gate = event.data.get("gate")
    if gate not in view.gates:
        raise IllegalTransition(f"{event.kind}: there is no gate {gate}")
    return view.gates[gate]


def _merge(view: RunView, event: AnyEvent) -> Merge:
    if event.task is None or event.task not in view.merges:
        raise IllegalTransition(f"{event.kind}: nothing of task {event.task} is queued")
    return view.merges[event.task]


# -- run


@_on("run.created")
def _run_created(view: RunView, event: AnyEvent, out: _Dry) -> None:
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
        )
    )
    out.mark(data.get("command", ""))


@_on("run.started")
def _run_started(view: RunView, event: AnyEvent, out: _Dry) -> None:
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


@_on("run.completed", "run.failed", "run.aborted")
def _run_ended(view: RunView, event: AnyEvent, out: _Dry) -> None:
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


@_on("engine.started", "engine.released")
def _engine_moved(view: RunView, event: AnyEvent, out: _Dry) -> None:
    """``engine_pid`` is who works on the run; it stays when an engine is killed, and so tells of the crash."""
    out.pid(int(event.data.get("pid", 0)) if event.kind == "engine.started" else 0)


# -- tasks


@_on("task.created")
def _task_created(view: RunView, event: AnyEvent, out: _Dry) -> None:
    if event.task is None or event.task in view.tasks:
        raise IllegalTransition(f"task {event.task} cannot be created")
    data = event.data
    out.task(
        Task(
            id=event.task,
            title=data.get("title", ""),
            description=data.get("description", ""),
            assigned_to=data.get("assigned_to", ""),
            created_by=data.get("created_by", ""),
            dependencies=tuple(data.get("dependencies", ())),
            priority=data.get("priority", "medium"),
            order=int(data.get("order", 0)),
        )
    )


@_on("task.ready", "task.released", "task.verified", "task.failed", "task.reassigned", "task.cancelled")
def _task_moved(view: RunView, event: AnyEvent, out: _Dry) -> None:
    task = _task(view, event)
    status = TASK.step(task.status, event.kind, subject=task.id)
    note = event.data.get("note", "")
    out.task(
        replace(
            task,
            status=status,
            iteration=int(event.data.get("iteration", task.iteration)),
            reason=event.data.get("reason", ""),
            notes=(*task.notes, note) if note else task.notes,
            ended_at=out.ts if status in TASK.terminal else "",
        )
    )


@_on("task.claimed")
def _task_claimed(view: RunView, event: AnyEvent, out: _Dry) -> None:
    task = _task(view, event)
    out.task(
        replace(
            task,
            status=TASK.step(task.status, event.kind, subject=task.id),
            instance=event.agent or "",
            attempt=int(event.data.get("attempt", task.attempt + 1)),
            base=task.base or event.data.get("base", ""),
            started_at=task.started_at or out.ts,
            reason="",
        )
    )


@_on("task.submitted")
def _task_submitted(view: RunView, event: AnyEvent, out: _Dry) -> None:
    task = _task(view, event)
    data = event.data
    out.task(
        replace(
            task,
            status=TASK.step(task.status, event.kind, subject=task.id),
            commit=data.get("commit", ""),
            stat=Stat.of(data),
        )
    )


@_on("task.reopened")
def _task_reopened(view: RunView, event: AnyEvent, out: _Dry) -> None:
    task = _task(view, event)
    note = event.data.get("note", "")
    out.task(
        replace(
            task,
            status=TASK.step(task.status, event.kind, subject=task.id),
            iteration=int(event.data.get("iteration", task.iteration + 1)),
            notes=(*task.notes, note) if note else task.notes,
        )
    )


@_on("task.done")
def _task_done(view: RunView, event: AnyEvent, out: _Dry) -> None:
    task = _task(view, event)
    status = TASK.step(task.status, event.kind, subject=task.id)
    out.task(replace(task, status=status, commit=event.data.get("commit", task.commit), ended_at=out.ts))


@_on("commit.created")
def _committed(view: RunView, event: AnyEvent, out: _Dry) -> None:
    out.task(replace(_task(view, event), commit=event.data.get("commit", "")))


@_on("artifact.written")
def _artifact(view: RunView, event: AnyEvent, out: _Dry) -> None:
    if event.data.get("type") == "plan":
        out.plan(tuple(event.data.get("tasks", ())))


@_on("handoff.recorded")
def _handoff(view: RunView, event: AnyEvent, out: _Dry) -> None:
    task = _task(view, event)
    keys = ("what_i_did", "whats_left", "recommendation")
    out.task(replace(task, handoff={key: str(event.data.get(key, "")) for key in keys}))


# -- instances


@_on("agent.starting")
def _agent_starting(view: RunView, event: AnyEvent, out: _Dry) -> None:
    if event.agent is None or event.agent in view.instances:
        raise IllegalTransition(f"instance {event.agent} cannot be started")
    data: Any = event.data
    out.instance(
        Instance(
            id=event.agent,
            service=data.get("service", ""),
            worktree=data.get("worktree", ""),
            branch=data.get("branch", ""),
            model=data.get("model", ""),
        )
    )


@_on(
    "agent.ready",
    "agent.busy",
    "agent.idle",
    "agent.waiting",
    "agent.failed",
    "agent.restarted",
    "agent.retired",
)
def _agent_moved(view: RunView, event: AnyEvent, out: _Dry) -> None:
    instance = _instance(view, event)
    status = AGENT.step(instance.status, event.kind, subject=instance.id)
    task = instance.task
    if event.kind in ("agent.idle", "agent.ready", "agent.retired"):
        task = ""
    elif event.kind == "agent.busy":
        task = event.task or instance.task
    out.instance(
        replace(
            instance,
            status=status,
            task=task,
            reason=event.data.get("reason", ""),
            until=event.data.get("until", ""),
        )
    )


@_on("llm.call")
def _llm_call(view: RunView, event: AnyEvent, out: _Dry) -> None:
    data = event.data
    usage = Usage(
        int(data.get("input_tokens", 0)),
        int(data.get("output_tokens", 0)),
        int(data.get("cache_read_tokens", 0)),
        int(data.get("cache_write_tokens", 0)),
        float(data.get("cost_usd", 0.0)),
        1,
    )
    out.usage(usage)
    if event.agent in view.instances:
        instance = view.instances[event.agent]
        out.instance(replace(instance, usage=instance.usage + usage))
    if event.task in view.tasks:
        task = view.tasks[event.task]
        out.task(replace(task, usage=task.usage + usage))


@_on("policy.denied")
def _denied(view: RunView, event: AnyEvent, out: _Dry) -> None:
    out.denial()
    if event.agent in view.instances:
        instance = view.instances[event.agent]
        out.instance(replace(instance, denials=instance.denials + 1))


# -- gates


@_on("gate.evaluating")
def _gate_evaluating(view: RunView, event: AnyEvent, out: _Dry) -> None:
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


@_on("gate.opened")
def _gate_opened(view: RunView, event: AnyEvent, out: _Dry) -> None:
    gate = _gate(view, event)
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


@_on("gate.decided", "gate.invalidated")
def _gate_decided(view: RunView, event: AnyEvent, out: _Dry) -> None:
    gate = _gate(view, event)
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


@_on("decision.refused")
def _refused(view: RunView, event: AnyEvent, out: _Dry) -> None:
    out.mark(event.data.get("command", ""), refused=event.data.get("reason", "refused"))


# -- merges


@_on("merge.queued")
def _merge_queued(view: RunView, event: AnyEvent, out: _Dry) -> None:
    task = _task(view, event)
    before = view.merges.get(task.id)
    if before is not None:
        MERGE.step(before.status, event.kind, subject=task.id)
    out.merge(Merge(task=task.id, commit=event.data.get("commit", ""), order=out.seq))


@_on("merge.checking", "merge.rejected")
def _merge_moved(view: RunView, event: AnyEvent, out: _Dry) -> None:
    merge = _merge(view, event)
    status = MERGE.step(merge.status, event.kind, subject=merge.task)
    out.merge(replace(merge, status=status, reason=event.data.get("reason", "")))


@_on("merge.completed")
def _merge_completed(view: RunView, event: AnyEvent, out: _Dry) -> None:
    merge = _merge(view, event)
    status = MERGE.step(merge.status, event.kind, subject=merge.task)
    merged_as = event.data.get("integration", "")
    out.merge(replace(merge, status=status, merged_as=merged_as))
    out.run(replace(view.run, integration=merged_as))


@_on("merge.conflicted")
def _merge_conflicted(view: RunView, event: AnyEvent, out: _Dry) -> None:
    merge, task = _merge(view, event), _task(view, event)
    status = MERGE.step(merge.status, event.kind, subject=merge.task)
    task_status = TASK.step(task.status, event.kind, subject=task.id)
    paths = tuple(event.data.get("paths", ()))
    out.merge(replace(merge, status=status, paths=paths))
    out.task(replace(task, status=task_status, reason="merge conflict in " + ", ".join(paths)))
