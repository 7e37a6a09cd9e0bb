"""A place for one agent of any make: a real repository, hub, journal and runner; the test is the policy.

``Seat`` gives one task to the service ``api``, which owns ``api/``. ``steps`` are those of ``foreign_agent``; each make
of agent plays them in its own way.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import yaml
from tests.support import repos

from swarm_core.definitions.config import load
from swarm_core.engine.acts import Hands
from swarm_core.engine.models import ModelPool
from swarm_core.engine.runner import Runner
from swarm_core.engine.workers import hand_in
from swarm_core.journal.journal import Journal
from swarm_core.policy.effects import PrepareRun, RunAgent, StartInstance
from swarm_core.tools.confine import confinement
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.layout import CONFIG_FILE, RepoLayout

AGENT = Path(__file__).parent / "foreign_agent.py"
TASK, INSTANCE, RUN = "task_001", "api-1", "r1"
MAKES = ("native", "acp", "claude", "codex", "human")
PROCESSES = ("acp", "claude", "codex")
Step = Sequence[Any]


def call(tool: str, **args: Any) -> dict[str, Any]:
    return {"do": [{"tool": tool, "args": args}], "usage": {"in": 300, "out": 50}}


def script(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The steps as turns of the scripted model."""
    turns: list[dict[str, Any]] = []
    for name, *given in steps:
        match name:
            case "write" | "sneak":
                turns.append(call("Write", file_path=given[0], content=given[1]))
            case "say":
                turns.append({"say": given[0]})
            case "pid" | "once":
                continue
            case "child":
                turns.append(call("Bash", command=f"(sleep 600 & echo $! > $HOME/{given[0]}; wait)"))
            case "wait":
                turns.append(call("Bash", command=f"until [ -e $HOME/{given[0]} ]; do sleep 0.02; done"))
            case "hang":
                turns.append(call("Bash", command="sleep 600"))
            case "junk":
                turns.append({"say": "\x1b]0;title\x07", "do": [{"tool": "Brand_new", "args": {}}]})
    turns.append(call("handoff", what_i_did="all of it"))
    return turns


class Seat:
    """One agent's place. ``open`` it, ``sit`` to let the agent work, ``close`` it."""

    def __init__(self, root: Path, make: str, steps: Sequence[Step] = (), **service: Any) -> None:
        self.root, self.make, self.steps = root, make, list(steps)
        self.layout = RepoLayout(root).run(RUN)
        self.tree = self.layout.trees / INSTANCE
        self.home = self.layout.state_dir / "scratch" / INSTANCE
        self._write_files(service)

    def _write_files(self, service: Mapping[str, Any]) -> None:
        repos.small(self.root)
        moves = self.root.parent / "steps.json"
        moves.write_text(json.dumps(self.steps))
        program = [sys.executable, str(AGENT)]
        by_make: Mapping[str, Mapping[str, Any]] = {
            "native": {"adapter": "scripted"},
            "acp": {"adapter": "acp", "command": [*program, "acp", str(moves)]},
            "claude": {"adapter": "headless", "profile": "claude", "command": [*program, "claude", str(moves)]},
            "codex": {"adapter": "headless", "profile": "codex", "command": [*program, "codex", str(moves)]},
            "human": {"adapter": "human"},
        }
        api = {"directories": ["api"], "retries": 3, **by_make[self.make], **service}
        config = {"adapter": "scripted", "script": "scripts", "services": {"api": api}}
        if confinement() == "landlock":  # in a box, processes have other numbers than the tests look for
            config["confinement"] = "landlock"
        repos.write(self.root, CONFIG_FILE, yaml.safe_dump(config))
        repos.write(self.root, "scripts/api.yaml", yaml.safe_dump(script(self.steps)))
        repos.write(self.root, "scripts/architect.yaml", yaml.safe_dump([call("plan_tasks", tasks=[])]))
        repos.commit_all(self.root, "configure")

    async def open(self) -> Seat:
        """Begin the run, or go on with it as an engine that comes after another one does."""
        self.layout.dir.mkdir(parents=True, exist_ok=True)
        clock = SystemClock()
        self.journal = await Journal.open(self.layout.journal, RUN, clock)
        spec = load(self.root / CONFIG_FILE)
        self.runner = Runner(self.layout, self.journal, spec, clock, random=Random(7))
        self.hands = Hands(self.runner, ModelPool(spec, self.root, clock, "build"))
        self.runner.performer = self.hands
        if not self.journal.last_seq:
            await self._begin()
        return self

    async def _begin(self) -> None:
        record = self.runner.record
        await record(Draft("run.created", {"title": "T", "goal": "build", "options": {"speed": 0}}))
        await self.hands.perform(PrepareRun())
        created = {"title": "Build the API", "description": "Build it.", "assigned_to": "api"}
        for draft in (Draft("task.created", created, task=TASK), Draft("task.ready", task=TASK)):
            await record(draft)
        await self.hands.perform(StartInstance(INSTANCE))
        await self.claim()

    async def claim(self) -> None:
        """Give the task to the agent, as the policy does."""
        view = self.runner.view
        data: dict[str, Any] = {"attempt": view.tasks[TASK].attempt + 1, "base": view.run.integration}
        if self.make == "human":
            data["worker"] = OPERATOR
        await self.runner.record(Draft("task.claimed", data, task=TASK, agent=INSTANCE))
        if view.instances[INSTANCE].status != "busy":
            await self.runner.record(Draft("agent.busy", task=TASK, agent=INSTANCE))

    # -- the agent

    def sit(self) -> asyncio.Task[None]:
        """The agent works; a person does so by the hands of the test."""
        task = self.task
        act = RunAgent(TASK, INSTANCE, task.iteration, task.attempt)
        return asyncio.create_task(self.hands.perform(act))

    async def work(self) -> Task:
        """The whole attempt; the task as it is then."""
        sitting = self.sit()
        if self.make == "human":
            await self.operate()
        async with asyncio.timeout(60):
            await sitting
        return self.task

    async def operate(self) -> None:
        """What the operator does in the tree and in the room."""
        async with asyncio.timeout(20):
            while TASK not in self.runner.workers:
                await asyncio.sleep(0.01)
        for name, *given in self.steps:
            if name in ("write", "sneak"):
                await asyncio.to_thread(repos.write, self.tree, given[0], given[1])
        assert (await self.ask("task.submit", what_i_did="all of it")).is_applied

    async def ask(self, kind: str, **data: Any) -> Any:
        item = InboxItem(ulid(), kind, RUN, data={"task": TASK, "attempt": self.task.attempt, **data})
        return await hand_in(self.runner, item)

    # -- what came of it

    @property
    def task(self) -> Task:
        return self.runner.view.tasks[TASK]

    def facts(self, kind: str) -> list[dict[str, Any]]:
        lines = self.layout.journal.read_text().splitlines()
        return [event["data"] for event in map(json.loads, lines) if event["kind"] == kind]

    def log(self) -> str:
        lines = self.layout.log(INSTANCE).read_text().splitlines()
        return "\n".join(f"{line['kind']}: {line['text']}" for line in map(json.loads, lines))

    def told(self, number: int) -> str:
        """What a foreign agent was told when it was started for the ``number``-th time, from 0."""
        return (self.home / f"told-{number}").read_text()

    async def pid(self, name: str) -> int:
        """The number of a process that the agent noted."""
        async with asyncio.timeout(20):
            while not (self.home / name).exists() or not (self.home / name).read_text().strip():
                await asyncio.sleep(0.01)
        return int((self.home / name).read_text())

    async def close(self) -> None:
        await self.hands.close()
        await self.journal.close()
