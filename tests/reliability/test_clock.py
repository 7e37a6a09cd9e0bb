"""The wall clock is set back and forwards by hours in the middle of a run: order, waits and leases stand."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from benchmarks.instant import InstantHands, Shape, carry_out, open_run

from swarm_core.engine.watch import Watch
from swarm_core.journal.journal import verify
from swarm_core.policy.failures import MAX_BACKOFF_S
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import ModelFailure

JUMP = timedelta(hours=8)


class JumpingClock(SystemClock):
    """The wall clock is eight hours off, now this way and now that; what is monotonic stays so."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.jumps = 0

    def now(self) -> str:
        self.jumps += 1
        off = self.random.choice((-1, 0, 1)) * JUMP
        return (datetime.now(UTC) + off).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SetClock(SystemClock):
    """Wall and monotonic time are what the test says."""

    def __init__(self) -> None:
        self.wall, self.monotonic = datetime(2026, 11, 21, 12, tzinfo=UTC), 1_000.0

    def now(self) -> str:
        return self.wall.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def monotonic_s(self) -> float:
        return self.monotonic


@pytest.mark.parametrize("seed", range(3))
async def test_a_run_whose_clock_jumps_ends_like_any_other(tmp_path: Path, seed: int) -> None:
    shape = Shape(chains=5, length=4, services=5, agents=5)
    clock = JumpingClock(seed)
    runner, hands = await open_run(tmp_path, shape, clock=clock)
    await carry_out(runner)
    view = runner.view
    assert view.run.status == "completed"
    assert sorted(hands.merged) == sorted(f"task_{n:03d}" for n in range(1, shape.tasks + 1))
    assert all(task.attempt == 1 and not task.failures for task in view.tasks.values())  # no lease ran out
    assert clock.jumps > 100
    assert verify(runner.layout.journal) == view.last_seq  # seq orders events, not time
    again, _ = await open_run(tmp_path, shape)
    assert again.view.tasks == view.tasks
    await again.journal.close()


async def failing_task(root: Path, clock: SetClock) -> tuple[Watch, str, float]:
    """A run in which one task rests after an overload; its watch, its name and its pause in seconds."""
    shape = Shape(chains=1, length=1, services=1, agents=1)
    runner, _ = await open_run(root, shape, clock=clock)
    runner.performer = Failing(runner, shape.plan())
    with suppress(Stop):
        await runner.drive()
    task = runner.view.tasks["task_001"]
    assert task.status == "ready"
    assert task.failed_kind == ModelFailure.OVERLOAD
    await runner.journal.close()
    return Watch(runner.view, runner.spec, clock), task.id, task.wait_s


class Stop(Exception):
    """The play is over."""


class Failing(InstantHands):
    """The first attempt at a task of the plan meets an overloaded server; then the engine is stopped."""

    async def _work(self, task: str, instance: str) -> None:
        if task != "task_001":
            await super()._work(task, instance)
            return
        await self.runner.fail(task, ModelFailure.OVERLOAD, "overloaded", attempt=1)
        self.runner._stop_for_good(Stop())


@pytest.mark.parametrize("hours", [-8, 0, 8])
async def test_a_pause_after_a_failure_is_never_longer_than_it_was_meant_to_be(tmp_path: Path, hours: int) -> None:
    """After a restart the rest of the pause comes from the journal's wall time, which may have been set since."""
    clock = SetClock()
    _, task, wait_s = await failing_task(tmp_path, clock)
    clock.wall += timedelta(hours=hours)
    runner, _ = await open_run(tmp_path, Shape(chains=1, length=1, services=1, agents=1), clock=clock)
    is_resting = task in runner.watch.outlook(10).resting
    assert is_resting == (hours <= 0)  # forwards it is over early, back it lasts as long as it was
    clock.monotonic += wait_s + 0.001
    assert task not in runner.watch.outlook(10).resting
    assert wait_s <= MAX_BACKOFF_S
    await runner.journal.close()


async def test_leases_go_by_the_monotonic_clock_alone(tmp_path: Path) -> None:
    clock = SetClock()
    shape = Shape(chains=1, length=1, services=1, agents=1)
    runner, _ = await open_run(tmp_path, shape, clock=clock)

    class Silent(InstantHands):
        async def _work(self, task: str, instance: str) -> None:
            if task == "task_001":
                self.runner._stop_for_good(Stop())
                return
            await super()._work(task, instance)

    runner.performer = Silent(runner, shape.plan())
    with pytest.raises(Stop):
        await runner.drive()
    heartbeat_s = runner.spec.services["service-0"].heartbeat_s
    assert runner.view.tasks["task_001"].status == "running"
    for jump in (JUMP, -2 * JUMP):
        clock.wall += jump
        assert list(runner.watch.lost()) == []
    clock.monotonic += heartbeat_s + 1.0
    assert [task.id for task in runner.watch.lost()] == ["task_001"]
    await runner.journal.close()
