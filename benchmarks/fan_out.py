"""Claim: a thousand tasks on a hundred agents need a sync for every other event at most, and the whole engine about the
time that their events alone take one by one.

Whole runs through the engine's runner, policy, fold, journal and projections; acts are performed at once
(``benchmarks.instant``), so that no agent hides what the engine costs. Beside each run the same number of events are
appended to a journal one by one, each with a sync of its own: nothing is decided, checked or folded there.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.instant import CALL, RUN, CountingDisk, Shape, carry_out, name_of, open_run

from swarm_core.journal.journal import Journal
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.events import Draft

SHAPE = Shape(chains=100, length=10, services=10, agents=100)
ROUNDS = 3
GOAL_SYNCS = 0.5
GOAL_RATIO = 1.5


@dataclass(frozen=True, slots=True)
class Round:
    """One run. ``alone_s`` is the time of as many appends one by one."""

    events: int
    syncs: int
    wall_s: float
    cpu_s: float
    alone_s: float


async def fan_out(directory: Path) -> Round:
    disk = CountingDisk()
    runner, _ = await open_run(directory, SHAPE, disk=disk)
    disk.syncs = 0
    started_s, cpu_s = time.perf_counter(), time.process_time()
    await carry_out(runner)
    wall_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    if runner.view.run.status != "completed":
        raise SystemExit(f"the run is {runner.view.run.status}: {runner.view.run.reason}")
    events = runner.view.last_seq
    return Round(events, disk.syncs, wall_s, cpu_s, await one_by_one(directory / "alone" / "events.jsonl", events))


async def one_by_one(path: Path, events: int) -> float:
    """Seconds for ``events`` appends to a journal, each waited for; measured on a tenth of them."""
    journal = await Journal.open(path, RUN, SystemClock())
    count = max(1, events // 10)
    started_s = time.perf_counter()
    for number in range(count):
        await journal.append(Draft("llm.call", CALL, task=name_of(number), agent="service-1-1"))
    took_s = time.perf_counter() - started_s
    await journal.close()
    return took_s / count * events


def main() -> int:
    rounds = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:
            rounds.append(asyncio.run(fan_out(Path(place).resolve())))
    events = rounds[0].events
    ratios = sorted(each.wall_s / each.alone_s for each in rounds)
    syncs = statistics.median(each.syncs / each.events for each in rounds)
    ratio = statistics.median(ratios)
    print(f"{SHAPE.tasks:,} tasks, {SHAPE.agents} agents, {events:,} events, median of {ROUNDS} runs")
    print(f"  wall {statistics.median(r.wall_s for r in rounds) / SHAPE.tasks * 1e3:.2f} ms a task, ", end="")
    print(f"CPU {statistics.median(r.cpu_s for r in rounds) / SHAPE.tasks * 1e3:.2f} ms a task")
    print(f"  {syncs:.2f} syncs an event · goal at most {GOAL_SYNCS}")
    print(f"  {ratio:.2f}x ({ratios[0]:.2f} to {ratios[-1]:.2f}) the time of its events one by one", end=" ")
    print(f"· goal at most {GOAL_RATIO:g}")
    return 0 if syncs <= GOAL_SYNCS and ratio <= GOAL_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
