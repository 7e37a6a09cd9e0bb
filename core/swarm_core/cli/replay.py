"""``swarm-tui replay``: the state of a run as of now or of any event, and whether everything agrees with it."""

from __future__ import annotations

import argparse
import json

from swarm_core.client import SwarmClient
from swarm_core.journal.check import check_document, check_journal
from swarm_core.journal.projections import projections
from swarm_core.vocabulary.clean import clean, clean_line
from swarm_core.vocabulary.errors import UsageError
from swarm_core.vocabulary.freeze import freeze
from swarm_core.vocabulary.view import RunView

from .common import Parsers, add_run_argument, chosen_run, here

RUN_META = "run_meta.json"


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("replay", help="show a run as of any event, or check that all files agree with it")
    add_run_argument(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--at", type=int, metavar="SEQ", help="as of this event (default: the last)")
    what.add_argument("--check", action="store_true", help="fold anew and compare: exit 1 if anything differs")
    parser.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document")


def run(options: argparse.Namespace) -> int:
    client = here()
    run_id = chosen_run(client, getattr(options, "run", None))
    if options.check:
        return check(client, run_id, as_json=options.as_json)
    view = client.view(run_id) if options.at is None else view_at(client, run_id, options.at)
    if options.as_json:
        print(json.dumps(freeze(view), ensure_ascii=False))
    else:
        print("\n".join(clean_line(line) for line in lines(view)))
    return 0


def view_at(client: SwarmClient, run: str, seq: int) -> RunView:
    """The fold up to and with event ``seq``. Raises UsageError if there is no such event."""
    view, reader = RunView(), client.reader(run)
    while view.last_seq < seq and (events := reader.poll(1 << 22)):
        for event in events:
            if event.seq <= seq:
                view.apply(event)
    reader.close()
    if seq < 1 or view.last_seq != seq:
        raise UsageError(f"{run} has no event {seq}", hint=f"its events are 1 to {client.view(run).last_seq}")
    return view


def check(client: SwarmClient, run: str, *, as_json: bool) -> int:
    """Print what was looked at; 1 if anything is not what the journal says."""
    from swarm_core.recovery.index import run_meta
    from swarm_core.recovery.receipts import check_receipts

    view, findings = check_journal(client.layout.run(run).journal)
    # A living engine is up to a quarter of a second ahead of what it derives; some of that is of the latest run alone.
    if view is not None and not client.engine().is_alive:
        derived = projections(view, client.layout) if run == client.latest() else {}
        for path, document in {**derived, client.layout.run(run).dir / RUN_META: run_meta(view)}.items():
            findings += check_document(path, document)
    if view is not None:
        findings += check_receipts(client.layout.run(run))
    is_well = all(finding.is_good for finding in findings)
    if as_json:
        found = [{"good": finding.is_good, "text": finding.text} for finding in findings]
        print(json.dumps({"run": run, "good": is_well, "findings": found}, ensure_ascii=False))
    else:
        for finding in findings:
            print(f"{'✓' if finding.is_good else '✗'} {clean(finding.text)}")
    return 0 if is_well else 1


def lines(view: RunView) -> list[str]:
    run = view.run
    outcome = f" ({run.outcome})" if run.outcome else ""
    out = [f"{run.id}  {run.status}{outcome}  as of event {view.last_seq}, {view.last_ts}", f"  {run.title}"]
    out += [f"  {run.reason}"] if run.reason else []
    for task in view.tasks.values():
        who = task.instance or task.assigned_to
        out.append(f"{task.id:<9} {task.status:<10} {who:<14} attempt {task.attempt}  {task.title}")
    for gate in view.gates.values():
        verdict = f"{gate.verdict} by {gate.by}" if gate.verdict else ""
        out.append(f"{gate.id:<9} {gate.status:<10} {gate.place:<14} {gate.title}  {verdict}".rstrip())
    return out
