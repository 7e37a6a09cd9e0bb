"""A run without worktrees, models and people: acts are done at once, so that what is left is the engine itself.

``InstantHands`` performs an act by recording the facts it leads to; every gate is approved where it opens. The runner,
the policy, the fold, the journal and the projections are the engine's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from swarm_core.engine.runner import Runner
from swarm_core.journal.disk import Disk, RealDisk
from swarm_core.journal.journal import Journal
from swarm_core.journal.projections import prepare
from swarm_core.policy.effects import (
    Act,
    EvaluateGate,
    KeepUnlanded,
    Land,
    MergeTask,
    PrepareRun,
    RetireInstance,
    RollBack,
    RunAgent,
    SealPhase,
    StartInstance,
)
from swarm_core.vocabulary.clock import Clock, SystemClock
from swarm_core.vocabulary.entities import ARCHITECT, PLANNING_TASK
from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.layout import RepoLayout, RunLayout
from swarm_core.vocabulary.spec import ServiceSpec, SwarmSpec

RUN = "20261121-100000-instant"
BASE = "b" * 40
CALL = {"model": "instant", "input_tokens": 1200, "output_tokens": 80, "stop_reason": "tool_use", "ms": 1}


class CountingDisk(RealDisk):
    """A real disk that knows how often it was synced."""

    syncs = 0

    def sync(self, fd: int) -> None:
        self.syncs += 1
        super().sync(fd)


class Unsynced(RealDisk):
    """Leaves syncing out: what is measured is the engine."""

    def sync(self, fd: int) -> None:
        """Nothing."""

    def sync_dir(self, path: Path) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A plan: chains of ``length`` tasks side by side, and how many agents work at the same time."""

    chains: int
    length: int
    services: int = 10
    agents: int = 20

    @property
    def tasks(self) -> int:
        return self.chains * self.length

    def spec(self) -> SwarmSpec:
        """Directories that do not overlap; the replicas are the agents, shared evenly."""
        replicas = max(1, self.agents // self.services)
        services = {ARCHITECT: ServiceSpec(ARCHITECT, access_level="global_read", directories=("/",))}
        for number in range(self.services):
            key = f"service-{number}"
            services[key] = ServiceSpec(key, directories=(f"part-{number}",), replicas=replicas)
        return SwarmSpec(services, max_parallel=self.agents)

    def plan(self) -> list[dict[str, Any]]:
        """The plan's tasks as the architect's journaled artifact has them."""
        out = []
        for number in range(1, self.tasks + 1):
            chain, place = divmod(number - 1, self.length)
            out.append(
                {
                    "id": name_of(number),
                    "title": f"Part {number}",
                    "description": f"Write part {number}.",
                    "assigned_to": f"service-{chain % self.services}",
                    "created_by": ARCHITECT,
                    "dependencies": [name_of(number - 1)] if place else [],
                    "priority": "medium",
                    "order": number,
                }
            )
        return out


def name_of(number: int) -> str:
    return f"task_{number:03d}"


class InstantHands:
    """Performs every act by recording its outcome. ``calls`` model calls are recorded for each task."""

    def __init__(self, runner: Runner, plan: Sequence[dict[str, Any]], *, calls: int = 1) -> None:
        self.runner, self.plan, self.calls = runner, plan, calls
        self.merged: list[str] = []

    async def perform(self, act: Act) -> None:
        match act:
            case PrepareRun():
                await self._record(Draft("run.started", {"base": BASE, "base_ref": "refs/heads/main", "hub": ""}))
            case StartInstance(instance):
                await self._start(instance)
            case RunAgent(task, instance):
                await self._work(task, instance)
            case EvaluateGate(gate):
                await self._decide(gate)
            case MergeTask(task, commit):
                self.merged.append(task)
                await self._record(Draft("merge.checking", {"commit": commit}, task=task))
                data = {"commit": commit, "integration": f"i{len(self.merged)}"}
                await self._record(Draft("merge.completed", data, task=task))
            case SealPhase(phase):
                await self._record(
                    Draft("receipt.sealed", {"path": f"{phase}.json", "status": "VERIFIED"}, phase=phase)
                )
            case RetireInstance(instance):
                await self._record(Draft("agent.retired", {"reason": "its work is done"}, agent=instance))
            case Land():
                landed = {"outcome": "clean", "landed": True, "commit": self.runner.view.run.integration}
                await self._record(Draft("phase.work_done", phase="land"), Draft("run.completed", landed))
            case RollBack() | KeepUnlanded():
                raise AssertionError(f"nobody asked for {act}")

    def give_up(self, act: Act, error: Exception) -> list[Draft]:
        return [Draft("run.failed", {"reason": f"{act}: {error}"})]

    async def close(self) -> None:
        """Nothing was opened."""

    async def _record(self, *drafts: Draft) -> None:
        await self.runner.record(*drafts)

    async def _start(self, instance: str) -> None:
        if instance not in self.runner.view.instances:
            data = {"service": instance.rpartition("-")[0], "model": "instant", "worktree": f"/trees/{instance}"}
            await self._record(Draft("agent.starting", data, agent=instance))
        await self._record(Draft("agent.ready", agent=instance))

    async def _work(self, task: str, instance: str) -> None:
        for _ in range(self.calls):
            await self._record(Draft("llm.call", CALL, task=task, agent=instance))
        if task == PLANNING_TASK:
            data = {"type": "plan", "path": "plan.json", "tasks": self.plan, "reassign": [], "cancel": []}
            await self._record(Draft("artifact.written", data, task=task, agent=instance))
            done = {"commit": "", "files": 0}
        else:
            done = {"commit": f"c-{task}", "files": 1, "insertions": 3, "deletions": 1}
        attempt = self.runner.view.tasks[task].attempt
        await self._record(Draft("task.submitted", {"attempt": attempt, **done}, task=task, agent=instance))

    async def _decide(self, gate: str) -> None:
        """An operator who agrees with everything, as fast as it is shown."""
        task = self.runner.view.gates[gate].task or None
        await self._record(Draft("gate.opened", {"gate": gate, "evidence": "e", "document": ""}, task=task))
        said = {"gate": gate, "verdict": "approve", "evidence": "e", "by": OPERATOR}
        await self._record(Draft("gate.decided", said, actor=OPERATOR, task=task))


async def open_run(
    root: Path,
    shape: Shape,
    *,
    disk: Disk | None = None,
    clock: Clock | None = None,
    calls: int = 1,
    say: Callable[[str], None] = lambda message: None,
) -> tuple[Runner, InstantHands]:
    """A run of ``shape`` in the directory ``root``, created or taken up where its journal ends."""
    layout: RunLayout = RepoLayout(root).run(RUN)
    prepare(layout.repo)
    layout.dir.mkdir(parents=True, exist_ok=True)
    clock = clock or SystemClock()
    journal = await Journal.open(layout.journal, RUN, clock, disk)
    runner = Runner(layout, journal, shape.spec(), clock, say, random=Random(1))
    hands = InstantHands(runner, shape.plan(), calls=calls)
    runner.performer = hands
    if not runner.view.run.id:
        await runner.record(Draft("run.created", {"title": "Instant", "goal": "Instant", "services": {}}))
    return runner, hands


async def carry_out(runner: Runner) -> None:
    """Drive the run to its end and close its journal."""
    try:
        await runner.drive()
        await runner.leave()
    finally:
        await runner.journal.close()
    await asyncio.sleep(0)
