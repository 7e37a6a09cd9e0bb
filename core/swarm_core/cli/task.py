"""``swarm-tui task``: what a worker outside the engine says (claim, beat, submit, fail), and dropping a task.

The same requests can be dropped into the inbox as files; see docs/workers.md.
"""

from __future__ import annotations

import argparse
import json

from .common import Parsers, add_run_option, ask, chosen_run, here, require, wait_for_answer


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("task", help="drop a task, or work on one from outside the engine")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    drop = actions.add_parser("drop", help="take a task, and what depends on it, out of the plan")
    drop.add_argument("task", metavar="TASK")
    drop.add_argument("--note", default="", help="why")
    claim = actions.add_parser("claim", help="take a ready task of a service with `adapter: external`; prints it")
    claim.add_argument("service", metavar="SERVICE")
    claim.add_argument("--worker", required=True, metavar="NAME", help="who you are")
    beat = actions.add_parser("beat", help="keep the lease of a claimed task")
    submit = actions.add_parser("submit", help="hand in a claimed task: the changes in its worktree")
    submit.add_argument("--did", required=True, metavar="TEXT", help="what you did")
    submit.add_argument("--left", default="", metavar="TEXT", help="what is left")
    submit.add_argument("--recommend", default="", metavar="TEXT", help="what the next one should do")
    fail = actions.add_parser("fail", help="give a claimed task up")
    fail.add_argument("--reason", required=True, metavar="TEXT")
    for action in (beat, submit, fail):
        action.add_argument("task", metavar="TASK")
        action.add_argument("--attempt", required=True, type=int, metavar="N", help="the attempt you were given")
    for action in (drop, claim, beat, submit, fail):
        add_run_option(action)


def run(options: argparse.Namespace) -> int:
    match options.action:
        case "drop":
            return ask(options, "task.cancel", f"{options.task} is dropped", task=options.task, note=options.note)
        case "claim":
            return _claim(options)
        case "beat":
            return ask(options, "task.heartbeat", "the lease goes on", task=options.task, attempt=options.attempt)
        case "fail":
            said = f"{options.task} is given up"
            return ask(options, "task.fail", said, task=options.task, attempt=options.attempt, reason=options.reason)
    return ask(
        options,
        "task.submit",
        f"{options.task} is handed in",
        task=options.task,
        attempt=options.attempt,
        what_i_did=options.did,
        whats_left=options.left,
        recommendation=options.recommend,
    )


def _claim(options: argparse.Namespace) -> int:
    client = here()
    run_id = chosen_run(client, options.run)
    client.ensure_engine()
    item = client.ask("task.claim", run_id, service=options.service, worker=options.worker)
    answer = require(wait_for_answer(client, item), hint="ask again in a few seconds")
    print(json.dumps({"run": run_id, **answer.data}, ensure_ascii=False, indent=2))
    return 0
