"""``swarm-tui backup``: one file with a run's evidence and commits; also while an engine works on it."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from swarm_core.vocabulary.clean import clean_line

from .common import Parsers, chosen_run, here


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("backup", help="save a run, with all its commits, in one file")
    parser.add_argument("run", nargs="?", metavar="RUN", help="the run's id (default: the latest)")
    parser.add_argument("--to", type=Path, metavar="FILE", help="write it here instead of the backups' directory")


def run(options: argparse.Namespace) -> int:
    from swarm_core.recovery.backup import back_up  # git is loaded by those who need it

    client = here()
    run_id = chosen_run(client, options.run)
    to = options.to.absolute() if options.to is not None else None
    made = asyncio.run(back_up(client.layout.run(run_id), client.clock, to))
    print(clean_line(f"{made.path}"))
    print(f"  {made.seq} events, {made.size_bytes} bytes, {made.seconds:.2f} s")
    newer = f"; {made.added} were added since" if made.added else ""
    print(f"  RPO: 0 events lost when it was read, the last one {made.age_s:.1f} s ago{newer}")
    return 0
