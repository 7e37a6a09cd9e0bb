"""The port's contract, held by both models: the same turn looks the same whoever gave it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import Desk
from tests.support.messages_server import Answer, MessagesServer, failure, turn_events

from swarm_core.agents.anthropic_model import AnthropicModel
from swarm_core.agents.coordination import Handoff
from swarm_core.agents.model import Model, ModelRequest, TextDelta, ThinkingDelta, Turn
from swarm_core.agents.script import Script, ScriptedCall, ScriptedTurn
from swarm_core.agents.scripted_model import ScriptedModel
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import ModelError, ModelFailure

TURNS = (
    ScriptedTurn(
        think="Two files, then a look.",
        say="I write them.\nBoth.",
        do=(
            ScriptedCall("Write", {"file_path": "a.py", "content": "A = 'ü\u2028'\n"}),
            ScriptedCall("Bash", {"command": "python a.py"}),
        ),
        input_tokens=1200,
        output_tokens=80,
    ),
    ScriptedTurn(say="A word in between.", input_tokens=1400, output_tokens=9),
    ScriptedTurn(do=(ScriptedCall("handoff", {"what_i_did": "two files"}),), input_tokens=1500, output_tokens=30),
)


def blocks_of(turn: ScriptedTurn) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if turn.think:
        blocks.append({"type": "thinking", "thinking": turn.think, "signature": "c2ln"})
    if turn.say:
        blocks.append({"type": "text", "text": turn.say})
    for number, call in enumerate(turn.do):
        id = f"toolu_{TURNS.index(turn) if turn in TURNS else 0}_{number}"
        blocks.append({"type": "tool_use", "id": id, "name": call.tool, "input": dict(call.args)})
    return blocks


@contextlib.asynccontextmanager
async def scripted(turns: tuple[ScriptedTurn, ...]) -> AsyncIterator[Model]:
    yield ScriptedModel({"backend": Script("backend", turns)}, SystemClock(), speed=0.0)


@contextlib.asynccontextmanager
async def anthropic(turns: tuple[ScriptedTurn, ...]) -> AsyncIterator[Model]:
    answers = []
    for turn in turns:
        if turn.fault == "api_529":
            answers.append(failure(529, "overloaded_error"))
        usage = {"input_tokens": turn.input_tokens, "output_tokens": turn.output_tokens}
        answers.append(Answer(turn_events(blocks_of(turn), "tool_use" if turn.do else "end_turn", usage=usage)))
    async with MessagesServer(answers) as server:
        model = AnthropicModel(api_key="sk-test", base_url=server.base_url, clock=SystemClock())
        yield model
        await model.close()


both = pytest.mark.parametrize("make", [scripted, anthropic])
HINTS = {"service": "backend", "task": "task_001", "title": "Build", "iteration": "1"}
OPENING = {"role": "user", "content": "iteration: 1\n\nwork"}
REQUEST = ModelRequest("claude-sonnet-5-5", "", [OPENING], hints=HINTS)


@both
async def test_a_stream_is_its_words_and_then_one_whole_turn(make: Any) -> None:
    async with make(TURNS) as model:
        *deltas, last = [
            event async for event in model.stream(ModelRequest("claude-sonnet-5-5", "", [OPENING], hints=HINTS))
        ]

    first = TURNS[0]
    assert isinstance(last, Turn)
    assert not any(isinstance(delta, Turn) for delta in deltas)
    assert "".join(delta.text for delta in deltas if isinstance(delta, ThinkingDelta)) == first.think
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == first.say
    assert [block["type"] for block in last.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [(call["name"], call["input"]) for call in last.tool_calls] == [(c.tool, c.args) for c in first.do]
    assert len({call["id"] for call in last.tool_calls}) == 2
    assert (last.stop_reason, last.model) == ("tool_use", "claude-sonnet-5-5")
    assert (last.usage.input_tokens, last.usage.output_tokens, last.usage.calls) == (1200, 80, 1)


@both
async def test_a_whole_task_is_worked_through(make: Any, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    async with make(TURNS) as model:
        outcome = await desk.loop(model).run("iteration: 1\n\nwork")

    assert outcome == Handoff("two files")
    assert desk.toolbox.made == ["Write a.py", "Bash python a.py"]
    calls = [draft.data for draft in desk.reports if draft.kind == "llm.call"]
    assert [call["stop_reason"] for call in calls] == ["tool_use", "end_turn", "tool_use"]
    assert [call["input_tokens"] for call in calls] == [1200, 1400, 1500]


@both
async def test_a_failure_is_the_same_failure_and_the_next_attempt_succeeds(make: Any) -> None:
    async with make((ScriptedTurn(say="hello", fault="api_529"),)) as model:
        with pytest.raises(ModelError) as caught:
            _ = [event async for event in model.stream(REQUEST)]
        *_, last = [event async for event in model.stream(REQUEST)]

    assert caught.value.kind is ModelFailure.OVERLOAD
    assert isinstance(last, Turn)
