"""What an agent ran does not outlive an engine that was killed, even if it hid from its group and its session."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cli import environment
from tests.support.tools import KINDS, until

SLEEPER = "47110816"
SERVE = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.support.tools import bench
from swarm_core.engine.keeper import keep
from swarm_core.tools.jail.confines import Confines

place, kind = Path(sys.argv[1]), sys.argv[2]


async def work():
    room = bench(place, Confines(kind))
    call = asyncio.create_task(room.bash("(setsid sleep {sleeper} &) ; touch backend/up; sleep {sleeper}"))
    while not (place / "tree/backend/up").exists():
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


def serve():
    if (place / "tree").exists():
        return 0
    asyncio.run(work())


sys.exit(keep(serve))
"""


def sleepers() -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", SLEEPER.encode()]:
            found.append(entry.parent.name)
    return found


@pytest.mark.parametrize("kind", KINDS)
async def test_what_agents_ran_ends_with_a_killed_engine(tmp_path: Path, kind: str) -> None:
    script = SERVE.replace("{sleeper}", SLEEPER)
    top = str(Path(__file__).parents[3])
    more = environment()
    more["PYTHONPATH"] = f"{more['PYTHONPATH']}:{top}"
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), kind], env=more, cwd=tmp_path)  # noqa: ASYNC220
    try:
        await until(lambda: process.poll() is not None, 30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, "the second life found nothing to do"
    assert (tmp_path / "tree/backend/up").exists()
    await until(lambda: not sleepers())
