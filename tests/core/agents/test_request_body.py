"""A request: where its cache breakpoints stand, and nothing its model would refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swarm_core.agents.model import LONG_CACHE_TTL_S, Message, ModelRequest
from swarm_core.agents.model_facts import listed_facts
from swarm_core.agents.request_body import request_body
from swarm_core.tools.base import ToolDefinition

TOOLS = tuple(ToolDefinition(name, f"{name}.", {"type": "object"}) for name in ("Write", "Bash"))


def body_of(messages: list[Message], model: str = "claude-sonnet-5-5", **options: Any) -> dict[str, Any]:
    return request_body(ModelRequest(model, "Be good.", messages, TOOLS, **options), listed_facts(model))


def round_of(calls: int, number: int = 0) -> list[Message]:
    """A turn with ``calls`` tool calls and its results: ``1 + 2 * calls`` blocks."""
    names = [f"t{number}_{index}" for index in range(calls)]
    said = [
        {"type": "text", "text": "on"},
        *({"type": "tool_use", "id": n, "name": "Bash", "input": {}} for n in names),
    ]
    results = [{"type": "tool_result", "tool_use_id": name, "content": "ok"} for name in names]
    return [{"role": "assistant", "content": said}, {"role": "user", "content": results}]


OPENING: Message = {"role": "user", "content": "iteration: 1\n\nwork"}


@pytest.mark.parametrize(("calls", "is_marked"), [(1, False), (9, False), (10, True), (40, True)])
def test_a_turn_of_many_blocks_does_not_hide_the_history_from_the_cache(calls: int, is_marked: bool) -> None:
    messages = [OPENING, *round_of(1), *round_of(calls, 1)]
    before = json.dumps(messages)
    sent = body_of(messages)["messages"]

    last_seen = sent[2]["content"][-1]  # where the previous request ended
    assert ("cache_control" in last_seen) == is_marked
    assert json.dumps(sent).count("cache_control") == int(is_marked)
    assert json.dumps(messages) == before, "the history itself stays as it was"


def test_the_first_message_can_carry_the_breakpoint_too() -> None:
    sent = body_of([OPENING, *round_of(15)])["messages"]
    text = {"type": "text", "text": OPENING["content"], "cache_control": {"type": "ephemeral"}}
    assert sent[0] == {"role": "user", "content": [text]}


def test_whoever_waits_for_a_person_is_remembered_for_an_hour() -> None:
    body = body_of([OPENING, *round_of(15)], cache_ttl_s=LONG_CACHE_TTL_S)
    hour = {"type": "ephemeral", "ttl": "1h"}
    marks = [body["cache_control"], body["system"][0]["cache_control"]]
    marks.append(body["messages"][0]["content"][0]["cache_control"])
    assert marks == [hour] * 3


@pytest.mark.parametrize(
    ("model", "thinks", "effort"),
    [
        ("claude-sonnet-5-5", True, {"effort": "max"}),
        ("claude-opus-4-5", False, {"effort": "high"}),
        ("claude-haiku-4-5", False, None),
        ("tomorrow-1", False, None),
    ],
)
def test_a_model_is_asked_only_for_what_it_can(model: str, thinks: bool, effort: Any) -> None:
    body = body_of([OPENING], model, effort="max", max_tokens=10**9)
    assert body.get("thinking") == ({"type": "adaptive", "display": "summarized"} if thinks else None)
    assert body.get("output_config") == effort
    assert body["max_tokens"] == listed_facts(model).max_output_tokens
    assert not {"temperature", "top_p", "top_k"} & body.keys()
