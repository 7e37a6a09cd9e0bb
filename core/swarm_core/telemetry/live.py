"""Traces while a run goes on: a process of its own that reads the journal from outside, so that the engine never waits.

``SWARM_TUI_TRACES=file`` in the engine's environment asks for it; the spans go to ``.runs/<run>/traces.jsonl``.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.errors import JournalError
from swarm_core.vocabulary.layout import RunLayout

from .otlp import LiveTraces

VARIABLE = "SWARM_TUI_TRACES"
FILE_NAME = "traces.jsonl"
POLL_S = 0.5
KEPT = ("PATH", "HOME", "LANG", "XDG_STATE_HOME", "PYTHONPATH", "PYTHONHASHSEED")


def start(layout: RunLayout, environ: Mapping[str, str] = os.environ) -> subprocess.Popen[bytes] | None:
    """Start the reader of a run if the environment asks for it. It ends with the run or with this process.

    The caller waits for it some day, or it stays a zombie. Keys and tokens of the environment are not passed on.
    """
    if environ.get(VARIABLE) != "file":
        return None
    package = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(part for part in (str(package), environ.get("PYTHONPATH", "")) if part)
    arguments = [str(layout.repo.root), layout.run, str(os.getpid())]
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "swarm_core.telemetry.live", *arguments],
            cwd=layout.repo.root,
            env={**{name: environ[name] for name in KEPT if name in environ}, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None  # without traces the work goes on


def follow(root: Path, run: str, parent: int, poll_s: float = POLL_S) -> None:
    """Write spans until the run is over or ``parent`` is gone. Raises OSError and JournalError.

    The file is locked: after a crash the new engine's reader waits for the old one to notice.
    """
    client = SwarmClient(root)
    path = client.layout.run(run).dir / FILE_NAME
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        live = LiveTraces(client.reader(run), path)
        while True:
            is_orphan = os.getppid() != parent
            if live.poll():
                continue
            if live.is_over or is_orphan:
                return
            time.sleep(poll_s)
    finally:
        os.close(lock)


def main(argv: Sequence[str]) -> int:
    os.nice(10)  # whoever works goes first
    root, run, parent = argv
    try:
        follow(Path(root), run, int(parent))
    except (OSError, JournalError, KeyboardInterrupt):
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
