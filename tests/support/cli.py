"""The program as a person starts it: its own process, a clean environment, this tree's code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import swarm_core
from swarm_core.client import SwarmClient

TOP = Path(swarm_core.__file__).parents[2]
COMMAND = [sys.executable, "-P", "-m", "swarm_tui"]
TIMEOUT_S = 90.0


def environment(**more: str) -> dict[str, str]:
    """The test's environment with this tree first on the path."""
    return {**os.environ, "PYTHONPATH": f"{TOP / 'core'}{os.pathsep}{TOP / 'tui'}", "TERM": "xterm-256color", **more}


def swarm(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end without a terminal."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@contextmanager
def background(*arguments: str, cwd: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on while the test does something else; ended with the block."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


T = TypeVar("T")


def wait_until(what: str, ask: Callable[[], T | None], timeout_s: float = TIMEOUT_S) -> T:
    """Ask until there is an answer that is true; fails naming ``what`` was waited for."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")


def git(directory: Path, *arguments: str) -> str:
    """Plain git, as a person would use it."""
    done = subprocess.run(["git", *arguments], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def kill_engine(client: SwarmClient) -> None:
    """Kill the engine and its keeper, and wait until it is seen to be gone."""
    with suppress(ProcessLookupError):
        os.killpg(os.getpgid(client.engine().pid), signal.SIGKILL)
    wait_until("the engine's death", lambda: not client.engine().is_alive)
