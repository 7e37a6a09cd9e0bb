"""What the Messages API refuses to take: a server of the tests answers 400 to a history that breaks one of these."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_ID = re.compile(r"[a-zA-Z0-9_-]+")
THINKING = ("thinking", "redacted_thinking")


def broken_rule(messages: Sequence[Mapping[str, Any]]) -> str:
    """The first rule that a history breaks, empty if it breaks none."""
    ids: set[str] = set()
    waiting: list[str] = []
    if not messages or messages[0]["role"] != "user":
        return "the first message is not the user's"
    for number, message in enumerate(messages):
        place = f"messages.{number}"
        content = message["content"]
        if content in ("", []):
            return f"{place}: empty content"
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if any(block["type"] == "text" and not block["text"] for block in blocks):
            return f"{place}: empty text"
        answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if message["role"] == "user":
            if answered != waiting:
                return f"{place}: results {answered} for calls {waiting}"
            if answered and len(answered) != len(blocks):
                return f"{place}: something beside tool results"
            waiting = []
            continue
        if waiting:
            return f"{place}: calls {waiting} without results"
        if any(block["type"] == "thinking" and not block.get("signature") for block in blocks):
            return f"{place}: thinking without a signature"
        is_last_of_turn = number + 1 == len(messages) or messages[number + 1]["role"] == "user"
        if blocks[-1]["type"] in THINKING and is_last_of_turn and number + 1 < len(messages):
            return f"{place}: the last block is thinking"
        for block in blocks:
            if block["type"] != "tool_use":
                continue
            if not _ID.fullmatch(block["id"]) or block["id"] in ids:
                return f"{place}: the id {block['id']!r} is none, or not unique"
            if not isinstance(block["input"], dict):
                return f"{place}: an input that is no object"
            ids.add(block["id"])
            waiting.append(block["id"])
    return f"calls {waiting} without results" if waiting else ""
