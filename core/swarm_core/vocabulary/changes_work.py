"""How events change tasks and merges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .entities import PLANNING_TASK, Merge, Stat, Task
from .errors import IllegalTransition
from .machines import MERGE, TASK
from .state import AnyEvent, Sink, State, merge_of, on, task_of

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
            kind=data.get("kind", "plan" if event.task == PLANNING_TASK else "work"),
            about=data.get("about", ""),
            subject=data.get("subject", ""),
            writes=tuple(data.get("writes", ())),
            estimate_s=float(data.get("estimate_s", 0.0)),
            phase=data.get("phase", ""),
            branch=data.get("branch", ""),
        )
    )
    if request := data.get("request", ""):
        out.request(request, None)


@on("task.ready", "task.verified", "task.cancelled", "task.skipped", "task.blocked")
def _task_moved(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    status = TASK.step(task.status, event.kind, subject=task.id)
    note = event.data.get("note", "")
    iteration = int(event.data.get("iteration", task.iteration))
    out.task(
        replace(
            task,
            status=status,
            iteration=iteration,
            failures=task.failures if iteration == task.iteration else 0,
            reason=event.data.get("reason", ""),
            notes=(*task.notes, note) if note else task.notes,
            ready_at=out.ts if status == "ready" else task.ready_at,
            ended_at=out.ts if status in TASK.terminal else "",
        )
    )
    out.mark(event.data.get("command", ""))


@on("task.released")
def _task_released(view: State, event: AnyEvent, out: Sink) -> None:
    """Given back: after a failure that may pass by itself it rests, is counted, and is tried again."""
    task = task_of(view, event)
    _fence(task, event)
    data = event.data
    out.task(
        replace(
            task,
            status=TASK.step(task.status, event.kind, subject=task.id),
            failures=int(data.get("failures", task.failures)),
            wait_s=float(data.get("wait_s", 0.0)),
            not_before=data.get("not_before", ""),
            reason=data.get("reason", ""),
            failed_kind=data.get("kind", ""),
            worker="",
            ready_at=out.ts,
        )
    )


@on("task.failed")
def _task_failed(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    _fence(task, event)
    instance = task.instance
    out.task(
        replace(
            task,
            status=TASK.step(task.status, event.kind, subject=task.id),
            reason=event.data.get("reason", ""),
            failed_kind=event.data.get("kind", ""),
            avoid=(*task.avoid, instance) if instance and instance not in task.avoid else task.avoid,
            worker="",
        )
    )
    out.mark(event.data.get("command", ""))


@on("task.reassigned")
def _task_reassigned(view: State, event: AnyEvent, out: Sink) -> None:
    """To another instance, perhaps of another service; its retries begin anew."""
    task = task_of(view, event)
    data = event.data
    note = data.get("note", "")
    out.task(
        replace(
            task,
            status=TASK.step(task.status, event.kind, subject=task.id),
            assigned_to=data.get("assigned_to", task.assigned_to),
            failures=0,
            critique="",
            critiques=0,
            wait_s=0.0,
            not_before="",
            mediations=task.mediations + (1 if data.get("by") == "architect" else 0),
            reason=data.get("reason", ""),
            notes=(*task.notes, note) if note else task.notes,
            ready_at=out.ts,
        )
    )


@on("task.paused", "task.resumed")
def _task_held(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    if task.status in TASK.terminal:
        raise IllegalTransition(f"task {task.id} is {task.status}: {event.kind} does not apply")
    if event.kind == "task.resumed" and not task.held:
        raise IllegalTransition(f"task {task.id} is not paused")
    reason = event.data.get("reason", "") or "the operator holds this task"
    out.task(replace(task, held=reason if event.kind == "task.paused" else ""))
    out.mark(event.data.get("command", ""))


@on("task.checkpoint")
def _checkpoint(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    _fence(task, event)
    out.task(replace(task, checkpoint=event.data.get("note", "")))


@on("status.updated")
def _progress(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    _fence(task, event)
    section, state = event.data.get("section", ""), event.data.get("state", "")
    out.task(replace(task, progress={**task.progress, section: state}))


@on("question.raised")
def _question(view: State, event: AnyEvent, out: Sink) -> None:
    """An agent asks the operator, and goes on with a default."""
    key = str(event.data.get("question", ""))
    if not key or key in view.questions:
        raise IllegalTransition(f"question {key or '?'} cannot be raised")
    out.question(key, {**event.data, "task": event.task or "", "agent": event.agent or ""})


@on("question.answered")
def _answered(view: State, event: AnyEvent, out: Sink) -> None:
    """The operator's answer becomes a note of the task; what was answered once stays answered."""
    key, answer = str(event.data.get("question", "")), str(event.data.get("answer", ""))
    question = view.questions.get(key)
    if question is None or question.get("answer"):
        raise IllegalTransition(f"question {key or '?'} is not open")
    if not answer:
        raise IllegalTransition(f"question {key}: the answer is empty")
    out.question(key, {**question, "answer": answer})
    task = view.tasks.get(str(question.get("task", "")))
    if task is not None and task.status not in TASK.terminal:
        out.task(replace(task, notes=(*task.notes, answer_note(key, {**question, "answer": answer}))))
    out.mark(event.data.get("command", ""))


