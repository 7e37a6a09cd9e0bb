"""``tasks.json`` and ``state.json`` in the shape of seed 001: derived from the fold and replaced as a whole."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.entities import PLANNING_TASK
from swarm_core.vocabulary.layout import RepoLayout
from swarm_core.vocabulary.view import RunView

IGNORE_ALL = "# written by swarm-tui: nothing in here belongs into a commit\n*\n"
_REPLACING = threading.Lock()
_BUSY, _ACTIVE = frozenset({"busy"}), frozenset({"idle", "waiting", "starting"})


def tasks_projection(view: RunView) -> dict[str, Any]:
    """The task queue: the seed's eight fields of each task, and ours."""
    return {
        "run": view.run.id,
        "seq": view.last_seq,
        "tasks": [
            {
                "id": task.id,
                "title": task.title,
                "status": task.status,
                "assigned_to": task.assigned_to,
                "created_by": task.created_by,
                "dependencies": list(task.dependencies),
                "priority": task.priority,
                "description": task.description,
                "instance": task.instance,
                "iteration": task.iteration,
                "attempt": task.attempt,
                "commit": task.commit,
                "reason": task.reason,
                "tokens": task.usage.tokens,
                "cost_usd": round(task.usage.cost_usd, 6),
            }
            for task in view.tasks.values()
        ],
    }


def state_projection(view: RunView) -> dict[str, Any]:
    """Who does what; the first replica of a service goes by the service's name, as in the seed."""
    tasks = view.tasks.values()
    return {
        "run": view.run.id,
        "run_status": view.run.status,
        "seq": view.last_seq,
        "active_instances": {
            _seed_name(i.id): {"status": _seed_status(i.status), "current_task": _seed_task(i.task)}
            for i in view.instances.values()
            if i.status != "retired"
        },
        "completed_tasks": [task.id for task in tasks if task.status == "done"],
        "failed_tasks": [task.id for task in tasks if task.status == "failed"],
    }


def _seed_name(instance: str) -> str:
    return instance.removesuffix("-1")


def _seed_status(status: str) -> str:
    if status in _BUSY:
        return "busy"
    return "active" if status in _ACTIVE else status


def _seed_task(task: str) -> str | None:
    return "task_planning" if task == PLANNING_TASK else task or None


def write(files: Mapping[Path, Mapping[str, Any]]) -> None:
    """Replace each file by its document. Raises OSError."""
    for path, document in files.items():
        replace_durably(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())


def projections(view: RunView, layout: RepoLayout) -> dict[Path, dict[str, Any]]:
    """All projections of a view, by the file they belong into."""
    return {layout.tasks_file: tasks_projection(view), layout.state_file: state_projection(view)}


def replace_durably(path: Path, data: bytes) -> None:
    """Write a file so that a reader or a crash finds the old or the new one, never half. Raises OSError."""
    temporary = path.with_name(path.name + ".tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _REPLACING:  # runs of one repository share a file, and so its temporary name
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def prepare(layout: RepoLayout) -> None:
    """Make the control and evidence directories; they ignore themselves, the user's ignore files stay untouched."""
    for directory in (layout.control, layout.runs, layout.inbox, layout.inbox_done, layout.logs):
        directory.mkdir(parents=True, exist_ok=True)
    for directory in (layout.control, layout.runs):
        ignore = directory / ".gitignore"
        if not ignore.exists():
            ignore.write_text(IGNORE_ALL)
