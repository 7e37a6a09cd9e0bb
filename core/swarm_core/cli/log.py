"""``swarm-tui log``: the events of a run as lines, once or as they come."""

from __future__ import annotations

import argparse
import json

from swarm_core.client import SwarmClient
from swarm_core.journal.lines import encode_body

from .common import Parsers, add_run_option, chosen_run, exit_code, follow, here
from .plain import line


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("log", help="print a run's events")
    parser.add_argument("-f", "--follow", action="store_true", dest="is_following", help="until the run is over")
    parser.add_argument("--json", action="store_true", dest="as_json", help="as JSON lines")
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    client = here()
    run_id = chosen_run(client, options.run)
    return print_log(client, run_id, is_following=options.is_following, as_json=options.as_json)


def print_log(client: SwarmClient, run_id: str, *, is_following: bool, as_json: bool) -> int:
    if not is_following:
        reader = client.reader(run_id)
        while events := reader.poll():
            for event in events:
                text = json.dumps(encode_body(event), ensure_ascii=False) if as_json else line(event)
                if text:
                    print(text)
        return 0
    view = client.view(run_id)
    for event, view in follow(client, run_id):  # noqa: B007 -- the last view tells how it ended
        text = json.dumps(encode_body(event), ensure_ascii=False) if as_json else line(event)
        if text:
            print(text, flush=True)
    return exit_code(view)
