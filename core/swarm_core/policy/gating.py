"""What a rule makes of a gate's evidence, and which further places a change is about. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from swarm_core.vocabulary.entities import CheckResult, Gate
from swarm_core.vocabulary.gating import AUTO_ROUNDS, RULES_PATHS, GatingSpec

RULE = "rule"
MAX_NAMED = 3


def ruling(
    gates: GatingSpec,
    gate: Gate,
    checks: Sequence[CheckResult],
    *,
    blockers: Sequence[str] = (),
    holds: Sequence[str] = (),
    aspects: tuple[str, ...] = (),
) -> tuple[str, str] | None:
    """The verdict that the evidence alone gives and the reason for it; None if the operator is to decide.

    Evidence passes a gate only if something was measured and all of it passed. What failed goes back where the mode is
    ``auto``, but not for ever: after ``AUTO_ROUNDS`` rounds the gate opens. Nothing measured, something in the way or a
    ``hold`` (a conflict, a migration, a reviewer's doubt) cannot be mended by another round, so it is the operator's.
    """
    mode = gates.mode(gate.place, aspects=aspects, subject=gate.subject)
    if mode == "human" or blockers or holds:
        return None
    failed = [check for check in checks if not check.has_passed]
    if checks and not failed:
        return "approve", f"every check passed: {', '.join(check.name for check in checks)}"
    if failed and mode == "auto" and gate.round < AUTO_ROUNDS:
        return "request_changes", f"not passed: {', '.join(f'{check.name} ({check.detail})' for check in failed)}"
    return None


def aspects_of(gates: GatingSpec, paths: Iterable[str]) -> dict[str, list[str]]:
    """The places that a change is about because of what it touches, each with those paths."""
    touched: dict[str, list[str]] = {}
    for path in paths:
        for place, patterns in (
            ("migration", gates.migrations),
            ("architecture", gates.architecture),
            ("rules", RULES_PATHS),
        ):
            if any(matches(path, pattern) for pattern in patterns):
                touched.setdefault(place, []).append(path)
    return touched


def holds_of(aspects: dict[str, list[str]], conflicts: Sequence[str] = ()) -> list[str]:
    """Why no rule may pass a change with these aspects."""
    out = [f"conflicts in {_some(conflicts)}: somebody has to look"] if conflicts else []
    if paths := aspects.get("migration"):
        out.append(f"a migration is yours to decide: it changes {_some(paths)}")
    if paths := aspects.get("rules"):
        out.append(f"what the swarm is ruled by is yours to decide: it changes {_some(paths)}")
    return out


def matches(path: str, pattern: str) -> bool:
    """Whether a repository-relative path is what a pattern names, or lies below it. ``*`` stays within a directory,
    ``**`` does not; a pattern without a slash is about a name in any directory."""
    return _compiled(pattern).fullmatch(path) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/?|\*|\?)", pattern)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    head = "" if "/" in pattern else "(?:.*/)?"
    return re.compile(f"{head}{''.join(words.get(part, re.escape(part)) for part in parts)}(?:/.*)?", re.DOTALL)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{', '.join(names[:MAX_NAMED])}{more}"
