"""A run with a budget, with real processes and a model behind a socket: it stops at a gate, and no request too many
reaches the server, whoever is killed in between."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support import repos
from tests.support.cli import background, kill_engine, swarm, wait_until
from tests.support.play import Block, Play, handoff, plan, planned, played, say, use

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.view import RunView

pytestmark = pytest.mark.timeout(120)
CONFIG = """\
version: 1
services:
  billing:
    directories: ["pkg00"]
  shipping:
    directories: ["pkg01"]
budgets:
  run: {iterations: 5}
"""
WORK: list[list[Block]] = [
    [say("I look."), use("Glob", pattern="*.py")],
    [say("I look again."), use("Glob", pattern="*.txt")],
    [use("Write", file_path="{}/new.txt", content="new\n")],
    [handoff("Wrote a file.")],
]


def work(directory: str) -> list[list[Block]]:
    text = json.dumps(WORK).replace("{}/new.txt", f"{directory}/new.txt")
    return list(json.loads(text))


def micro(*rows: dict[str, Any]) -> int:
    """The cost of all rows in millionths of a dollar."""
    return sum(round(row["cost_usd"] * 1_000_000) for row in rows)


@dataclass
class Place:
    root: Path
    environment: dict[str, str]
    play: Play

    @property
    def client(self) -> SwarmClient:
        return SwarmClient(self.root)

    def view(self) -> RunView:
        run = self.client.latest()
        return self.client.view(run) if run else RunView()

    def swarm(self, *arguments: str) -> str:
        done = swarm(*arguments, cwd=self.root, **self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def gate(self, place: str) -> Gate:
        def ask() -> Gate | None:
            return next((gate for gate in self.view().open_gates if gate.place == place), None)

        return wait_until(f"a {place} gate", ask, 30)

    @property
    def requests(self) -> int:
        return sum(len(requests) for requests in self.play.seen.values())


@contextmanager
def begun(top: Path, shell: pytest.MonkeyPatch, config: str = CONFIG) -> Iterator[Place]:
    """A run whose plan was approved; 1 of its calls was the architect's."""
    root = repos.small(top / "repository")
    repos.write(root, "multi-agent.yaml", config)
    tasks = plan(planned("b", "billing", "Bill"), planned("s", "shipping", "Ship"))
    play = Play({"architect": [[tasks]], "billing": work("pkg00"), "shipping": work("pkg01")})
    with played(play) as server:
        environment = {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": "sk-loopback"}
        for name, value in environment.items():
            shell.setenv(name, value)  # an engine that is started again asks the same server
        place = Place(root, environment, play)
        try:
            with background("run", "do it", "--headless", cwd=root, **environment):
                place.swarm("approve", place.gate("plan").id)
                yield place
        finally:
            place.client.ask("engine.halt", "")
            kill_engine(place.client)


def test_a_run_stops_at_its_budget_and_goes_on_when_it_is_raised_whoever_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begun(tmp_path, monkeypatch) as place:
        gate = place.gate("budget")
        assert place.requests == 5
        shown = place.swarm("gates", gate.id)
        assert "Spent 5 calls of 5 calls (100 %)" in shown
        assert "task_001" in shown
        assert "budget raise run.iterations --to AMOUNT" in shown
        assert "run.iterations               exhausted  5 calls of 5 calls (100 %)" in place.swarm("status")

        before = place.view().engine_pid
        os.killpg(os.getpgid(before), signal.SIGKILL)  # `run` in the background brings an engine back
        wait_until("another engine on the run", lambda: place.view().engine_pid not in (0, before))
        assert place.gate("budget").id == gate.id
        assert {task.status for task in place.view().tasks.values()} == {"done", "running"}
        assert place.requests == 5

        place.swarm("budget", "raise", "run.iterations", "--to", "7")
        wait_until("the next gate", lambda: place.view().budgets["run.iterations"].round == 2)
        again = place.gate("budget")
        assert (again.id != gate.id, place.requests) == (True, 7)
        assert place.view().gates[gate.id].status == "aborted"

        place.swarm("approve", again.id, "--note", "20 is enough")
        assert place.view().budgets["run.iterations"].limit == 20
        for _ in range(2):
            place.swarm("approve", place.gate("merge").id)
        account = json.loads(place.swarm("cost", "--json", "--calls"))
        assert (place.requests, account["run"]["calls"], len(account["calls"])) == (9, 9, 9)
        for group in ("phase", "feature", "service", "model", "task"):
            rows = account[f"by_{group}"].values()
            for name in ("calls", "tokens"):
                assert sum(row[name] for row in rows) == account["run"][name]
            assert micro(*rows) == micro(account["run"]) > 0
        assert micro(*account["calls"]) == micro(account["run"])


def test_who_does_not_raise_keeps_what_is_done_and_drops_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.replace("run: {iterations: 5}", "service: {shipping: {iterations: 2}}")
    with begun(tmp_path, monkeypatch, config) as place:
        gate = place.gate("budget")
        place.swarm("approve", place.gate("merge").id)
        place.swarm("reject", gate.id, "--note", "enough")
        landing = place.gate("landing")
        tasks = place.view().tasks
        assert (tasks["task_001"].status, tasks["task_002"].status) == ("done", "cancelled")
        assert "not raised" in tasks["task_002"].reason
        assert len(place.play.seen["shipping"]) == 2
        assert "pkg00/new.txt" in place.swarm("gates", landing.id)
