"""``swarm-tui permissions``: the rules as they are read, and which of them decides a call."""

from __future__ import annotations

import argparse
import json
from typing import Any

from swarm_core.definitions import load
from swarm_core.definitions.settings import read_granted, read_settings
from swarm_core.engine.permissions import rules_for
from swarm_core.tools.permissions.proposals import propose
from swarm_core.tools.permissions.rule import SUBJECTS
from swarm_core.tools.permissions.rules import RuleSet
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import UsageError

from .common import Parsers, here

EXITS = {"allow": 0, "ask": 10, "deny": 11}


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("permissions", help="show the permission rules, or which one decides a call")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.required = True
    listing = actions.add_parser("list", help="the rules in the order in which they are looked at")
    listing.add_argument("--service", metavar="NAME", help="for this service (default: the first worker)")
    test = actions.add_parser("test", help="which rule decides a call: exit 0 allow, 10 ask, 11 deny")
    test.add_argument("call", metavar="CALL", help="such as 'Bash(git push)', 'Edit(src/app.py)', 'mcp__x__search'")
    test.add_argument("--service", metavar="NAME", help="for this service (default: the first worker)")
    test.add_argument("--arguments", metavar="JSON", default="{}", help="further arguments of the call")


def run(options: argparse.Namespace) -> int:
    client = here()
    spec = load(client.layout.config)
    service = options.service or spec.workers[0]
    if service not in spec.services:
        raise UsageError(f"there is no service {service!r}", hint=f"services: {', '.join(spec.services)}")
    settings = read_settings(client.layout.root, spec.permissions)
    kept = tuple(text for name, text in read_granted(client.layout).rules if name in (service, "*"))
    rules, warnings = rules_for(spec, settings, service, client.layout.root, kept)
    for warning in (*settings.warnings, *warnings):
        print(clean_line(f"note: {warning}"))
    return _list(rules, service) if options.action == "list" else _test(rules, options)


def _list(rules: RuleSet, service: str) -> int:
    print(f"rules for service {service}; the first list with a match decides")
    for title, found in (
        ("deny", [r for r in rules.rules if r.source.effect == "deny"]),
        ("granted", list(rules.granted)),
        ("ask", [r for r in rules.rules if r.source.effect == "ask"]),
        ("allow", [r for r in rules.rules if r.source.effect == "allow"]),
    ):
        for rule in found:
            print(clean_line(f"  {title:<8} {rule}  ({rule.source.place})"))
    print(f"  default  {rules.default}")
    return 0


def _test(rules: RuleSet, options: argparse.Namespace) -> int:
    tool, arguments = _call(options.call, options.arguments)
    decision = rules.decide(tool, arguments)
    by = f"{decision.rule} ({decision.rule.source.place})" if decision.rule else f"the default, {rules.default}"
    print(clean_line(f"{decision.effect}: {by}{f' · {decision.why}' if decision.why else ''}"))
    print("the service's tools, directories and confinement are looked at besides")
    if decision.effect == "ask":
        proposed = propose(rules, tool, arguments)
        print(clean_line(f"could be granted: {', '.join(proposed) or 'this call alone, once'}"))
    return EXITS[decision.effect]


def _call(text: str, more: str) -> tuple[str, dict[str, Any]]:
    tool, bracket, rest = text.partition("(")
    if not tool.strip() or (bracket and not rest.endswith(")")):
        raise UsageError(f"{text!r} is not a call", hint="write it as 'Bash(git push)'")
    try:
        arguments = json.loads(more)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--arguments is not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise UsageError("--arguments must be a JSON object")
    if bracket:
        arguments = {SUBJECTS.get(tool, ("arguments",))[0]: rest[:-1], **arguments}
    return tool.strip(), arguments
