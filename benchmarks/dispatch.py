"""Claim: 50 ms after a task is ready, its agent has asked the model (p99), whether or not it has a worktree yet.

The engine's runner, hands, hub and agents work in this process on a real repository, with scripts instead of a model at
speed 0; nothing but the model's answers is played. Timed is from the moment the event ``task.ready`` is on the disk and
applied to the first request of the agent that took the task: the decision, the syncs of what is decided, and the
agent's context. Tasks of a service wait for each other, so that its agent is free when the next one is ready. Tasks
whose agent was not there yet, and had to be given a worktree, stand in a row of their own.

The worktree is made, or brought to where the integration line stands, while the model answers. That is not hidden: the
last rows say when the first tool call was done and recorded. Here the model answers at once, so that all of the
checkout shows in them; they have no limit.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm_core.agents.model import Model, ModelEvent, ModelRequest
from swarm_core.definitions import load
from swarm_core.engine.acts import Hands
from swarm_core.engine.measures import Measures
from swarm_core.engine.models import ModelPool
from swarm_core.engine.papers import PapersOnDisk
from swarm_core.engine.requests import handle
from swarm_core.engine.runner import Runner
from swarm_core.journal.journal import Journal
from swarm_core.journal.projections import prepare
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.layout import CONFIG_FILE, RepoLayout, RunLayout
from swarm_core.vocabulary.spec import ServiceSpec

RUN = "20261121-100000-dispatch"
SERVICES, TASKS_EACH = 4, 8  # several services compete for the machine's cores with everything they do
FILES = 300
LIMIT_MS = 50.0


def write_repository(root: Path, count: int) -> None:
    """A few hundred files, ``count`` services, and a plan of as many chains."""
    services = [f"part-{number}" for number in range(count)]
    files = {"multi-agent.yaml": "adapter: scripted\nscript: scripts\nmax_parallel: 8\nservices:\n"}
    files["multi-agent.yaml"] += "".join(f"  {key}: {{directories: [{key}]}}\n" for key in services)
    tasks = []
    for key in services:
        for number in range(TASKS_EACH):
            waits = f"[{key}-{number - 1}]" if number else "[]"
            tasks.append(
                f"          - {{key: {key}-{number}, title: {key} {number}, description: Write it., "
                f"assigned_to: {key}, dependencies: {waits}}}\n"
            )
        turns = "".join(
            f'- when: {{task: "{key} {number}"}}\n'
            f'  do: [{{tool: Write, args: {{file_path: {key}/new{number}.txt, content: "new\\n"}}}}]\n'
            for number in range(TASKS_EACH)
        )
        files[f"scripts/{key}.yaml"] = turns + "- do: [{tool: handoff, args: {what_i_did: one file}}]\n"
        for number in range(FILES // count):
            files[f"{key}/module{number:03d}.py"] = f"VALUE = {number}\n" * 20
    plan = f"- do:\n    - tool: plan_tasks\n      args:\n        tasks:\n{''.join(tasks)}"
    files["scripts/architect.yaml"] = plan
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "start"]):
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True)


class Timed:
    """The scripts, and when each task's agent asked first."""

    def __init__(self, inner: Model) -> None:
        self.inner = inner
        self.asked: dict[str, float] = {}

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self.asked.setdefault(request.hints.get("task", ""), time.perf_counter())
        async for event in self.inner.stream(request):
            yield event

    async def close(self) -> None:
        await self.inner.close()


class TimedPool(ModelPool):
    timed: Timed | None = None

    def get(self, service: ServiceSpec, options: Mapping[str, Any]) -> Model:
        if self.timed is None:
            self.timed = Timed(super().get(service, options))
        return self.timed


class Dispatches(PapersOnDisk):
    """The run's papers, which hear of every event: when each task became ready, and whether its agent was there."""

    def __init__(self, layout: RunLayout, journal: Journal) -> None:
        super().__init__(layout, Measures(journal.path, journal.last_seq, journal.events))
        self.view = journal.view
        self.ready: dict[str, tuple[float, bool]] = {}
        self.used: dict[str, float] = {}

    def take(self, events: Sequence[Event]) -> None:
        super().take(events)
        for event in events:
            if event.kind == "task.ready" and event.task is not None:
                service = self.view.tasks[event.task].assigned_to
                agents = (i for i in self.view.instances.values() if i.service == service and i.status == "idle")
                self.ready[event.task] = (time.perf_counter(), any(agents))
            elif event.kind == "tool.used" and event.task is not None:
                self.used.setdefault(event.task, time.perf_counter())


