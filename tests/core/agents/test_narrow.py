"""The loop and admissions that give less than was asked for: fewer output tokens, less time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.agents import Desk, Turns, handoff, turn

from swarm_core.agents.admission import Call
from swarm_core.agents.model import ModelEvent, ModelRequest, TextDelta, Turn
from swarm_core.vocabulary.errors import ModelError


class Narrowed:
    """An admission that gives little; ``told`` is what it heard, in order."""

    def __init__(self, max_tokens: int, max_s: float | None) -> None:
        self.max_tokens, self.max_s = max_tokens, max_s
        self.told: list[str] = []

    async def enter(self, call: Call) -> Narrowed:
        self.told.append("asked")
        return self

    def made(self) -> None:
        self.told.append("made")

    def settle(self, turn: Turn | None, error: ModelError | None) -> None:
        self.told.append("turn" if turn else str(error and error.kind))


class Silence:
    """A model that never answers."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        await asyncio.Event().wait()
        yield TextDelta("never")

    async def close(self) -> None: ...


async def test_a_call_asks_for_no_more_output_than_it_was_admitted_for(tmp_path: Path) -> None:
    model, narrow = Turns(turn(handoff())), Narrowed(1_234, None)
    await Desk(tmp_path).loop(model, admissions=[narrow]).run("iteration: 1\n\nwork")
    assert [request.max_tokens for request in model.requests] == [1_234]
    assert narrow.told == ["asked", "made", "turn"]


async def test_a_call_that_takes_longer_than_it_was_admitted_for_is_cut_off(tmp_path: Path) -> None:
    narrow = Narrowed(16_000, 0.01)
    with pytest.raises(ModelError, match=r"the budget left 0\.01 s"):
        await Desk(tmp_path).loop(Silence(), admissions=[narrow]).run("iteration: 1\n\nwork")
    assert narrow.told[:3] == ["asked", "made", "truncated"]
