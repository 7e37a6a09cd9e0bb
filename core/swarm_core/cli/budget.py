"""``swarm-tui budget``: the limits of a run and what is left of them, and raising one."""

from __future__ import annotations

import argparse
import json

from swarm_core.vocabulary.budgets import figure
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import UsageError

from .common import Parsers, add_run_option, ask, budget_document, budget_lines, chosen_run, here


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("budget", help="what may be spent and what was, and raising a limit")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    ls = actions.add_parser("ls", help="list the budgets of a run")
    ls.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document")
    rise = actions.add_parser("raise", help="raise a limit; whoever waited for it goes on")
    rise.add_argument("budget", metavar="BUDGET", help="as `budget ls` names it: run.usd, task.task_003.tokens")
    rise.add_argument("--to", required=True, metavar="AMOUNT", help="the new limit, in the budget's own unit")
    for action in (ls, rise):
        add_run_option(action)


def run(options: argparse.Namespace) -> int:
    if options.action == "raise":
        limit = figure(options.to)
        if limit is None:
            raise UsageError(f"--to {options.to!r} is not an amount", hint="swarm-tui budget raise run.usd --to 30")
        said = f"{options.budget} is raised to {limit:g}"
        return ask(options, "budget.raise", said, budget=options.budget, limit=limit)
    client = here()
    view = client.view(chosen_run(client, options.run))
    if options.as_json:
        print(json.dumps(budget_document(view), ensure_ascii=False, indent=2))
    else:
        print("\n".join(clean_line(line) for line in budget_lines(view)))
    return 0
