"""Budgets: what a limit is about, what was spent of it, and how both read.

A scope is ``run``, ``phase.build``, ``service.backend`` or ``task.task_001``; a budget is a scope and a dimension:
``run.usd``. Amounts are whole numbers of the smallest unit (tokens, millionths of a US dollar, milliseconds, calls), so
that no sum depends on its order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .entities import Task

DIMENSIONS = ("tokens", "usd", "seconds", "iterations")
UNITS: Mapping[str, int] = {"tokens": 1, "usd": 1_000_000, "seconds": 1_000, "iterations": 1}
RUN_SCOPE = "run"
WARNING_SHARE = 0.8
RAISE_BY = 0.5
_ROOM_FOR_CALLS = 4


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit and what was spent of it when its status last changed, in the dimension's unit (tokens, usd, seconds,
    iterations). See ``budgets`` for scopes. ``round`` counts how often it was used up, ``asked`` is what the call may
    use for which it did not suffice.
    """

    id: str
    scope: str = "run"
    dimension: str = "tokens"
    limit: float = 0.0
    spent: float = 0.0
    status: str = "ok"
    round: int = 0
    asked: float = 0.0


@dataclass(frozen=True, slots=True)
class Amounts:
    """What calls used, or may use at most: ``tokens``, money in millionths of a dollar, time in ms, and how many."""

    tokens: int = 0
    micro_usd: int = 0
    ms: int = 0
    calls: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.tokens + other.tokens,
            self.micro_usd + other.micro_usd,
            self.ms + other.ms,
            self.calls + other.calls,
        )

    def of(self, dimension: str) -> int:
        """The amount of a dimension in its smallest unit."""
        match dimension:
            case "tokens":
                return self.tokens
            case "usd":
                return self.micro_usd
            case "seconds":
                return self.ms
        return self.calls

    def data(self) -> dict[str, int]:
        """As the journal has it; ``Amounts.read`` reads it back."""
        return {"tokens": self.tokens, "micro_usd": self.micro_usd, "ms": self.ms, "calls": self.calls}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Amounts:
        return cls(*(max(0, int(data.get(name, 0))) for name in ("tokens", "micro_usd", "ms", "calls")))


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A model call that was begun and not settled, and the most it may use."""

    scopes: tuple[str, ...]
    most: Amounts


def scopes_of(task: Task, service: str = "") -> tuple[str, ...]:
    """Everything whose budget a call for ``task`` uses up; ``service`` is whose agent makes it."""
    phase = "plan" if task.is_planning else "build"
    return (RUN_SCOPE, f"phase.{phase}", f"service.{service or task.assigned_to}", f"task.{task.id}")


def smallest(value: float, dimension: str) -> int:
    """A limit in the dimension's smallest unit."""
    return round(value * UNITS[dimension])


def share(budget: Budget, spent: int) -> float:
    """How much of a budget is spent, 1.0 being all of it."""
    limit = smallest(budget.limit, budget.dimension)
    return spent / limit if limit > 0 else 1.0


def raised_limit(budget: Budget) -> float:
    """The limit a raise without a figure leads to: half as much again, and room for a few calls like the last one."""
    unit = UNITS[budget.dimension]
    needed = budget.spent + _ROOM_FOR_CALLS * budget.asked
    raised = max(budget.limit * (1 + RAISE_BY), needed)
    step = unit // 100 if budget.dimension == "usd" else unit  # whole cents, tokens, seconds
    return -(-smallest(raised, budget.dimension) // step) * step / unit


def figure(text: str) -> float | None:
    """The limit a person's note names (``25``, ``$7.50``, ``to 25``); None if it names none."""
    words = text.replace("$", " ").replace(",", "").split()
    if words[:1] == ["to"]:
        words = words[1:]
    try:
        value = float(words[0]) if words else -1.0
    except ValueError:
        return None
    return value if 0 < value < 1e15 else None


def in_units(spent: int, dimension: str) -> float:
    return spent / UNITS[dimension]


def said(value: float, dimension: str) -> str:
    """``$4.98``, ``12,000 tokens``, ``90 s``, ``40 calls``."""
    if dimension == "usd":
        return f"${value:,.2f}" if value >= 1 or not value else f"${value:,.4f}"
    if dimension == "seconds":
        return f"{value:,.0f} s"
    return f"{value:,.0f} {'calls' if dimension == 'iterations' else dimension}"


def told(budget: Budget, spent: int) -> str:
    """``$4.98 of $5.00 (99 %)``."""
    used = said(in_units(spent, budget.dimension), budget.dimension)
    return f"{used} of {said(budget.limit, budget.dimension)} ({int(share(budget, spent) * 100)} %)"
