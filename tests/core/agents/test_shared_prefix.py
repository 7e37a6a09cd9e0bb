"""Agents that start together do not all pay for writing the prefix they share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.agents import text, turn
from tests.support.crew import HandClock, eventually

from swarm_core.agents.model import LONG_CACHE_TTL_S, ModelEvent, ModelRequest, TurnBegun
from swarm_core.agents.shared_prefix import SharedPrefix, prefix_key
from swarm_core.vocabulary.errors import ModelError, ModelFailure

LONG = "Be good. " * 2_000


class Provider:
    """Holds every call until it is let on, first to begin its answer and then to end it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begin: dict[str, asyncio.Event] = {}
        self.fails: set[str] = set()
        self.closed = False

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        name = request.hints["task"]
        self.asked.append(name)
        await self.begin.setdefault(name, asyncio.Event()).wait()
        if name in self.fails:
            raise ModelError("the model's server answered 529", kind=ModelFailure.OVERLOAD)
        yield TurnBegun()
        yield turn(text("done"))

    async def close(self) -> None:
        self.closed = True


class Swarm:
    """Calls by name through a SharedPrefix."""

    def __init__(self) -> None:
        self.provider, self.clock = Provider(), HandClock()
        self.shared = SharedPrefix(self.provider, self.clock)
        self.calls: dict[str, asyncio.Task[list[ModelEvent]]] = {}

    def call(self, name: str, *, system: str = LONG, model: str = "claude-sonnet-5-5", ttl_s: int = 300) -> None:
        request = ModelRequest(
            model, system, [{"role": "user", "content": name}], cache_ttl_s=ttl_s, hints={"task": name}
        )

        async def all_of_it() -> list[ModelEvent]:
            return [event async for event in self.shared.stream(request)]

        self.calls[name] = asyncio.create_task(all_of_it())

    def begin(self, *names: str) -> None:
        for name in names:
            self.provider.begin.setdefault(name, asyncio.Event()).set()

    async def asked(self, *names: str) -> None:
        """Wait until exactly these have reached the provider."""
        await eventually(lambda: len(self.provider.asked) >= len(names), f"{names} at the provider")
        for _ in range(20):
            await asyncio.sleep(0)
        assert sorted(self.provider.asked) == sorted(names)

    async def end(self) -> None:
        self.begin(*self.calls)
        await asyncio.gather(*self.calls.values())


async def test_siblings_wait_for_the_first_event_of_the_one_that_started() -> None:
    swarm = Swarm()
    for name in "abcd":
        swarm.call(name)
    await swarm.asked("a")
    swarm.begin("a")
    await swarm.asked("a", "b", "c", "d")
    await swarm.end()
    assert len(swarm.calls["d"].result()) == 2, "nothing of the answer is lost"


async def test_other_prefixes_other_models_and_short_prefixes_do_not_wait() -> None:
    swarm = Swarm()
    swarm.call("a")
    swarm.call("b", system=LONG + "And brave.")
    swarm.call("c", model="claude-opus-5-5")
    swarm.call("d", system="Be good.")
    swarm.call("e", system="Be good.")
    await swarm.asked("a", "b", "c", "d", "e")
    await swarm.end()


async def test_nobody_waits_longer_than_the_cap() -> None:
    swarm = Swarm()
    swarm.call("a")
    swarm.call("b")
    await swarm.asked("a")
    await eventually(lambda: bool(swarm.clock.slept))
    assert swarm.clock.slept == [5.0]
    swarm.clock.advance(5.0)
    await swarm.asked("a", "b")
    await swarm.end()


async def test_when_the_first_one_fails_the_next_one_goes_alone() -> None:
    swarm = Swarm()
    swarm.provider.fails.add("a")
    for name in "abc":
        swarm.call(name)
    await swarm.asked("a")
    swarm.begin("a")
    with pytest.raises(ModelError):
        await swarm.calls.pop("a")
    await swarm.asked("a", "b")
    swarm.begin("b")
    await swarm.asked("a", "b", "c")
    await swarm.end()


async def test_a_cancelled_first_one_lets_the_next_one_go() -> None:
    swarm = Swarm()
    swarm.call("a")
    swarm.call("b")
    await swarm.asked("a")
    swarm.calls.pop("a").cancel()
    await swarm.asked("a", "b")
    await swarm.end()


@pytest.mark.parametrize("ttl_s", [300, LONG_CACHE_TTL_S])
async def test_it_is_so_again_after_the_cache_forgot(ttl_s: int) -> None:
    swarm = Swarm()
    swarm.call("a", ttl_s=ttl_s)
    await swarm.end()
    swarm.clock.advance(ttl_s - 1)
    swarm.call("b")  # in time, and what it used lives on for its own five minutes
    await swarm.asked("a", "b")
    await swarm.end()
    swarm.clock.advance(301)
    swarm.call("c")
    swarm.call("d")
    await swarm.asked("a", "b", "c")
    swarm.begin("c")
    await swarm.asked("a", "b", "c", "d")
    await swarm.end()


async def test_closing_reaches_the_model() -> None:
    swarm = Swarm()
    await swarm.shared.close()
    assert swarm.provider.closed


def test_the_key_is_the_prefix_and_not_the_conversation() -> None:
    one = ModelRequest("claude-sonnet-5-5", LONG, [{"role": "user", "content": "a"}])
    assert prefix_key(one) == prefix_key(ModelRequest("claude-sonnet-5-5", LONG, []))
    assert prefix_key(one) != prefix_key(ModelRequest("claude-sonnet-5-5", LONG + ".", []))
