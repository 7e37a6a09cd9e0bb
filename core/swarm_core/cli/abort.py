"""``swarm-tui abort``: end a run; nothing lands, worktrees are kept as snapshots and removed."""

from __future__ import annotations

import argparse

from .common import Parsers, add_run_option, ask


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("abort", help="end a run without landing anything")
    parser.add_argument("--note", default="", help="why")
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    return ask(options, "run.abort", "aborted", note=options.note)
