"""``swarm-tui logs``: what the engine and the agents said, as one log in the order of time.

``swarm-tui events`` prints the journal: what happened. This prints what was said meanwhile.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import EngineError
from swarm_core.vocabulary.machines import RUN

from .common import POLL_S, Parsers, add_run_argument, chosen_run, here

if TYPE_CHECKING:
    from swarm_core.telemetry.logs import LogRecord, Wanted

LEVELS = ("DEBUG", "INFO", "WARN", "ERROR")
RUN_CELLS = 24


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("logs", help="print what the engine and the agents of a run logged")
    add_run_argument(parser)
    parser.add_argument("--all", action="store_true", dest="is_all", help="of all runs")
    parser.add_argument("--level", type=str.upper, choices=LEVELS, default="INFO", help="at least (default: INFO)")
    parser.add_argument("--instance", metavar="I", default="", help="only this instance, or `engine`")
    parser.add_argument("--task", metavar="T", default="", help="only this task")
    parser.add_argument("-f", "--follow", action="store_true", dest="is_following", help="until the run is over")
    parser.add_argument("--json", action="store_true", dest="as_json", help="as JSON lines")


def run(options: argparse.Namespace) -> int:
    from swarm_core.telemetry.logs import Wanted, log_files, merged

    client = here()
    run_id = "" if options.is_all else chosen_run(client, getattr(options, "run", None))
    wanted = Wanted(options.level, run_id, options.instance, options.task)
    if options.is_following:
        return _follow(client, wanted, as_json=options.as_json)
    for record in merged(log_files(client.layout, run_id, options.instance), wanted):
        print(_line(record, as_json=options.as_json, with_run=options.is_all))
    return 0


def _follow(client: SwarmClient, wanted: Wanted, *, as_json: bool) -> int:
    """Until the run is over; of all runs, until the engine stops. Raises EngineError if it dies at work."""
    from swarm_core.telemetry.logs import Follower

    follower = Follower(client.layout, wanted)
    reader = client.reader(wanted.run) if wanted.run else None
    is_over = False
    while True:
        has_news = False
        for record in follower.poll():
            has_news = True
            print(_line(record, as_json=as_json, with_run=not wanted.run), flush=True)
        if is_over and not has_news:
            return 0
        while reader is not None and (events := reader.poll()):
            is_over = is_over or any(event.kind.removeprefix("run.") in RUN.terminal for event in events)
        if not is_over and not client.engine().is_alive:
            if reader is None:
                return 0
            raise EngineError("no engine works on this run", hint="swarm-tui attach starts one and goes on")
        time.sleep(POLL_S)


def _line(record: LogRecord, *, as_json: bool, with_run: bool) -> str:
    if as_json:
        return json.dumps({key: value for key, value in asdict(record).items() if value}, ensure_ascii=False)
    run = f"{clean_line(record.run, RUN_CELLS):<{RUN_CELLS}} " if with_run else ""
    who, where = clean_line(record.instance, 14), f"{record.task:<9}"
    return f"{record.ts[11:23]:<12} {run}{record.level:<5} {who:<14} {where} {record.kind:<8} {record.text}".rstrip()
