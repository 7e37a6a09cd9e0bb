"""Tokens and money by run, service, task, phase and feature; every way of adding them up gives the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .moments import amount

COUNTS = ("calls", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
GROUPS = ("service", "task", "phase", "feature")
MICRO = 1_000_000


class Spending:
    """Whole numbers: money in millionths of a US dollar, so that no sum depends on its order."""

    __slots__ = ("groups", "total")

    def __init__(self, groups: Iterable[str] = GROUPS) -> None:
        self.total: list[int] = [0] * (len(COUNTS) + 1)
        self.groups: dict[str, dict[str, list[int]]] = {group: {} for group in groups}

    def add(self, data: Mapping[str, Any], **keys: str) -> None:
        """Count one model call; ``data`` is that of ``llm.call``, ``keys`` name its row in each group."""
        amounts = [
            1,
            *(round(amount(data.get(name))) for name in COUNTS[1:]),
            round(amount(data.get("cost_usd")) * MICRO),
        ]
        keys.setdefault("feature", str(data.get("feature") or keys.get("phase", "")))
        rows = [rows.setdefault(keys[group], [0] * len(amounts)) for group, rows in self.groups.items()]
        for row in (self.total, *rows):
            for place, more in enumerate(amounts):
                row[place] += more

    @property
    def tokens(self) -> int:
        return sum(self.total[1:-1])

    def document(self) -> dict[str, Any]:
        """``run`` and ``by_`` each group, with its rows: counts, ``tokens``, money, ``cache_hit_rate``."""
        by = {f"by_{group}": {key: _row(rows[key]) for key in rows} for group, rows in self.groups.items()}
        return {"run": _row(self.total), **by}

    def freeze(self) -> dict[str, Any]:
        groups = {group: {key: list(row) for key, row in rows.items()} for group, rows in self.groups.items()}
        return {"total": list(self.total), "groups": groups}

    @classmethod
    def thaw(cls, frozen: Mapping[str, Any]) -> Spending:
        """Raises KeyError, TypeError or ValueError for what ``freeze`` did not make."""
        made = cls()
        made.total = _numbers(frozen["total"])
        for group in made.groups:
            made.groups[group] = {key: _numbers(row) for key, row in frozen["groups"][group].items()}
        return made


def _row(amounts: list[int]) -> dict[str, Any]:
    counts = dict(zip(COUNTS, amounts, strict=False))
    prompt = counts["input_tokens"] + counts["cache_read_tokens"] + counts["cache_write_tokens"]
    rate = round(counts["cache_read_tokens"] / prompt, 4) if prompt else None
    return {**counts, "tokens": sum(amounts[1:-1]), "cost_usd": amounts[-1] / MICRO, "cache_hit_rate": rate}


def _numbers(values: Iterable[Any]) -> list[int]:
    numbers = [int(value) for value in values]
    if len(numbers) != len(COUNTS) + 1:
        raise ValueError(f"{len(numbers)} amounts where {len(COUNTS) + 1} belong")
    return numbers
