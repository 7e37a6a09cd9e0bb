"""A history that more than one model took part in, as one of them may see it.

Thinking is signed for the model that thought and for the messages before it. Each model is shown its own thinking and
no other's: what stands before its own blocks is then the same whenever it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from swarm_core.agents.model import Message

THINKING = frozenset({"thinking", "redacted_thinking"})


def seen_by(model: str, messages: Sequence[Message], makers: Sequence[str]) -> list[Message]:
    """``messages`` without the thinking of others; ``makers`` are the models asked for the turns among them."""
    turns = iter(makers)
    out: list[Message] = []
    for message in messages:
        if message["role"] != "assistant" or next(turns) == model:
            out.append(message)
        elif content := [block for block in message["content"] if not _is_thinking(block)]:
            out.append({**message, "content": content})
    return out


def _is_thinking(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in THINKING
