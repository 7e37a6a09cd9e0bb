"""The lock of the engine: one holder, named, and none when the holder is dead."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cli import environment

from swarm_core.engine.lock import EngineLock
from swarm_core.journal.process import process_start
from swarm_core.vocabulary.errors import EngineError, EngineRunning

HOLD = """
import sys
from pathlib import Path
from swarm_core.engine.lock import EngineLock
lock = EngineLock.acquire(Path(sys.argv[1]), Path(sys.argv[1]).parent)
print("held", flush=True)
sys.stdin.read()
lock.release()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate()


def test_the_second_engine_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "engine.lock"
    process = holder(path)
    with pytest.raises(EngineRunning, match=f'"pid": {process.pid}'):
        EngineLock.acquire(path, path.parent)
    with pytest.raises(EngineRunning, match=f'"pid": {process.pid}'):
        EngineLock.acquire(path, path.parent)  # the one that was refused did not harm the file
    end(process)
    EngineLock.acquire(path, path.parent).release()


def test_a_killed_holder_leaves_a_file_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "engine.lock"
    process = holder(path)
    os.kill(process.pid, signal.SIGKILL)
    end(process)
    assert str(process.pid) in path.read_text()
    lock = EngineLock.acquire(path, path.parent)

    named = json.loads(path.read_text())
    assert named == {"pid": os.getpid(), "start": process_start(os.getpid())}
    lock.release()
    assert path.read_text() == ""


@pytest.mark.parametrize("left", ["", "not JSON at all " * 100, '{"pid": 1, "start": 1}'])
def test_a_stale_file_with_anything_in_it_is_taken_over(tmp_path: Path, left: str) -> None:
    path = tmp_path / "engine.lock"
    path.write_text(left)
    lock = EngineLock.acquire(path, path.parent)

    assert json.loads(path.read_text())["pid"] == os.getpid()
    lock.release()


def test_a_lock_is_free_after_its_release_in_the_same_process(tmp_path: Path) -> None:
    path = tmp_path / "engine.lock"
    first = EngineLock.acquire(path, path.parent)
    with pytest.raises(EngineRunning):
        EngineLock.acquire(path, path.parent)
    first.release()
    EngineLock.acquire(path, path.parent).release()


def test_a_child_that_outlives_the_engine_does_not_hold_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "engine.lock"
    lock = EngineLock.acquire(path, path.parent)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    lock.release()
    try:
        EngineLock.acquire(path, path.parent).release()
    finally:
        child.communicate(b"\n")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be written"):
        EngineLock.acquire(tmp_path / "nowhere" / "engine.lock", tmp_path)


def test_a_lock_that_a_dead_holders_child_still_has_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "engine.lock"
    leaves_a_child = "import os, time; os.fork() or time.sleep(0.5); os._exit(0)"
    script = HOLD.replace("sys.stdin.read()", leaves_a_child)
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], env=environment(), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    process.wait()
    with open(path, "rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    EngineLock.acquire(path, tmp_path).release()
    process.stdout.close()
