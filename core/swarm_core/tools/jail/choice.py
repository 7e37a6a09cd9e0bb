"""Which confinement an agent's processes get: the best that holds here, and nothing at all if none does.

``auto`` tries bubblewrap, then Landlock (on macOS ``sandbox-exec``). Each is believed only after canaries: a process
inside it that tried to write outside, to read a planted secret and to connect, and failed. ``none`` is the operator's
explicit word that agents may run unconfined.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from swarm_core.tools.confine import landlock_abi
from swarm_core.tools.scope import Scope
from swarm_core.vocabulary.errors import PermissionDenied
from swarm_core.vocabulary.spec import ServiceSpec

from .box import bwrap
from .canary import Canaries, Proof
from .ladder import Kind, prepare
from .reach import Reach, reach_of
from .seatbelt import PROGRAM

TIMEOUT_S = 20.0


def described(kind: Kind) -> str:
    """The kind in words, for people."""
    return {
        "bubblewrap": "bubblewrap: namespaces of their own for files, processes and network",
        "landlock": f"Landlock (ABI {landlock_abi()}) and a filter of system calls",
        "seatbelt": "sandbox-exec",
        "none": "nothing",
    }[kind]


def candidates(setting: str) -> tuple[Kind, ...]:
    """The kinds that ``setting`` allows and this machine may have, best first."""
    there: dict[Kind, bool] = {
        "bubblewrap": bwrap() is not None,
        "landlock": landlock_abi() > 0,
        "seatbelt": sys.platform == "darwin" and Path(PROGRAM).exists(),
    }
    return tuple(kind for kind, is_there in there.items() if is_there and setting in ("auto", kind))


@functools.cache
def choose(setting: str) -> Kind:
    """The kind to use; proven once for the process. Blocks for a moment: call it off the loop.

    Raises PermissionDenied if nothing that ``setting`` allows holds here: then nothing may run.
    """
    if setting == "none":
        return "none"
    reasons = []
    for kind in candidates(setting):
        proof = prove(kind)
        if proof.holds:
            return kind
        reasons.append(f"{kind} does not hold ({', '.join(proof.broken)})")
    why = "; ".join(reasons) or f"{setting if setting != 'auto' else 'neither bubblewrap nor Landlock'} is not there"
    raise PermissionDenied(
        f"commands cannot be confined on this machine: {why}",
        rule="unconfined",
        hint="install bubblewrap, or accept the risk with `confinement: none` in multi-agent.yaml; use the file tools",
    )


@functools.cache
def prove(kind: Kind) -> Proof:
    """Try a confinement of this kind in a directory made for it. Blocks for some ten milliseconds."""
    with tempfile.TemporaryDirectory(prefix="swarm-canary-") as place:
        top = Path(os.path.realpath(place))
        for name in ("tree/own", "scratch"):
            (top / name).mkdir(parents=True)
        scope = Scope(top / "tree", ServiceSpec("canary", directories=("own",)), top / "scratch")
        reach = reach_of(scope, top / "scratch")
        (top / "scratch" / "tmp").mkdir()
        with Canaries(reach) as canaries:
            output = _try(kind, reach, canaries.script)
            return canaries.proof(kind, output or "", is_started=output is not None)


def _try(kind: Kind, reach: Reach, script: str) -> str | None:
    """What the script printed inside, None if it could not be started."""
    argv = [shutil.which("bash") or "/bin/bash", "--noprofile", "--norc", "-c", f"{script}exit 0"]
    try:
        with prepare(kind, reach) as jail:
            done = subprocess.run(
                jail.wrap(argv, reach.tree),
                cwd=reach.tree,
                env={"PATH": os.environ.get("PATH", os.defpath)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                preexec_fn=jail.in_child,
                pass_fds=jail.pass_fds,
                timeout=TIMEOUT_S,
                check=False,
            )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
