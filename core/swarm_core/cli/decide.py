"""``swarm-tui decide ID VERDICT``, and what its short forms ``approve`` and ``reject`` have in common with it."""

from __future__ import annotations

import argparse

from swarm_core.vocabulary.errors import DecisionRefused, UsageError
from swarm_core.vocabulary.gating import SYNONYMS, VERDICTS, canonical
from swarm_core.vocabulary.inbox import SCOPES

from .common import Parsers, add_run_option, chosen_run, here, require, wait_for_answer


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("decide", help="decide a gate with any verdict: force, retry, defer, abort, ...")
    parser.add_argument("gate", metavar="ID")
    words = f"{', '.join(VERDICTS)} (also: {', '.join(sorted(SYNONYMS))})"
    parser.add_argument("verdict", metavar="VERDICT", help=words)
    _add_common(parser)
    _add_scope(parser)
    until = "of a defer: 30m, 2h, a time, or the task or gate to wait for (default: 1h)"
    parser.add_argument("--until", default="", help=until)
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    verdict = canonical(options.verdict)
    if verdict not in VERDICTS:
        raise UsageError(f"{options.verdict!r} is no verdict", hint=f"one of {', '.join(VERDICTS)}")
    if options.until and verdict != "defer":
        raise UsageError("--until is for defer")
    return send_decision(options, verdict)


def add_decision(parsers: Parsers, verdict: str) -> None:
    parser = parsers.add_parser(verdict, help=f"{verdict} a gate that waits")
    parser.add_argument("gate", metavar="ID")
    _add_common(parser)
    if verdict == "approve":
        _add_scope(parser)
    add_run_option(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--note", default="", help="why; an agent works from the note of a rejection")
    parser.add_argument("--evidence", help="refuse unless the gate still shows the evidence with this hash")


def _add_scope(parser: argparse.ArgumentParser) -> None:
    scopes = "of a permission: this call, the rule shown for this run, or for good (default: once)"
    parser.add_argument("--scope", choices=SCOPES, default="", help=scopes)


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
    item = client.decide(
        run_id,
        gate.id,
        verdict,
        options.note,
        options.evidence or gate.evidence,
        scope,
        typed=options.gate if verdict == "force" else "",
        until=getattr(options, "until", ""),
    )
    require(wait_for_answer(client, item), "swarm-tui gates shows what waits, swarm-tui gates ID its evidence")
    print(f"{gate.id}: {verdict} accepted")
    return 0
