"""What follows from a failure: it passes, somebody else tries, or everything stops.

The ladder: a failure that may pass by itself is tried again three times, each pause twice as long; then the instance
has failed and the architect gives the task to another; then the operator decides. What no other agent could do better
(no key, no money, a hub that is gone) stops the run at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.ids import numbered
from swarm_core.vocabulary.view import RunView

BACKOFF_S = 2.0
MAX_BACKOFF_S = 300.0
TRANSIENT = frozenset({"overload", "transport", "truncated", "silent", "timeout", "lost", "lease", "limit"})
CRITICAL = frozenset({"auth", "spend", "workspace"})
BLAST_TASKS = 3


def backoff_s(failures: int, random: Random) -> float:
    """Seconds to rest after the given number of failures in a row: doubling, with up to a quarter less."""
    whole = min(MAX_BACKOFF_S, BACKOFF_S * 2.0 ** min(failures - 1, 30))
    return whole * (1.0 - 0.25 * random.random())


def is_tried_again(task: Task, kind: str, retries: int) -> bool:
    """Whether a failure of this kind is worth another attempt of the same agent."""
    return kind in TRANSIENT and task.failures < retries


def after_failure(
    view: RunView, task: Task, kind: str, reason: str, *, retries: int, now: str, random: Random
) -> tuple[Draft, ...]:
    """The facts that follow when work on a running task failed in a way of this kind (a ModelFailure or ours)."""
    data = {"reason": reason, "kind": kind}
    if kind in CRITICAL:
        given_back = Draft("task.released", data, task=task.id, agent=task.instance)
        return (given_back, *(halting(view, f"{task.id}: {reason}", trigger=kind) if not view.is_held else ()))
    if not is_tried_again(task, kind, retries):
        return (Draft("task.failed", data, task=task.id, agent=task.instance),)
    failures = task.failures + 1
    wait_s = round(backoff_s(failures, random), 3)
    until = datetime.fromisoformat(now) + timedelta(seconds=wait_s)
    stamp = until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    rest = {**data, "failures": failures, "wait_s": wait_s, "not_before": stamp}
    return (Draft("task.released", rest, task=task.id, agent=task.instance),)


def halting(
    view: RunView, reason: str, *, trigger: str, scope: str = "run", subject: str = "", mode: str = "halt"
) -> tuple[Draft, Draft]:
    """The facts that stop a run until the operator resumes it: an incident and the halt that contains it."""
    incident = numbered("incident", len(view.incidents) + 1)
    opened = {"incident": incident, "scope": scope, "trigger": trigger, "reason": reason, "subject": subject}
    return Draft("incident.opened", opened), Draft("run.halted", {"mode": mode, "reason": reason})
