"""Several runs of one repository share the places for agents: never more than there are, nobody left out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.crew import Crew, Run, eventually
from tests.support.story import planned, spec

from swarm_core.engine.requests import handle
from swarm_core.engine.sharing import Sharing
from swarm_core.policy.effects import RunAgent
from swarm_core.vocabulary.spec import SwarmSpec


class Hall:
    """Who works in which run, over time. ``order`` are the runs in the order in which their agents sat down."""

    def __init__(self) -> None:
        self.busy: list[str] = []
        self.most = 0
        self.order: list[str] = []
        self.go = asyncio.Semaphore(0)

    async def __call__(self, crew: Crew, act: RunAgent) -> None:
        name = crew.runner.layout.run
        self.busy.append(name)
        self.order.append(name)
        self.most = max(self.most, len(self.busy))
        try:
            await self.go.acquire()
        finally:
            self.busy.remove(name)
        await crew.submit(act)


@pytest.fixture
async def runs() -> AsyncIterator[list[Run]]:
    opened: list[Run] = []
    yield opened
    for run in opened:
        await run.stop()


async def two(
    tmp_path: Path,
    runs: list[Run],
    hall: Hall,
    max_parallel: int,
    first: SwarmSpec | None = None,
    sharing: Sharing | None = None,
) -> tuple[Run, Run]:
    """Two runs of six tasks each, whose plans are approved."""
    sharing, tasks = sharing or Sharing(), [planned(n, "a") for n in range(1, 7)]
    plain = spec("a", replicas=4, max_parallel=max_parallel)
    for name, swarm in (("r1", first or plain), ("r2", plain)):
        run = await Run.open(tmp_path, swarm, *tasks, work=hall, name=name)
        sharing.join(run.runner)
        runs.append(run)
    for run in runs:
        run.drive()
    return runs[0], runs[1]


async def test_two_runs_never_have_more_agents_at_work_than_one_may(tmp_path: Path, runs: list[Run]) -> None:
    hall = Hall()
    one, other = await two(tmp_path, runs, hall, 2)
    await eventually(lambda: len(hall.busy) == 2, "two agents")
    for _ in range(12):
        hall.go.release()
    await asyncio.gather(one.end(), other.end())

    assert hall.most == 2
    assert hall.order.count("r1") == hall.order.count("r2") == 6


async def test_two_runs_that_both_have_work_have_one_place_each(tmp_path: Path, runs: list[Run]) -> None:
    hall = Hall()
    one, other = await two(tmp_path, runs, hall, 2)
    await one.until("phase.started", 2)
    await other.until("phase.started", 2)
    for done in range(2, 10):
        await eventually(lambda n=done: len(hall.order) >= n)  # type: ignore[misc]
        hall.go.release()
    for _ in range(12):
        hall.go.release()
    await asyncio.gather(one.end(), other.end())

    early = hall.order[:8]
    assert abs(early.count("r1") - early.count("r2")) <= 2, early


async def test_two_runs_take_turns_at_the_only_place(tmp_path: Path, runs: list[Run]) -> None:
    hall = Hall()
    one, other = await two(tmp_path, runs, hall, 1)
    for _ in range(12):
        hall.go.release()
    await asyncio.gather(one.end(), other.end())

    assert hall.most == 1
    early = hall.order[:8]
    assert 2 <= early.count("r1") <= 6, early


async def test_a_run_that_waits_for_workers_outside_keeps_no_place_from_the_others(
    tmp_path: Path, runs: list[Run]
) -> None:
    hall = Hall()
    plain = spec("a", max_parallel=1)
    outside = replace(plain, services={**plain.services, "a": replace(plain.services["a"], adapter="external")})
    one, other = await two(tmp_path, runs, hall, 1, outside)
    await one.until("task.ready", 7)
    for _ in range(6):
        hall.go.release()
    await other.end()

    assert other.runner.view.run.landed
    assert one.runner.view.index.count("ready") == 6


async def test_a_held_task_keeps_no_place_from_the_others(tmp_path: Path, runs: list[Run]) -> None:
    hall = Hall()
    one, other = await two(tmp_path, runs, hall, 1)
    assert (await handle(one.runner, one.ask("service.pause", service="a"))).is_applied
    for _ in range(12):
        hall.go.release()
    await other.end()
    assert other.runner.view.run.landed
    assert not one.runner.view.is_over
    assert (await handle(one.runner, one.ask("service.resume", service="a"))).is_applied
    await one.end()


async def test_what_a_run_that_ends_leaves_is_taken_up_by_the_other(tmp_path: Path, runs: list[Run]) -> None:
    hall, sharing = Hall(), Sharing()
    one, other = await two(tmp_path, runs, hall, 2, sharing=sharing)
    await eventually(lambda: sorted(hall.busy) == ["r1", "r2"])
    assert (await handle(one.runner, one.ask("run.abort"))).is_applied
    await one.end()
    sharing.leave(one.runner)
    await eventually(lambda: hall.busy == ["r2", "r2"], "both places for the other")
    for _ in range(6):
        hall.go.release()
    await other.end()

    assert hall.most == 2
