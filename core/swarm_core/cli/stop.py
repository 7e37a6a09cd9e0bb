"""``swarm-tui stop``: let the engine leave; unfinished runs go on at the next start."""

from __future__ import annotations

import argparse
import time

from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

from .common import ANSWER_TIMEOUT_S, POLL_S, Parsers, here


def add(parsers: Parsers) -> None:
    parsers.add_parser("stop", help="stop the engine; unfinished runs resume at its next start")


def run(options: argparse.Namespace) -> int:
    client = here()
    if not client.engine().is_alive:
        print("no engine is running here")
        return 0
    client.send(InboxItem(ulid(), "engine.stop"))
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while client.engine().is_alive and time.monotonic() < deadline:
        time.sleep(POLL_S)
    stopped = not client.engine().is_alive
    print("the engine stopped" if stopped else "the engine is still at work; try again")
    return 0 if stopped else 5
