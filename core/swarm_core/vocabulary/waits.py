"""Why a task is not being worked on: the one answer for the board, the command line and the projections."""

from __future__ import annotations

from datetime import datetime

from .entities import Limit, Task
from .reservations import Reservations
from .state import State

MAX_NAMED = 3


def waits_for(view: State, task: Task, now: str = "") -> str:
    """What has to happen before ``task`` goes on, in a few words; empty if it goes on or has ended.

    ``now`` is the ISO time, for pauses after failures; without it they are named without the seconds.
    """
    if held := _held(view, task):
        return held
    match task.status:
        case "pending":
            return _dependencies(view, task)
        case "ready":
            return _rest(task, now) or _reserved(view, task) or _instance(view, task)
        case "verifying" | "blocked":
            return _gate(view, task)
        case "running":
            return _leave(view, task)
        case "merging":
            return _merge_queue(view, task)
        case "failed":
            plans = view.index.plans_about.get(task.id, ())
            is_asked = any(view.tasks[name].status not in ("done", "cancelled", "skipped") for name in plans)
            return "the architect decides who goes on with it" if is_asked else _gate(view, task)
    return ""


def limits(view: State, now: str) -> list[str]:
    """What keeps models from being asked, one line each; ``now`` is the ISO time, a limit is told until it passed."""
    return [told for name in sorted(view.limits) if (told := _limit(view.limits[name], now))]


def _limit(limit: Limit, now: str) -> str:
    at = limit.until[11:19] if limit.until[:10] == now[:10] else f"{limit.until[:10]} {limit.until[11:16]}"
    until = f" until {at}" if limit.until > now else ""
    if limit.kind == "breaker":
        return f"{limit.gate} is in trouble, {'nobody asks it' + until if until else 'one call finds out'}"
    return f"{limit.gate} is limited{until}" if until else ""


def _held(view: State, task: Task) -> str:
    return view.why_held(task) if task.status in ("pending", "ready", "running", "blocked", "failed") else ""


def _dependencies(view: State, task: Task) -> str:
    missing = [name for name in task.dependencies if name not in view.tasks or view.tasks[name].status != "done"]
    if not missing:
        return ""
    more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
    return f"waits for {', '.join(missing[:MAX_NAMED])}{more}"


def _rest(task: Task, now: str) -> str:
    if not task.not_before:
        return ""
    tries = f"after failure {task.failures}: {task.failed_kind}"
    if not now:
        return f"rests {tries}"
    left_s = (datetime.fromisoformat(task.not_before) - datetime.fromisoformat(now)).total_seconds()
    left_s = min(left_s, task.wait_s)  # a wall clock that was set back makes no pause longer
    return f"again in {left_s:.0f} s, {tries}" if left_s > 0 else ""


def _reserved(view: State, task: Task) -> str:
    holder = Reservations(view).holder(task) if task.writes else None
    return f"waits for {holder[1]}, which holds {holder[0]}" if holder else ""


def _instance(view: State, task: Task) -> str:
    if task.assigned_to in view.run.services and view.run.services[task.assigned_to].get("adapter") == "external":
        return f"waits for a worker to claim it ({task.assigned_to})"
    live = [i for i in view.instances.values() if i.service == task.assigned_to and i.status != "retired"]
    return f"waits for a free {task.assigned_to}" if live else ""


def _gate(view: State, task: Task) -> str:
    for place in ("merge", "plan", "escalation"):
        name = view.index.latest_gate.get((place, task.id), "")
        if name and view.gates[name].status == "open":
            return f"waits at {name} for your decision"
        if name and view.gates[name].status == "evaluating":
            return f"{name} is being measured"
    return ""


def _leave(view: State, task: Task) -> str:
    waiting = [ask for name in view.open_asks if (ask := view.asks[name]).task == task.id and ask.gate]
    return f"waits at {waiting[0].gate} for your leave" if waiting else ""


def _merge_queue(view: State, task: Task) -> str:
    merge = view.merges.get(task.id)
    if merge is None or merge.status != "queued":
        return ""
    others = (view.merges.get(name) for name in view.index.in_status("merging"))
    before = sum(1 for other in others if other is not None and other.order < merge.order)
    return f"{before} before it in the merge queue" if before else ""
