"""The wire to an ACP agent: JSON lines to and from its process, and what its updates mean.

Updates are read here, tolerantly, and never reach the protocol library: it would drop what a later version of the
protocol says in another way, and it would not keep the updates of a turn in their order. Junk is noted and skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from swarm_core.tools.child import Child, Line

from .base import AgentEvent, CallEnded, CallStarted, Noted, Planned, Said, Thought
from .claude import shown_diff
from .profiles import map_in, maps_in, text_in

UPDATE = "session/update"
MAX_REQUESTS = 64
KINDS = {"read": "Read", "edit": "Edit", "delete": "Delete", "move": "Move", "search": "Grep", "execute": "Bash",
         "think": "Think", "fetch": "WebFetch"}  # fmt: skip
_SILENT = frozenset(
    {
        "user_message_chunk",
        "available_commands_update",
        "current_mode_update",
        "config_option_update",
        "session_info_update",
        "usage_update",
    }
)
_OVER = ("completed", "failed")

OnUpdate = Callable[[Mapping[str, Any]], Awaitable[None]]


class Wire:
    """A transport for the protocol library. ``on_update`` takes the updates, one after the other."""

    def __init__(self, child: Child, on_update: OnUpdate, on_junk: Callable[[str], Awaitable[None]]) -> None:
        self._child, self._on_update, self._on_junk = child, on_update, on_junk
        self._places = asyncio.Semaphore(MAX_REQUESTS)

    async def receive(self) -> dict[str, Any] | None:
        """The next message that is not an update; None at the end of the agent's output."""
        while (line := await self._child.line()) is not None:
            message = _message(line)
            if message is None:
                if line.data.strip():
                    await self._on_junk(line.data[:300].decode("utf-8", "replace"))
            elif message.get("method") == UPDATE:
                await self._on_update(map_in(map_in(message, "params"), "update"))
            elif _is_sound(message):
                if "method" in message:  # the library answers each in a task of its own
                    await self._places.acquire()
                return message
            else:
                await self._on_junk(json.dumps(message)[:300])
        return None

    async def send(self, payload: dict[str, Any]) -> None:
        """Raises ConnectionError if the agent takes no more."""
        try:
            await self._child.write(json.dumps(payload, separators=(",", ":")).encode() + b"\n")
        finally:
            if "method" not in payload:
                self._places.release()

    async def close(self) -> None:
        with contextlib.suppress(OSError):
            self._child.close_input()


def _message(line: Line) -> dict[str, Any] | None:
    if line.is_cut:
        return None
    try:
        found = json.loads(line.data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_sound(message: Mapping[str, Any]) -> bool:
    """Whether the library can take it: a request of a named method, or an answer to a number of ours."""
    number, method = message.get("id"), message.get("method")
    if isinstance(number, bool) or not isinstance(number, int | str | None):
        return False
    if method is not None:
        return isinstance(method, str) and number is not None
    return isinstance(number, int) and isinstance(message.get("error"), dict | None)


def meanings(update: Mapping[str, Any]) -> Iterator[AgentEvent]:
    """What an update of a session means; one of an unknown kind is noted."""
    match update.get("sessionUpdate"):
        case "agent_message_chunk":
            yield Said(text_in(map_in(update, "content"), "text"))
        case "agent_thought_chunk":
            yield Thought(text_in(map_in(update, "content"), "text"))
        case "tool_call":
            name, target = tool_of(update)
            yield CallStarted(text_in(update, "toolCallId"), name, target, _diffs(update))
            if update.get("status") in _OVER:
                yield _ended(update)
        case "tool_call_update":
            if update.get("status") in _OVER:
                yield _ended(update)
        case "plan":
            entries = maps_in(update, "entries")[:50]
            yield Planned([(text_in(entry, "status"), text_in(entry, "content")) for entry in entries])
        case kind if kind not in _SILENT:
            yield Noted(f"an update of a kind that is not known: {str(kind)[:100]}")


def tool_of(call: Mapping[str, Any]) -> tuple[str, str]:
    """What a call is in our words, and what it is about. Its title is the agent's own and judged by nobody."""
    kind = text_in(call, "kind")
    name = KINDS.get(kind) or text_in(call, "title")[:60] or kind or "tool"
    given = arguments_of(call)
    paths = given.get("paths", [])
    return name, text_in(given, "command") or ", ".join(paths) or text_in(call, "title")


def arguments_of(call: Mapping[str, Any]) -> dict[str, Any]:
    """``command`` and ``paths``: every path that the call names anywhere."""
    raw = map_in(call, "rawInput")
    command = raw.get("command")
    if isinstance(command, list):
        command = " ".join(str(word) for word in command)
    found = [text_in(place, "path") for place in maps_in(call, "locations")]
    found += [text_in(item, "path") for item in maps_in(call, "content") if item.get("type") == "diff"]
    found += [text_in(raw, key) for key in ("file_path", "path", "abs_path", "notebook_path", "source", "destination")]
    paths = list(dict.fromkeys(path for path in found if path))
    return {"paths": paths} | ({"command": command} if isinstance(command, str) else {})


def _ended(update: Mapping[str, Any]) -> CallEnded:
    texts = [text_in(map_in(item, "content"), "text") for item in maps_in(update, "content")]
    text = "\n".join(filter(None, texts)) or text_in({"raw": update.get("rawOutput")}, "raw")
    number, name = text_in(update, "toolCallId"), KINDS.get(text_in(update, "kind"), "")
    return CallEnded(number, update.get("status") == "completed", text, name, diff=_diffs(update))


def _diffs(update: Mapping[str, Any]) -> str:
    found = [item for item in maps_in(update, "content") if item.get("type") == "diff"]
    return "\n".join(
        f"{text_in(item, 'path')}\n{shown_diff(text_in(item, 'oldText'), text_in(item, 'newText'))}" for item in found
    )
