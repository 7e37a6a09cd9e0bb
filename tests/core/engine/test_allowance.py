"""The time of a task: its own passes, others' does not."""

from __future__ import annotations

import asyncio

import pytest

from swarm_core.engine.allowance import Allowance


async def test_time_of_its_own_runs_out() -> None:
    with pytest.raises(TimeoutError):
        async with Allowance(0.02):
            await asyncio.Event().wait()


async def test_waiting_for_others_is_not_counted_however_long_and_by_how_many() -> None:
    allowance = Allowance(0.2)
    loop = asyncio.get_running_loop()

    async def wait(seconds: float) -> None:
        with allowance.excused():
            await asyncio.sleep(seconds)

    async def work() -> None:
        async with allowance:
            await asyncio.gather(wait(0.3), wait(0.5))
            await asyncio.Event().wait()

    began_s = loop.time()
    with pytest.raises(TimeoutError):
        await work()
    assert loop.time() - began_s > 0.5


async def test_leaving_while_excused_does_no_harm() -> None:
    allowance = Allowance(5.0)

    async def leave() -> None:
        async with allowance:
            with allowance.excused():
                raise KeyError

    with pytest.raises(KeyError):
        await leave()
