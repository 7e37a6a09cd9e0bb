"""``swarm-tui gates``: what waits for a decision, and the evidence."""

from __future__ import annotations

import argparse

from swarm_core.vocabulary.clean import clean, clean_line
from swarm_core.vocabulary.errors import UsageError
from swarm_core.vocabulary.gating import offered

from .common import Parsers, add_run_option, chosen_run, here


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("gates", help="list the gates that wait, or show one with its evidence")
    parser.add_argument("gate", nargs="?", metavar="ID", help="show this gate's document")
    parser.add_argument("--all", action="store_true", dest="show_all", help="decided ones too")
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    client = here()
    run_id = chosen_run(client, options.run)
    view = client.view(run_id)
    if options.gate is None:
        gates = list(view.gates.values()) if options.show_all else view.open_gates
        for gate in gates:
            later = f" · put off until {gate.deferred_until}" if gate.deferred_until else ""
            place = "+".join((gate.place, *gate.aspects))
            print(clean_line(f"{gate.id}  {place:<10} {gate.status:<10} {gate.title}  {gate.summary}{later}"))
        if not gates:
            print("no gate waits")
        return 0
    if options.gate not in view.gates:
        raise UsageError(f"there is no gate {options.gate!r} in {run_id}", hint="swarm-tui gates --all")
    gate = view.gates[options.gate]
    print(clean(client.document(run_id, gate).decode(errors="replace")))
    print(f"\nevidence {gate.evidence}")
    print(f"yes: {gate.on_yes}\nno:  {gate.on_no}")
    if gate.status == "open":
        print(f"takes {', '.join(offered(gate.place))}")
    for hold in gate.holds:
        print(f"yours: {clean_line(hold)}")
    for blocker in gate.blockers:
        print(f"in the way: {clean_line(blocker)}")
    return 0
