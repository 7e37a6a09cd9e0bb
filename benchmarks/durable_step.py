"""Claim: a durable step that does nothing costs 70 times less than the best peer's, at the same durability.

A hundred agents with ten steps each run at once; each step is synced to the disk before its agent's next one begins:
our journal, LangGraph with ``AsyncSqliteSaver`` and ``durability="sync"``, and DBOS on SQLite, each in a process of
its own, in turns. Included for everybody: the row an agent begins with, encoding, checksums, waking the agent.
Excluded for everybody: imports, opening the database, one agent that ran before to warm up, and what follows the last
step.

``--install`` makes the peers' environment anew; it is made by itself when it is not there.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.install import (
    NotInstalledError,
    PeerEnvironment,
    cache_directory,
    peer_environment,
    ready_peers,
)
from benchmarks.peers.steps import AGENTS, STEPS

ROUNDS = 5
GOAL = 70.0
TIMEOUT_S = 120.0
LINE = b"x" * 400 + b"\n"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A row: a module of ``benchmarks.peers``. Only those that are ``as_delivered`` are what the goal is about."""

    name: str
    module: str
    variant: str = ""
    is_ours: bool = False
    as_delivered: bool = True


JOURNAL = Contestant("journal, append", "run_swarm", "journal", is_ours=True)
RUNNER = Contestant("runner, check + append + fold", "run_swarm", "record", is_ours=True)
PEERS = (
    Contestant("LangGraph, durability=sync", "run_langgraph"),
    Contestant("DBOS", "run_dbos"),
    Contestant("DBOS, WAL set by hand", "run_dbos", "wal", as_delivered=False),
)


@dataclass
class Times:
    """One row's rounds, in microseconds a step."""

    wall_us: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def add(self, result: Mapping[str, Any]) -> None:
        self.wall_us.append(result["wall_us"])
        self.cpu_us.append(result["cpu_us"])
        self.facts = result["facts"]


def times_less(ours: Sequence[float], peer: Sequence[float]) -> tuple[float, float, float]:
    """How many times less ours is: ratio of medians, then the least and the most of the pairs."""
    pairs = sorted(b / a for a, b in zip(ours, peer, strict=True))
    return statistics.median(peer) / statistics.median(ours), pairs[0], pairs[-1]


def best(times: Mapping[Contestant, Times]) -> Contestant | None:
    """The peer with the least wall time among those that ran as delivered."""
    peers = [c for c in times if not c.is_ours and c.as_delivered]
    return min(peers, key=lambda c: statistics.median(times[c].wall_us), default=None)


def run_once(contestant: Contestant, python: Path, scratch: Path) -> dict[str, Any]:
    """One process with all steps. Raises NotInstalledError if it does not end well."""
    directory = Path(tempfile.mkdtemp(dir=scratch))
    command = [str(python), "-m", f"benchmarks.peers.{contestant.module}", "time", str(directory), contestant.variant]
    done = subprocess.run(
        command,
        env=peer_environment(os.environ, directory),
        cwd=scratch,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise NotInstalledError(f"{contestant.name}: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def synced_line_us(scratch: Path) -> dict[str, Any]:
    """The limit of a journal without group commit: a line of an event's size, written and synced, alone."""
    fd = os.open(scratch / "lines", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(AGENTS * STEPS):
        os.write(fd, LINE)
        os.fdatasync(fd)
    wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    os.close(fd)
    return {"wall_us": wall_s / (AGENTS * STEPS) * 1e6, "cpu_us": cpu_s / (AGENTS * STEPS) * 1e6, "facts": {}}


def measure(pythons: Mapping[Contestant, Path], rounds: int) -> tuple[dict[Contestant, Times], Times]:
    """All rows in turns, the order reversed every second round, and one synced line a step beside them."""
    times, limit = {contestant: Times() for contestant in pythons}, Times()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        for number in range(rounds):
            order = list(pythons)
            for contestant in order if number % 2 == 0 else reversed(order):
                times[contestant].add(run_once(contestant, pythons[contestant], Path(directory)))
            limit.add(synced_line_us(Path(directory)))
    return times, limit


def show(times: Mapping[Contestant, Times], limit: Times) -> None:
    print(f"  {'us a step, median':<30} {'wall':>8} {'CPU':>8}   durability")
    for contestant, rows in times.items():
        print(_row(contestant.name, rows, _durability(rows.facts)))
    print(_row("one write and fdatasync", limit, "the limit without group commit"))


def _row(name: str, rows: Times, durability: str) -> str:
    return f"  {name:<30} {statistics.median(rows.wall_us):>8.1f} {statistics.median(rows.cpu_us):>8.1f}   {durability}"


def _durability(facts: Mapping[str, Any]) -> str:
    if "syncs" in facts:
        return f"fdatasync, {facts['syncs']} for {AGENTS * STEPS:,} steps"
    return f"SQLite {facts['sqlite']}, {facts['journal_mode']}, synchronous={facts['synchronous']}"


def compare(name: str, ours: Times, other: Times) -> float:
    """Print how many times less ours costs; the ratio of the wall times is returned."""
    ratio, low, high = times_less(ours.wall_us, other.wall_us)
    cpu, _, _ = times_less(ours.cpu_us, other.cpu_us)
    print(f"  {name}: {ratio:.1f} times less wall ({low:.1f} to {high:.1f}), {cpu:.1f} times less CPU")
    return ratio


def main() -> int:
    if "--install" in sys.argv[1:]:
        PeerEnvironment(cache_directory(os.environ)).install()
        return 0
    pythons = {JOURNAL: Path(sys.executable), RUNNER: Path(sys.executable)}
    missing = ""
    try:
        peer_python = ready_peers(os.environ).python
        pythons |= dict.fromkeys(PEERS, peer_python)
    except NotInstalledError as error:
        missing = str(error)
    times, limit = measure(pythons, ROUNDS)
    print(f"a durable step that does nothing, {AGENTS} agents x {STEPS} steps, {ROUNDS} rounds")
    show(times, limit)
    winner = best(times)
    if winner is None:
        print(f"  not measured: LangGraph, DBOS: {missing}")
        compare("journal against one synced line", times[JOURNAL], limit)
        compare("runner against one synced line", times[RUNNER], limit)
        return 0
    ratio = compare(f"journal against {winner.name} (the best)", times[JOURNAL], times[winner])
    compare(f"runner against {winner.name} (the best)", times[RUNNER], times[winner])
    print(f"  {'met' if ratio >= GOAL else 'MISSED'}: {ratio:.1f} times less · goal ≥ {GOAL:g} times")
    return 0 if ratio >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
