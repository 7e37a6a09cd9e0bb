"""Whoever counts calls is asked before each attempt, and told exactly once how it ended, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.agents import Desk, Turns, handoff, text, turn

from swarm_core.agents.admission import Admission, Call, Pacing, most_input_tokens
from swarm_core.agents.coordination import Handoff
from swarm_core.agents.loop import AgentLoop
from swarm_core.agents.model import Model, ModelEvent, ModelRequest, TextDelta, Turn
from swarm_core.agents.transcript import Transcript
from swarm_core.tools.base import ToolDefinition
from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.errors import ModelError, ModelFailure


class Counter:
    """An Admission that writes down what it is asked and told, in a list it may share with others."""

    def __init__(self, name: str, told: list[str], refusal: ModelError | None = None) -> None:
        self.name, self.told, self.refusal = name, told, refusal
        self.calls: list[Call] = []
        self.endings: list[tuple[Turn | None, ModelError | None]] = []

    async def enter(self, call: Call) -> Counter:
        self.told.append(f"{self.name} enter")
        self.calls.append(call)
        if self.refusal is not None:
            raise self.refusal
        return self

    def settle(self, turn: Turn | None, error: ModelError | None) -> None:
        self.told.append(f"{self.name} settle")
        self.endings.append((turn, error))


class Pacer(Counter):
    """One that holds everybody back after a limit."""

    def held_s(self, error: ModelError) -> float | None:
        return 7.0 if error.kind is ModelFailure.LIMIT else None


def looped(desk: Desk, model: Model, *admissions: Admission) -> AgentLoop:
    loop = desk.loop(model)
    loop._admissions = admissions
    return loop


def error(kind: ModelFailure, wait_s: float | None = None) -> ModelError:
    return ModelError("no luck", kind=kind, wait_s=wait_s)


async def test_all_are_asked_in_their_order_and_told_in_the_other(tmp_path: Path) -> None:
    told: list[str] = []
    one, two = Counter("one", told), Counter("two", told)
    desk = Desk(tmp_path)
    outcome = await looped(desk, Turns(turn(handoff())), one, two).run("iteration: 1\n\nwork")

    assert isinstance(outcome, Handoff)
    assert told == ["one enter", "two enter", "two settle", "one settle"]
    ((ended, failed),) = one.endings
    assert ended is not None
    assert (ended.usage.output_tokens, failed) == (100, None)
    (call,) = one.calls
    assert (call.agent, call.service, call.task) == ("backend-1", "backend", "task_001")
    assert (call.model, call.max_tokens) == ("claude-sonnet-5-5", 16_000)


async def test_each_attempt_is_settled_once_with_why_there_is_no_turn(tmp_path: Path) -> None:
    told: list[str] = []
    counter = Counter("one", told)
    failures = [error(ModelFailure.OVERLOAD), error(ModelFailure.TRANSPORT)]
    await looped(Desk(tmp_path), Turns(*failures, turn(handoff())), counter).run("iteration: 1\n\nwork")

    assert told == ["one enter", "one settle"] * 3
    assert [failed for _, failed in counter.endings] == [*failures, None]
    assert [ended is None for ended, _ in counter.endings] == [True, True, False]


async def test_a_refusal_ends_the_attempt_and_settles_only_who_had_agreed(tmp_path: Path) -> None:
    told: list[str] = []
    refusal = error(ModelFailure.SPEND)
    admissions = Counter("one", told), Counter("two", told, refusal), Counter("three", told)
    model = Turns(turn(handoff()))
    with pytest.raises(ModelError) as caught:
        await looped(Desk(tmp_path), model, *admissions).run("iteration: 1\n\nwork")

    assert caught.value is refusal
    assert told == ["one enter", "two enter", "one settle"]
    assert admissions[0].endings == [(None, refusal)]
    assert model.requests == [], "no call was made"


async def test_who_is_cancelled_in_a_call_or_while_waiting_for_leave_settles_with_neither(tmp_path: Path) -> None:
    class Endless(Turns):
        async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
            self.requests.append(request)
            yield TextDelta("and so on")
            await asyncio.Event().wait()

    class Closed(Counter):
        async def enter(self, call: Call) -> Counter:
            await super().enter(call)
            await asyncio.Event().wait()
            return self

    for number, second in enumerate((Counter("two", []), Closed("two", []))):
        counter, model = Counter("one", []), Endless()
        desk = Desk(tmp_path / str(number))
        running = asyncio.create_task(looped(desk, model, counter, second).run("iteration: 1\n\nwork"))
        async with asyncio.timeout(10):
            while not (model.requests or (second.calls and isinstance(second, Closed))):
                await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert counter.endings == [(None, None)]
        assert second.endings == ([] if isinstance(second, Closed) else [(None, None)])


async def test_where_everybody_waits_the_agent_does_not_wait_for_itself(tmp_path: Path) -> None:
    desk, pacer = Desk(tmp_path), Pacer("one", [])
    limits = [error(ModelFailure.LIMIT, 30.0)] * 50
    outcome = await looped(desk, Turns(*limits, turn(handoff())), pacer).run("iteration: 1\n\nwork")

    assert isinstance(outcome, Handoff)
    assert isinstance(pacer, Pacing)
    assert desk.clock.slept == []
    retries = [draft.data for draft in desk.reports if draft.kind == "llm.retry"]
    assert [(each["wait_s"], each["attempt"]) for each in retries] == [(7.0, n) for n in range(1, 51)]


async def test_what_nobody_holds_is_waited_out_as_ever(tmp_path: Path) -> None:
    desk, pacer = Desk(tmp_path), Pacer("one", [])
    with pytest.raises(ModelError):
        await looped(desk, Turns(*[error(ModelFailure.OVERLOAD)] * 4), pacer).run("iteration: 1\n\nwork")

    assert len(pacer.endings) == 4
    assert len(desk.clock.slept) == 3


async def test_an_outage_that_everybody_waits_out_is_given_up_at_last(tmp_path: Path) -> None:
    class Outage(Pacer):
        def held_s(self, error: ModelError) -> float | None:
            return 1.0

    pacer = Outage("one", [])
    with pytest.raises(ModelError):
        await looped(Desk(tmp_path), Turns(*[error(ModelFailure.OVERLOAD)] * 99), pacer).run("iteration: 1\n\nwork")
    assert 30 < len(pacer.endings) < 40


async def test_another_model_takes_a_turn_without_the_thinking_of_the_first(tmp_path: Path) -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    models = iter(["claude-opus-5-5", "claude-haiku-5-5", "claude-opus-5-5"])
    model = Turns(turn(thought, text("a")), turn(thought, text("b")), turn(handoff()))
    counter = Counter("one", [])
    loop = looped(Desk(tmp_path), model, counter)
    loop._choose = lambda: next(models)
    await loop.run("iteration: 1\n\nwork")

    assert [request.model for request in model.requests] == [call.model for call in counter.calls]
    kept = [[thought in m["content"] for m in r.messages if m["role"] == "assistant"] for r in model.requests]
    assert kept == [[], [False], [True, False]]


TEXTS = st.text(max_size=400)
TOOLS = st.lists(st.builds(ToolDefinition, st.just("Read"), TEXTS, st.just({"type": "object"})), max_size=3)


@given(TEXTS, TOOLS, TEXTS, st.lists(TEXTS, max_size=5), st.integers(0, 10**6))
def test_no_request_has_more_tokens_than_were_said_to_be_the_most(
    tmp_path_factory: pytest.TempPathFactory,
    system: str,
    tools: list[ToolDefinition],
    opening: str,
    nudges: list[str],
    known_tokens: int,
) -> None:
    """A token is at least a byte of what is sent; what the last turn had is known."""
    transcript = Transcript(tmp_path_factory.mktemp("t") / "t.jsonl")
    transcript.load()
    transcript.open_iteration(1, opening)
    new = len(opening.encode())
    for nudge in nudges:
        transcript.add_nudge(nudge)
        new += len(nudge.encode())
    request = ModelRequest("m", system, transcript.messages, tools)
    described = sum(len(tool.description.encode()) for tool in tools)
    assert most_input_tokens(request, transcript) >= len(system.encode()) + described + new

    usage = Usage(input_tokens=known_tokens, output_tokens=7, cache_read_tokens=5, cache_write_tokens=3)
    transcript.add_turn(Turn([text("x")], "end_turn", usage, "m"))
    transcript.add_nudge(opening)
    transcript.close()
    again = ModelRequest("m", system, transcript.messages, tools)
    assert most_input_tokens(again, transcript) >= known_tokens + 15 + len(opening.encode())
