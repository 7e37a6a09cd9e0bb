"""``swarm-tui findings``: what is wrong in a run, whose it is and what became of it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from swarm_core.vocabulary.findings import SEVERITIES, Finding

from .common import Parsers, add_run_argument, chosen_run, here
from .paper import columned, put


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("findings", help="list what is wrong in a run, the gravest first")
    add_run_argument(parser)
    parser.add_argument("--all", action="store_true", dest="show_all", help="closed ones too")
    parser.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document, with closed ones")


def run(options: argparse.Namespace) -> int:
    client = here()
    view = client.view(chosen_run(client, getattr(options, "run", None)))
    found = sorted(view.findings.values(), key=_gravity)
    if options.as_json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2))
        return 0
    shown = [one for one in found if options.show_all or one.status != "closed"]
    put(columned([row(one) for one in shown]))
    if not shown:
        print(f"no open finding ({len(found)} closed: --all shows them)" if found else "no finding")
    return 0


def row(one: Finding) -> tuple[str, ...]:
    """One line: its id, how bad it is, how it stands, whose it is, where it is, and what it is."""
    state = f"{one.status} ({one.resolution})" if one.resolution else one.status
    commit = f"  commit {one.commit[:12]}" if one.commit else ""
    return one.id, one.severity, state, one.owner or "nobody's", one.location or "-", f"{one.title}{commit}"


def _gravity(one: Finding) -> tuple[bool, int]:
    grave = SEVERITIES.index(one.severity) if one.severity in SEVERITIES else len(SEVERITIES)
    return one.status == "closed", grave
