"""Is a process still the one that was meant? Process ids are reused; start times are not."""

from __future__ import annotations

import os
from pathlib import Path


def process_start(pid: int) -> int | None:
    """The process's start in clock ticks since boot (field 22 of ``/proc/PID/stat``); None where that is unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(stat.rpartition(b")")[2].split()[19])


def is_alive(pid: int, start: int | None) -> bool:
    """Whether ``pid`` runs and, if ``start`` is known, is the same process. A zombie does not run."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return start is None or process_start(pid) == start
    if _is_zombie(pid):
        return False
    return start is None or process_start(pid) in (start, None)


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[:1] == [b"Z"]
