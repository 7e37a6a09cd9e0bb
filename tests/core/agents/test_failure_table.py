"""Every way a model call can go wrong, through the whole loop and a real server: what the agent does, what is told.

The server refuses a history that the API would refuse, so each row also shows that what is sent back is valid.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.support.agents import Desk
from tests.support.history_rules import broken_rule
from tests.support.messages_server import Answer, MessagesServer, failure, turn_events
from tests.support.mishaps import FATAL, GOING_ON, PASSING, SILENT, STALLING, in_pieces

from swarm_core.agents.anthropic_model import AnthropicModel
from swarm_core.agents.coordination import Handoff, Outcome, Stalled
from swarm_core.agents.loop import AgentLoop
from swarm_core.agents.script import Script, ScriptedCall, ScriptedTurn
from swarm_core.agents.scripted_model import ScriptedModel
from swarm_core.agents.transcript import Transcript
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import ModelError, ModelFailure

OPENING = "iteration: 1\n\nwork"
DONE = Handoff("all of it")


class Provider:
    """Answers with ``files`` turns that write one file each and then hands off, with mishaps in between.

    ``mishaps`` are used up one by one, from the second turn on; an answer that breaks a rule of histories ends as 400.
    """

    def __init__(self, mishaps: list[Answer], files: int = 2) -> None:
        self.mishaps, self.files = mishaps, files
        self.broken: list[str] = []
        self.written = 0

    async def answer(self, request: Mapping[str, Any]) -> Answer:
        if rule := broken_rule(request["messages"]):
            self.broken.append(rule)
            return failure(400, "invalid_request_error", rule)
        done = sum(
            block["type"] == "tool_use" and block["id"].startswith("w_")
            for message in request["messages"]
            if message["role"] == "assistant"
            for block in message["content"]
        )
        if done and self.mishaps:
            return self.mishaps.pop(0)
        if done < self.files:
            write = {"file_path": f"file_{done}", "content": "x"}
            blocks = [{"type": "tool_use", "id": f"w_{done + 1}", "name": "Write", "input": write}]
        else:
            blocks = [{"type": "tool_use", "id": "h", "name": "handoff", "input": {"what_i_did": "all of it"}}]
        return Answer(turn_events([{"type": "text", "text": "On it."}, *blocks], "tool_use"))


@contextlib.asynccontextmanager
async def at_work(
    place: Path, *mishaps: Answer, idle_s: float = 300.0, files: int = 2
) -> AsyncIterator[tuple[AgentLoop, Desk, Provider]]:
    desk, provider = Desk(place), Provider(list(mishaps), files)
    async with MessagesServer(decide=provider.answer) as server:
        model = AnthropicModel(api_key="sk-test", base_url=server.base_url, idle_s=idle_s, clock=SystemClock())
        try:
            yield desk.loop(model, max_turns=200), desk, provider
        finally:
            await model.close()


async def outcome_of(loop: AgentLoop, provider: Provider) -> Outcome:
    async with asyncio.timeout(60):
        try:
            return await loop.run(OPENING)
        finally:
            assert provider.broken == [], "the history stays one that the API takes"


def retries(desk: Desk) -> list[str]:
    return [draft.data["kind"] for draft in desk.reports if draft.kind == "llm.retry"]


def no_danger(desk: Desk) -> None:
    assert "Bash danger" not in desk.toolbox.made
    assert not [draft for draft in desk.reports if draft.kind == "tool.used" and draft.data["target"] == "danger"]


@pytest.mark.parametrize("name", PASSING)
async def test_what_may_pass_is_asked_for_again_with_the_same_history(name: str, tmp_path: Path) -> None:
    mishap, kind = PASSING[name]
    async with at_work(tmp_path, mishap, in_pieces(mishap, 7)) as (loop, desk, provider):
        assert await outcome_of(loop, provider) == DONE

    assert retries(desk) == [kind, kind]
    no_danger(desk)
    assert desk.toolbox.made == ["Write file_0", "Write file_1"], "each once"
    assert desk.kinds().count("llm.call") == 3, "a turn that did not arrive is none"
    if name == "429 with retry-after of hours":
        waits = [draft.data["wait_s"] for draft in desk.reports if draft.kind == "llm.retry"]
        assert all(7999 <= wait <= 8004 for wait in waits)
        assert desk.kinds().count("agent.waiting") == 2


@pytest.mark.parametrize("name", SILENT)
async def test_silence_is_given_up_and_asked_again(name: str, tmp_path: Path) -> None:
    async with at_work(tmp_path, SILENT[name], idle_s=0.5) as (loop, desk, provider):
        assert await outcome_of(loop, provider) == DONE

    assert retries(desk) == [ModelFailure.SILENT]
    no_danger(desk)
    message = next(draft.data["message"] for draft in desk.reports if draft.kind == "llm.retry")
    assert ("pings" in message) == ("pings" in name)


@pytest.mark.parametrize("name", FATAL)
async def test_what_cannot_pass_ends_the_attempt_at_once(name: str, tmp_path: Path) -> None:
    mishap, kind = FATAL[name]
    async with at_work(tmp_path, mishap) as (loop, desk, provider):
        with pytest.raises(ModelError) as caught:
            await outcome_of(loop, provider)
        assert caught.value.kind is kind
        assert retries(desk) == []
        no_danger(desk)
        assert await outcome_of(loop, provider) == DONE, "the history is whole: a later attempt goes on"

    assert desk.toolbox.made == ["Write file_0", "Write file_1"]


@pytest.mark.parametrize("name", STALLING)
async def test_what_the_model_cannot_do_goes_to_the_architect_with_the_reason(name: str, tmp_path: Path) -> None:
    mishap, said = STALLING[name]
    async with at_work(tmp_path, mishap) as (loop, desk, provider):
        outcome = await outcome_of(loop, provider)

    assert isinstance(outcome, Stalled)
    assert said in outcome.reason
    assert retries(desk) == []
    no_danger(desk)


@pytest.mark.parametrize("name", GOING_ON)
async def test_a_turn_that_ends_in_another_way_runs_nothing_and_the_work_goes_on(name: str, tmp_path: Path) -> None:
    async with at_work(tmp_path, GOING_ON[name]) as (loop, desk, provider):
        assert await outcome_of(loop, provider) == DONE

    assert retries(desk) == []
    no_danger(desk)
    assert desk.toolbox.made == ["Write file_0", "Write file_1"]
    assert desk.kinds().count("llm.call") == 4, "every turn is paid for"
    assert desk.transcript_path.stat().st_size < 1_000_000


async def test_pausing_for_ever_ends_with_the_turns_of_the_task(tmp_path: Path) -> None:
    pause = GOING_ON["pause_turn"]
    async with at_work(tmp_path, *[pause] * 300) as (loop, desk, provider):
        outcome = await outcome_of(loop, provider)

    assert isinstance(outcome, Stalled)
    assert "200 turns" in outcome.reason
    assert desk.toolbox.made == ["Write file_0"]


@pytest.mark.parametrize("seed", range(4))
async def test_a_mixture_of_everything_loses_and_repeats_nothing(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    passing = [answer for answer, _ in PASSING.values()]
    going_on = [GOING_ON[name] for name in GOING_ON if "50 MB" not in name]
    mishaps: list[Answer] = []
    for turn in range(60):
        mishaps.extend(in_pieces(random.choice(passing), random.randint(1, 400)) for _ in range(random.randint(0, 3)))
        kind = random.choice(going_on) if turn % 3 == 0 else None
        mishaps.append(kind if kind and _is_fresh(kind) else _work(turn))
    async with at_work(tmp_path, *mishaps, files=3) as (loop, desk, provider):
        assert await outcome_of(loop, provider) == DONE

    assert desk.toolbox.made == _made(mishaps)
    no_danger(desk)
    history = Transcript(desk.transcript_path)
    history.load()
    assert broken_rule(history.messages) == ""
    assert desk.kinds().count("tool.used") == len(desk.toolbox.made) + 1


def _is_fresh(answer: Answer) -> bool:
    """Whether an answer may come twice: one with a call has an id that a history can hold only once."""
    return not any("tool_use" in str(event) for event in answer.events)


def _work(turn: int) -> Answer:
    arguments = {"file_path": f"more_{turn}", "content": "x"}
    return Answer(
        turn_events([{"type": "tool_use", "id": f"m_{turn}", "name": "Write", "input": arguments}], "tool_use")
    )


def _made(mishaps: list[Answer]) -> list[str]:
    more = [
        f"Write more_{event['content_block']['id'][2:]}"
        for answer in mishaps
        for event in answer.events
        if event["type"] == "content_block_start" and str(event["content_block"].get("id", "")).startswith("m_")
    ]
    return ["Write file_0", *more, "Write file_1", "Write file_2"]


def scripted(fault: str = "none", stop: str = "") -> ScriptedModel:
    """Two turns that write and one that hands off; the second goes wrong once, or ends in another way."""
    turns = [
        ScriptedTurn(do=(ScriptedCall("Write", {"file_path": "file_0", "content": "x"}),)),
        ScriptedTurn(say="Now this.", do=(ScriptedCall("Bash", {"command": "danger"}),), fault=fault, stop=stop),
        ScriptedTurn(do=(ScriptedCall("handoff", {"what_i_did": "all of it"}),)),
    ]
    return ScriptedModel({"backend": Script("backend", tuple(turns))}, SystemClock(), speed=0.0)


SCRIPTED_PASSING = {
    "api_529": "overload",
    "api_500": "overload",
    "api_429": "limit",
    "drop": "transport",
    "cut": "truncated",
    "silent": "silent",
}


@pytest.mark.parametrize("fault", SCRIPTED_PASSING)
async def test_a_script_can_fail_in_ways_that_pass(fault: str, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert await desk.loop(scripted(fault)).run(OPENING) == DONE

    assert retries(desk) == [SCRIPTED_PASSING[fault]]
    assert desk.toolbox.made == ["Write file_0", "Bash danger"], "the second attempt is whole"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("api_400", ModelFailure.REQUEST), ("api_401", ModelFailure.AUTH), ("spend_cap", ModelFailure.SPEND)],
)
async def test_a_script_can_fail_in_ways_that_do_not(fault: str, kind: ModelFailure, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with pytest.raises(ModelError) as caught:
        await desk.loop(scripted(fault)).run(OPENING)

    assert caught.value.kind is kind
    no_danger(desk)


@pytest.mark.parametrize(
    ("fault", "stop", "said"),
    [
        ("api_413", "", "split the task"),
        ("none", "refusal", "refused"),
        ("none", "model_context_window_exceeded", "split the task"),
    ],
)
async def test_a_script_can_end_its_work(fault: str, stop: str, said: str, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    outcome = await desk.loop(scripted(fault, stop)).run(OPENING)

    assert isinstance(outcome, Stalled)
    assert said in outcome.reason
    no_danger(desk)


@pytest.mark.parametrize("stop", ["max_tokens", "end_turn", "stop_sequence", "pause_turn", "compaction"])
async def test_a_scripts_calls_run_only_in_a_turn_that_ended_for_them(stop: str, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert await desk.loop(scripted(stop=stop)).run(OPENING) == DONE

    no_danger(desk)


async def test_a_turn_of_a_script_with_50_mb_is_not_taken(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    huge = ScriptedTurn(do=(ScriptedCall("Write", {"file_path": "huge", "content": "x" * 50_000_000}),))
    outcome = await desk.loop(ScriptedModel({"backend": Script("backend", (huge,))}, SystemClock(), 0.0)).run(OPENING)

    assert isinstance(outcome, Stalled), "the script does not learn from being told"
    assert desk.toolbox.made == []
    assert desk.transcript_path.stat().st_size < 10_000
