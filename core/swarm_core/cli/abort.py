"""``swarm-tui abort``: end a run; nothing lands, worktrees are kept as snapshots and removed."""

from __future__ import annotations

import argparse

from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

from .common import Parsers, add_run_option, chosen_run, here, require, wait_for_answer


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("abort", help="end a run without landing anything")
    parser.add_argument("--note", default="", help="why")
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    client = here()
    run_id = chosen_run(client, options.run)
    client.ensure_engine()
    item = client.send(InboxItem(ulid(), "run.abort", run_id, data={"note": options.note}))
    require(wait_for_answer(client, item))
    print(f"{run_id}: aborted")
    return 0
