"""What every contestant does, ours and the peers': 100 agents, 10 steps each, every step durable before the next.

Standard library only: it runs inside the peers' environment too. A contestant is a module with two ways to start it:

    python -m benchmarks.peers.run_x time DIRECTORY [VARIANT]
    python -m benchmarks.peers.run_x work DIRECTORY FD STEP_S

``time`` runs all steps, which do nothing, and prints one JSON object. ``work`` starts, or goes on with, what lies in
the directory, and writes one byte to the descriptor, ``mark`` of its process, for every step that became durable in it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AGENTS, STEPS = 100, 10


@dataclass
class Steps:
    """Counts the steps that became durable here. ``fd`` hears of each, if there is one; ``step_s`` is a step's work."""

    fd: int = -1
    step_s: float = 0.0
    count: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    _started: tuple[float, float] | None = None

    async def work(self) -> None:
        """The body of a step."""
        if self.step_s:
            await asyncio.sleep(self.step_s)

    @property
    def is_timed(self) -> bool:
        """Whether this is about the cost of a step; then one agent more runs first, to warm up."""
        return self.fd < 0

    def start(self) -> None:
        """From here on steps count."""
        self._started = time.perf_counter(), time.process_time()

    def durable(self) -> None:
        """A step has been acknowledged. The clocks stop with the last one."""
        if self._started is None:
            return
        self.count += 1
        if self.fd >= 0:
            os.write(self.fd, mark(os.getpid()))
        if self.count == AGENTS * STEPS:
            self.wall_s = time.perf_counter() - self._started[0]
            self.cpu_s = time.process_time() - self._started[1]

    def result(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Microseconds a step (CPU: of all threads) and the facts. Raises SystemExit if steps are missing."""
        if self.count != AGENTS * STEPS:
            raise SystemExit(f"{self.count} steps became durable, {AGENTS * STEPS} were to")
        wall_us, cpu_us = (seconds / self.count * 1e6 for seconds in (self.wall_s, self.cpu_s))
        return {"wall_us": wall_us, "cpu_us": cpu_us, "facts": dict(facts)}


def mark(pid: int) -> bytes:
    """Which process a step was durable in; two that follow one another differ."""
    return bytes([pid & 0xFF])


Contestant = Callable[[Steps, Path, str], Coroutine[Any, Any, Mapping[str, Any]]]


def run(arguments: Sequence[str], contestant: Contestant, work: Callable[[Steps, Path], None] | None = None) -> None:
    """Start a contestant as its command line says; it gets the counter, its directory and the variant.

    ``work`` takes the place of the contestant where a process is to start or go on and brings its own event loop.
    """
    mode, directory, *rest = arguments
    if mode == "time":
        steps = Steps()
        facts = asyncio.run(contestant(steps, Path(directory), "".join(rest)))
        print(json.dumps(steps.result(facts)), flush=True)
    else:
        steps = Steps(fd=int(rest[0]), step_s=float(rest[1]))
        if work is not None:
            work(steps, Path(directory))
        asyncio.run(contestant(steps, Path(directory), ""))
    os._exit(0)  # threads that a framework leaves behind are not part of what is measured


def sqlite_facts(journal_mode: object, synchronous: object) -> dict[str, str]:
    """How durable a commit is: SQLite's two settings as it reports them on the contestant's own connection."""
    names = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
    return {
        "journal_mode": str(journal_mode),
        "synchronous": names.get(int(str(synchronous)), str(synchronous)),
        "sqlite": sqlite3.sqlite_version,
    }
