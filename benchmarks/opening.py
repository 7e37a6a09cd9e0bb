"""Claim: a journal of a million events opens in less than twice the time of one of ten thousand.

Each journal holds a hundred agents' runs of model calls. Its snapshot is as old as it may get before the engine wants
the next one. An opening by the engine recovers (and so rewrites) the active segment and reads what follows the
snapshot; one by a front end only reads. The fold from the first event on is what they would cost without it.
``--full`` goes to a million events; without it, to a hundred thousand.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from swarm_core.journal.disk import RealDisk
from swarm_core.journal.journal import Journal
from swarm_core.journal.opening import open_view
from swarm_core.journal.segments import closed
from swarm_core.journal.snapshot import EVERY_EVENTS, SNAPSHOT
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.events import Draft

RUN = "20261121-100000-long"
AGENTS = 100
BATCH = 500
ROUNDS = 9
LIMIT = 2.0
SIZES, FULL_SIZES = (10_000, 100_000), (10_000, 100_000, 1_000_000)
CALL = {"model": "scripted", "input_tokens": 1200, "output_tokens": 80, "stop_reason": "tool_use", "ms": 2100}


def beginning() -> list[Draft]:
    drafts = [Draft("run.created", {"title": "a long run", "goal": "a long run"})]
    for agent in range(AGENTS):
        drafts.append(Draft("task.created", {"title": f"Part {agent}", "assigned_to": "a"}, task=f"task_{agent:03d}"))
    return drafts


async def write_run(path: Path, events: int) -> None:
    """A journal of so many events with a snapshot ``EVERY_EVENTS`` before its end."""
    journal = await Journal.open(path, RUN, SystemClock(), inline=True)
    calls = [Draft("llm.call", CALL, task=f"task_{number % AGENTS:03d}") for number in range(BATCH)]

    async def go_on(drafts: list[Draft]) -> None:
        for event in await journal.append(*drafts):
            journal.view.apply(event)

    await go_on(beginning())
    for end in (events - EVERY_EVENTS, events):
        while left := end - journal.last_seq:
            await go_on(calls[:left])
        if end < events:
            await journal.snapshot(journal.view)
    await journal.close()


async def open_for_writing(path: Path) -> None:
    await (await Journal.open(path, RUN, SystemClock())).close()


def open_for_reading(path: Path) -> None:
    open_view(path)[1].close()


def median_s(act: Callable[[], object], rounds: int = ROUNDS) -> float:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        act()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="up to a million events: about two minutes")
    sizes = FULL_SIZES if parser.parse_args().full else SIZES
    rows: list[tuple[float, float, float]] = []
    print(f"{'events':>9} {'MB':>6} {'segments':>8}  {'engine':>8} {'front end':>9} {'refold':>9}")
    with tempfile.TemporaryDirectory() as directory:
        for events in sizes:
            path = Path(directory) / str(events) / "events.jsonl"
            asyncio.run(write_run(path, events))
            writing = median_s(lambda path=path: asyncio.run(open_for_writing(path)))  # type: ignore[misc]
            reading = median_s(lambda path=path: open_for_reading(path))  # type: ignore[misc]
            path.with_name(SNAPSHOT).unlink()
            refold = median_s(lambda path=path: open_for_reading(path), 1)  # type: ignore[misc]
            rows.append((writing, reading, refold))
            files = [file for file in path.parent.rglob("*.jsonl") if file.is_file()]
            size = sum(file.stat().st_size for file in files) / 1e6
            print(
                f"{events:>9,} {size:>6.1f} {len(closed(path, RealDisk())) + 1:>8}  "
                f"{writing * 1e3:>5.1f} ms {reading * 1e3:>6.1f} ms {refold:>7.2f} s"
            )
    (writing, reading, _), (last_writing, last_reading, refold) = rows[0], rows[-1]
    ratios = last_writing / writing, last_reading / reading
    print(f"opening {sizes[-1]:,} against {sizes[0]:,} events")
    print(f"  engine {ratios[0]:.2f}x, front end {ratios[1]:.2f}x · goal ≤ {LIMIT:g}x")
    print(f"  the snapshot saves {refold / last_reading:.0f}x of the fold from the first event on")
    return 0 if max(ratios) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
