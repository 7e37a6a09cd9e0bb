"""swarm-tui: a run of a hundred tasks, each claimed by an instance; a step is one ``llm.call``, an agent's most
frequent fact. Variants: ``journal`` appends alone, ``record`` goes through the runner (check, append, fold). ``work``
is the engine's process with lock, supervisor, policy and projections; only the hands that perform acts are others."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.steps import AGENTS, STEPS, Steps, run

from swarm_core.definitions import load
from swarm_core.engine.runner import Runner
from swarm_core.journal.disk import RealDisk
from swarm_core.journal.journal import Journal
from swarm_core.journal.projections import prepare
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.entities import PLANNING_TASK
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import CONFIG_FILE, RepoLayout, RunLayout

RUN = "20261121-100000-hundred-agents"
SERVICES, REPLICAS = 10, 10
BASE = "91c0aa72"
CALL = {"model": "scripted", "input_tokens": 1200, "output_tokens": 80, "stop_reason": "tool_use", "ms": 2100}


class CountingDisk(RealDisk):
    """A real disk that knows how often it was synced."""

    syncs = 0

    def sync(self, fd: int) -> None:
        self.syncs += 1
        super().sync(fd)


def service(agent: int) -> str:
    return f"service-{agent % SERVICES + 1}"


def instance(agent: int) -> str:
    return f"{service(agent)}-{agent // SERVICES + 1}"


def task(agent: int) -> str:
    return f"task_{agent + 1:03d}"


def config() -> str:
    """A configuration of a hundred instances."""
    services = "".join(
        f"  service-{n}: {{directories: [part-{n}], replicas: {REPLICAS + 1}}}\n" for n in range(1, SERVICES + 1)
    )
    return f"adapter: scripted\nmax_parallel: {AGENTS}\nservices:\n{services}"


def beginning(agents: int) -> Iterator[Draft]:
    """A run in which every agent's instance is idle and its task ready."""
    services = {f"service-{n}": {"model": "scripted", "replicas": REPLICAS} for n in range(1, SERVICES + 1)}
    yield Draft("run.created", {"title": "A hundred agents", "goal": "A hundred agents", "services": services})
    yield Draft(
        "run.started", {"base_ref": "refs/heads/main", "base": "91c0aa72", "hub": "", "integration": "91c0aa72"}
    )
    planning = {"title": "Plan", "assigned_to": "architect", "created_by": "orchestrator"}
    yield Draft("task.created", planning, task=PLANNING_TASK)
    yield Draft("task.cancelled", {"reason": "planned by hand"}, task=PLANNING_TASK)
    for agent in range(agents):
        data = {"title": f"Part {agent}", "assigned_to": service(agent), "order": agent + 1, "priority": "high"}
        yield Draft("task.created", data, task=task(agent))
        yield Draft("task.ready", task=task(agent))
        born = {"service": service(agent), "model": "scripted", "worktree": "", "branch": f"agent/{instance(agent)}"}
        yield Draft("agent.starting", born, agent=instance(agent))
        yield Draft("agent.ready", agent=instance(agent))


def claim(agent: int) -> tuple[Draft, Draft]:
    """What an agent begins with; a peer's workflow or thread begins with a row, too."""
    claimed = Draft("task.claimed", {"attempt": 1, "base": BASE}, task=task(agent), agent=instance(agent))
    return claimed, Draft("agent.busy", task=task(agent), agent=instance(agent))


def call(agent: int) -> Draft:
    return Draft("llm.call", CALL, task=task(agent), agent=instance(agent))


async def write_beginning(layout: RunLayout, agents: int) -> None:
    """The run's directory with its configuration and its journal, as an engine that was killed leaves them."""
    prepare(layout.repo)
    layout.dir.mkdir(parents=True)
    (layout.dir / CONFIG_FILE).write_text(config())
    journal = await Journal.open(layout.journal, layout.run, SystemClock())
    await journal.append(*beginning(agents))
    await journal.close()


async def time_steps(steps: Steps, layout: RunLayout, variant: str) -> Mapping[str, Any]:
    await write_beginning(layout, AGENTS + 1)
    disk = CountingDisk()
    journal = await Journal.open(layout.journal, layout.run, SystemClock(), disk)
    runner = Runner(layout, journal, load(layout.dir / CONFIG_FILE), SystemClock())
    write = runner.record if variant == "record" else journal.append

    async def agent(number: int) -> None:
        await write(*claim(number))
        for _ in range(STEPS):
            await steps.work()
            await write(call(number))
            steps.durable()

    await agent(AGENTS)
    disk.syncs = 0
    steps.start()
    await asyncio.gather(*(agent(number) for number in range(AGENTS)))
    syncs = disk.syncs
    await journal.close()
    return {"syncs": syncs}


async def contestant(steps: Steps, directory: Path, variant: str) -> Mapping[str, Any]:
    return await time_steps(steps, layout_in(directory), variant)


def layout_in(directory: Path) -> RunLayout:
    os.environ["XDG_STATE_HOME"] = str(directory / "state")
    return RepoLayout(directory / "repo").run(RUN)


def work(steps: Steps, directory: Path) -> None:
    """Be the engine of the run in ``directory``; how far each agent came stands in the fold."""
    from swarm_core.engine import __main__ as engine
    from swarm_core.engine import supervisor
    from swarm_core.engine.acts import Hands
    from swarm_core.policy.effects import Act, RunAgent

    class StepHands(Hands):
        def __init__(self, *parts: Any) -> None:
            super().__init__(*parts)
            if self.view.usage.calls:  # started again: the first new step does nothing, as it does for everybody
                steps.step_s = 0.0

        async def perform(self, act: Act) -> None:
            if isinstance(act, RunAgent):
                agent = self.view.tasks[act.task].order - 1
                while self.view.tasks[act.task].usage.calls < STEPS:
                    await steps.work()
                    await self.runner.record(call(agent))
                    steps.durable()
            await asyncio.Event().wait()

    layout = layout_in(directory)
    if not layout.dir.exists():
        asyncio.run(write_beginning(layout, AGENTS))
    steps.start()
    supervisor.Hands = StepHands  # type: ignore[attr-defined,assignment]
    raise SystemExit(engine.main([str(layout.repo.root)]))


if __name__ == "__main__":
    run(sys.argv[1:], contestant, work)
