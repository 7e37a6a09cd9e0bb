"""A process that is spoken with: whole lines, bounded output, and an end that reaches everything it started."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.support.tools import is_running, jail, until

from swarm_core.tools.child import MAX_LINE_BYTES, Child, Line
from swarm_core.tools.confine import confinement

ENV = {"PATH": os.environ["PATH"]}


async def python(tmp_path: Path, code: str) -> Child:
    return await Child.start([sys.executable, "-u", "-c", code], cwd=tmp_path, env=ENV)


async def test_lines_go_both_ways_and_the_last_one_needs_no_end(tmp_path: Path) -> None:
    child = await python(tmp_path, "import sys\nfor line in sys.stdin: print('got', line.strip())\nprint('x', end='')")
    await child.write(b"one\n" + b"y" * 300_000 + b"\n")
    child.close_input()
    lines = [await child.line() for _ in range(4)]

    assert lines == [Line(b"got one"), Line(b"got " + b"y" * 300_000), Line(b"x"), None]
    assert await child.end() == 0


async def test_a_line_without_measure_is_cut_and_the_next_one_is_whole(tmp_path: Path) -> None:
    child = await python(tmp_path, f"print('x' * {MAX_LINE_BYTES * 2})\nprint('after')")
    first, second = await child.line(), await child.line()
    await child.end()

    assert first is not None
    assert first.is_cut
    assert second == Line(b"after")


async def test_the_end_reaches_processes_that_left_the_session(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "one = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "two = subprocess.Popen(['setsid', 'sh', '-c', 'sleep 600 & wait'])\n"
        "print(one.pid, two.pid); sys.stdin.read()"
    )
    child = await python(tmp_path, code)
    line = await child.line()
    assert line is not None
    pids = [child.pid, *map(int, line.data.split())]
    await child.end()

    await until(lambda: not any(is_running(pid) for pid in pids))


async def test_one_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    child = await python(tmp_path, "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint(1)\ntime.sleep(600)")
    await child.line()

    assert await child.end(grace_s=0.1) == -9


async def test_a_frozen_one_can_be_ended(tmp_path: Path) -> None:
    child = await python(tmp_path, "print(1)\nimport time\ntime.sleep(600)")
    await child.line()
    child.freeze()

    assert await child.end() == -15


async def test_writing_to_one_that_is_gone_fails_and_does_not_hang(tmp_path: Path) -> None:
    child = await python(tmp_path, "print(1)")
    await child.line()
    await child.ended(10)
    with pytest.raises(OSError):
        await child.write(b"x" * (1 << 20))
    await child.end()


async def test_what_it_complains_of_is_kept_to_its_end(tmp_path: Path) -> None:
    child = await python(tmp_path, "import sys\nsys.stderr.write('a' * 100_000 + 'the reason')")
    assert await child.line() is None
    await child.end()

    assert bytes(child.complaints).endswith(b"the reason")
    assert len(child.complaints) < 10_000


@pytest.mark.skipif(confinement() == "none", reason="this kernel confines nothing")
async def test_it_is_confined(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    command = ["sh", "-c", f"echo > {inside}/a; echo > {outside}/a; echo done"]
    child = await Child.start(command, cwd=inside, env=ENV, jail=lambda: jail(inside))
    assert await child.line() == Line(b"done")
    await child.end()

    assert (inside / "a").exists()
    assert not (outside / "a").exists()


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    starting = asyncio.create_task(Child.start(["sh", "-c", "echo $$ > pid; sleep 600"], cwd=tmp_path, env=ENV))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    def is_gone() -> bool:
        path = tmp_path / "pid"
        return not path.exists() or not path.read_text().strip() or not is_running(int(path.read_text()))

    await until(is_gone)
