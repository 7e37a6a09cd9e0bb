"""Claim: ``swarm-tui status --json`` of a run of a hundred agents answers within 0.3 s, interpreter start included.

The journal is a real one: a hundred instances, two hundred tasks, gates, and some thousand model calls.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure import environment, python
from benchmarks.peers.run_swarm import RUN, beginning, call, claim, instance, service, task

from swarm_core.journal.journal import Journal
from swarm_core.journal.projections import prepare
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import RepoLayout

AGENTS, TASKS, CALLS = 100, 200, 40
RUNS = 9
LIMIT_S = 0.3


def story() -> Iterator[Draft]:
    """Every agent is at its first task; a quarter of them wait at a merge gate, a hundred tasks wait for them."""
    yield from beginning(AGENTS)
    for number in range(AGENTS, TASKS):
        data = {"title": f"Part {number}", "assigned_to": service(number), "order": number + 1}
        yield Draft("task.created", {**data, "dependencies": [task(number - AGENTS)]}, task=task(number))
    for agent in range(AGENTS):
        yield from claim(agent)
    for _ in range(CALLS):
        for agent in range(AGENTS):
            yield call(agent)
    for agent in range(0, AGENTS, 4):
        work = {"commit": f"{agent:08x}", "files": 3, "insertions": 120, "deletions": 7}
        yield Draft("task.submitted", work, task=task(agent), agent=instance(agent))
        yield Draft("agent.idle", agent=instance(agent))
        gate = {"gate": f"gate_{agent // 4 + 1:03d}"}
        where = {"place": "merge", "title": f"{task(agent)} · Part {agent}", "round": 1}
        yield Draft("gate.evaluating", {**gate, **where}, task=task(agent))
        shown = {"document": "gates/none.patch", "evidence": "0" * 64, "summary": "3 files +120 −7"}
        yield Draft("gate.opened", {**gate, **shown}, task=task(agent))


async def write_run(root: Path) -> int:
    """Put the run into a repository; returns the number of events."""
    layout = RepoLayout(root)
    prepare(layout)
    journal = await Journal.open(layout.run(RUN).journal, RUN, SystemClock())
    events = await journal.append(*story())
    await journal.close()
    return len(events)


def seconds(command: Sequence[str], cwd: Path) -> tuple[float, bytes]:
    """Wall time of a whole process, and what it printed."""
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    return time.perf_counter() - started, done.stdout


def main() -> int:
    ours, bare = [], []
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        events = asyncio.run(write_run(root))
        for number in range(RUNS + 1):
            taken, printed = seconds(python("-m", "swarm_tui", "status", "--json"), root)
            nothing, _ = seconds(python("-c", "pass"), root)
            if number:  # the first pair warms the file cache
                ours.append(taken)
                bare.append(nothing)
    shown = json.loads(printed)
    counts = len(shown["instances"]), len(shown["tasks"]), shown["seq"]
    if counts != (AGENTS, TASKS + 1, events):
        raise SystemExit(f"status showed {counts} instances, tasks and events")
    wall = statistics.median(ours)
    print(f"swarm-tui status --json: {AGENTS} instances, {TASKS} tasks, {events:,} events")
    print(f"  {wall:.3f} s ({min(ours):.3f} to {max(ours):.3f}), {wall / statistics.median(bare):.1f}x python -c pass")
    print(f"  {'met' if wall <= LIMIT_S else 'MISSED'}: {wall / LIMIT_S:.2f} of the limit · goal ≤ {LIMIT_S:g} s")
    return 0 if wall <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
