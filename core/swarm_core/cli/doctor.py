"""``swarm-tui doctor``: is everything in order here, and is the evidence what was written."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator

from swarm_core.client import SwarmClient
from swarm_core.definitions import load
from swarm_core.definitions.artifacts import load_registry
from swarm_core.definitions.matrix import load_matrix
from swarm_core.definitions.settings import read_granted, read_settings
from swarm_core.definitions.suggestions import suggested
from swarm_core.engine.permissions import rules_for
from swarm_core.journal.journal import verify
from swarm_core.journal.projections import projections
from swarm_core.recovery.receipts import check_receipts
from swarm_core.tools.jail.choice import candidates, choose, described, prove
from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.errors import PermissionDenied, SwarmError
from swarm_core.vocabulary.layout import ARTIFACT_REGISTRY
from swarm_core.workspace.preflight import check

from .common import Parsers, here

Finding = tuple[bool, str]


def add(parsers: Parsers) -> None:
    parsers.add_parser("doctor", help="check the machine, the configuration and the journals")


def run(options: argparse.Namespace) -> int:
    client = here()
    is_well, said = True, set[str]()
    for examine in (
        _machine,
        _confinement,
        _repository,
        _configuration,
        _artifacts,
        _rules,
        _permissions,
        _engine,
        _journals,
        _projections,
    ):
        for is_good, text in _guarded(examine, client):
            is_well &= is_good
            if not is_good and text in said:
                continue  # what one part stumbled over, the next one does as well
            said.add(text)
            print(f"{'✓' if is_good else '✗'} {clean(text)}")
    return 0 if is_well else 1


def _guarded(examine: Callable[[SwarmClient], Iterator[Finding]], client: SwarmClient) -> Iterator[Finding]:
    try:
        yield from examine(client)
    except (SwarmError, OSError) as error:
        yield False, str(error)


def _machine(client: SwarmClient) -> Iterator[Finding]:
    yield True, f"Python {sys.version.split()[0]}"
    has_key = bool(os.environ.get("ANTHROPIC_API_KEY"))
    yield True, "ANTHROPIC_API_KEY is set" if has_key else "ANTHROPIC_API_KEY is not set: only --offline runs work"


def _confinement(client: SwarmClient) -> Iterator[Finding]:
    """What would confine agents' commands here, and what came of trying to get out of it."""
    try:
        setting = load(client.layout.config).confinement
    except SwarmError:
        setting = "auto"
    if setting == "none":
        yield True, "note: agents' commands are not confined: confinement is none in multi-agent.yaml"
    for kind in candidates("auto"):
        proof = prove(kind)
        tried = ", ".join(f"{name} {'✓' if is_held else '✗'}" for name, is_held in proof.attempts)
        yield True, f"{described(kind)} {'holds' if proof.holds else 'does not hold'}: {tried}"
    if setting == "none":
        return
    try:
        yield True, f"agents' commands are confined by {choose(setting)} (confinement: {setting})"
    except PermissionDenied as error:
        yield False, f"{error.message}. {error.hint}"


def _repository(client: SwarmClient) -> Iterator[Finding]:
    found = check(client.layout.root)
    yield True, f"git {found.git_version}, {client.layout.root} on {found.branch or 'no branch'}"
    yield from ((True, f"note: {problem}") for problem in found.problems)


def _configuration(client: SwarmClient) -> Iterator[Finding]:
    spec = load(client.layout.config)
    yield True, f"{client.layout.config.name}: {len(spec.services)} services, {len(spec.checks)} checks"
    yield from ((True, f"note: {warning}") for warning in spec.warnings)
    measured = {check.command for check in spec.checks}
    for one in suggested(client.layout.root):
        if one.command not in measured:
            yield True, f"note: CLAUDE.md:{one.line} names a command that could be a check, {one.name}: {one.command}"


def _artifacts(client: SwarmClient) -> Iterator[Finding]:
    registry = load_registry(client.layout.root)
    whose = "the shipped registry" if registry.is_shipped else ARTIFACT_REGISTRY
    yield True, f"{whose}: {len(registry.types)} artifacts"


def _rules(client: SwarmClient) -> Iterator[Finding]:
    matrix = load_matrix(client.layout.root)
    yield True, f"{matrix.path}: {len(matrix.rules)} rules"


def _permissions(client: SwarmClient) -> Iterator[Finding]:
    """Where rules come from, what they could not be read as, and what of the repository is not run."""
    spec, root = load(client.layout.config), client.layout.root
    settings = read_settings(root, spec.permissions)
    own = len(spec.permissions.rules) + sum(len(service.permissions) for service in spec.services.values())
    yield True, f"permissions: {own} rules in {client.layout.config.name}, default {spec.permissions.default}"
    warnings = list(settings.warnings)
    for service in spec.services:
        warnings += rules_for(spec, settings, service, root)[1]
    for name in settings.files:
        count = sum(rule.path == name for rule in settings.rules)
        yield True, f"permissions: {count} rules of {name} count (repository: {spec.permissions.repository})"
    granted = read_granted(client.layout)
    if granted.rules or granted.trusted:
        said = f"{len(granted.rules)} rules granted, {len(granted.trusted)} contents trusted"
        yield True, f"permissions: {said} for good in {client.layout.permissions_file.relative_to(root)}"
    yield from ((True, f"note: {warning}") for warning in dict.fromkeys(warnings))
    yield from ((True, f"hook not run: {hook}") for hook in settings.hooks)


def _engine(client: SwarmClient) -> Iterator[Finding]:
    engine = client.engine()
    if engine.is_alive:
        yield True, f"engine {engine.pid} is alive: {engine.message}"
    else:
        yield True, "no engine is running (one starts when it is needed)"


def _journals(client: SwarmClient) -> Iterator[Finding]:
    for run in client.runs():
        try:
            count = verify(client.layout.run(run).journal)
            yield True, f"{run}: {count} events, chain intact"
            yield from ((found.is_good, f"{run}: {found.text}") for found in check_receipts(client.layout.run(run)))
        except SwarmError as error:
            yield False, f"{run}: {error}"


def _projections(client: SwarmClient) -> Iterator[Finding]:
    latest = client.latest()
    if latest is None or client.engine().is_alive:
        return  # a living engine may be a quarter of a second ahead of its projections
    for path, document in projections(client.view(latest), client.layout).items():
        if path.exists():
            is_equal = json.loads(path.read_bytes()) == json.loads(json.dumps(document))
            yield is_equal, f"{path.name} {'equals' if is_equal else 'differs from'} the fold of {latest}"
