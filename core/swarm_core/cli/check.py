"""``swarm-tui check``: measure the configured checks on the working tree, without a run."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swarm_core.checks.run import CheckRun, run_check
from swarm_core.checks.site import Around
from swarm_core.client import SwarmClient
from swarm_core.definitions import load
from swarm_core.definitions.suggestions import suggested
from swarm_core.tools.jail.confines import Confines
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import UsageError
from swarm_core.vocabulary.spec import CheckSpec
from swarm_core.workspace.git import git

from .common import Parsers, here

FAILED_EXIT = 1


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("check", help="measure the configured checks on the working tree, without a run")
    parser.add_argument("names", nargs="*", metavar="NAME", help="measure these only (default: all)")
    parser.add_argument("--base", metavar="REF", default="HEAD", help="what the work is compared with (default: HEAD)")
    parser.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document")


def run(options: argparse.Namespace) -> int:
    client = here()
    config = load(client.layout.config)
    specs = _chosen(config.checks, options.names, client)
    confines = Confines(config.confinement)
    results = asyncio.run(_measured(client, specs, options.base, confines, quiet=options.as_json))
    if options.as_json:
        print(json.dumps([document(result) for result in results], ensure_ascii=False, indent=2))
    return FAILED_EXIT if any(_is_bad(result) for result in results) else 0


def document(result: CheckRun) -> dict[str, Any]:
    """One measurement as JSON."""
    return {
        **result.data,
        "kind": result.kind,
        "command": result.command,
        "exit_code": result.exit_code,
        "seconds": round(result.seconds, 3),
        "note": result.note,
        "hint": result.hint,
        "findings": [
            {"path": f.path, "line": f.line, "severity": f.severity, "rule": f.rule, "message": f.message}
            for f in result.found
        ],
    }


def _is_bad(result: CheckRun) -> bool:
    return result.result in ("fail", "error") or result.is_in_the_way


def _chosen(specs: Sequence[CheckSpec], names: Sequence[str], client: SwarmClient) -> list[CheckSpec]:
    """The checks that are named, with those that criteria among them are made of."""
    if not specs:
        offered = suggested(client.layout.root)
        more = f"; CLAUDE.md suggests {', '.join(one.name for one in offered)}: swarm-tui doctor" if offered else ""
        raise UsageError("no checks are configured", hint=f"add `checks:` to {client.layout.config.name}{more}")
    known = {spec.name: spec for spec in specs}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"there is no check {unknown[0]!r}", hint=f"checks: {', '.join(known)}")
    wanted = set(names or known)
    for spec in reversed(specs):
        wanted |= set(spec.options.get("checks", ())) if spec.name in wanted and spec.kind == "criteria" else set()
    return [spec for spec in specs if spec.name in wanted]


async def _measured(
    client: SwarmClient, specs: Sequence[CheckSpec], base: str, confines: Confines, *, quiet: bool
) -> list[CheckRun]:
    root = client.layout.root
    found = await git(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}", dir=root, ok=(0, 1, 128)
    )
    commit = found.text
    if not commit and base != "HEAD":
        raise UsageError(f"{clean_line(base)!r} is not a commit", hint="name a branch or a commit that exists")
    results: dict[str, CheckRun] = {}
    wide = max(len(spec.name) for spec in specs)
    with tempfile.TemporaryDirectory(prefix="swarm-check-", ignore_cleanup_errors=True) as place:
        copy = _Base(root, commit, Path(place, "base"))
        messages = await _messages(root, commit) if commit else None
        for number, spec in enumerate(specs):
            said = {name: result.result for name, result in results.items()}
            around = Around(confines, copy.tree, commit, messages, results=said)
            scratch = Path(place, f"{number}")
            scratch.mkdir()
            results[spec.name] = result = await run_check(spec, root, scratch, client.clock, around)
            if not quiet:
                _show(result, wide)
    return list(results.values())


def _show(result: CheckRun, wide: int) -> None:
    mark = {"pass": "✓", "not_measured": "?"}.get(result.result, "✗")
    print(clean_line(f"{mark} {result.name:<{wide}}  {result.detail}  {result.command}"))
    for line in result.tail if not result.has_passed else ():
        print(f"    {line}")
    sys.stdout.flush()


async def _messages(root: Path, base: str) -> list[str] | None:
    """The messages of the commits since the base; that of the last commit if there is none since."""
    which = [f"{base}..HEAD"]
    told = await git("log", "-z", "--no-merges", "--format=%B", *which, "--", dir=root)
    if not told.fields:
        told = await git("log", "-z", "-1", "--format=%B", "HEAD", "--", dir=root)
    return [message.strip("\n") for message in told.fields if message.strip()] or None


class _Base:
    """A checkout of the base beside the working tree, made when a check asks for it. The index is one of its own."""

    def __init__(self, root: Path, commit: str, path: Path) -> None:
        self.root, self.commit, self.path = root, commit, path

    async def tree(self) -> Path | None:
        if not self.commit:
            return None
        if not self.path.exists():
            self.path.mkdir()
            env = {"GIT_INDEX_FILE": str(self.path.with_name("base.index"))}
            await git("read-tree", self.commit, dir=self.root, env=env)
            await git(f"--work-tree={self.path}", "checkout-index", "-a", "-f", dir=self.root, env=env)
        return self.path
