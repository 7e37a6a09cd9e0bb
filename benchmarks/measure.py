"""What the benchmarks share: whole processes under a pseudo-terminal, and honest ratios of medians."""

from __future__ import annotations

import fcntl
import os
import pty
import resource
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
SCREEN = (36, 120)


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join(str(TOP / part) for part in ("core", "tui"))
    return {**os.environ, "PYTHONPATH": path, "TERM": "xterm-256color", "TEXTUAL_ANIMATIONS": "none", **more}


def time_to_paint(command: Sequence[str], marker: bytes, cwd: Path, timeout_s: float = 30.0, **more: str) -> float:
    """Seconds from the start of ``command`` until ``marker`` was written to its terminal."""
    child, fd = pty.fork()
    if child == 0:
        os.chdir(cwd)
        os.execve(command[0], list(command), environment(**more))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *SCREEN, 0, 0))
    started, seen = time.perf_counter(), b""
    try:
        while time.perf_counter() - started < timeout_s:
            if select.select([fd], [], [], 0.1)[0]:
                seen += os.read(fd, 1 << 16)
                if marker in seen:
                    return time.perf_counter() - started
        raise SystemExit(f"{marker!r} was not painted within {timeout_s} s by {command}")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(fd)


def cpu_seconds(command: Sequence[str], **more: str) -> float:
    """User and system time of a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment(**more), stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report(claim: str, ours: Sequence[float], peer: Sequence[float], unit: str, goal: str) -> None:
    """Print a ratio of medians and the paired spread."""
    ratios = sorted(a / b for a, b in zip(ours, peer, strict=True))
    ratio = statistics.median(ours) / statistics.median(peer)
    print(f"{claim}\n  {ratio:.2f}x ({ratios[0]:.2f} to {ratios[-1]:.2f}) · goal {goal}")
    print(f"  ours {statistics.median(ours):.4g} {unit}, peer {statistics.median(peer):.4g} {unit}, {len(ours)} pairs")


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