def answer_note(key: str, question: Mapping[str, Any]) -> str:
    """An answered question as a note to whoever asked it."""
    return f"You asked ({key}): {question.get('text', '')}\nThe answer: {question.get('answer', '')}"


@on("tasks.requested")
def _tasks_requested(view: State, event: AnyEvent, out: Sink) -> None:
    """An agent asks for a change of the plan; the architect weighs it."""
    key = str(event.data.get("request", ""))
    if not key or key in view.requests:
        raise IllegalTransition(f"request {key or '?'} cannot be made")
    out.request(key, {**event.data, "task": event.task or "", "agent": event.agent or ""})


@on("task.claimed")
def _task_claimed(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    if why := view.why_held(task):
        raise IllegalTransition(f"task {task.id} cannot be claimed: {why}")
    out.task(
        replace(
            task,
            status=TASK.step(task.status, event.kind, subject=task.id),
            instance=event.agent or "",
            attempt=int(event.data.get("attempt", task.attempt + 1)),
            base=task.base or event.data.get("base", ""),
            started_at=task.started_at or out.ts,
            worker=event.data.get("worker", ""),
            not_before="",
            wait_s=0.0,
            reason="",
        )
    )
    out.mark(event.data.get("command", ""))


def _fence(task: Task, event: AnyEvent) -> None:
    """Refuse what an instance says about a task that was taken from it: its lease is over, somebody else works."""
    said = event.data.get("attempt", task.attempt)
    if (event.agent or task.instance) != task.instance or said != task.attempt:
        raise IllegalTransition(
            f"task {task.id} is attempt {task.attempt} by {task.instance}: "
            f"{event.kind} of attempt {said} by {event.agent} comes too late"
        )


@on("task.submitted")
def _task_submitted(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    _fence(task, event)
    data = event.data
    out.task(
        replace(
            task,
            status=TASK.step(task.status, event.kind, subject=task.id),
            commit=data.get("commit", ""),
            stat=Stat.of(data),
            failures=0,
            worker="",
        )
    )
    out.mark(data.get("command", ""))


@on("task.reopened")
def _task_reopened(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    note = event.data.get("note", "")
    out.task(
        replace(
            task,
            status=TASK.step(task.status, event.kind, subject=task.id),
            iteration=int(event.data.get("iteration", task.iteration + 1)),
            failures=0,
            critique=event.data.get("critique", ""),
            critiques=task.critiques + 1 if event.data.get("critique") else 0,
            notes=(*task.notes, note) if note else task.notes,
            ready_at=out.ts,
        )
    )


@on("task.done")
def _task_done(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    status = TASK.step(task.status, event.kind, subject=task.id)
    out.task(replace(task, status=status, commit=event.data.get("commit", task.commit), ended_at=out.ts))


@on("commit.created")
def _committed(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    _fence(task, event)
    out.task(replace(task, commit=event.data.get("commit", "")))


@on("handoff.recorded")
def _handoff(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    keys = ("what_i_did", "whats_left", "recommendation")
    out.task(replace(task, handoff={key: str(event.data.get(key, "")) for key in keys}))


# -- merges


@on("merge.queued")
def _merge_queued(view: State, event: AnyEvent, out: Sink) -> None:
    task = task_of(view, event)
    if task.status != "merging":
        raise IllegalTransition(f"{event.kind}: task {task.id} is {task.status}, not merging")
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
    out.merge(replace(merge, status=status, merged_as=merged_as, merged_seq=out.seq))
    out.run(replace(view.run, integration=merged_as))


@on("merge.conflicted")
def _merge_conflicted(view: State, event: AnyEvent, out: Sink) -> None:
    merge, task = merge_of(view, event), task_of(view, event)
    status = MERGE.step(merge.status, event.kind, subject=merge.task)
    task_status = TASK.step(task.status, event.kind, subject=task.id)
    paths = tuple(event.data.get("paths", ()))
    reason = str(event.data.get("reason", ""))
    out.merge(replace(merge, status=status, paths=paths, reason=reason))
    out.task(replace(task, status=task_status, reason=reason or "merge conflict in " + ", ".join(paths)))
