"""Coroutines under virtual time: hours pass in no time, and a seed is an interleaving."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

from swarm_core.simulation.loop import SimulatedClock, SimulatedLoop

T = TypeVar("T")


def in_virtual_time(play: Callable[[SimulatedClock], Awaitable[T]], seed: int = 0) -> T:
    """What ``play`` returns; fails if a task or a callback raised and nobody looked."""
    loop = SimulatedLoop(Random(seed))

    async def whole() -> T:
        return await play(SimulatedClock(loop))

    try:
        result = loop.run_until_complete(whole())
        assert loop.complaints == []
        return result
    finally:
        loop.close()
