"""Whose turn it is among equals: whoever was let in less often, within bounds.

First come, first served favours those whose turns are short: an agent with long ones asks seldom, waits as long each
time, and the swarm waits for it at the end. This is start-time fair queueing (Goyal, Vin and Cheng, 1996), where who
was away does not come back with a claim to all it did not use.
"""

from __future__ import annotations

RANK_OF_A_CALL = 0.1
MOST_BEHIND = 10


class Fairness:
    """Counts calls by agent, as far as they matter: nobody is further behind the swarm than ten calls."""

    def __init__(self) -> None:
        self._calls: dict[str, int] = {}
        self._now = 0

    def rank(self, agent: str) -> float:
        """To be added to an agent's rank; only differences mean something, and they are at most one rank."""
        return -RANK_OF_A_CALL * self._count(agent)

    def let_in(self, agent: str) -> None:
        self._calls[agent] = count = self._count(agent) + 1
        self._now = max(self._now, count)

    def _count(self, agent: str) -> int:
        return max(self._calls.get(agent, 0), self._now - MOST_BEHIND)
