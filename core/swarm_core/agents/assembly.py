"""A turn, put together from the events of a stream, byte for byte.

The blocks are kept as the server sent them, unknown kinds and fields included, because they are sent back unchanged
with the next request. A tool's input is parsed once, when its block ends: parsing every fragment again costs time
that grows with the square of a file's size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from swarm_core.vocabulary.entities import Usage

from .model import ModelEvent, TextDelta, ThinkingDelta, Turn, TurnBegun

# A turn cut off by its length ends with half a tool call by right; nothing was lost on the way.
_CUT_BY_RIGHT = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})
_FIELD_OF_DELTA = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class StreamTruncated(Exception):
    """The stream ended, or broke, before the turn was whole."""


class StreamError(Exception):
    """The server reported an error inside a stream that had begun well; ``type`` is the API's name for it."""

    def __init__(self, type: str, message: str) -> None:
        super().__init__(f"the model's server broke the stream off with {type}: {message}")
        self.type = type


class EventLines:
    """Cuts a byte stream into the JSON objects of server-sent events.

    Lines are cut at LF as bytes: the text inside the JSON may hold characters that ``str.splitlines`` takes for a
    line's end.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        """The events completed by ``chunk``. Raises StreamTruncated for data that is not a JSON object."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [_event(line) for line in lines if line.startswith(b"data:")]


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line[5:])
    except ValueError as error:
        raise StreamTruncated(f"an event of the stream is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise StreamTruncated("an event of the stream is not an object")
    return event


class TurnAssembly:
    """Takes the events of one stream in order; ``turn`` is set once the turn is whole."""

    def __init__(self) -> None:
        self.turn: Turn | None = None
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, list[str]] = {}
        self._broken_input = ""
        self._model = ""
        self._stop_reason = ""
        self._usage: dict[str, Any] = {}

    def take(self, event: Mapping[str, Any]) -> ModelEvent | None:
        """What ``event`` adds for a reader: a delta, the whole turn, or nothing.

        Raises StreamError for an error event and StreamTruncated if the stream ends without a turn.
        """
        try:
            return self._take(event)
        except (KeyError, TypeError, AttributeError) as error:
            raise StreamTruncated(f"an event of the stream lacks something: {error!r}") from None

    def _take(self, event: Mapping[str, Any]) -> ModelEvent | None:
        match event["type"]:
            case "message_start":
                self._model = str(event["message"].get("model", ""))
                self._usage.update(event["message"].get("usage") or {})
                return TurnBegun()
            case "content_block_start":
                self._blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                return self._grow(event["index"], event["delta"])
            case "content_block_stop":
                self._close(event["index"])
            case "message_delta":
                self._stop_reason = event["delta"].get("stop_reason") or self._stop_reason
                known = {key: value for key, value in (event.get("usage") or {}).items() if value is not None}
                self._usage.update(known)
            case "message_stop":
                self.turn = self._finish()
                return self.turn
            case "error":
                error = event.get("error") or {}
                raise StreamError(str(error.get("type", "an error")), str(error.get("message", "")))
        return None

    def _grow(self, index: int, delta: Mapping[str, Any]) -> ModelEvent | None:
        block, kind = self._blocks[index], delta["type"]
        if kind == "input_json_delta":
            self._inputs.setdefault(index, []).append(delta["partial_json"])
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        elif field := _FIELD_OF_DELTA.get(kind):
            block[field] = block.get(field, "") + delta[field]
            if kind == "text_delta":
                return TextDelta(delta["text"])
            if kind == "thinking_delta" and delta["thinking"]:
                return ThinkingDelta(delta["thinking"])
        else:
            block.update({key: value for key, value in delta.items() if key != "type"})
        return None

    def _close(self, index: int) -> None:
        text = "".join(self._inputs.pop(index, ()))
        if not text:
            return
        try:
            value = json.loads(text)
        except ValueError as error:
            value = None
            self._broken_input = f"the input of {self._blocks[index].get('name', 'a tool')} is not JSON: {error}"
        self._blocks[index]["input"] = value if isinstance(value, dict) else {}
        if value is not None and not isinstance(value, dict):
            self._broken_input = f"the input of {self._blocks[index].get('name', 'a tool')} is not an object"

    def _finish(self) -> Turn:
        if not self._stop_reason:
            raise StreamTruncated("the turn ended without a stop reason")
        if self._inputs and self._stop_reason not in _CUT_BY_RIGHT:
            raise StreamTruncated("a tool's input never ended")
        if self._broken_input and self._stop_reason not in _CUT_BY_RIGHT:
            raise StreamTruncated(self._broken_input)
        for block in self._blocks.values():
            if block["type"] == "tool_use" and not (block["id"] and block["name"]):
                raise StreamTruncated("a tool call came without id or name")
        content = [block for _, block in sorted(self._blocks.items())]
        return Turn(content, self._stop_reason, self._tokens(), self._model)

    def _tokens(self) -> Usage:
        def count(name: str, source: Any = self._usage) -> int:
            value = source.get(name) if isinstance(source, Mapping) else None
            return value if isinstance(value, int) else 0

        return Usage(
            input_tokens=count("input_tokens"),
            output_tokens=count("output_tokens"),
            cache_read_tokens=count("cache_read_input_tokens"),
            cache_write_tokens=count("cache_creation_input_tokens"),
            calls=1,
            cache_write_1h_tokens=count("ephemeral_1h_input_tokens", self._usage.get("cache_creation")),
        )
