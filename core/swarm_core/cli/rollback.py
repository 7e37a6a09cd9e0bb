"""``swarm-tui rollback --to gate:N``: make the integration branch and the tasks what they were; history is kept."""

from __future__ import annotations

import argparse

from .common import Parsers, add_run_option, ask


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("rollback", help="go back to what a run was at a gate or an event")
    parser.add_argument(
        "--to",
        required=True,
        metavar="gate:N|seq:N",
        help="when gate N had its effect, or after event N; the tasks done since are done again",
    )
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    return ask(options, "run.rollback", f"rolls back to {options.to}", to=options.to)
