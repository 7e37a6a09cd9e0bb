"""The loop that makes time up: seeded order, and moments that are asked for."""

from __future__ import annotations

import asyncio
from random import Random

from swarm_core.simulation.loop import SimulatedLoop


def test_what_is_due_at_the_same_step_happens_in_the_order_it_was_asked_for() -> None:
    loop, seen = SimulatedLoop(Random(1)), list[str]()
    loop.at_step(9, lambda: seen.append("later"))
    loop.at_step(3, lambda: seen.append("first"))
    loop.call_later(5, loop.stop)
    loop.at_step(9, lambda: seen.append("last"))
    loop.run_until_complete(asyncio.sleep(0))
    for name in "abcdefghijkl":
        loop.call_soon(seen.append, name)
    loop.run_forever()
    loop.close()

    assert [name for name in seen if len(name) > 1] == ["first", "later", "last"]
