"""Whether a turn can become part of a history: it will be sent back with every later request, whoever gave it.

A history the API refuses ends a task for good, so a turn that it could never take back is judged before it is
written down, and asked for again like one that was lost on the way.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container

from .model import MAX_TURN_CHARS, Turn

MAX_DEPTH = 200
_ID = re.compile(r"[a-zA-Z0-9_-]{1,200}")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def flaw_of(turn: Turn, known_ids: Container[str]) -> str:
    """Why ``turn`` cannot be sent back after the calls with ``known_ids``; empty if it can."""
    seen: set[str] = set()
    for call in turn.tool_calls:
        id, name = call.get("id"), call.get("name")
        if not isinstance(id, str) or not _ID.fullmatch(id):
            return f"a tool call's id {id!r:.60} is none"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return f"a tool's name {name!r:.60} is none"
        if id in seen or id in known_ids:
            return f"the id {id:.60} names two tool calls"
        if not isinstance(call.get("input"), dict):
            return f"the input of {name} is not an object"
        seen.add(id)
    return _unsendable(turn)


def is_too_large(turn: Turn) -> bool:
    """Whether the texts of a turn are together longer than any turn may be."""
    chars = 0
    stack: list[object] = list(turn.content)
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            chars += len(value)
            if chars > MAX_TURN_CHARS:
                return True
        elif isinstance(value, dict):
            stack.extend(value.keys())
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return False


def _unsendable(turn: Turn) -> str:
    level: list[object] = list(turn.content)
    for _ in range(MAX_DEPTH):
        if not level:
            return ""
        below: list[object] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif isinstance(value, float) and not math.isfinite(value):
                return f"the turn holds {value}, which is not a number of JSON"
        level = below
    return f"the turn is nested more than {MAX_DEPTH} deep"
