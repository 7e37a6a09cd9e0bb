"""``swarm-tui pause``: hold a run, a service or a task; nothing is lost, ``swarm-tui resume`` goes on."""

from __future__ import annotations

import argparse

from .common import Parsers, add_run_option, ask


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("pause", help="hold a run, a service or a task; its agents stop at their next step")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--drain", action="store_true", help="let agents finish what they do; nothing new begins")
    what.add_argument("--service", metavar="NAME", help="only this service")
    what.add_argument("--task", metavar="ID", help="only this task")
    parser.add_argument("--note", default="", help="why")
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    if options.service:
        return ask(options, "service.pause", f"{options.service} is held", service=options.service, note=options.note)
    if options.task:
        return ask(options, "task.pause", f"{options.task} is held", task=options.task, note=options.note)
    mode = "drain" if options.drain else "pause"
    return ask(options, "run.pause", "drains" if options.drain else "paused", mode=mode, note=options.note)
