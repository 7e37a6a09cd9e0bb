"""How events change tasks, instances and merges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .entities import Instance, Merge, Stat, Task, Usage
from .errors import IllegalTransition
from .machines import AGENT, MERGE, TASK
from .state import AnyEvent, Sink, State, instance_of, merge_of, on, task_of

# -- tasks


@on("task.created")
def _task_created(view: State, event: AnyEvent, out: Sink) -> None:
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


@on("task.ready", "task.released", "task.verified", "task.failed", "task.reassigned", "task.cancelled")
def _task_moved(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
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


@on("task.claimed")
def _task_claimed(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
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


@on("task.submitted")
def _task_submitted(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    data = event.data
    out.task(
        replace(
            task,
            status=TASK.step(task.status, event.kind, subject=task.id),
            commit=data.get("commit", ""),
            stat=Stat.of(data),
        )
    )


@on("task.reopened")
def _task_reopened(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    note = event.data.get("note", "")
    out.task(
        replace(
            task,
            status=TASK.step(task.status, event.kind, subject=task.id),
            iteration=int(event.data.get("iteration", task.iteration + 1)),
            notes=(*task.notes, note) if note else task.notes,
        )
    )


@on("task.done")
def _task_done(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    status = TASK.step(task.status, event.kind, subject=task.id)
    out.task(replace(task, status=status, commit=event.data.get("commit", task.commit), ended_at=out.ts))


@on("commit.created")
def _committed(view: State, event: AnyEvent, out: Sink) -> None:
    out.task(replace(task_of(view, event), commit=event.data.get("commit", "")))


@on("artifact.written")
def _artifact(view: State, event: AnyEvent, out: Sink) -> None:
    if event.data.get("type") == "plan":
        out.plan(tuple(event.data.get("tasks", ())))


@on("handoff.recorded")
def _handoff(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    keys = ("what_i_did", "whats_left", "recommendation")
    out.task(replace(task, handoff={key: str(event.data.get(key, "")) for key in keys}))


# -- instances


@on("agent.starting")
def _agent_starting(view: State, event: AnyEvent, out: Sink) -> None:
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


@on(
    "agent.ready",
    "agent.busy",
    "agent.idle",
    "agent.waiting",
    "agent.failed",
    "agent.restarted",
    "agent.retired",
)
def _agent_moved(view: State, event: AnyEvent, out: Sink) -> None:
    instance = instance_of(view, event)
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


@on("llm.call")
def _llm_call(view: State, event: AnyEvent, out: Sink) -> None:
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


@on("policy.denied")
def _denied(view: State, event: AnyEvent, out: Sink) -> None:
    out.denial()
    if event.agent in view.instances:
        instance = view.instances[event.agent]
        out.instance(replace(instance, denials=instance.denials + 1))


# -- merges


@on("merge.queued")
def _merge_queued(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    before = view.merges.get(task.id)
    if before is not None:
        MERGE.step(before.status, event.kind, subject=task.id)
    out.merge(Merge(task=task.id, commit=event.data.get("commit", ""), order=out.seq))


@on("merge.checking", "merge.rejected")
def _merge_moved(view: State, event: AnyEvent, out: Sink) -> None:
    merge = merge_of(view, event)
    status = MERGE.step(merge.status, event.kind, subject=merge.task)
    out.merge(replace(merge, status=status, reason=event.data.get("reason", "")))


@on("merge.completed")
def _merge_completed(view: State, event: AnyEvent, out: Sink) -> None:
    merge = merge_of(view, event)
    status = MERGE.step(merge.status, event.kind, subject=merge.task)
    merged_as = event.data.get("integration", "")
    out.merge(replace(merge, status=status, merged_as=merged_as))
    out.run(replace(view.run, integration=merged_as))


@on("merge.conflicted")
def _merge_conflicted(view: State, event: AnyEvent, out: Sink) -> None:
    merge, task = merge_of(view, event), task_of(view, event)
    status = MERGE.step(merge.status, event.kind, subject=merge.task)
    task_status = TASK.step(task.status, event.kind, subject=task.id)
    paths = tuple(event.data.get("paths", ()))
    out.merge(replace(merge, status=status, paths=paths))
    out.task(replace(task, status=task_status, reason="merge conflict in " + ", ".join(paths)))
