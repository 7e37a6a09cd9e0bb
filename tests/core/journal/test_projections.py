"""tasks.json and state.json: the seed's shape, always the fold."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.story import Story, planned, spec

from swarm_core.journal.projections import prepare, projections, write
from swarm_core.vocabulary.layout import RepoLayout


def test_projections_have_the_seeds_shape(tmp_path: Path) -> None:
    story = Story(spec("backend", "frontend")).planned(
        planned(1, "backend", priority="high"), planned(2, "frontend", 1)
    )
    story.started("backend-1", "backend")
    layout = RepoLayout(tmp_path)
    prepare(layout)
    write(projections(story.view, layout))

    queue = json.loads(layout.tasks_file.read_text())["tasks"]
    first = {key: queue[1][key] for key in ("id", "title", "status", "assigned_to", "created_by", "dependencies")}
    assert first == {
        "id": "task_001",
        "title": "work 1",
        "status": "running",
        "assigned_to": "backend",
        "created_by": "architect",
        "dependencies": [],
    }
    assert (queue[1]["priority"], queue[2]["dependencies"]) == ("high", ["task_001"])
    state = json.loads(layout.state_file.read_text())
    assert state["active_instances"]["backend"] == {"status": "busy", "current_task": "task_001"}
    assert state["completed_tasks"] == ["task_000"]
    assert state["failed_tasks"] == []


def test_the_architect_is_planning(tmp_path: Path) -> None:
    story = Story(spec("backend")).happens("run.started", base="b", integration="b")
    story.started("architect-1", "architect")
    state = projections(story.view, RepoLayout(tmp_path))[RepoLayout(tmp_path).state_file]

    assert state["active_instances"]["architect"] == {"status": "busy", "current_task": "task_planning"}


def test_the_control_directories_ignore_themselves(tmp_path: Path) -> None:
    layout = RepoLayout(tmp_path)
    prepare(layout)
    prepare(layout)

    assert (layout.control / ".gitignore").read_text().endswith("*\n")
    assert (layout.runs / ".gitignore").exists()
    assert not (tmp_path / ".gitignore").exists()
