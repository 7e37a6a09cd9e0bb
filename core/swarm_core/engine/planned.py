"""What a plan changes, with the ids that the engine gives to its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarm_core.agents.coordination import Plan, PlannedTask
from swarm_core.vocabulary.ids import numbered


def changes_of(plan: Plan, first: int, created_by: str) -> dict[str, Any]:
    """The data of the plan's artifact: its tasks, numbered from ``first``, and which others it moves or drops."""
    ids = {task.key: numbered("task", number) for number, task in enumerate(plan.tasks, first)}
    return {
        "tasks": [_planned(task, ids, number, created_by) for number, task in enumerate(plan.tasks, first)],
        "reassign": [dict(change) for change in plan.reassign],
        "cancel": [dict(change) for change in plan.cancel],
    }


def _planned(task: PlannedTask, ids: Mapping[str, str], number: int, created_by: str) -> dict[str, Any]:
    return {
        "id": ids[task.key],
        "title": task.title,
        "description": task.description,
        "assigned_to": task.assigned_to,
        "created_by": created_by,
        "dependencies": [ids.get(key, key) for key in task.dependencies],
        "priority": task.priority,
        "order": number,
        "writes": list(task.writes),
        "estimate_s": task.estimate_s,
        **({"phase": task.phase} if task.phase else {}),
    }
