"""How several runs share the agents that may work at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """What a run has at work, how many more it could begin, and when it last began something (any seconds)."""

    busy: int = 0
    waiting: int = 0
    began_s: float = 0.0


def fair_shares(limit: int, demands: Mapping[str, Demand]) -> dict[str, int]:
    """How many more agents each run may begin. Whoever has fewest at work comes first, then who began nothing for
    longest; nothing is left idle.

    Nobody is taken off: a run above its share gets nothing more until the others have caught up.
    """
    given = dict.fromkeys(demands, 0)
    free = limit - sum(demand.busy for demand in demands.values())
    while free > 0:
        hungry = [run for run, demand in demands.items() if given[run] < demand.waiting]
        if not hungry:
            return given
        poorest = min(hungry, key=lambda run: (demands[run].busy + given[run], demands[run].began_s, run))
        given[poorest] += 1
        free -= 1
    return given
