"""Keeps an engine alive: a parent that has everything imported, and forks the engine again when it was killed.

Crash-only software restarts; this makes it a matter of milliseconds, and nobody has to be there. Whoever ends by
itself, with whatever exit code, is not brought back, and neither is an engine that dies again and again. Killing the
keeper kills the engine.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from types import FrameType

from swarm_core.tools.jail import kin

from . import crash_points

POISONED_EXIT = 70  # a failed sync: only a fresh start from disk can be trusted
MAX_DEATHS, WITHIN_S = 5, 60.0
PAUSE_S = 0.02
_PR_SET_PDEATHSIG = 1


def keep(serve: Callable[[], int]) -> int:
    """Fork ``serve`` and return its exit code; start it again when a signal or a failed sync ended it.

    Returns 128 + the signal's number, or 70, if it died five times within a minute.
    """
    deaths: deque[float] = deque(maxlen=MAX_DEATHS)
    while True:
        code = _once(serve)
        if code >= 0 and code != POISONED_EXIT:
            return code
        deaths.append(time.monotonic())
        if len(deaths) == MAX_DEATHS and deaths[-1] - deaths[0] < WITHIN_S:
            sys.stderr.write(f"swarm-tui engine: it died {MAX_DEATHS} times within {WITHIN_S:g} s and is left alone\n")
            return code if code > 0 else 128 - code
        crash_points.disarm()
        time.sleep(PAUSE_S * (2 ** (len(deaths) - 1) - 1))  # the first time, nobody waits


def _once(serve: Callable[[], int]) -> int:
    """One life of the engine. Its exit code, negative if a signal ended it."""
    keeper = os.getpid()
    kin.adopt_orphans()
    pid = os.fork()
    if pid == 0:
        _live(serve, keeper)

    def pass_on(number: int, frame: FrameType | None) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    kin.end_strays("")  # what agents ran was the engine's to end: it came here when the engine was gone
    return code


def _live(serve: Callable[[], int], keeper: int) -> None:
    """In the child: serve, and leave without running anything of the parent's."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _die_with(keeper)
        code = serve()
    except BaseException:  # noqa: BLE001 -- it leaves by _exit: nobody else would print it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies. Where it cannot, the engine goes on alone."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(0)
