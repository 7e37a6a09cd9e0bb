"""Which ready task comes first: the one with the longest way to the end behind it, unless another waited too long.

The order is that of list scheduling by critical path. The guesses at how long a task takes may be wrong by a factor
of e and the whole still ends within a few hundredths of the best possible (``tests/core/policy/test_ranking.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from statistics import median

from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.view import RunView

DEFAULT_S = 60.0
# Waiting doubles a task's weight in this time. Much less than a usual task's length times the queue, and the order
# becomes that of arrival.
AGEING_S = 1800.0
WEIGHTS: Mapping[str, float] = {"critical": 64.0, "high": 4.0, "medium": 2.0, "low": 1.0}


def ranks(view: RunView) -> dict[str, float]:
    """Seconds from the start of each unfinished task to the end of the longest chain that waits for it.

    Costs as much as there are tasks; ask again when tasks were added or many have ended, not with every event.
    """
    usual = durations(view)
    fallback = median(usual.values()) if usual else DEFAULT_S
    out: dict[str, float] = {}
    open_tasks = {name for name, task in view.tasks.items() if task.status not in TASK.terminal}
    for name in _backwards(view, open_tasks):
        task = view.tasks[name]
        own = task.estimate_s or usual.get(task.assigned_to, fallback)
        out[name] = own + max((out[then] for then in view.index.dependents.get(name, ()) if then in out), default=0.0)
    return out


def durations(view: RunView) -> dict[str, float]:
    """The usual length in seconds of a finished task of each service."""
    seen: dict[str, list[float]] = defaultdict(list)
    for task in view.tasks.values():
        if task.status == "done" and task.started_at and task.ended_at:
            seen[task.assigned_to].append(seconds_between(task.started_at, task.ended_at))
    return {service: max(median(values), 0.001) for service, values in seen.items()}


def score(task: Task, rank_s: float, waited_s: float) -> tuple[float, int, str]:
    """A sort key: smallest first."""
    weight = WEIGHTS.get(task.priority, 1.0)
    return -weight * (rank_s + 1.0) * (1.0 + waited_s / AGEING_S), task.order, task.id


def seconds_between(start: str, end: str) -> float:
    """The distance of two ISO times, never negative: wall clocks are set back."""
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


def _backwards(view: RunView, names: set[str]) -> list[str]:
    """Each task after all that wait for it."""
    waiting = {
        name: sum(then in names for then in view.index.dependents.get(name, ())) for name in view.tasks if name in names
    }
    order = [name for name, count in waiting.items() if not count]
    for name in order:
        for before in view.tasks[name].dependencies:
            if before in waiting:
                waiting[before] -= 1
                if not waiting[before]:
                    order.append(before)
    return order
