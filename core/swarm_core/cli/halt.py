"""``swarm-tui halt``: stop, because something is wrong; an incident says what, and the run waits for the operator."""

from __future__ import annotations

import argparse

from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

from .common import Parsers, add_run_option, ask, here, require, wait_for_answer


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("halt", help="stop a run, or everything at once, until you resume it")
    parser.add_argument("--now", action="store_true", help="take the agents away at once, in the middle of a step")
    parser.add_argument("--all", action="store_true", dest="everything", help="every run of this repository, at once")
    parser.add_argument("--note", default="", help="why")
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    if not options.everything:
        mode = "stop" if options.now else "halt"
        return ask(options, "run.halt", "stopped" if options.now else "halted", mode=mode, note=options.note)
    client = here()
    client.ensure_engine()
    item = client.send(InboxItem(ulid(), "engine.halt", at=client.clock.now(), data={"note": options.note}))
    print(require(wait_for_answer(client, item)).reason)
    return 0
