"""``swarm-tui finding``: one finding with all that is known of it, and closing it without a fix."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.errors import UsageError

from .common import Parsers, add_run_option, ask, chosen_run, here
from .findings import row
from .paper import columned, put

RESOLUTIONS = ("accepted", "rejected", "backlog")


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("finding", help="show a finding, or close one without a fix")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="all that is known of it")
    show.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document")
    close = actions.add_parser("close", help="close it: nobody works on it any more")
    close.add_argument("--as", required=True, choices=RESOLUTIONS, dest="resolution", help="what you decide about it")
    close.add_argument("--note", default="", help="why")
    for action in (show, close):
        action.add_argument("finding", metavar="ID")
        add_run_option(action)


def run(options: argparse.Namespace) -> int:
    if options.action == "close":
        said = f"{options.finding} is closed as {options.resolution}"
        data = {"finding": options.finding, "resolution": options.resolution, "note": options.note}
        return ask(options, "finding.close", said, **data)
    client = here()
    run_id = chosen_run(client, options.run)
    found = client.view(run_id).findings.get(options.finding)
    if found is None:
        raise UsageError(f"there is no finding {options.finding!r} in {run_id}", hint="swarm-tui findings --all")
    if options.as_json:
        print(json.dumps(asdict(found), ensure_ascii=False, indent=2))
        return 0
    put(columned([row(found)]))
    who = {
        "raised by": found.raised_by + (f" in {found.source}" if found.source else ""),
        "about": found.about,
        "fixed in": f"{found.task} {found.commit}".strip(),
        "reason": found.reason,
    }
    long = {"issue": found.issue, "to do": found.fix, "to verify": found.verification}
    for name, text in {**who, **long}.items():
        if text:
            print(clean(f"{name:<10} " + text.replace("\n", "\n" + " " * 11)))
    return 0
