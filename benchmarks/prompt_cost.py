"""Claim: a swarm's prompts cost at most 1.05 times what they would cost a cache that never misses.

Eight agents of different services take forty turns each, through the engine's loop, tools and model, against a server
on loopback that bills as the provider's prompt cache does: entries by prefix, breakpoints, the twenty blocks it looks
back, the five minutes it remembers, and that an entry can be read only once the first answer has begun. The best
achievable figure follows from the sizes of the same requests: the shared prefix is written once, each token of a
conversation once, and everything else is read. Beside it: no cache at all, and a cache for each agent alone.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.support.prompt_swarm import Measured, Shape, measure, planned_usd

LIMIT = 1.05
MANY_CALLS = 12


def row(name: str, usd: float, best_usd: float) -> None:
    print(f"  {name:<34} {usd:>8.4f} USD {usd / best_usd:>7.3f}x")


def show(title: str, made: Measured) -> float:
    """Print a table and return the ratio to the best achievable."""
    shape, best = made.shape, made.best_usd
    print(f"{title}: {shape.agents} agents, {shape.turns} turns, {shape.model}, {made.prefix} tokens of prefix")
    row("best achievable (shared prefix)", best, best)
    row("this swarm, as billed", made.billed_usd, best)
    row("each agent with a cache of its own", made.unshared_usd, best)
    row("without a cache", made.uncached_usd, best)
    print(f"  {made.usage.cache_hit_rate or 0:.1%} of all prompt tokens were read from the cache")
    return made.billed_usd / best


def run(shape: Shape, calls: int = 1) -> Measured:
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(measure(Path(directory), shape, calls=calls))


def main() -> int:
    shape = Shape()
    made = run(shape)
    ratios = [show("the cost of a swarm's prompts", made)]
    planned = planned_usd(shape)
    ratios.append(made.billed_usd / planned)
    print(f"  planned from {shape.prefix} tokens and {shape.growth} a turn: {planned:.4f} USD, {ratios[-1]:.3f}x")
    many = Shape(turns=10, prefix=shape.prefix)
    ratios.append(show(f"{MANY_CALLS} calls a turn", run(many, MANY_CALLS)))
    print(f"  worst {max(ratios):.3f}x, goal ≤ {LIMIT}x: {'met' if max(ratios) <= LIMIT else 'MISSED'}")
    return 0 if max(ratios) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
