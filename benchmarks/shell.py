"""Claim: a command of an agent costs a fork and not a confinement.

The same short commands through an agent's confined shell, and each in a confinement of its own, started the same way;
in each kind that this machine has, medians in one run.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.measure import report

from swarm_core.tools.bash import environment
from swarm_core.tools.jail.choice import candidates, prove
from swarm_core.tools.jail.ladder import Kind, prepare
from swarm_core.tools.jail.reach import Reach, reach_of
from swarm_core.tools.jail.session import Shell
from swarm_core.tools.process import run
from swarm_core.tools.scope import Scope
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.spec import ServiceSpec

COMMANDS = 60
COMMAND = "echo hello > $TMPDIR/hello; read -r x < $TMPDIR/hello; echo $x"


async def through_a_shell(kind: Kind, reach: Reach, env: dict[str, str], bash: str) -> list[float]:
    shell = Shell(bash, kind, reach, env, SystemClock())
    await shell.run(COMMAND, reach.tree, timeout_s=20)
    taken = []
    for _ in range(COMMANDS):
        began_s = time.perf_counter()
        outcome, _ = await shell.run(COMMAND, reach.tree, timeout_s=20)
        taken.append(time.perf_counter() - began_s)
        assert bytes(outcome.output.kept) == b"hello\n", bytes(outcome.output.kept)
    await shell.close()
    return taken


async def each_alone(kind: Kind, reach: Reach, env: dict[str, str], bash: str) -> list[float]:
    taken = []
    for _ in range(COMMANDS):
        began_s = time.perf_counter()
        outcome = await run(
            [bash, "--noprofile", "--norc", "-c", COMMAND],
            cwd=reach.tree,
            env=env,
            clock=SystemClock(),
            timeout_s=20,
            jail=lambda: prepare(kind, reach),
        )
        taken.append(time.perf_counter() - began_s)
        assert bytes(outcome.output.kept) == b"hello\n", bytes(outcome.output.kept)
    return taken


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        top = Path(os.path.realpath(place))
        (top / "tree/own").mkdir(parents=True)
        (top / "scratch").mkdir()
        scope = Scope(top / "tree", ServiceSpec("bench", directories=("own",)), top / "scratch")
        reach, env = reach_of(scope, top / "scratch"), environment(top / "tree", top / "scratch")
        bash = shutil.which("bash") or "/bin/bash"
        for kind in candidates("auto"):
            if not prove(kind).holds:
                continue
            shell_s = asyncio.run(through_a_shell(kind, reach, env, bash))
            alone_s = asyncio.run(each_alone(kind, reach, env, bash))
            claim = f"a command through a shell confined by {kind}, against one in a confinement of its own"
            report(claim, [x * 1000 for x in shell_s], [x * 1000 for x in alone_s], "ms", "at most half")


if __name__ == "__main__":
    main()
