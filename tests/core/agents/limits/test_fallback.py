"""A conversation with two models: each sees its own thinking, and always the same before it."""

from __future__ import annotations

from typing import Any

from swarm_core.agents.limits.fallback import seen_by

OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"


def said(text: str, *, thought: bool = True) -> dict[str, Any]:
    thinking = [{"type": "thinking", "thinking": f"about {text}", "signature": "s"}] if thought else []
    return {"role": "assistant", "content": [*thinking, {"type": "text", "text": text}]}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


TALK = [user("1"), said("a"), user("2"), said("b"), user("3"), said("c"), user("4")]
MAKERS = [OPUS, HAIKU, OPUS]


def thoughts(messages: list[Any]) -> list[str]:
    return [
        b["thinking"] for m in messages if m["role"] == "assistant" for b in m["content"] if b["type"] == "thinking"
    ]


def test_each_model_is_shown_its_own_thinking_only() -> None:
    assert thoughts(seen_by(OPUS, TALK, MAKERS)) == ["about a", "about c"]
    assert thoughts(seen_by(HAIKU, TALK, MAKERS)) == ["about b"]
    assert thoughts(seen_by("another", TALK, MAKERS)) == []


def test_one_model_alone_is_shown_what_it_said_byte_for_byte() -> None:
    assert seen_by(OPUS, TALK, [OPUS] * 3) == TALK


def test_what_stands_before_a_models_thinking_never_changes_for_it() -> None:
    for model in (OPUS, HAIKU):
        whole = seen_by(model, TALK, MAKERS)
        for length in range(len(TALK)):
            part = TALK[:length]
            assert seen_by(model, part, MAKERS) == whole[:length]


def test_a_turn_that_only_thought_leaves_no_empty_message() -> None:
    only = {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}
    assert seen_by(HAIKU, [user("1"), only, user("2")], [OPUS]) == [user("1"), user("2")]
    assert seen_by(OPUS, [user("1"), only, user("2")], [OPUS])[1] == only
