"""``swarm-tui restore``: make a repository in which a saved run goes on from any of its events."""

from __future__ import annotations

import argparse
import asyncio
import shlex
from pathlib import Path

from swarm_core.vocabulary.clean import clean, clean_line
from swarm_core.vocabulary.clock import SystemClock

from .common import Parsers


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("restore", help="make a new repository from a backup, at any event of the run")
    parser.add_argument("file", type=Path, metavar="FILE", help="what swarm-tui backup wrote")
    parser.add_argument("--at", type=int, metavar="SEQ", help="as it was after this event (default: the last)")
    parser.add_argument("--into", type=Path, metavar="DIR", required=True, help="a new or empty directory")


def run(options: argparse.Namespace) -> int:
    from swarm_core.recovery.restore import restore  # git is loaded by those who need it

    done = asyncio.run(restore(options.file, options.into.absolute(), SystemClock(), at=options.at))
    print(clean_line(f"{done.run} is in {done.root} as after event {done.seq} of {done.last_seq}"))
    print(f"  RTO: {done.seconds:.2f} s")
    print(f"  RPO: {done.left_out} events of the backup, the last {done.left_out_s:.1f} s of it, are left out")
    print(f"  next: cd {clean(shlex.quote(str(done.root)))} && swarm-tui {'status' if done.is_over else 'attach'}")
    return 0
