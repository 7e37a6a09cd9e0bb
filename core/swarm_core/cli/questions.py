"""``swarm-tui questions``: what agents asked you, what they go on with meanwhile, and answering."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.errors import UsageError

from .common import Parsers, add_run_option, ask, chosen_run, here


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("questions", help="list what agents asked you, or answer one")
    parser.add_argument("question", nargs="?", metavar="ID", help="answer this one")
    parser.add_argument("answer", nargs="?", metavar="ANSWER", help="reaches whoever asked with its next message")
    parser.add_argument("--all", action="store_true", dest="show_all", help="answered ones too")
    parser.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document, with answered ones")
    add_run_option(parser)


def run(options: argparse.Namespace) -> int:
    from swarm_core.documents.open_questions import ANSWERED, NEEDS_HUMAN, questions

    if options.question is not None:
        if options.answer is None:
            raise UsageError("the answer is missing", hint=f"swarm-tui questions {options.question} 'ANSWER'")
        said = f"{options.question} is answered"
        return ask(options, "question.answer", said, question=options.question, answer=options.answer)
    client = here()
    found = questions(client.view(chosen_run(client, options.run)))
    if options.as_json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2))
        return 0
    shown = [one for one in found if options.show_all or one.status != ANSWERED]
    for one in sorted(shown, key=lambda one: one.status != NEEDS_HUMAN):
        print(clean(f"{one.id:<14} {one.status:<11} {one.agent} in {one.task}: {' '.join(one.question.split())}"))
        lines = {"goes on with": one.default, "risk": one.risk, "options": " | ".join(one.options)}
        for name, text in {**lines, "answer": one.answer}.items():
            if text:
                print(clean(f"    {name}: {' '.join(text.split())}"))
    if not shown:
        print("no open question")
    return 0
