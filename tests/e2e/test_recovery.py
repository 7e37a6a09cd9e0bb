"""``kill -9`` of the engine, and what comes after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cli import COMMAND, environment, git, kill_engine, swarm, wait_until

from swarm_core.cli.operator import AutoOperator
from swarm_core.client import SwarmClient
from swarm_core.demo.operator import verdict
from swarm_core.demo.repository import GOAL, create
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

pytestmark = pytest.mark.timeout(240)


def run_to_the_end(client: SwarmClient, run: str, kill_after: list[int]) -> None:
    """Decide as the demonstration's operator does; kill the engine whenever the journal passes the next mark."""
    operator, marks = AutoOperator(client, run, verdict), list(kill_after)

    def is_over() -> bool:
        view = client.view(run)
        operator.look(view)
        if marks and view.last_seq >= marks[0]:
            marks.pop(0)
            kill_engine(client)
        if not client.engine().is_alive and not view.is_over:
            client.ensure_engine()
        return view.is_over

    wait_until("the end of the run", is_over, timeout_s=150)
    assert not marks, "the run ended before every kill"
    client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not client.engine().is_alive)


def start(tmp_path: Path, name: str) -> tuple[SwarmClient, str]:
    client = SwarmClient(create(tmp_path / name))
    client.ensure_engine()
    item = client.start_run(GOAL, {"speed": 0})
    answer = wait_until("the engine's answer", lambda: client.answer(item))
    assert answer.result == "applied", answer.reason
    return client, answer.run


def test_a_killed_engine_goes_on_and_ends_in_the_same_tree(tmp_path: Path) -> None:
    calm, calm_run = start(tmp_path, "calm")
    run_to_the_end(calm, calm_run, [])
    killed, killed_run = start(tmp_path, "killed")
    run_to_the_end(killed, killed_run, [12, 30, 47, 60, 90])

    trees = [git(c.layout.root, "rev-parse", "main^{tree}") for c in (calm, killed)]
    assert trees[0] == trees[1]
    view = killed.view(killed_run)
    assert view.run.landed
    assert view.run.outcome == "clean"
    events = killed.reader(killed_run).poll(max_bytes=1 << 24)
    assert sum(event.kind == "engine.crash_detected" for event in events) == 5
    merged = [event.task for event in events if event.kind == "merge.completed"]
    assert len(merged) == len(set(merged)) == 5
    (finding,) = view.findings.values()
    assert (finding.status, finding.commit) == ("closed", view.merges[finding.task].merged_as)
    decided = {e.data["gate"] for e in events if e.kind == "gate.decided" and e.data["verdict"] == "approve"}
    assert {gate.id for gate in view.gates.values() if gate.status == "passed"} == decided


def test_a_killed_engine_comes_back_by_itself(tmp_path: Path) -> None:
    client, run = start(tmp_path, "kept")
    operator, first = AutoOperator(client, run, verdict), client.engine().pid
    wait_until("some progress", lambda: client.view(run).last_seq > 20)
    os.kill(first, signal.SIGKILL)

    def is_over() -> bool:
        view = client.view(run)
        operator.look(view)
        return view.is_over

    wait_until("the end of the run", is_over, timeout_s=100)
    assert client.view(run).run.landed
    assert client.engine().pid != first
    assert sum(e.kind == "engine.crash_detected" for e in client.reader(run).poll(max_bytes=1 << 24)) == 1
    client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not client.engine().is_alive)


def test_two_engines_never_work_on_one_repository(tmp_path: Path) -> None:
    client, _ = start(tmp_path, "one")
    command = [sys.executable, "-P", "-m", "swarm_core.engine", str(client.layout.root)]
    second = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())

    assert second.returncode == 5
    assert str(client.engine().pid) in second.stderr
    client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not client.engine().is_alive)


def test_attach_brings_a_killed_engine_back(tmp_path: Path) -> None:
    client, run = start(tmp_path, "again")
    wait_until("some progress", lambda: client.view(run).last_seq > 10)
    kill_engine(client)
    status = swarm("status", cwd=client.layout.root)
    assert "no engine" in status.stdout
    operator = AutoOperator(client, run, verdict)
    with_attach = subprocess.Popen(
        [*COMMAND, "attach"],
        cwd=client.layout.root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )

    def is_over() -> bool:
        view = client.view(run)
        operator.look(view)
        return view.is_over

    wait_until("the end of the run", is_over)
    assert with_attach.wait(30) == 0
    assert client.view(run).run.landed
    client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not client.engine().is_alive)
