"""Claim: after ``kill -9`` a swarm of a hundred agents takes its first new durable step ten times sooner than peers.

Each contestant is a real process with a hundred agents of ten steps. It is killed at a random moment of the middle,
started again on what it left, and timed until a step that had not been done before is durable: opening and checking the
data, finding the unfinished agents, the step itself. Ours is the engine's process with all its parts; only the hands
that perform acts are a benchmark's. It is measured twice: brought back by its keeper, from the kill on, which is what
happens to an engine that is killed; and started by a person, interpreter and imports included, which is all that the
peers offer.
"""

from __future__ import annotations

import os
import random
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.durable_step import PEERS, Contestant, times_less
from benchmarks.peers.install import NotInstalledError, peer_environment, ready_peers
from benchmarks.peers.steps import AGENTS, STEPS, mark

TRIALS = 5
GOAL = 10.0
STEP_S = 0.02
TIMEOUT_S = 60.0
MIDDLE = (AGENTS * STEPS * 3 // 10, AGENTS * STEPS * 7 // 10)
OURS = Contestant("swarm-tui, by its keeper", "run_swarm", is_ours=True)
OURS_BY_HAND = Contestant("swarm-tui, by hand", "run_swarm", is_ours=True)


class Worker:
    """A contestant's process; it tells of every step that became durable in it."""

    def __init__(self, contestant: Contestant, python: Path, directory: Path, step_s: float) -> None:
        self.name = contestant.name
        self._told, tell = os.pipe()
        self._errors = directory / "errors"
        command = [str(python), "-m", f"benchmarks.peers.{contestant.module}", "work", str(directory)]
        with open(self._errors, "ab") as errors:
            self.started = time.perf_counter()
            self._process = subprocess.Popen(
                [*command, str(tell), str(step_s)],
                env=peer_environment(os.environ, directory),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=[tell],
            )
        os.close(tell)

    def wait_for(self, steps: int) -> float:
        """Seconds from the start until so many steps were durable. Raises SystemExit if that does not happen."""
        seen = 0
        while seen < steps:
            left_s = self.started + TIMEOUT_S - time.perf_counter()
            readable = left_s > 0 and select.select([self._told], [], [], left_s)[0]
            news = os.read(self._told, steps - seen) if readable else b""
            if not news:
                said = self._errors.read_text(errors="replace").strip().splitlines() or ["nothing"]
                raise SystemExit(f"{self.name}: {seen} of {steps} steps, then it said: {said[-1]}")
            seen += len(news)
        return time.perf_counter() - self.started

    def kill_engine(self) -> float:
        """Kill the child that works, and leave its keeper; seconds until the next one's first new step is durable."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        (engine,) = (int(pid) for pid in children.read_text().split())
        old, killed = mark(engine)[0], time.perf_counter()
        os.kill(engine, signal.SIGKILL)
        while time.perf_counter() - killed < TIMEOUT_S:
            if select.select([self._told], [], [], 1.0)[0] and set(os.read(self._told, 4096)) - {old}:
                return time.perf_counter() - killed
        raise SystemExit(f"{self.name}: nobody brought it back")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._told)


def seconds_to_first_new_step(contestant: Contestant, python: Path, scratch: Path, after: int) -> float:
    """Kill the contestant when ``after`` steps were durable and start it again."""
    directory = Path(tempfile.mkdtemp(dir=scratch))
    if contestant is OURS:
        worker = Worker(contestant, python, directory, STEP_S)
        try:
            worker.wait_for(after)
            return worker.kill_engine()
        finally:
            worker.kill()
    for steps, step_s in ((after, STEP_S), (1, 0.0)):
        worker = Worker(contestant, python, directory, step_s)
        try:
            seconds = worker.wait_for(steps)
        finally:
            worker.kill()
    return seconds


def measure(pythons: Mapping[Contestant, Path], trials: int) -> dict[Contestant, list[float]]:
    """All contestants in turns, killed after the same number of steps in each turn."""
    moments, times = random.Random(2026), {contestant: list[float]() for contestant in pythons}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        for number in range(trials):
            after, order = moments.randint(*MIDDLE), list(pythons)
            for contestant in order if number % 2 == 0 else reversed(order):
                seconds = seconds_to_first_new_step(contestant, pythons[contestant], Path(directory), after)
                times[contestant].append(seconds)
    return times


def main() -> int:
    pythons, missing = {OURS: Path(sys.executable), OURS_BY_HAND: Path(sys.executable)}, ""
    try:
        peer_python = ready_peers(os.environ).python
        pythons |= {peer: peer_python for peer in PEERS if peer.as_delivered}
    except NotInstalledError as error:
        missing = str(error)
    times = measure(pythons, TRIALS)
    print(f"kill -9, start again, first new durable step: {AGENTS} agents x {STEPS} steps, {TRIALS} trials")
    for contestant, seconds in times.items():
        low, high = min(seconds), max(seconds)
        print(f"  {contestant.name:<30} {statistics.median(seconds):.3f} s ({low:.3f} to {high:.3f})")
    if missing:
        print(f"  not measured: LangGraph, DBOS: {missing}")
        return 0
    winner = min((c for c in times if not c.is_ours), key=lambda c: statistics.median(times[c]))
    ratio, least, most = times_less(times[OURS], times[winner])
    by_hand, _, _ = times_less(times[OURS_BY_HAND], times[winner])
    print(f"  started by hand: {by_hand:.1f} times sooner than {winner.name}")
    verdict = "met" if ratio >= GOAL else "MISSED"
    print(
        f"  {verdict}: {ratio:.1f} times sooner than {winner.name} ({least:.1f} to {most:.1f}) · goal ≥ {GOAL:g} times"
    )
    return 0 if ratio >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
