"""``swarm-tui archive``: turn runs that are over into verified files and remove their directories."""

from __future__ import annotations

import argparse
import asyncio
import re
from datetime import timedelta

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import UsageError

from .common import Parsers, here

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("archive", help="keep runs that are over as one file each and remove the rest of them")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="these runs (default: by --keep and --older-than)")
    parser.add_argument("--keep", type=_count, metavar="N", help="leave the newest N runs as they are")
    parser.add_argument("--older-than", type=_age, metavar="AGE", help="only runs that ended so long ago: 12h, 30d, 8w")
    parser.add_argument("--force", action="store_true", help="also runs whose work was not landed")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")


def run(options: argparse.Namespace) -> int:
    if not options.runs and options.keep is None and options.older_than is None:
        raise UsageError("archive which runs?", hint="name them, or say --keep 10, --older-than 30d, or both")
    return asyncio.run(_archive(here(), options))


async def _archive(client: SwarmClient, options: argparse.Namespace) -> int:
    from swarm_core.recovery.retention import archive, candidates, chosen, sweep  # git is loaded by those who need it

    if not options.dry_run:
        for finished in await sweep(client.layout):
            print(clean_line(f"{finished}: removed what an interrupted archiving had left"))
    found = await asyncio.to_thread(candidates, client.layout, client.clock.now(), is_forced=options.force)
    wanted = chosen(found, options.runs, options.keep, options.older_than)
    for candidate in wanted:
        if options.dry_run:
            print(clean_line(f"{candidate.run}: would be archived, {candidate.size_bytes} bytes"))
            continue
        path = await archive(client.layout.run(candidate.run), client.clock, is_forced=options.force)
        print(clean_line(f"{candidate.run}: {candidate.size_bytes} bytes are now {path.stat().st_size} in {path}"))
    if not wanted:
        print("nothing to archive")
    named = {candidate.run for candidate in wanted}
    for candidate in found:
        if candidate.run not in named and candidate.obstacle:
            print(clean_line(f"{candidate.run}: stays, {candidate.obstacle}"))
    return 0


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of runs")
    return int(text)


def _age(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age like 12h, 30d or 8w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
