"""Agents of another make and the operator in a whole run: a real engine process, from the goal to the landing."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.cli import git, kill_engine, swarm, wait_until
from tests.support.seats import AGENT
from tests.support.tools import is_running

from swarm_core.cli.operator import AutoOperator
from swarm_core.client import SwarmClient
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.view import RunView

PLAN = """\
- do:
    - tool: plan_tasks
      args:
        tasks:
          - {key: a, title: Build the API, description: Build it., assigned_to: api}
"""


class House:
    """A repository with one service, and an operator who says yes to everything."""

    def __init__(self, root: Path, steps: list[list[Any]], **service: Any) -> None:
        self.steps = root.parent / "steps.json"
        self.steps.write_text(json.dumps(steps))
        config = {"adapter": "scripted", "script": "scripts", "services": {"api": {"directories": ["api"], **service}}}
        (root / "scripts").mkdir(parents=True)
        (root / "multi-agent.yaml").write_text(yaml.safe_dump(config))
        (root / "scripts/architect.yaml").write_text(PLAN)
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "-c", "user.name=op", "-c", "user.email=op@localhost", "commit", "-qm", "start")
        self.root, self.client = root, SwarmClient(root)

    def begin(self) -> None:
        self.client.ensure_engine()
        request = self.client.start_run("build", {"speed": 0})
        self.run = wait_until("the run", lambda: self.client.answer(request)).run
        self.operator = AutoOperator(self.client, self.run)

    def look(self) -> RunView:
        view = self.client.view(self.run)
        self.operator.look(view)
        return view

    def at_work(self) -> Path | None:
        """The worktree in which the task is worked on."""
        view = self.look()
        task = view.tasks.get("task_001")
        return Path(view.instances[task.instance].worktree) if task and task.status == "running" else None

    def pid(self, name: str) -> int:
        path = self.client.layout.run(self.run).state_dir / "scratch" / "api-1" / name

        def noted() -> int | None:
            self.look()
            return int(path.read_text()) if path.exists() else None

        return wait_until(name, noted)

    def finish(self) -> RunView:
        wait_until("the end of the run", lambda: self.look().is_over)
        return self.client.view(self.run)


@pytest.fixture
def houses() -> Iterator[list[House]]:
    found: list[House] = []
    yield found
    for house in found:
        house.client.send(InboxItem(ulid(), "engine.stop"))
        wait_until("the engine's end", lambda house=house: not house.client.engine().is_alive)  # type: ignore[misc]


@pytest.mark.skipif(importlib.util.find_spec("acp") is None, reason="the extra acp is not installed")
def test_an_acp_agent_dies_with_a_killed_engine_and_its_work_goes_on_to_the_landing(
    tmp_path: Path, houses: list[House]
) -> None:
    root = tmp_path / "repository"
    command = [sys.executable, str(AGENT), "acp", str(tmp_path / "steps.json")]
    house = House(
        root,
        [["write", "api/one.txt", "1"], ["pid", "pid"], ["once", "lived"], ["hang"]],
        adapter="acp",
        command=command,
    )
    houses.append(house)
    house.begin()
    pid = house.pid("pid")
    assert is_running(pid)
    kill_engine(house.client)
    wait_until("the agent's death", lambda: not is_running(pid))
    house.client.ensure_engine()
    view = house.finish()

    assert (view.run.landed, view.run.outcome, view.tasks["task_001"].attempt) == (True, "clean", 1)
    assert (root / "api/one.txt").read_text() == "1"
    assert view.instances["api-1"].model.startswith("acp: python")


def test_a_task_of_the_operator_waits_for_him_without_a_lease_and_lands(tmp_path: Path, houses: list[House]) -> None:
    root = tmp_path / "repository"
    house = House(root, [], adapter="human", lease="1s", heartbeat="1s", timeout="1s")
    houses.append(house)
    house.begin()
    tree = wait_until("the task", house.at_work)
    began = tree.stat().st_mtime
    (tree / "api").mkdir()
    (tree / "api/one.txt").write_text("mine\n")
    wait_until("more than a lease", lambda: _age_s(house, began) > 2.5)
    assert house.at_work() == tree, "nobody hurries a person"
    log = house.client.layout.run(house.run).log("api-1").read_text()
    assert f"yours: {tree}" in log
    assert "Build the API" in log
    done = swarm("task", "submit", "task_001", "--attempt", "1", "--did", "by hand", cwd=root)
    assert done.returncode == 0, done.stderr
    view = house.finish()

    assert (root / "api/one.txt").read_text() == "mine\n"
    assert view.tasks["task_001"].handoff["what_i_did"] == "by hand"


def _age_s(house: House, since: float) -> float:
    house.look()
    probe = house.root / ".probe"
    probe.touch()
    age_s = probe.stat().st_mtime - since
    probe.unlink()
    return age_s
