"""A long history is shortened by the server where it can; ours keeps every message, and pays for all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import Desk
from tests.support.messages_server import Answer, MessagesServer, turn_events

from swarm_core.agents.anthropic_model import AnthropicModel
from swarm_core.agents.coordination import Handoff
from swarm_core.agents.model import ModelRequest, Turn
from swarm_core.agents.model_facts import listed_facts
from swarm_core.agents.prices import cost_usd
from swarm_core.agents.transcript import Transcript
from swarm_core.vocabulary.clock import SystemClock

SAID = {
    "id": "claude-x",
    "max_input_tokens": 200_000,
    "max_tokens": 500,
    "capabilities": {"context_management": {"supported": True, "compact_20260112": {"supported": True}}},
}
HELLO = turn_events([{"type": "text", "text": "Hello."}])


@pytest.mark.parametrize(("window", "trigger"), [(1_000_000, 734_000), (200_000, 134_000), (60_000, 50_000)])
def test_a_history_is_shortened_before_the_window_is_full_and_never_below_the_servers_minimum(
    window: int, trigger: int
) -> None:
    assert replace(listed_facts("m"), context_tokens=window, can_compact=True).compaction_trigger(16_000) == trigger


@pytest.mark.parametrize("is_known", [True, False])
async def test_the_api_is_asked_once_and_the_request_offers_what_the_model_can(is_known: bool) -> None:
    async with MessagesServer([Answer(HELLO), Answer(HELLO)]) as server:
        if is_known:
            server.models = {"claude-x": SAID}
        model = AnthropicModel(api_key="sk-test", base_url=server.base_url, clock=SystemClock())
        for _ in range(2):
            request = ModelRequest("claude-x", "Be good.", [{"role": "user", "content": "Hello"}], (), 900)
            _ = [event async for event in model.stream(request)]
        await model.close()

    assert server.requests[0] == server.requests[1], "the prefix that is cached stays the same"
    body, headers = server.requests[0], server.headers[0]
    if is_known:
        edit = {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 149_500}}
        assert body["context_management"] == {"edits": [edit]}
        assert headers["anthropic-beta"] == "compact-2026-01-12"
        assert body["max_tokens"] == 500
    else:
        assert "context_management" not in body
        assert "anthropic-beta" not in headers
        assert body["max_tokens"] == 900


COMPACTED = {"type": "compaction", "content": "So far: a plan.", "encrypted_content": "ZW5j", "signature": "c2ln"}
ITERATIONS = [
    {"type": "compaction", "input_tokens": 150_000, "output_tokens": 3_500},
    {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000, "cache_read_input_tokens": 40},
]


def shortened(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    events = turn_events([COMPACTED, *blocks], "tool_use", usage={"input_tokens": 23_000, "output_tokens": 1_000})
    events[-2]["usage"] = {"input_tokens": 23_000, "output_tokens": 1_000, "iterations": ITERATIONS}
    return events


async def test_a_shortened_history_is_billed_in_whole_and_kept_in_whole(tmp_path: Path) -> None:
    write = {"type": "tool_use", "id": "w", "name": "Write", "input": {"file_path": "a", "content": "x"}}
    done = {"type": "tool_use", "id": "h", "name": "handoff", "input": {"what_i_did": "all of it"}}
    desk = Desk(tmp_path)
    async with MessagesServer([Answer(shortened(write)), Answer(turn_events([done], "tool_use"))]) as server:
        model = AnthropicModel(api_key="sk-test", base_url=server.base_url, clock=SystemClock())
        assert await desk.loop(model).run("iteration: 1\n\nwork") == Handoff("all of it")
        await model.close()

    call = next(draft.data for draft in desk.reports if draft.kind == "llm.call")
    assert (call["input_tokens"], call["output_tokens"], call["cache_read_tokens"]) == (173_000, 4_500, 40)
    transcript = Transcript(desk.transcript_path)
    transcript.load()
    assert cost_usd("claude-sonnet-5-5", transcript.last.usage) is not None if transcript.last else False
    first, second, *_ = server.requests[1]["messages"]
    assert first == {"role": "user", "content": "iteration: 1\n\nwork"}, "nothing that was said is left out"
    assert second["content"] == [COMPACTED, write], "byte for byte"


async def test_what_the_next_request_holds_is_known_after_the_history_was_shortened() -> None:
    async with MessagesServer([Answer(shortened())]) as server:
        model = AnthropicModel(api_key="sk-test", base_url=server.base_url, clock=SystemClock())
        request = ModelRequest("claude-x", "", [{"role": "user", "content": "Hello"}])
        *_, last = [event async for event in model.stream(request)]
        await model.close()

    assert isinstance(last, Turn)
    assert last.context_tokens == 24_040
