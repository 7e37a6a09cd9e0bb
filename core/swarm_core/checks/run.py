"""Runs a configured check in a tree and measures what came of it.

The commands are the operator's (``checks:`` in ``multi-agent.yaml``), but what they run was written by agents: they get
the agents' environment and confinement, and may write in the tree and their scratch directory only. Unlike an agent's
commands they may connect, because test suites talk to the servers they start: in a box to nobody else.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from swarm_core.tools.bash import environment
from swarm_core.tools.jail.choice import choose
from swarm_core.tools.jail.confines import Confines
from swarm_core.tools.jail.ladder import Prepared, prepare
from swarm_core.tools.process import run
from swarm_core.tools.scope import Scope
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import PermissionDenied
from swarm_core.vocabulary.spec import CheckSpec, ServiceSpec

TAIL_LINES = 12
MAX_OUTPUT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CheckRun:
    """One measurement. ``exit_code`` 0 has passed; ``output`` is the evidence."""

    name: str
    command: str
    exit_code: int
    seconds: float
    output: str

    @property
    def has_passed(self) -> bool:
        return self.exit_code == 0

    @property
    def detail(self) -> str:
        """What a gate shows beside the name."""
        return f"{self.seconds:.1f} s" if self.has_passed else f"exit {self.exit_code}, {self.seconds:.1f} s"

    @property
    def tail(self) -> list[str]:
        """The last lines of the output, clean."""
        return [clean_line(line, 160) for line in self.output.rstrip().splitlines()[-TAIL_LINES:]]


async def run_check(
    spec: CheckSpec, tree: Path, scratch: Path, clock: Clock, confines: Confines | None = None
) -> CheckRun:
    """Run ``spec.command`` in ``tree``.

    A command that cannot start, cannot be confined or takes too long has failed, and says so.
    """
    started_s = clock.monotonic_s()
    try:
        jail = await asyncio.to_thread(_confinement, tree, scratch, confines or Confines())
        outcome = await run(
            ["/bin/sh", "-c", spec.command],
            cwd=tree,
            env=environment(tree, scratch),
            clock=clock,
            timeout_s=spec.timeout_s,
            jail=jail,
        )
    except (OSError, subprocess.SubprocessError, PermissionDenied) as error:
        return CheckRun(spec.name, spec.command, 127, 0.0, f"could not be started: {error}")
    text = bytes(outcome.output.kept[:MAX_OUTPUT_BYTES]).decode("utf-8", "replace")
    code = outcome.exit_code
    if outcome.ended_by != "exit":
        text += f"\nended by {outcome.ended_by} after {spec.timeout_s:g} s"
        code = code or 124
    return CheckRun(spec.name, spec.command, code, clock.monotonic_s() - started_s, text)


def _confinement(tree: Path, scratch: Path, confines: Confines) -> Callable[[], Prepared]:
    kind = choose(confines.setting)
    scope = Scope(tree, ServiceSpec("checks", directories=("/",)), scratch)
    reach = replace(confines.reach(scope, scratch), is_open=True)
    return lambda: prepare(kind, reach)
