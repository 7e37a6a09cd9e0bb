"""A process never outlives its call, never blocks the loop and never fills the memory."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.support.tools import is_running, jail, until

from swarm_core.tools import process
from swarm_core.tools.confine import Jail
from swarm_core.tools.process import KEEP_BYTES, TAIL_BYTES, Captured, Outcome, run
from swarm_core.vocabulary.clock import SystemClock


async def bash(cwd: Path, command: str, timeout_s: float = 20.0) -> Outcome:
    env = {"PATH": os.environ["PATH"]}
    return await run(
        ["bash", "-c", command], cwd=cwd, env=env, clock=SystemClock(), timeout_s=timeout_s, jail=lambda: jail(cwd)
    )


def text(outcome: Outcome) -> str:
    return outcome.output.kept.decode()


async def test_output_exit_code_and_signals_are_reported(tmp_path: Path) -> None:
    assert text(await bash(tmp_path, "echo a; echo b >&2")) == "a\nb\n"
    assert (await bash(tmp_path, "exit 7")).exit_code == 7
    assert (await bash(tmp_path, "kill -TERM $$")).exit_code == -signal.SIGTERM
    assert (await bash(tmp_path, "read x")).exit_code == 1, "there is no input to wait for"


async def test_a_program_that_is_not_there_is_an_error_and_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="nowhere"):
        await run([str(tmp_path / "nowhere")], cwd=tmp_path, env={}, clock=SystemClock(), timeout_s=1)
    with pytest.raises(OSError, match="missing"):
        await run(["true"], cwd=tmp_path / "missing", env={}, clock=SystemClock(), timeout_s=1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_the_whole_group_is_gone_after_a_timeout(tmp_path: Path) -> None:
    command = "trap '' TERM; sleep 300 & echo $!; (trap '' TERM; sleep 301) & echo $!; wait; sleep 302"
    outcome = await bash(tmp_path, command, timeout_s=0.4)
    assert outcome.ended_by == "timeout"
    pids = [int(line) for line in text(outcome).split()]
    assert len(pids) == 2
    await until(lambda: not any(map(is_running, pids)))


async def test_a_process_may_clean_up_when_its_time_is_over(tmp_path: Path) -> None:
    outcome = await bash(tmp_path, "trap 'echo tidy; exit 3' TERM; echo up; sleep 300 & wait", timeout_s=0.4)
    assert (outcome.ended_by, outcome.exit_code) == ("timeout", 3)
    assert text(outcome) == "up\ntidy\n"


async def test_the_whole_group_is_gone_after_a_cancellation(tmp_path: Path) -> None:
    task = asyncio.create_task(bash(tmp_path, "sleep 300 & echo $! > pids; echo $$ >> pids; wait"))
    pids = tmp_path / "pids"
    await until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not any(is_running(int(pid)) for pid in pids.read_text().split()))


async def test_a_call_cancelled_while_it_starts_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    is_forking, may_fork = threading.Event(), threading.Event()

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self.pid)

    def held() -> Jail:
        is_forking.set()
        may_fork.wait(20)
        return jail(tmp_path)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    argv, env = ["sleep", "300"], {"PATH": os.environ["PATH"]}
    calls = [
        asyncio.create_task(run(argv, cwd=tmp_path, env=env, clock=SystemClock(), timeout_s=300, jail=held))
        for _ in range(2)
    ]
    await until(is_forking.is_set)
    for call in calls:
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    may_fork.set()
    await asyncio.wrap_future(process._spawner().submit(lambda: None))
    assert len(started) == 1, "the call that waited for its turn was never started"
    await until(lambda: not is_running(started[0]))


async def test_children_that_hold_the_output_do_not_hold_the_call(tmp_path: Path) -> None:
    outcome = await asyncio.wait_for(bash(tmp_path, "sleep 300 & echo $!"), 10)
    assert outcome.exit_code == 0
    assert outcome.holds_output
    await until(lambda: not is_running(int(text(outcome))))
    assert not (await bash(tmp_path, "true")).holds_output


async def test_a_flood_is_stopped_and_memory_stays_bounded(tmp_path: Path) -> None:
    outcome = await bash(tmp_path, "yes 0123456789012345678901234567890123456789")
    assert outcome.ended_by == "flood"
    assert len(outcome.output.kept) == KEEP_BYTES
    assert len(outcome.output.tail) <= TAIL_BYTES


async def test_the_loop_turns_while_processes_run(tmp_path: Path) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.005)

    ticker = asyncio.create_task(turn())
    await asyncio.gather(*(bash(tmp_path, "for i in 1 2 3 4 5; do echo $i; sleep 0.05; done") for _ in range(4)))
    ticker.cancel()
    assert turns > 10


async def test_two_calls_run_side_by_side(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    os.mkfifo(tmp_path / "b")
    one, two = await asyncio.wait_for(
        asyncio.gather(bash(tmp_path, "echo ping > a; cat b"), bash(tmp_path, "cat a; echo pong > b")), 15
    )
    assert (text(one), text(two)) == ("pong\n", "ping\n")


def test_the_end_of_a_long_output_is_kept_too() -> None:
    captured = Captured()
    for number in range(3):
        captured.feed(bytes([number + 65]) * KEEP_BYTES)
    assert captured.kept == b"A" * KEEP_BYTES
    assert captured.tail == b"C" * TAIL_BYTES
    assert captured.size_bytes == 3 * KEEP_BYTES


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_a_command_dies_with_a_killed_engine(tmp_path: Path) -> None:
    program = (
        "import asyncio, os, sys, pathlib\n"
        "from swarm_core.tools.process import run\n"
        "from swarm_core.tools.confine import Jail\n"
        "from swarm_core.vocabulary.clock import SystemClock\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "asyncio.run(run(['bash', '-c', 'echo $$ > pid; exec sleep 300'], cwd=here, env=dict(os.environ),\n"
        "                clock=SystemClock(), timeout_s=300, jail=lambda: Jail([os.open(here, os.O_PATH)])))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(process.__file__).parents[2])}
    engine = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=env)  # noqa: ASYNC220 - quick
    pid = tmp_path / "pid"
    try:
        await until(lambda: pid.exists() and pid.read_text().endswith("\n"))
        assert is_running(int(pid.read_text()))
    finally:
        engine.kill()
        engine.wait()
    await until(lambda: not is_running(int(pid.read_text())))
