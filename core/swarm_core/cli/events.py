"""``swarm-tui events``: the journal of a run, every event of it or those that are asked for."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from swarm_core.client import SwarmClient
from swarm_core.journal.lines import encode_body
from swarm_core.journal.opening import last_events, open_view
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import EngineError
from swarm_core.vocabulary.events import Event

from .common import POLL_S, Parsers, add_run_argument, chosen_run, exit_code, here
from .plain import WIDTH, line

GROWTH = 8


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("events", help="print events of a run's journal")
    add_run_argument(parser)
    parser.add_argument("--kind", action="append", default=[], metavar="GLOB", help="only these, as in 'task.*'")
    parser.add_argument("--task", default="", metavar="T", help="only this task's")
    parser.add_argument("--agent", default="", metavar="A", help="only this instance's")
    parser.add_argument("--last", type=_count, metavar="N", help="only the last N of them")
    parser.add_argument("-f", "--follow", action="store_true", dest="is_following", help="until the run is over")
    parser.add_argument("--json", action="store_true", dest="as_json", help="as JSON lines")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of events")
    return int(text)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for; nothing of a kind means all."""

    kinds: Sequence[str]
    task: str
    agent: str

    def __contains__(self, event: Event) -> bool:
        return (
            (not self.kinds or any(fnmatchcase(event.kind, kind) for kind in self.kinds))
            and self.task in ("", event.task)
            and self.agent in ("", event.agent)
        )


def run(options: argparse.Namespace) -> int:
    client = here()
    run_id = chosen_run(client, getattr(options, "run", None))
    wanted = Wanted(options.kind, options.task, options.agent)
    path = client.layout.run(run_id).journal
    if options.is_following:
        return _follow(client, run_id, path, wanted, options.last, as_json=options.as_json)
    found = _all(client, run_id) if options.last is None else _last(path, wanted, options.last)
    for event in found:
        if event in wanted:
            print(_text(event, as_json=options.as_json))
    return 0


def _all(client: SwarmClient, run: str) -> Iterator[Event]:
    reader = client.reader(run)
    while events := reader.poll():
        yield from events
    reader.close()


def _last(path: Path, wanted: Wanted, count: int) -> list[Event]:
    """The last ``count`` of the events that are wanted; reads back only as far as it takes to find them."""
    window = count
    while window:
        events = last_events(path, window)
        found = [event for event in events if event in wanted]
        if len(found) >= count or len(events) < window:
            return found[-count:]
        window *= GROWTH
    return []


def _follow(client: SwarmClient, run: str, path: Path, wanted: Wanted, last: int | None, *, as_json: bool) -> int:
    """What there is, or its end, and then what comes. Raises EngineError if nobody works on the run."""
    view, reader = open_view(path)
    seen = view.last_seq
    for event in _all(client, run) if last is None else _last(path, wanted, last):
        if event.seq <= seen and event in wanted:
            print(_text(event, as_json=as_json), flush=True)
    while True:
        is_alive = client.engine().is_alive  # asked before looking: what it wrote last is seen
        events = reader.poll()
        for event in events:
            view.apply(event)
            if event in wanted:
                print(_text(event, as_json=as_json), flush=True)
        if not events:
            if view.is_over:
                return exit_code(view)
            if not is_alive:
                raise EngineError("no engine works on this run", hint="swarm-tui attach starts one and goes on")
            time.sleep(POLL_S)


def _text(event: Event, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(encode_body(event), ensure_ascii=False)
    said = line(event) or _plainly(event)
    return f"{event.seq:>6} {said}"


def _plainly(event: Event) -> str:
    """An event that has no words of its own."""
    who = event.agent or event.task or "engine"
    data = json.dumps(dict(event.data), ensure_ascii=False)
    return clean_line(f"{event.ts[11:19]} {who:<12} {event.kind:<18} {data}", WIDTH)
