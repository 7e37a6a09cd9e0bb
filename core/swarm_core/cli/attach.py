"""``swarm-tui attach``: open the control room on a run; the engine is started again if it is gone."""

from __future__ import annotations

import argparse

from swarm_core.client import SwarmClient
from swarm_core.workspace.preflight import check

from .common import Parsers, add_run_option, chosen_run, exit_code, follow, has_terminal, here
from .plain import line


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("attach", help="open the control room on a run")
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    client = here()
    check(client.layout.root)
    wanted = getattr(options, "run", None)
    run_id = chosen_run(client, wanted) if wanted or client.runs() else None
    if run_id is not None and not client.view(run_id).is_over:
        client.ensure_engine()
    if has_terminal() and options.open_room is not None:
        return int(options.open_room(client.layout.root, run_id))
    if run_id is None:
        print(f'no run was started in {client.layout.root} yet\n  next: swarm-tui run "what you want"')
        return 0
    return _tell(client, run_id)


def _tell(client: SwarmClient, run_id: str) -> int:
    """Without a terminal: the run's events as lines, from the first to its end."""
    view = client.view(run_id)
    for event, view in follow(client, run_id):  # noqa: B007 -- the last view tells how it ended
        if text := line(event):
            print(text, flush=True)
    return exit_code(view)
