"""One engine works on a repository, whatever lies around, and it ends with its repository."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cli import environment, wait_until
from tests.support.endurance import begin, cpu_s, drive, end, events, gate_opens, kill, repository

from swarm_core.client import SwarmClient
from swarm_core.journal.process import process_start
from swarm_core.vocabulary.errors import EngineError

pytestmark = pytest.mark.timeout(120)


def second_engine(client: SwarmClient) -> subprocess.CompletedProcess[str]:
    """An engine started by hand, as somebody would who does not trust the program."""
    command = [sys.executable, "-P", "-m", "swarm_core.engine", str(client.layout.root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), timeout=30)


def test_a_second_engine_names_the_first_and_takes_over_only_after_its_death(tmp_path: Path) -> None:
    client = repository(tmp_path / "repo")
    run = begin(client)
    first = client.engine().pid
    refused = second_engine(client)
    assert refused.returncode == EngineError.exit_code
    assert str(first) in refused.stderr
    assert "next:" in refused.stderr

    kill(client)
    assert client.ensure_engine().pid != first
    view = drive(client, run)
    end(client)
    assert view.run.landed
    assert [event.data["pid"] for event in events(client, run) if event.kind == "engine.crash_detected"] == [first]


def test_deleting_the_lock_file_lets_no_second_engine_in(tmp_path: Path) -> None:
    client = repository(tmp_path / "repo")
    run = begin(client)
    gate_opens(client, run)
    shutil.rmtree(client.layout.control)
    refused = second_engine(client)
    assert refused.returncode == EngineError.exit_code
    assert "another engine works on" in refused.stderr
    drive(client, run)
    end(client)
    assert sum(event.kind == "engine.started" for event in events(client, run)) == 1


def test_a_pid_that_somebody_else_has_now_fools_nobody(tmp_path: Path) -> None:
    client = repository(tmp_path / "repo")
    run = begin(client)
    kill(client)
    stale = json.loads(client.layout.engine_file.read_text())
    start = process_start(os.getpid())
    assert start is not None
    client.layout.engine_file.write_text(json.dumps({**stale, "pid": os.getpid(), "start": start - 1}))
    assert not client.engine().is_alive
    client.ensure_engine()
    assert client.engine().pid != os.getpid()
    assert drive(client, run).run.landed
    end(client)


def test_an_engine_whose_repository_is_deleted_ends_by_itself(tmp_path: Path) -> None:
    client = repository(tmp_path / "repo")
    command = [sys.executable, "-P", "-m", "swarm_core.engine", str(client.layout.root)]
    engine = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        wait_until("the engine", lambda: client.engine().message == "ready")
        gate_opens(client, begin(client))
        shutil.rmtree(client.layout.root)
        _, said = engine.communicate(timeout=20)
    finally:
        engine.kill()
    assert engine.returncode == EngineError.exit_code
    assert f"{client.layout.root} was deleted" in said
    assert client.runs() == []  # a projection that was being written may come back, a journal does not


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the CPU time of a process is read from /proc")
def test_an_engine_that_waits_for_a_decision_rests(tmp_path: Path) -> None:
    client = repository(tmp_path / "repo")
    run = begin(client)
    gate_opens(client, run)
    pid = client.engine().pid
    before_s, seq = cpu_s(pid), client.view(run).last_seq
    beat = client.layout.engine_file.stat().st_mtime
    wait_until("four heartbeats", lambda: client.layout.engine_file.stat().st_mtime >= beat + 4.0)
    assert cpu_s(pid) - before_s < 0.6
    assert client.view(run).last_seq == seq
    end(client)


def test_an_engine_that_was_frozen_goes_on_where_it_was(tmp_path: Path) -> None:
    client = repository(tmp_path / "repo")
    run = begin(client)
    pid = client.engine().pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert client.engine().is_alive  # a laptop that sleeps is no crash: nobody else may begin
        assert second_engine(client).returncode == EngineError.exit_code
    finally:
        os.kill(pid, signal.SIGCONT)
    assert drive(client, run).run.landed
    end(client)
    assert sum(event.kind == "engine.started" for event in events(client, run)) == 1
