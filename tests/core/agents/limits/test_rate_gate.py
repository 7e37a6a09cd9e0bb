"""The gate under virtual time: order, limits that everybody waits out, trouble that one call finds out about."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.virtual import in_virtual_time

from swarm_core.agents.admission import Call
from swarm_core.agents.limits.breaker import Breaker
from swarm_core.agents.limits.gates import RateGates
from swarm_core.agents.limits.rate_gate import AGEING_S, Notice, RateGate, Ticket
from swarm_core.agents.limits.window import Window
from swarm_core.agents.model import Turn
from swarm_core.simulation.loop import SimulatedClock
from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.errors import ModelError, ModelFailure

MODEL = "claude-sonnet-5-5"
DONE = Turn([], "end_turn", Usage(1_000, 100), MODEL)


def call(agent: str = "a-1") -> Call:
    return Call(agent, "a", "task_001", MODEL, 2_000, 8_000)


def failed(kind: ModelFailure, wait_s: float | None = None) -> ModelError:
    return ModelError("no luck", kind=kind, wait_s=wait_s)


def gates(clock: SimulatedClock, window: float | None = None) -> tuple[RateGates, RateGate, list[Notice]]:
    made = RateGates(clock, Random(7), window=window)
    notices: list[Notice] = []
    made.listeners.append(notices.append)
    return made, made.gate("p", MODEL), notices


def told(made: RateGates, requests: int, status: int = 200, *, per_minute: int = 60) -> None:
    start = "anthropic-ratelimit-requests"
    made.observer("p")(MODEL, status, {f"{start}-limit": str(per_minute), f"{start}-remaining": str(requests)})


class _Single(Window):
    """A window of one, whatever happens."""

    def succeeded(self, under_way: int) -> None: ...
    def shrink(self, under_way: int, now_s: float) -> None: ...


def single(clock: SimulatedClock) -> RateGate:
    """A gate that has one call under way at a time."""
    breakers = [Breaker(name, Random(1)) for name in ("p/m", "p")]
    return RateGate("p/m", clock, Random(1), breaker=breakers[0], line=breakers[1], window=_Single(1))


async def let_in(gate: RateGate, agents: dict[str, float], each_s: float = 1.0) -> list[str]:
    """Who entered, in order, when all ask at the same time and one may be inside."""
    order: list[str] = []

    async def one(agent: str, rank: float) -> None:
        ticket = await gate.enter(call(agent), rank)
        order.append(agent)
        await asyncio.sleep(each_s)
        ticket.settle(DONE, None)

    first = await gate.enter(call("first"))
    tasks = [asyncio.create_task(one(agent, rank)) for agent, rank in agents.items()]
    await asyncio.sleep(1)
    first.settle(DONE, None)
    await asyncio.gather(*tasks)
    return order


def test_who_ranks_higher_comes_first() -> None:
    async def play(clock: SimulatedClock) -> list[str]:
        gate = single(clock)
        return await let_in(gate, {"low": 0.0, "critical": 3.0, "medium": 1.0})

    for seed in range(10):
        assert in_virtual_time(play, seed) == ["critical", "medium", "low"]


def test_who_waits_long_enough_comes_before_whoever_ranks_higher() -> None:
    async def play(clock: SimulatedClock) -> int:
        """How many of an endless stream of critical calls went first."""
        gate = single(clock)
        holder = await gate.enter(call("first"))
        low = asyncio.create_task(gate.enter(call("low"), 0.0))
        await asyncio.sleep(1)
        overtook = 0
        while not low.done():
            waiting = asyncio.create_task(gate.enter(call(f"c-{overtook}"), 3.0))
            await asyncio.sleep(10)
            holder.settle(DONE, None)
            await asyncio.wait({waiting, low}, return_when=asyncio.FIRST_COMPLETED)
            if low.done():
                waiting.cancel()
                break
            holder, overtook = waiting.result(), overtook + 1
        return overtook

    overtook = in_virtual_time(play)
    assert 3 * AGEING_S / 10 * 0.8 < overtook < 4.2 * AGEING_S / 10


def test_a_limit_holds_everybody_until_it_passed_and_is_told_once() -> None:
    async def play(clock: SimulatedClock) -> tuple[list[float], list[Notice]]:
        _, gate, notices = gates(clock)
        tickets = [await gate.enter(call(f"a-{n}")) for n in range(20)]
        for ticket in tickets:
            ticket.settle(None, failed(ModelFailure.LIMIT, 7_999.0))
        entered: list[float] = []

        async def again(agent: str) -> None:
            (await gate.enter(call(agent))).settle(DONE, None)
            entered.append(clock.loop.time())

        await asyncio.gather(*(again(f"a-{n}") for n in range(20)))
        return entered, notices

    entered, notices = in_virtual_time(play)
    assert len(entered) == 20
    assert min(entered) >= 7_999 * 1.0
    assert max(entered) <= 7_999 + 5.1
    assert [notice.kind for notice in notices] == ["limit.reached"]
    assert notices[0].gate == "p/claude-sonnet"


def test_a_limit_without_a_time_is_waited_out_longer_each_time_and_counts_once_for_all_who_were_told_together() -> None:
    async def play(clock: SimulatedClock) -> list[float]:
        _, gate, _ = gates(clock)
        waits = []
        for _ in range(9):
            tickets = [await gate.enter(call(f"a-{n}")) for n in range(5)]
            await asyncio.sleep(0.1)
            for ticket in tickets:
                ticket.settle(None, failed(ModelFailure.LIMIT))
            waits.append(gate.limited_for_s)
        return waits

    waits = in_virtual_time(play)
    assert waits == sorted(waits)
    assert 1.0 <= waits[0] <= 1.1
    assert 60.0 <= waits[-1] <= 65.0


def test_requests_are_spread_over_the_minute_that_the_headers_name() -> None:
    async def play(clock: SimulatedClock) -> list[float]:
        made, gate, _ = gates(clock)
        told(made, 60)
        times: list[float] = []

        async def one(agent: str) -> None:
            ticket = await gate.enter(call(agent))
            times.append(clock.loop.time())
            ticket.settle(DONE, None)

        await asyncio.gather(*(one(f"a-{n}") for n in range(60)))
        return times

    times = in_virtual_time(play)
    assert len([at for at in times if at < 0.5]) == 5, "five seconds' worth may go at once"
    assert 54 <= max(times) <= 58
    for start in range(56):
        assert len([at for at in times if start <= at < start + 10]) <= 5 + 10


@given(
    st.lists(st.tuples(st.floats(0, 20), st.floats(0.1, 30), st.integers(0, 3)), min_size=1, max_size=40),
    st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=40)
def test_nobody_starves_and_every_reservation_is_given_back(asks: list[tuple[float, float, int]], seed: int) -> None:
    """However calls arrive, last and end (well, badly, cancelled), all of them get in and nothing stays reserved."""

    async def play(clock: SimulatedClock) -> None:
        made, gate, _ = gates(clock, window=4)
        start = "anthropic-ratelimit-{}"
        named = {"requests": 120, "input-tokens": 60_000, "output-tokens": 20_000}
        headers = {
            f"{start.format(name)}-{what}": str(n) for name, n in named.items() for what in ("limit", "remaining")
        }
        made.observer("p")(MODEL, 200, headers)
        entered: list[int] = []

        async def one(number: int, after_s: float, lasts_s: float, rank: int) -> None:
            await asyncio.sleep(after_s)
            ticket = await gate.enter(call(f"a-{number % 7}"), float(rank))
            entered.append(number)
            for bucket in gate.buckets.known.values():
                assert bucket.level >= -1e-6
            try:
                await asyncio.sleep(lasts_s)
            finally:
                outcomes: list[tuple[Turn | None, ModelError | None]] = [
                    (DONE, None),
                    (None, failed(ModelFailure.LIMIT, 1.0)),
                    (None, failed(ModelFailure.TRUNCATED)),
                    (None, None),
                ]
                ticket.settle(*outcomes[number % 4])
                ticket.settle(DONE, None)
                ticket.withdraw()

        tasks = [asyncio.create_task(one(n, *ask)) for n, ask in enumerate(asks)]
        async with asyncio.timeout(3_600):
            await asyncio.gather(*tasks)
        assert sorted(entered) == list(range(len(asks)))
        assert gate.under_way == 0
        assert all(abs(bucket.reserved) < 1e-6 for bucket in gate.buckets.known.values())

    in_virtual_time(play, seed)


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=25)
def test_cancelled_waiters_hold_nobody_up_and_keep_nothing(seed: int) -> None:
    async def play(clock: SimulatedClock) -> None:
        dice = Random(seed)
        gate = single(clock)

        async def one(agent: str) -> None:
            ticket = await gate.enter(call(agent))
            try:
                await asyncio.sleep(dice.random() * 2)
            finally:
                ticket.settle(None, None)

        tasks = [asyncio.create_task(one(f"a-{n}")) for n in range(30)]
        for task in dice.sample(tasks, 15):
            await asyncio.sleep(dice.random())
            task.cancel()
        async with asyncio.timeout(600):
            await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.under_way == 0
        assert gate.enter_now(call()) is not None

    in_virtual_time(play, seed)


def test_an_outage_is_found_out_about_by_one_call_at_a_time_and_is_over_for_all_at_once() -> None:
    async def play(clock: SimulatedClock) -> tuple[list[float], list[float], list[Notice]]:
        _, gate, notices = gates(clock, window=8)
        asked: list[float] = []
        done: list[float] = []

        async def agent(name: str) -> None:
            while True:
                ticket = await gate.enter(call(name))
                asked.append(clock.loop.time())
                await asyncio.sleep(0.5)
                if clock.loop.time() < 90:
                    ticket.settle(None, failed(ModelFailure.OVERLOAD))
                    continue
                ticket.settle(DONE, None)
                done.append(clock.loop.time())
                return

        await asyncio.gather(*(agent(f"a-{n}") for n in range(50)))
        return asked, done, notices

    asked, done, notices = in_virtual_time(play)
    during = [at for at in asked if at < 89.5]
    assert len(during) <= 8 + 10, "the first window, then one probe for each pause"
    probes = sorted(during)[8:]
    assert all(later - earlier > 1.0 for earlier, later in pairwise(probes))
    assert len(done) == 50
    assert max(done) < 90 + 32 * 1.3 + 30
    assert [notice.kind for notice in notices][-1] == "breaker.closed"
    assert {notice.kind for notice in notices} == {"breaker.opened", "breaker.closed"}


@pytest.mark.parametrize("kind", [ModelFailure.AUTH, ModelFailure.REQUEST, ModelFailure.SPEND, ModelFailure.LIMIT])
def test_a_server_that_refuses_is_not_a_server_in_trouble(kind: ModelFailure) -> None:
    async def play(clock: SimulatedClock) -> bool:
        _, gate, _ = gates(clock)
        for _ in range(12):
            (await gate.enter(call())).settle(None, failed(kind, 0.0))
        return gate.is_broken

    assert in_virtual_time(play) is False


def test_overload_is_of_one_class_of_models_and_a_lost_connection_of_the_whole_provider() -> None:
    async def play(clock: SimulatedClock) -> Counter[str]:
        seen: Counter[str] = Counter()
        for kind in (ModelFailure.OVERLOAD, ModelFailure.TRANSPORT):
            made, gate, _ = gates(clock)
            other = made.gate("p", "claude-haiku-5-5")
            stranger = made.gate("q", MODEL)
            for _ in range(4):
                (await gate.enter(call())).settle(None, failed(kind))
            assert gate.is_broken
            seen[f"{kind} other"] = other.is_broken
            seen[f"{kind} stranger"] = stranger.is_broken
            # whoever is let through first decides for all on that line
            held = asyncio.create_task(gate.enter(call("b-1")))
            await asyncio.sleep(0)
            probe = await other.enter(call("c-1"))
            probe.settle(DONE, None)
            (await held).settle(DONE, None)
            assert not gate.is_broken
        return seen

    assert in_virtual_time(play) == Counter(
        {"overload other": 0, "overload stranger": 0, "transport other": 1, "transport stranger": 0}
    )


def test_entering_at_once_is_for_when_nobody_waits() -> None:
    async def play(clock: SimulatedClock) -> list[bool]:
        gate = single(clock)
        first = gate.enter_now(call())
        second = gate.enter_now(call())
        assert first is not None
        waiting = asyncio.create_task(gate.enter(call("b-1")))
        await asyncio.sleep(1)
        first.settle(DONE, None)
        third = gate.enter_now(call())
        ticket: Ticket = await waiting
        ticket.withdraw()
        return [second is None, third is None, gate.enter_now(call()) is not None]

    assert in_virtual_time(play) == [True, True, True]


def test_a_limit_from_before_the_engine_stands_and_another_model_is_chosen_while_it_lasts() -> None:
    async def play(clock: SimulatedClock) -> None:
        made = RateGates(clock, Random(1))
        notices: list[Notice] = []
        made.listeners.append(notices.append)
        made.remember("p/claude-sonnet", 500.0)
        models = [MODEL, "claude-haiku-5-5"]
        assert made.choose("p", models) == "claude-haiku-5-5"
        assert made.choose("p", [MODEL]) == MODEL
        ticket = await made.gate("p", "claude-sonnet-4-6").enter(call())
        assert clock.loop.time() >= 500
        assert made.choose("p", models) == MODEL
        assert notices == [], "nobody is told what everybody knows"
        ticket.settle(None, failed(ModelFailure.LIMIT, 30.0))
        assert made.choose("p", models) == MODEL, "a short limit is waited for"

    in_virtual_time(play)
