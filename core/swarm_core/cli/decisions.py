"""``swarm-tui decisions``: which rules fired, why, with which evidence, and what came of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from swarm_core.vocabulary.errors import UsageError
from swarm_core.vocabulary.rules import ACTIONS, Firing
from swarm_core.vocabulary.view import RunView

from .common import Parsers, ask, chosen_run, here
from .paper import counted, put

WAIVE = "waive"
LABEL = max(map(len, ACTIONS)) + 2


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("decisions", help="show what the rules decided and why, or waive what one blocks on")
    parser.add_argument(
        "words", nargs="*", metavar="RUN", help="the run's id (default: the latest); or: waive FIRING --note WHY"
    )
    parser.add_argument("--run", metavar="RUN", help="the run's id (default: the latest)")
    parser.add_argument("--note", default="", metavar="WHY", help="why a block is waived")
    parser.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document")


def run(options: argparse.Namespace) -> int:
    words = list(options.words)
    if words[:1] == [WAIVE]:
        if len(words) != 2:
            raise UsageError("decisions waive needs one firing", hint="swarm-tui decisions lists them")
        return ask(options, "rule.waive", f"{words[1]} is waived", firing=words[1], note=options.note)
    if len(words) > 1:
        raise UsageError(f"unexpected {words[1]!r}", hint="swarm-tui decisions [RUN], or: waive FIRING --note WHY")
    client = here()
    view = client.view(chosen_run(client, words[0] if words else options.run))
    if options.as_json:
        print(json.dumps(document(view), ensure_ascii=False, indent=2))
    else:
        put((line, 2 + LABEL) for line in lines(view))
    return 0


def document(view: RunView) -> dict[str, Any]:
    matrix = view.matrix
    return {
        "run": view.run.id,
        "matrix": {"path": matrix.path, "sha256": matrix.sha256, "rules": len(matrix.rules)},
        "firings": [{**asdict(firing), "state": state(firing)} for firing in view.firings.values()],
    }


def state(firing: Firing) -> str:
    return firing.settled or (f"to do: {', '.join(firing.pending)}" if firing.pending else "under way")


def lines(view: RunView) -> Iterator[str]:
    rules = counted(len(view.matrix.rules), "rule")
    yield f"{view.run.id}  {rules} of {view.matrix.path or 'nowhere: this run has no matrix'}"
    if not view.firings:
        yield "no rule has fired"
    for firing in view.firings.values():
        shown = firing.fact.document or firing.fact.key
        told = {
            "why": firing.why,
            "evidence": f"event {firing.fact.seq}, {shown}, {firing.evidence[:12]}",
            **firing.outcome,
            "now": state(firing),
        }
        yield f"{firing.id}  {firing.at[11:19]}  {firing.rule}"
        yield from (f"  {name:<{LABEL}}{text}" for name, text in told.items())
