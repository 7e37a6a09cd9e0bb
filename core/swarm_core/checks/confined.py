"""Processes of checks: the agents' environment and confinement, writing in the tree and in scratch only.

Unlike an agent's commands they may connect, because test suites talk to the servers they start: in a box to nobody
else.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from swarm_core.tools.bash import environment
from swarm_core.tools.beneath import open_directory
from swarm_core.tools.confine import Jail
from swarm_core.tools.jail.choice import choose
from swarm_core.tools.jail.ladder import Kind, Prepared, prepare
from swarm_core.tools.process import run
from swarm_core.tools.scope import Scope
from swarm_core.vocabulary.errors import PermissionDenied
from swarm_core.vocabulary.spec import ServiceSpec

from .measured import Measured, broken, not_measured
from .site import Site

MAX_OUTPUT_BYTES = 1 << 20
NOT_FOUND = 127
NOT_A_PROGRAM = 126
TOOK_TOO_LONG = 124


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. ``could_start`` is False if there was no such process."""

    exit_code: int
    text: str
    seconds: float
    is_over_time: bool = False
    could_start: bool = True

    def trouble(self, what: str) -> Measured | None:
        """Why nothing can be read off it: it did not start, is not installed, or did not end."""
        if not self.could_start:
            return broken(self.text, "see whether the tree and the machine are in order", self.text, self.exit_code)
        if self.exit_code in (NOT_FOUND, NOT_A_PROGRAM):
            hint = "install it, or correct the command in multi-agent.yaml"
            return not_measured(
                f"{what} is not installed here (exit {self.exit_code})", hint, self.text, self.exit_code
            )
        if self.is_over_time:
            hint = "see its output for what hangs, or give it a longer timeout"
            return broken(f"{what} was stopped: {self.text.splitlines()[-1]}", hint, self.text, self.exit_code)
        return None


async def shell(site: Site, command: str, more: Mapping[str, str] | None = None, tree: Path | None = None) -> Ended:
    """Run a command of the configuration in the tree: it may write there and in scratch. Never raises."""
    tree = tree or site.tree
    try:
        kind = await asyncio.to_thread(choose, site.around.confines.setting)
    except PermissionDenied as error:
        return Ended(NOT_FOUND, f"could not be started: {error}", 0.0, could_start=False)
    jail = confinement(site, tree, kind)
    return await _run(["/bin/sh", "-c", command], site, tree, more or {}, jail, MAX_OUTPUT_BYTES)


async def reader(argv: Sequence[str], site: Site, limit_bytes: int) -> Ended:
    """Run a program of ours that looks at the tree: it writes in scratch only and reaches nobody. Never raises."""
    return await _run(argv, site, site.tree, {}, lambda: _reading(site.scratch), limit_bytes)


async def _run(
    argv: Sequence[str],
    site: Site,
    tree: Path,
    more: Mapping[str, str],
    jail: Callable[[], Prepared],
    limit_bytes: int,
) -> Ended:
    started_s = site.clock.monotonic_s()
    try:
        outcome = await run(
            argv,
            cwd=tree,
            env={**environment(tree, site.scratch), **more},
            clock=site.clock,
            timeout_s=site.spec.timeout_s,
            jail=jail,
        )
    except (OSError, subprocess.SubprocessError, PermissionDenied, ValueError) as error:
        return Ended(NOT_FOUND, f"could not be started: {error}", 0.0, could_start=False)
    text = bytes(outcome.output.kept[:limit_bytes]).decode("utf-8", "replace")
    code = outcome.exit_code
    if is_over := outcome.ended_by != "exit":
        text += f"\nended by {outcome.ended_by} after {site.spec.timeout_s:g} s"
        code = code or TOOK_TOO_LONG
    return Ended(code, text, site.clock.monotonic_s() - started_s, is_over)


def confinement(site: Site, tree: Path, kind: Kind) -> Callable[[], Prepared]:
    """What confines a process that runs what agents wrote. Called off the loop, right before the fork."""
    scope = Scope(tree, ServiceSpec("checks", directories=("/",)), site.scratch)
    return lambda: prepare(kind, replace(site.around.confines.reach(scope, site.scratch), is_open=True))


def _reading(scratch: Path) -> Jail:
    for directory in (scratch, scratch / "tmp", scratch / "cache"):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = open_directory(scratch, ())
    try:
        return Jail([held])
    finally:
        os.close(held)


def private(site: Site, name: str) -> Path:
    """An empty directory in scratch. Whatever had its name, a link included, is gone."""
    place = site.scratch / name
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700, parents=True)
    return place
