"""A long history: opening, looking and following cost what is new, not what was.

The histories are of ten thousand and of a hundred thousand events; ``SWARM_EVENTS=1000000`` makes the long one a
million, which takes a minute to write.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.instant import BASE, CALL, RUN, Unsynced, name_of
from tests.support.cli import environment, git, swarm

from swarm_core.journal.journal import Journal
from swarm_core.journal.projections import prepare
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import RepoLayout

pytestmark = pytest.mark.timeout(600)

SHORT, LONG = 10_000, int(os.environ.get("SWARM_EVENTS", "100000"))
TASKS, TAIL, BATCH = 20, 500, 5_000
ROOM_MB = 40.0
LOOK = """
import json, resource, sys, time
from pathlib import Path
from swarm_core.client import SwarmClient
client, run = SwarmClient(Path.cwd()), sys.argv[1]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.thread_time()
view = client.view(run)
spent = time.thread_time() - started
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(json.dumps({"seq": view.last_seq, "cpu_s": spent, "grown_mb": grown, "calls": view.usage.calls}))
"""


async def history(root: Path, events: int) -> RepoLayout:
    """A run of so many events, as an engine that lived through them leaves it: with a snapshot and a tail."""
    root.mkdir()
    git(root, "init", "-q")
    layout = RepoLayout(root.resolve())
    prepare(layout)
    journal = await Journal.open(layout.run(RUN).journal, RUN, SystemClock(), Unsynced())
    view = journal.view
    drafts = [
        Draft("run.created", {"title": "Long", "goal": "Long", "services": {}}),
        Draft("run.started", {"base": BASE, "base_ref": "refs/heads/main", "hub": "", "integration": BASE}),
    ]
    for number in range(TASKS):
        drafts.append(Draft("task.created", {"title": f"Task {number}", "assigned_to": "api"}, task=name_of(number)))
    number = 0
    while view.last_seq < events:
        room = events - view.last_seq
        limit = min(BATCH, room - TAIL if room > TAIL else room)
        while len(drafts) < limit:
            number += 1
            drafts.append(Draft("llm.call", CALL, task=name_of(number % TASKS)))
        for event in await journal.append(*drafts):
            view.apply(event)
        drafts = []
        if view.last_seq == events - TAIL:
            assert await journal.snapshot(view)
    await journal.close()
    return layout


async def read_at_opening(layout: RepoLayout) -> tuple[int, int]:
    """Open for writing, as an engine does: the last event, and how many were read for it."""
    journal = await Journal.open(layout.run(RUN).journal, RUN, SystemClock(), Unsynced())
    await journal.close()
    return journal.last_seq, len(journal.events)


def look(layout: RepoLayout) -> dict[str, Any]:
    """Open the run in a process of its own."""
    command = [sys.executable, "-P", "-c", LOOK, RUN]
    done = subprocess.run(command, cwd=layout.root, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_long_history_is_opened_for_the_price_of_its_tail(tmp_path: Path) -> None:
    short = asyncio.run(history(tmp_path / "short", SHORT))
    long = asyncio.run(history(tmp_path / "long", LONG))
    small = min((look(short) for _ in range(3)), key=lambda found: float(found["cpu_s"]))
    large = min((look(long) for _ in range(3)), key=lambda found: float(found["cpu_s"]))
    assert (small["seq"], large["seq"]) == (SHORT, LONG)
    assert large["calls"] == LONG - TASKS - 2
    assert large["cpu_s"] <= 2.0 * small["cpu_s"], f"{small['cpu_s']:.3f} s, then {large['cpu_s']:.3f} s"
    assert large["grown_mb"] <= small["grown_mb"] + ROOM_MB

    shown = swarm("status", "--json", cwd=long.root)
    assert shown.returncode == 0, shown.stderr
    body = json.loads(shown.stdout)
    assert body["seq"] == LONG
    assert len(shown.stdout) < 100_000  # what is shown is the state, not the history

    assert asyncio.run(read_at_opening(long)) == (LONG, TAIL)
