"""A worktree with a service in it, and the tools of that service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm_core.tools.base import ToolResult
from swarm_core.tools.confine import Jail
from swarm_core.tools.jail.choice import candidates
from swarm_core.tools.jail.confines import Confines
from swarm_core.tools.scope import Scope
from swarm_core.tools.toolbox import Toolbox, standard_tools
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.spec import ServiceSpec

DEADLINE_S = 15.0
KINDS = candidates("auto")  # what can confine a process on this machine


@dataclass(frozen=True, slots=True)
class Bench:
    """``place`` holds the worktree ``tree``, the ``scratch`` directory and ``outside``, which nobody may touch."""

    place: Path
    tree: Path
    scratch: Path
    outside: Path
    scope: Scope
    toolbox: Toolbox

    async def call(self, name: str, **arguments: Any) -> ToolResult:
        return await self.toolbox.call(name, arguments)

    async def bash(self, command: str, **arguments: Any) -> ToolResult:
        return await self.toolbox.call("Bash", {"command": command, **arguments})


def bench(place: Path, confines: Confines | None = None, **service: Any) -> Bench:
    """A tree with ``backend/``, ``frontend/`` and a ``.git`` file; the service owns ``backend`` unless told."""
    tree, scratch, outside = place / "tree", place / "scratch", place / "outside"
    for directory in (tree / "backend", tree / "frontend", scratch, outside):
        directory.mkdir(parents=True)
    (tree / ".git").write_text("gitdir: /nowhere\n")
    (tree / "backend" / "app.py").write_text("def app():\n    return 1\n")
    (tree / "frontend" / "page.ts").write_text("export const page = 1\n")
    (outside / "secret").write_text("untouched")
    spec = ServiceSpec(**{"key": "backend", "directories": ("backend",), **service})
    scope = Scope(tree, spec, scratch)
    toolbox = Toolbox(scope, standard_tools(scope, scratch, SystemClock(), confines), spec)
    return Bench(place, scope.tree, scratch, outside, scope, toolbox)


def jail(directory: Path) -> Jail:
    """A confinement that leaves one directory writable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return Jail([fd])
    finally:
        os.close(fd)


async def until(fact: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Wait for a fact; AssertionError when it does not come."""
    async with asyncio.timeout(deadline_s):
        while not fact():
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")