async def approve_all(runner: Runner) -> None:
    """An operator who agrees at once."""
    while not runner.view.is_over:
        await runner.until(lambda: bool(runner.view.open_gates) or runner.view.is_over, 60.0)
        for gate in runner.view.open_gates:
            data = {"gate": gate.id, "verdict": "approve", "note": "", "evidence": gate.evidence}
            await handle(runner, InboxItem(ulid(), "gate.decide", RUN, data=data))


@dataclass
class Measured:
    """Milliseconds from ``task.ready`` to the first request, and to the first tool call that was done."""

    asked: list[float] = field(default_factory=list)
    used: list[float] = field(default_factory=list)

    def add(self, other: Measured) -> None:
        self.asked += other.asked
        self.used += other.used


async def dispatch(root: Path) -> tuple[Measured, Measured]:
    """Every dispatch: to agents with a worktree, and to those that had to be given one."""
    layout = RepoLayout(root).run(RUN)
    prepare(layout.repo)
    layout.dir.mkdir(parents=True)
    (layout.dir / CONFIG_FILE).write_bytes(layout.repo.config.read_bytes())
    clock = SystemClock()
    spec = load(layout.dir / CONFIG_FILE)
    journal = await Journal.open(layout.journal, RUN, clock)
    dispatches = Dispatches(layout, journal)
    runner = Runner(layout, journal, spec, clock, papers=dispatches)
    pool = TimedPool(spec, root, clock, "dispatch")
    runner.performer = Hands(runner, pool)
    await runner.record(Draft("run.created", {"title": "dispatch", "goal": "dispatch", "options": {"speed": 0}}))
    operator = asyncio.create_task(approve_all(runner))
    await runner.drive()
    await operator
    await runner.leave()
    await runner.journal.close()
    if not runner.view.run.landed or pool.timed is None:
        raise SystemExit(f"the run is {runner.view.run.status}: {runner.view.run.reason}")
    warm, fresh = Measured(), Measured()
    for task, (ready_s, has_tree) in dispatches.ready.items():
        measured = warm if has_tree else fresh
        measured.asked.append((pool.timed.asked[task] - ready_s) * 1e3)
        measured.used.append((dispatches.used[task] - ready_s) * 1e3)
    return warm, fresh


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def row(name: str, values: Sequence[float], *, is_limited: bool = True) -> None:
    p50, p99 = statistics.median(values), percentile(values, 0.99)
    against = f"  {p99 / LIMIT_MS:.2f}x the limit" if is_limited else ""
    print(f"  {name:<28} {len(values):>3} dispatches  p50 {p50:6.1f} ms  p99 {p99:6.1f} ms{against}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    warm, fresh, alone = Measured(), Measured(), Measured()
    for _ in range(rounds):
        measured_warm, measured_fresh = measure(SERVICES)
        warm.add(measured_warm)
        fresh.add(measured_fresh)
        alone.add(measure(1)[0])
    rows = {
        "with a worktree, alone": alone,
        f"with one, {SERVICES} services at once": warm,
        "with a fresh worktree": fresh,
    }
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"from task.ready to the agent's first model request; the limit is {LIMIT_MS:g} ms, {load}")
    for name, measured in rows.items():
        row(name, measured.asked)
    print("to its first tool call in the worktree, of a model that answers at once")
    for name, measured in rows.items():
        row(name, measured.used, is_limited=False)
    return 0 if max(percentile(measured.asked, 0.99) for measured in rows.values()) <= LIMIT_MS else 1


def measure(services: int) -> tuple[Measured, Measured]:
    """One run on a repository of its own."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:
        os.environ["XDG_STATE_HOME"] = f"{place}/state"
        root = (Path(place) / "repo").resolve()
        root.mkdir()
        write_repository(root, services)
        return asyncio.run(dispatch(root))


if __name__ == "__main__":
    sys.exit(main())
