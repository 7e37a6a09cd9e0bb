"""What several commands need: the repository, its client, a run, and following it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from swarm_core.client import Answer, SwarmClient
from swarm_core.vocabulary.budgets import Amounts, Budget, in_units, share, told
from swarm_core.vocabulary.errors import DecisionRefused, EngineError, RunFailed, UsageError
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView
from swarm_core.workspace.preflight import find_root

POLL_S = 0.05
ANSWER_TIMEOUT_S = 30.0
UNLANDED_EXIT = 30
MAX_PACE = 100.0

Parsers = Any  # argparse's type for this is private


def here() -> SwarmClient:
    """A client for the repository around the current directory. Raises RepositoryError."""
    return SwarmClient(find_root(Path.cwd()))


def add_run_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", metavar="RUN", help="the run's id (default: the latest)")


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """RUN as an argument, for what looks back at runs; ``--run`` says the same, as it does elsewhere."""
    note = "the run's id (default: the latest)"
    parser.add_argument("run", nargs="?", metavar="RUN", default=argparse.SUPPRESS, help=note)
    parser.add_argument("--run", metavar="RUN", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def chosen_run(client: SwarmClient, wanted: str | None) -> str:
    """The run asked for, else the latest. Raises UsageError if there is none."""
    runs = client.runs()
    if wanted is not None:
        if wanted not in runs:
            raise UsageError(f"there is no run {wanted!r} here", hint=f"runs: {', '.join(runs) or 'none'}")
        return wanted
    if not runs:
        raise UsageError("no run was started here yet", hint='swarm-tui run "what you want"')
    return runs[-1]


def wait_for_answer(client: SwarmClient, item: str, timeout_s: float = ANSWER_TIMEOUT_S) -> Answer:
    """What the engine said to a request. Raises EngineError if it says nothing."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if (answer := client.answer(item)) is not None:
            return answer
        time.sleep(POLL_S)
    raise EngineError(
        f"the engine did not answer within {timeout_s:g} s", hint=f"see {client.layout.engine_log} and swarm-tui doctor"
    )


def ask(options: argparse.Namespace, kind: str, said: str, **data: Any) -> int:
    """Ask the engine something about the chosen run, say ``said`` when it was done, and return the exit code.

    Raises DecisionRefused with the engine's reason.
    """
    client = here()
    run_id = chosen_run(client, options.run)
    client.ensure_engine()
    require(wait_for_answer(client, client.ask(kind, run_id, **data)))
    print(f"{run_id}: {said}")
    return 0


def require(answer: Answer, hint: str = "") -> Answer:
    """Raises DecisionRefused with the engine's reason unless the request was applied; ``hint`` is the next step where
    the engine names none."""
    if answer.result != "applied":
        raise DecisionRefused(answer.reason, hint="" if "\n  next: " in answer.reason else hint)
    return answer


def follow(client: SwarmClient, run: str, each: Callable[[], None] = lambda: None) -> Iterator[tuple[Event, RunView]]:
    """Every event of a run with the state after it, from the first to the end of the run.

    ``each`` is called once a round, for whoever acts on the state. Raises EngineError if the engine dies.
    """
    reader, view = client.reader(run), RunView()
    while True:
        events = reader.poll()
        for event in events:
            view.apply(event)
            yield event, view
        if view.is_over and not events:
            return
        each()
        if not events:
            if not client.engine().is_alive:
                client.ensure_engine()
            time.sleep(POLL_S)


def exit_code(view: RunView) -> int:
    """0 landed · 30 finished without landing · 9 failed or aborted."""
    if view.run.status != "completed":
        return RunFailed.exit_code
    return 0 if view.run.landed else UNLANDED_EXIT


def _spent(view: RunView, budget: Budget) -> int:
    """What was spent of a budget, in its dimension's smallest unit."""
    return view.spent.get(budget.scope, Amounts()).of(budget.dimension)


def budget_document(view: RunView) -> list[dict[str, Any]]:
    """Each budget with what was ``spent``, is ``reserved`` by calls under way, and its ``share`` of the limit."""
    out = []
    for budget in view.budgets.values():
        used = _spent(view, budget)
        amounts = {
            "spent": in_units(used, budget.dimension),
            "reserved": in_units(_reserved(view, budget), budget.dimension),
            "share": round(share(budget, used), 4),
        }
        out.append({**asdict(budget), **amounts})
    return out


def budget_lines(view: RunView) -> Iterator[str]:
    if not view.budgets:
        yield "no budget: add `budgets:` to multi-agent.yaml before a run"
    for budget in view.budgets.values():
        gate = view.latest_budget_gate(budget.id)
        waits = f"  {gate} waits for you" if gate else ""
        yield f"{budget.id:<28} {budget.status:<10} {told(budget, _spent(view, budget))}{waits}"


def _reserved(view: RunView, budget: Budget) -> int:
    calls = (call for call in view.open_calls.values() if budget.scope in call.scopes)
    return sum(call.most.of(budget.dimension) for call in calls)


def pace(text: str) -> float:
    """A ``--speed``: how long scripted pauses are, 1 as written, 0 without. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_PACE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {MAX_PACE:g}")
    return value


def has_terminal() -> bool:
    """Whether the room can be seen: it reads standard input and paints on standard error."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
