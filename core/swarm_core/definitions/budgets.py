"""The ``budgets:`` of ``multi-agent.yaml``: limits by scope and dimension."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from swarm_core.vocabulary.budgets import DIMENSIONS, RUN_SCOPE
from swarm_core.vocabulary.spec import BudgetSpec

from .marked import Marked

MAX_COUNT = 10**15
PHASES_WITH_CALLS = ("plan", "build")


def read_budgets(root: Marked, services: Collection[str]) -> tuple[BudgetSpec, ...]:
    """The limits under ``run``, ``task``, ``phase.<plan|build>`` and ``service.<name>``.

    Raises ConfigurationError with ``file:line``.
    """
    scopes = root.fields(("run", "task", "phase", "service"))
    found: list[BudgetSpec] = []
    for scope in (RUN_SCOPE, "task"):
        if scope in scopes:
            found += _limits(scope, scopes[scope])
    for group, names in (("phase", PHASES_WITH_CALLS), ("service", services)):
        if group in scopes:
            for name, limits in scopes[group].fields(names).items():
                found += _limits(f"{group}.{name}", limits)
    return tuple(found)


def _limits(scope: str, marked: Marked) -> Iterator[BudgetSpec]:
    for dimension, value in marked.fields(DIMENSIONS).items():
        yield BudgetSpec(scope, dimension, _limit(dimension, value))


def _limit(dimension: str, marked: Marked) -> float:
    match dimension:
        case "seconds":
            return marked.seconds()
        case "usd":
            return _dollars(marked)
    return float(marked.whole(1, MAX_COUNT))


def _dollars(marked: Marked) -> float:
    try:
        value = float(marked.text())
    except ValueError:
        value = math.nan
    if not 0 < value < MAX_COUNT:
        raise marked.wrong(f"{marked.text()!r} is not an amount of US dollars", "write it as 20 or 0.50")
    return value
