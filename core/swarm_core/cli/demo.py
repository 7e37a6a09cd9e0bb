"""``swarm-tui demo``: a swarm builds EcoRoute in a throw-away repository, offline.

Only the model's words are scripted; files, commits, tests and merges are real.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from swarm_core.client import SwarmClient
from swarm_core.demo.operator import verdict
from swarm_core.demo.repository import GOAL, create
from swarm_core.demo.summary import next_steps, told
from swarm_core.vocabulary.errors import PermissionDenied
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

from .common import Parsers, exit_code, follow, has_terminal, pace
from .operator import AutoOperator
from .plain import line
from .run import start


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("demo", help="watch a swarm build a small platform: offline, no key")
    parser.add_argument("--speed", type=pace, help="pace; 0 is as fast as it goes (default 1, without a terminal 0)")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="make the repository here (default: a new one in /tmp)")
    parser.add_argument("--headless", action="store_true", help="plain lines; gates are decided by the demo's script")


def run(options: argparse.Namespace) -> int:
    parent = options.dir or Path(tempfile.mkdtemp(prefix="swarm-demo-"))
    root = create(parent / "ecoroute" if options.dir is None else parent, confinement())
    client = SwarmClient(root)
    in_room = has_terminal() and not options.headless and options.open_room is not None
    speed = options.speed if options.speed is not None else float(in_room)
    run_id = start(client, GOAL, {"speed": speed})
    if in_room:
        code = int(options.open_room(root, run_id))
        print(f"the repository is in {root}; `swarm-tui attach` there opens the room again")
        tell(client, run_id)
        return code
    print(f"repository {root}", flush=True)
    operator = AutoOperator(client, run_id, verdict)
    view = client.view(run_id)
    for event, view in follow(client, run_id):
        if text := line(event):
            print(text, flush=True)
        operator.look(view)
    client.send(InboxItem(ulid(), "engine.stop"))
    code = exit_code(view) or run_product_tests(root)
    tell(client, run_id)
    return code


def tell(client: SwarmClient, run: str) -> None:
    """What the swarm found and mended by itself, and where to look next."""
    reader = client.reader(run)
    lines = told(reader.poll(max_bytes=1 << 24))
    reader.close()
    if lines:
        print("\nwhat the swarm saw and mended by itself:", *lines, sep="\n  ")
    print(f"\nlook closer:\n  cd {shlex.quote(str(client.layout.root))}", *next_steps(), sep="\n  ", flush=True)


def confinement() -> str:
    """The setting for this machine. The demo's commands are its own: where nothing confines them, they run anyway."""
    from swarm_core.tools.jail.choice import choose

    try:
        choose("auto")
    except PermissionDenied as denial:
        print(f"note: {denial.message}; the demo's own commands run unconfined", flush=True)
        return "\nconfinement: none\n"
    return ""


def run_product_tests(root: Path) -> int:
    """Run the test suite of what was built, as its README says. Returns its exit code."""
    print(f"\nthe product's own tests, in {root}:", flush=True)
    command = [sys.executable, "-m", "unittest", "discover", "-s", "tests", "-t", "."]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=root, env=environment, check=False).returncode
