"""ScriptedModel: the right turn after any restart, words in pieces, and faults that happen once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.agents import Desk, SteppingClock

from swarm_core.agents.coordination import Handoff, Stalled, plan_tool
from swarm_core.agents.model import ModelEvent, ModelRequest, TextDelta, Turn
from swarm_core.agents.script import Script, ScriptedCall, ScriptedTurn, When
from swarm_core.agents.scripted_model import ScriptedCrash, ScriptedModel
from swarm_core.vocabulary.errors import ModelError, ModelFailure

SCRIPT = Script(
    "backend",
    (
        ScriptedTurn(
            say="One", do=(ScriptedCall("Write", {"file_path": "a", "content": "1"}),), when=When(iteration=1)
        ),
        ScriptedTurn(say="Two", do=(ScriptedCall("handoff", {"what_i_did": "first"}),), when=When(iteration=1)),
        ScriptedTurn(say="Again", do=(ScriptedCall("handoff", {"what_i_did": "second"}),), when=When("*api", 2)),
        ScriptedTurn(say="Other", when=When("Another task")),
    ),
)


def model(script: Script = SCRIPT, speed: float = 0.0, clock: SteppingClock | None = None) -> ScriptedModel:
    return ScriptedModel({script.service: script}, clock or SteppingClock(), speed)


def request(iteration: int = 1, **hints: str) -> ModelRequest:
    known = {"service": "backend", "task": "task_001", "title": "Build the api", "iteration": str(iteration)}
    messages = [{"role": "user", "content": f"iteration: {iteration}\n\nwork"}]
    return ModelRequest("claude-sonnet-5-5", "", messages, hints={**known, **hints})


async def test_each_round_plays_its_own_turns_and_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert await desk.loop(model()).run("iteration: 1\n\nwork", 1) == Handoff("first")
    assert await desk.loop(model()).run("iteration: 2\n\nmore", 2) == Handoff("second")

    whole = desk.transcript_path.read_bytes().splitlines(keepends=True)
    for kept in range(1, len(whole)):
        again = Desk(tmp_path / str(kept))
        again.transcript_path.write_bytes(b"".join(whole[:kept]))
        iteration = 2 if any(b'"iteration":2' in line for line in whole[:kept]) else 1
        await again.loop(model()).run("iteration: 1\n\nwork", iteration)
        await again.loop(model()).run("iteration: 2\n\nmore", 2)
        assert again.transcript_path.read_bytes() == b"".join(whole)


async def test_a_script_without_a_turn_left_says_so_and_hands_off(tmp_path: Path) -> None:
    empty = Script("backend", ())
    desk = Desk(tmp_path)

    assert isinstance(await desk.loop(model(empty)).run("iteration: 1\n\nwork"), Handoff)
    assert "no turn left" in desk.log_path.read_text()
    planner = Desk(tmp_path / "planner")
    loop = planner.loop(model(empty), ending=plan_tool(["backend"]))
    assert isinstance(await loop.run("iteration: 1\n\nplan"), Stalled)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("api_529", ModelFailure.OVERLOAD, 0),
        ("api_429", ModelFailure.LIMIT, 0),
        ("drop", ModelFailure.TRANSPORT, 2),
        ("silent", ModelFailure.SILENT, 2),
    ],
)
async def test_a_fault_fails_one_attempt_of_one_turn(fault: str, kind: ModelFailure, words: int) -> None:
    player = model(Script("backend", (ScriptedTurn(say="one two three four", fault=fault),)))
    heard: list[ModelEvent] = []

    async def listen() -> None:
        async for event in player.stream(request()):
            heard.append(event)

    with pytest.raises(ModelError) as caught:
        await listen()
    assert (caught.value.kind, len(heard)) == (kind, words)

    *pieces, last = [event async for event in player.stream(request())]
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == "one two three four"
    assert isinstance(last, Turn)
    with pytest.raises(ModelError):
        _ = [event async for event in player.stream(request(task="task_002"))]


@pytest.mark.parametrize("fault", ["drop", "silent"])
async def test_a_fault_happens_even_in_a_turn_without_words(fault: str) -> None:
    player = model(Script("backend", (ScriptedTurn(do=(ScriptedCall("Bash"),), fault=fault),)))
    with pytest.raises(ModelError):
        _ = [event async for event in player.stream(request())]


async def test_a_crash_ends_the_agent_and_the_next_start_goes_on(tmp_path: Path) -> None:
    done = ScriptedTurn(do=(ScriptedCall("handoff", {"what_i_did": "it"}),), fault="crash")
    player, desk = model(Script("backend", (done,))), Desk(tmp_path)
    with pytest.raises(ScriptedCrash):
        await desk.loop(player).run("iteration: 1\n\nwork")

    assert await desk.loop(player).run("iteration: 1\n\nwork") == Handoff("it")


async def test_speed_scales_every_pause_and_zero_has_none() -> None:
    script = Script("backend", (ScriptedTurn(say="one two three", pause_s=2.0),))
    slept: Mapping[float, SteppingClock] = {speed: SteppingClock() for speed in (0.0, 1.0, 0.5)}
    for speed, clock in slept.items():
        _ = [event async for event in model(script, speed, clock).stream(request())]

    assert slept[0.0].slept == []
    assert sum(slept[1.0].slept) == pytest.approx(2 * sum(slept[0.5].slept))
    assert slept[1.0].slept[0] == 2.0


async def test_a_service_without_a_script_is_named() -> None:
    with pytest.raises(ModelError, match=r"devops(.|\n)*devops\.yaml") as caught:
        _ = [event async for event in model().stream(request(service="devops"))]
    assert caught.value.kind is ModelFailure.REQUEST
