"""``swarm-tui matrix``: the rules of this repository, and which of them would fire."""

from __future__ import annotations

import argparse
import re

from swarm_core.definitions import load
from swarm_core.definitions.matrix import load_matrix
from swarm_core.policy.matrix import fitting
from swarm_core.policy.names import Names
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.conditions import metric
from swarm_core.vocabulary.errors import UsageError
from swarm_core.vocabulary.findings import SEVERITIES
from swarm_core.vocabulary.rules import Fact, Matrix, Rule
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.view import RunView

from .common import Parsers, here
from .paper import columned, counted, put

STATUSES = ("pass", "fail", "error", "not_measured")
SAYS = "coverage=79.9, response_time=240ms, tests=fail, vulnerability=critical, error=critical or inconsistency=high"
_VALUE = re.compile(r"(-?[0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(ms|s|%|kb|mb|gb|bytes)?", re.I)
_CATEGORIES = {"vulnerability": "security", "critical_error": "error"}


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser(
        "matrix", help="list the rules of the decision matrix (default), or say which would fire"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", help="the rules in the order of the file")
    test = actions.add_parser("test", help="which rules would fire, in the order of effect")
    test.add_argument("facts", nargs="+", metavar="FACT=VALUE", help=f"such as {SAYS}".replace("%", "%%"))


def run(options: argparse.Namespace) -> int:
    client = here()
    matrix, spec = load_matrix(client.layout.root), load(client.layout.config)
    put([(f"{counted(len(matrix.rules), 'rule')} of {matrix.path}", 2)])
    return _test(matrix, spec, options.facts) if options.action == "test" else _list(matrix, spec)


def _list(matrix: Matrix, spec: SwarmSpec) -> int:
    names = _names(matrix, spec)
    rows = [(rule.when, ", ".join(rule.actions) or "notify", _line(rule, matrix)) for rule in matrix.rules]
    put(columned(rows, indent=2))
    unknown = names.receivers([name for rule in matrix.rules for name in rule.notify], Fact("", "check", "")).unknown
    if unknown:
        told = ", ".join(dict.fromkeys(unknown))
        put([(f"note: nobody here is called {told}; the architect is told instead (add `aliases:`)", 6)])
    return 0


def _line(rule: Rule, matrix: Matrix) -> str:
    """Where a rule stands in the file that the heading names."""
    path, _, line = rule.place.rpartition(":")
    return f"line {line}" if path == matrix.path else f"({rule.place})"


def _test(matrix: Matrix, spec: SwarmSpec, texts: list[str]) -> int:
    found = fitting(matrix.rules, [read_fact(text, number) for number, text in enumerate(texts, 1)])
    names = _names(matrix, spec)
    for rule, fact in ((one.rule, one.fact) for one in found):
        receivers = names.receivers(rule.notify, fact)
        told = ", ".join(receivers.services) or ("the architect" if receivers.unknown else "")
        print(clean_line(f"{rule.id}  ({rule.place})"))
        print(clean_line(f"  {fact.shown}: {rule.when}"))
        print(clean_line(f"  does {', '.join(rule.actions) or 'nothing'}" + (f", tells {told}" if told else "")))
    if not found:
        print("no rule would fire")
    return 0


def _names(matrix: Matrix, spec: SwarmSpec) -> Names:
    view = RunView()
    view.matrix = matrix
    return Names(view, spec)


def read_fact(text: str, number: int = 1) -> Fact:
    """``NAME=VALUE``: a measured value, a check's status, or a finding of a category with its severity.

    Raises UsageError.
    """
    name, equals, given = text.partition("=")
    name, given = name.strip().lower().replace("-", "_"), given.strip()
    if not name or not equals or not given:
        raise UsageError(f"{text!r} is not FACT=VALUE", hint=f"write {SAYS}")
    if match := _VALUE.fullmatch(given):
        unit = (match[2] or "").lower()
        return Fact(f"check:{name}:", "check", metric(name), "pass", float(match[1]), unit, tree="merged", seq=number)
    if given.lower() in STATUSES:
        return Fact(f"check:{name}:", "check", name, given.lower(), tree="merged", seq=number)
    if given.upper() in SEVERITIES:
        category = _CATEGORIES.get(name, name)
        return Fact(f"finding:{number}", "finding", category, "open", severity=given.upper(), seq=number)
    raise UsageError(f"{given!r} is no number, no result and no severity", hint=f"write {SAYS}")
