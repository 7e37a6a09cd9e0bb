"""A worker outside the engine, end to end: a real engine process, a real worktree, files and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import git, kill_engine, wait_until

from swarm_core.cli.operator import AutoOperator
from swarm_core.client import Answer, SwarmClient
from swarm_core.engine.crash_points import VARIABLE, CrashPoint
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

CONFIG = """\
adapter: scripted
script: scripts
services:
  api: {{directories: [api], adapter: external, lease: {lease}}}
"""
PLAN = """\
- do:
    - tool: plan_tasks
      args:
        tasks:
          - {key: a, title: Build the API, description: Build it., assigned_to: api}
"""


class Worker:
    """Somebody with a shell: reads ``tasks.json``, asks, works in the worktree."""

    def __init__(self, root: Path, lease: str = "60") -> None:
        for name, text in {"multi-agent.yaml": CONFIG.format(lease=lease), "scripts/architect.yaml": PLAN}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "-c", "user.name=op", "-c", "user.email=op@localhost", "commit", "-qm", "start")
        self.client, self.run = SwarmClient(root), ""

    def begin(self, goal: str = "build") -> None:
        self.client.ensure_engine()
        request = self.client.start_run(goal, {"speed": 0})
        answer = wait_until("the run", lambda: self.client.answer(request))
        assert answer.result == "applied", answer
        self.run = answer.run
        self.operator = AutoOperator(self.client, self.run)

    def ask(self, kind: str, **data: Any) -> Answer:
        request = self.client.ask(kind, self.run, **data)
        return wait_until(f"the answer to {kind}", lambda: self.client.answer(request))

    def look(self) -> bool:
        """Approve what is open; true when the run is over."""
        view = self.client.view(self.run)
        self.operator.look(view)
        return view.is_over

    def ready(self) -> list[str]:
        """What ``tasks.json`` offers."""
        self.look()
        try:
            tasks = json.loads(self.client.layout.tasks_file.read_bytes())["tasks"]
        except FileNotFoundError:
            return []
        return [task["id"] for task in tasks if task["status"] == "ready" and task["assigned_to"] == "api"]

    def claim(self) -> dict[str, Any]:
        """Poll, then claim until it is given; every refusal says to ask again."""
        wait_until("a task", self.ready)

        def given() -> dict[str, Any] | None:
            answer = self.ask("task.claim", service="api", worker="ada")
            assert answer.result == "applied" or "ask again" in answer.reason or "is ready" in answer.reason, answer
            return dict(answer.data) if answer.result == "applied" else None

        return wait_until("the claim", given)

    def write(self, given: dict[str, Any], text: str) -> None:
        path = Path(given["worktree"]) / "api/one.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        reader = self.client.reader(self.run)
        events = [event for event in reader.poll(1 << 24) if event.kind == kind]
        reader.close()
        return [{**event.data, "task": event.task} for event in events]


@pytest.fixture
def worker(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Worker]:
    found = Worker(tmp_path, getattr(request, "param", "60"))
    yield found
    found.client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not found.client.engine().is_alive)


def test_a_task_goes_from_claim_to_landing_and_what_is_not_the_workers_stays_out(
    worker: Worker, tmp_path: Path
) -> None:
    worker.begin()
    early = worker.ask("task.claim", service="api", worker="ada")
    assert (early.result, early.reason) == ("refused", "nothing of api is ready")
    given = worker.claim()
    assert (given["task"], given["attempt"], given["directories"]) == ("task_001", 1, ["api"])
    assert git(Path(given["worktree"]), "rev-parse", "--abbrev-ref", "HEAD") == "agent/api-1"
    mine = {"task": "task_001", "attempt": 1}
    assert worker.ask("task.heartbeat", **mine).result == "applied"
    worker.write(given, "one\n")
    (Path(given["worktree"]) / "stray.txt").write_text("not mine\n")
    assert worker.ask("task.submit", **mine, what_i_did="the API").result == "applied"
    late = worker.ask("task.submit", **mine, what_i_did="once more")
    assert (late.result, "not with a worker" in late.reason) == ("refused", True)
    wait_until("the end of the run", worker.look)

    view = worker.client.view(worker.run)
    assert (view.run.landed, view.run.outcome) == (True, "clean")
    assert (tmp_path / "api/one.txt").read_text() == "one\n"
    assert not (tmp_path / "stray.txt").exists()
    assert worker.kinds("policy.denied")[0]["rule"] == "directories"
    assert view.tasks["task_001"].handoff["what_i_did"] == "the API"


@pytest.mark.parametrize("worker", ["1"], indirect=True)
def test_a_lease_that_runs_out_gives_the_task_to_the_next_and_fences_the_first(worker: Worker, tmp_path: Path) -> None:
    worker.begin()
    first = worker.claim()
    for _ in range(3):  # longer than the lease, kept by signs of life
        before = len(worker.kinds("task.released"))
        assert worker.ask("task.heartbeat", task="task_001", attempt=1).result == "applied"
        assert before == 0
    wait_until("the end of the lease", lambda: worker.kinds("task.released"))
    assert worker.kinds("task.released")[0]["kind"] == "lost"
    late = worker.ask("task.submit", task="task_001", attempt=1, what_i_did="late")
    assert late.result == "refused"
    second = worker.claim()
    assert (second["task"], second["attempt"]) == ("task_001", 2)
    fenced = worker.ask("task.submit", task="task_001", attempt=1, what_i_did="late")
    assert (fenced.result, "attempt 1 comes too late" in fenced.reason) == ("refused", True)
    worker.write(first, "two\n")
    assert worker.ask("task.submit", task="task_001", attempt=2, what_i_did="in time").result == "applied"
    wait_until("the end of the run", worker.look)

    assert (tmp_path / "api/one.txt").read_text() == "two\n"
    assert [event["attempt"] for event in worker.kinds("task.submitted") if event["task"] == "task_001"] == [2]


def test_a_worker_that_gives_up_hands_the_task_to_the_ladder(worker: Worker) -> None:
    worker.begin()
    worker.claim()
    answer = worker.ask("task.fail", task="task_001", attempt=1, reason="no compiler here")

    assert answer.result == "applied"
    (failed,) = worker.kinds("task.failed")
    assert (failed["reason"], failed["kind"]) == ("no compiler here", "gave_up")


def test_a_claim_goes_on_after_the_engines_death(worker: Worker, tmp_path: Path) -> None:
    worker.begin()
    given = worker.claim()
    worker.write(given, "half\n")
    kill_engine(worker.client)
    worker.client.ensure_engine()
    assert worker.ask("task.heartbeat", task="task_001", attempt=1).result == "applied"
    assert (Path(given["worktree"]) / "api/one.txt").read_text() == "half\n", "work in progress is kept"
    worker.write(given, "whole\n")
    assert worker.ask("task.submit", task="task_001", attempt=1, what_i_did="whole").result == "applied"
    wait_until("the end of the run", worker.look)

    assert (tmp_path / "api/one.txt").read_text() == "whole\n"


def test_a_run_that_died_before_its_first_fact_begins_with_its_goal(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"{CrashPoint.BEFORE_APPEND}:1")
    worker.client.ensure_engine()
    request = worker.client.start_run("build the API", {"speed": 0})
    answer = wait_until("the answer", lambda: worker.client.answer(request))
    wait_until("the start", lambda: worker.client.view(answer.run).run.base)
    view = worker.client.view(answer.run)

    assert (view.run.id, view.run.goal, view.run.title) == (answer.run, "build the API", "build the API")
    assert view.run.options == {"speed": 0}
