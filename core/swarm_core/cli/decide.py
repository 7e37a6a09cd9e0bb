"""What approving and rejecting have in common."""

from __future__ import annotations

import argparse

from swarm_core.vocabulary.errors import DecisionRefused, UsageError
from swarm_core.vocabulary.inbox import SCOPES

from .common import Parsers, add_run_option, chosen_run, here, require, wait_for_answer


def add_decision(parsers: Parsers, verdict: str) -> None:
    parser = parsers.add_parser(verdict, help=f"{verdict} a gate that waits")
    parser.add_argument("gate", metavar="ID")
    parser.add_argument("--note", default="", help="why; an agent works from the note of a rejection")
    parser.add_argument("--evidence", help="refuse unless the gate still shows the evidence with this hash")
    if verdict == "approve":
        scopes = "of a permission: this call, the rule shown for this run, or for good (default: once)"
        parser.add_argument("--scope", choices=SCOPES, default="", help=scopes)
    add_run_option(parser)


def send_decision(options: argparse.Namespace, verdict: str) -> int:
    client = here()
    run_id = chosen_run(client, options.run)
    gate = client.view(run_id).gates.get(options.gate)
    if gate is None:
        raise DecisionRefused(f"there is no gate {options.gate!r} in {run_id}", hint="swarm-tui gates")
    client.ensure_engine()
    scope = getattr(options, "scope", "")
    if scope and not gate.ask:
        raise UsageError(f"{gate.id} is a {gate.place} gate: --scope is for permission gates")
    item = client.decide(run_id, gate.id, verdict, options.note, options.evidence or gate.evidence, scope)
    require(wait_for_answer(client, item), "swarm-tui gates shows what waits, swarm-tui gates ID its evidence")
    print(f"{gate.id}: {verdict} accepted")
    return 0
