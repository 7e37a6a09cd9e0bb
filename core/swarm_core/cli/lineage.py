"""``swarm-tui lineage``: who wrote a file, from what, under which decision and with which evidence."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import UsageError
from swarm_core.vocabulary.events import Event

from .common import Parsers, add_run_option, chosen_run, here

if TYPE_CHECKING:
    from swarm_core.documents.lineage import Lineage

READ_BYTES = 1 << 22


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("lineage", help="show who wrote a file, from what, and under which decisions")
    parser.add_argument("what", metavar="ARTIFACT|PATH", help="an artifact's type or a path in the repository")
    parser.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document")
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    client = here()
    return show(client, chosen_run(client, options.run), options.what, as_json=options.as_json)


def show(client: SwarmClient, run_id: str, what: str, *, as_json: bool) -> int:
    """Print a lineage. Raises UsageError if no task of the run wrote the file."""
    from swarm_core.documents.lineage import lineage

    view, found = lineage(events(client, run_id), what)
    if not found.writes:
        known = ", ".join(list(view.artifacts)[:10]) or "none"
        raise UsageError(f"nobody wrote {clean_line(what, 200)!r} in {run_id}", hint=f"its artifacts are: {known}")
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False, indent=2))
    else:
        for line in lines(found):
            print(clean_line(line))
    return 0


def events(client: SwarmClient, run_id: str) -> Iterator[Event]:
    reader = client.reader(run_id)
    try:
        while found := reader.poll(READ_BYTES):
            yield from found
    finally:
        reader.close()


def lines(found: Lineage) -> Iterator[str]:
    yield f"{found.path}{f'  ({found.type})' if found.type else ''}"
    for number, write in enumerate(found.writes, 1):
        what = f"commit {write.commit[:12]}" if write.commit else f"sha256 {write.sha256[:12]}"
        who = f"{write.agent} in {write.task}"
        yield f"  {number}. event {write.seq}  {write.at}  {who}  {what}  {write.message}".rstrip()
        for verdict in write.verdicts:
            yield f"       {verdict}"
        if write.merged_as:
            yield f"       merged as {write.merged_as[:12]}"
    yield "written by"
    for task in found.tasks:
        yield f"  {task.id}  {task.title}  ({task.instance or task.assigned_to}, planned by {task.created_by})"
    if found.sources:
        yield "built on"
        for task in found.sources:
            yield f"  {task.id}  {task.title}  ({task.assigned_to}, {task.status} {task.commit[:12]})".rstrip()
    yield "decided at"
    for gate in found.gates:
        verdict = f"{gate.verdict} by {gate.by}" if gate.verdict else gate.status
        yield f"  {gate.id}  {gate.place}  {verdict}  evidence {gate.evidence[:12]}  {gate.note}".rstrip()
    if found.checks:
        yield "measured"
        for check in found.checks:
            yield f"  {'✓' if check.has_passed else '✗'} {check.name}  event {check.seq}  {check.evidence}"
    if found.findings:
        yield "findings"
        for one in found.findings:
            state = one.resolution or one.status
            yield f"  {one.id}  {one.severity}  {state}  {one.title}  {one.commit[:12]}".rstrip()
    if found.read_by:
        yield f"used by {', '.join(found.read_by)}"
