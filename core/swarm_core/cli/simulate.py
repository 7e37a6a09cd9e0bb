"""``swarm-tui simulate``: play the engine against made-up worlds, and show the story of a seed that breaks it."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from swarm_core.vocabulary.errors import RunFailed, UsageError

from .common import Parsers

if TYPE_CHECKING:
    from swarm_core.simulation.schedule import Report

DEFAULT_SEEDS = 200
MAX_TASKS = 500
TAIL = 25


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("simulate", help="play the engine through faults and crashes in virtual time")
    parser.add_argument("--seeds", type=int, metavar="N", help=f"how many schedules (default: {DEFAULT_SEEDS})")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the first one; alone unless --seeds is given")
    parser.add_argument("--tasks", type=int, default=0, metavar="T", help="tasks of a swarm (default: up to the seed)")
    parser.add_argument("--verbose", action="store_true", help="tell the whole story of every schedule")


def run(options: argparse.Namespace) -> int:
    from swarm_core.simulation.schedule import play

    if not 0 <= options.tasks <= MAX_TASKS:
        raise UsageError(f"--tasks {options.tasks} is not from 0 to {MAX_TASKS}", hint="swarm-tui simulate --tasks 12")
    if options.seeds is not None and options.seeds < 1:
        raise UsageError(f"--seeds {options.seeds} plays nothing", hint=f"swarm-tui simulate --seeds {DEFAULT_SEEDS}")
    count = options.seeds or (1 if options.seed or options.verbose else DEFAULT_SEEDS)
    started_s, virtual_s, events, crashes = time.monotonic(), 0.0, 0, 0
    for seed in range(options.seed, options.seed + count):
        report = play(seed, options.tasks)
        if options.verbose or report.violation is not None:
            _tell(report, is_whole=options.verbose)
        if report.violation is not None:
            more = f" --tasks {options.tasks}" if options.tasks else ""
            raise RunFailed(
                f"seed {seed}: {report.violation}", hint=f"swarm-tui simulate --seed {seed}{more} --verbose"
            )
        virtual_s, events, crashes = virtual_s + report.virtual_s, events + len(report.events), crashes + report.crashes
    seconds = time.monotonic() - started_s
    print(
        f"{count} schedules, {events} events, {crashes} crashes, {virtual_s / 3600:.1f} virtual hours "
        f"in {seconds:.1f} s: everything held"
    )
    return 0


def _tell(report: Report, *, is_whole: bool) -> None:
    lines = list(report.story())
    print(f"seed {report.seed}: {report.tasks} tasks, {report.crashes} crashes, journal {report.digest[:16]}")
    if not is_whole and len(lines) > TAIL:
        print(f"  … {len(lines) - TAIL} lines before")
        lines = lines[-TAIL:]
    for told in lines:
        print(f"  {told}")
