"""Claim: what the engine adds to a turn is little more than making its facts durable.

A real engine process runs one task of many scripted turns, each one ``Read``. The limit it is held against is the same
number of events appended and synced one by one to a file on the same disk.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.measure import report

from swarm_core.cli.operator import AutoOperator
from swarm_core.client import SwarmClient
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

TURNS = 300
ROUNDS = 3
CONFIG = """\
adapter: scripted
script: scripts
services:
  worker: {directories: [src], tools_allowed: [Read], max_turns: 1000}
"""
PLAN = """\
- do:
    - tool: plan_tasks
      args: {tasks: [{key: a, title: Read a lot, description: Read., assigned_to: worker}]}
"""
READ = "- do: [{tool: Read, args: {file_path: src/one.txt}}]\n"
HANDOFF = "- do: [{tool: handoff, args: {what_i_did: read}}]\n"


def repository(root: Path) -> None:
    for name, text in {
        "multi-agent.yaml": CONFIG,
        "scripts/architect.yaml": PLAN,
        "scripts/worker.yaml": READ * TURNS + HANDOFF,
        "src/one.txt": "one line\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-qm", "start"]):
        subprocess.run(["git", "-C", str(root), *arguments], check=True)


def engine_seconds_per_turn(root: Path) -> tuple[float, float]:
    """Wall seconds and journal events of one turn, from the first to the last tool call."""
    repository(root)
    client = SwarmClient(root)
    client.ensure_engine()
    item = client.start_run("read", {"speed": 0})
    while (answer := client.answer(item)) is None:
        time.sleep(0.01)
    operator = AutoOperator(client, answer.run)
    while not (view := client.view(answer.run)).is_over:
        operator.look(view)
        time.sleep(0.05)
    events = [e for e in client.reader(answer.run).poll(1 << 26) if e.task == "task_001" and e.agent]
    calls = [e for e in events if e.kind == "tool.used" and e.data["name"] == "Read"]
    turn_events = [e for e in events if calls[0].seq <= e.seq <= calls[-1].seq]
    client.send(InboxItem(ulid(), "engine.stop"))
    while client.engine().is_alive:
        time.sleep(0.01)
    return _seconds(calls[0].ts, calls[-1].ts) / (len(calls) - 1), len(turn_events) / (len(calls) - 1)


def _seconds(start: str, end: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def synced_append_seconds(path: Path) -> float:
    """Seconds of one append of a line of an event's size with its sync, alone on the disk."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    line = b"x" * 400 + b"\n"
    started = time.perf_counter()
    for _ in range(TURNS):
        os.write(fd, line)
        os.fdatasync(fd)
    taken = time.perf_counter() - started
    os.close(fd)
    return taken / TURNS


def main() -> None:
    ours, limit, events = [], [], 0.0
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
            os.environ["XDG_STATE_HOME"] = f"{directory}/state"
            seconds, events = engine_seconds_per_turn(Path(directory) / "repo")
            ours.append(seconds)
            limit.append(events * synced_append_seconds(Path(directory) / "file"))
    report("a scripted turn against making its facts durable one by one", ours, limit, "s", "≤ 10x")
    print(f"  {events:.1f} events a turn, {TURNS} turns")


if __name__ == "__main__":
    main()
