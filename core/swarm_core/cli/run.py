"""``swarm-tui run "GOAL"``: start a run; open the room, or follow it as JSON lines."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from swarm_core.client import SwarmClient
from swarm_core.definitions import load
from swarm_core.definitions.artifacts import load_registry
from swarm_core.definitions.matrix import load_matrix
from swarm_core.journal.lines import encode_body
from swarm_core.vocabulary.errors import ConfigurationError, UsageError
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.workspace.preflight import check

from .common import Parsers, exit_code, follow, has_terminal, here, pace, require, wait_for_answer
from .operator import AutoOperator

CREDENTIALS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE")


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("run", help="start a run for a goal and open the control room")
    parser.add_argument("goal", metavar="GOAL", help="what the swarm shall build, in your words")
    parser.add_argument("--headless", action="store_true", help="print events as JSON lines instead of the room")
    parser.add_argument(
        "--yes",
        action="store_true",
        help="with --headless: approve every gate, landing included; what fails three times is given up",
    )
    parser.add_argument("--offline", action="store_true", help="rehearse with the shipped scripted model: no key")
    parser.add_argument("--script", metavar="NAME", help="answer from these scripts (built-in name or directory)")
    parser.add_argument("--speed", type=pace, default=1.0, help="pace of scripts; 0 is as fast as it goes")


def run(options: argparse.Namespace) -> int:
    if not options.goal.strip():
        raise UsageError("a run needs a goal", hint='swarm-tui run "what you want"')
    if options.yes and not options.headless:
        raise UsageError("--yes goes with --headless: in the room you decide")
    client = here()
    check(client.layout.root)
    spec = load(client.layout.config)
    wanted = {"offline": options.offline, "script": options.script, "speed": options.speed}
    chosen = {key: value for key, value in wanted.items() if value is not None and value is not False}
    if not (options.offline or options.script):
        require_credentials(spec)
    _check_scripts(spec, client, chosen)
    if spec.artifacts != "off":
        load_registry(client.layout.root)
    load_matrix(client.layout.root)
    run_id = start(client, options.goal, chosen)
    if not options.headless and has_terminal() and options.open_room is not None:
        return int(options.open_room(client.layout.root, run_id))
    return print_events(client, run_id, approve=options.yes)


def _check_scripts(spec: SwarmSpec, client: SwarmClient, chosen: dict[str, Any]) -> None:
    """What is wrong with a script is said here, with its place, before there is a run."""
    from swarm_core.engine.models import ModelPool  # the other commands do without it

    ModelPool(spec, client.layout.root, client.clock).check(chosen)


def require_credentials(spec: SwarmSpec) -> None:
    """Raises ConfigurationError if a service asks for the Messages API and no credential is to be found."""
    asking = [service.key for service in spec.services.values() if service.adapter == "anthropic"]
    profiles = Path(os.environ.get("ANTHROPIC_CONFIG_DIR") or Path.home() / ".config" / "anthropic")
    if asking and not any(os.environ.get(name) for name in CREDENTIALS) and not (profiles / "configs").is_dir():
        raise ConfigurationError(
            f"no key: {', '.join(asking)} use the Anthropic API and ANTHROPIC_API_KEY is not set",
            hint='export ANTHROPIC_API_KEY=..., or rehearse without one: swarm-tui run --offline "..."',
        )


def start(client: SwarmClient, goal: str, chosen: dict[str, Any]) -> str:
    """Make sure there is an engine, ask it for a run, and return the run's id."""
    client.ensure_engine()
    return require(wait_for_answer(client, client.start_run(goal, chosen))).run


def print_events(client: SwarmClient, run_id: str, *, approve: bool) -> int:
    operator = AutoOperator(client, run_id) if approve else None
    view = client.view(run_id)
    for event, view in follow(client, run_id):
        print(json.dumps(encode_body(event), ensure_ascii=False), flush=True)
        if operator is not None:
            operator.look(view)
    return exit_code(view)
