"""The plan: the first task of a run, what the architect is asked afterwards, and what a plan changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from swarm_core.vocabulary.entities import ARCHITECT, PLANNING_TASK, Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.view import RunView

from .effects import Record

Placed = Callable[[Sequence[Mapping[str, Any]]], Iterable[Mapping[str, Any]]]


class Planning:
    """One look at the plan. ``new_task`` gives the id of a further task."""

    def __init__(self, view: RunView, new_task: Callable[[], str]) -> None:
        self.view, self.new_task = view, new_task

    def first_task(self) -> Record:
        """The task with which every run begins."""
        run = self.view.run
        data = {
            "title": f"Plan: {run.title}",
            "description": run.goal,
            "assigned_to": ARCHITECT,
            "created_by": "orchestrator",
            "dependencies": [],
            "priority": "critical",
            "order": 0,
            "kind": "plan",
        }
        task = Draft("task.created", data, task=PLANNING_TASK)
        return Record((task,) if "plan" in self.view.phases else (Draft("phase.started", phase="plan"), task))

    def consultation(self, title: str, description: str, request: str, about: str) -> Record:
        """A task for the architect: change the plan. Nobody else may give work to anybody."""
        data = {
            "title": title,
            "description": description,
            "assigned_to": ARCHITECT,
            "created_by": "orchestrator",
            "priority": "critical",
            "kind": "plan",
            "request": request,
            "about": about,
        }
        return Record((Draft("task.created", data, task=self.new_task()),))

    def needs_no_gate(self, task: Task) -> bool:
        """Giving a task to somebody else is the architect's to decide; new work and dropped work is the operator's."""
        plan = self.view.plans.get(task.id)
        return task.id != PLANNING_TASK and plan is not None and not plan["tasks"] and not plan["cancel"]

    def planned(self, task: Task, placed: Placed) -> Record:
        """What a plan changes, as one fact with the end of its task. ``placed`` gives planned tasks their phase."""
        plan, tasks = self.view.plans[task.id], self.view.tasks
        drafts = []
        for planned in placed(plan["tasks"]):
            if planned["id"] not in tasks:
                data = {key: value for key, value in planned.items() if key != "id"}
                drafts.append(Draft("task.created", data, task=planned["id"]))
        for change in plan["reassign"]:
            if tasks[change["task"]].status == "failed":
                data = {"assigned_to": change["assigned_to"], "note": change.get("note", ""), "by": "architect"}
                drafts.append(Draft("task.reassigned", data, task=change["task"]))
        for change in plan["cancel"]:
            if tasks[change["task"]].status in ("pending", "ready", "blocked", "failed"):
                drafts.append(Draft("task.cancelled", {"reason": change.get("reason", "")}, task=change["task"]))
        return Record((*drafts, Draft("task.done", {"commit": ""}, task=task.id)))
