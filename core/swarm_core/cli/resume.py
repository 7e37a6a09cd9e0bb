"""``swarm-tui resume``: go on with what was paused or halted, or with what a dead engine left."""

from __future__ import annotations

import argparse

from .common import Parsers, add_run_option, ask, chosen_run, here


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("resume", help="go on with a paused, halted or interrupted run, a service or a task")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--service", metavar="NAME", help="only this service")
    what.add_argument("--task", metavar="ID", help="only this task")
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    if options.service:
        return ask(options, "service.resume", f"{options.service} goes on", service=options.service)
    if options.task:
        return ask(options, "task.resume", f"{options.task} goes on", task=options.task)
    client = here()
    run_id = chosen_run(client, options.run)
    view = client.view(run_id)
    if view.is_over or view.is_held:
        return ask(options, "run.resume", "goes on")
    client.ensure_engine()
    print(f"{run_id}: goes on (it was not held)")
    return 0
