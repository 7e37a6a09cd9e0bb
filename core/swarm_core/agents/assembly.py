"""A turn, put together from the events of a stream, byte for byte.

The blocks are kept as the server sent them, unknown kinds and fields included, because they are sent back unchanged
with the next request. A tool's input is parsed once, when its block ends: parsing every fragment again costs time
that grows with the square of a file's size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from swarm_core.vocabulary.entities import Usage

from .model import MAX_TURN_CHARS, TOO_LARGE, ModelEvent, TextDelta, ThinkingDelta, Turn, TurnBegun

# A turn cut off by its length ends with half a tool call by right; nothing was lost on the way.
_CUT_BY_RIGHT = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})
_FIELD_OF_DELTA = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class StreamTruncated(Exception):
    """The stream ended, or broke, before the turn was whole."""


class StreamError(Exception):
    """The server reported an error inside a stream that had begun well; ``type`` is the API's name for it.

    ``error_code`` is the finer name that some errors carry in their details.
    """

    def __init__(self, type: str, message: str, error_code: str = "") -> None:
        super().__init__(f"the model's server broke the stream off with {type}: {message}")
        self.type = type
        self.error_code = error_code


class LineTooLong(Exception):
    """One line of the stream is longer than any turn may be."""


class EventLines:
    """Cuts a byte stream into the JSON objects of server-sent events.

    Lines are cut at LF as bytes: the text inside the JSON may hold characters that ``str.splitlines`` takes for a
    line's end.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._rest_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[dict[str, Any]]:
        """The events completed by ``chunk``; iterate to the end, or do not feed any more.

        Raises StreamTruncated for data that is not a JSON object, and LineTooLong.
        """
        *lines, rest = chunk.split(b"\n")
        if lines:
            # Joined once for each line: a line of megabytes comes in hundreds of pieces.
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest, self._rest_bytes = [], 0
        self._rest.append(rest)
        self._rest_bytes += len(rest)
        yield from (_event(line) for line in lines if line.startswith(b"data:"))
        if self._rest_bytes > 2 * MAX_TURN_CHARS:
            raise LineTooLong(f"a line of the stream has more than {2 * MAX_TURN_CHARS} bytes")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _no_number(text)
    return number


# What is taken must be sendable again: JSON has no NaN, and a number beyond all bounds would become one.
_JSON = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)


def _decoded(text: str) -> Any:
    """Raises ValueError for whatever cannot be read."""
    try:
        return _JSON.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = _decoded(line[5:].decode("utf-8"))
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
        self._parts: dict[int, dict[str, list[str]]] = {}
        self._chars = 0
        self._broken_input = ""
        self._has_begun = False
        self._model = ""
        self._stop_reason = ""
        self._stop_details: Mapping[str, Any] = {}
        self._usage: dict[str, Any] = {}

    def give_up(self) -> Turn:
        """The turn of one that is larger than anything that could be sent back: nothing but what it cost."""
        self.turn = Turn((), TOO_LARGE, self._tokens(), self._model)
        return self.turn

    def take(self, event: Mapping[str, Any]) -> ModelEvent | None:
        """What ``event`` adds for a reader: a delta, the whole turn, or nothing.

        Raises StreamError for an error event and StreamTruncated if the stream ends without a turn.
        """
        try:
            return self._take(event)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise StreamTruncated(f"an event of the stream lacks something: {error!r}") from None

    def _take(self, event: Mapping[str, Any]) -> ModelEvent | None:
        match event["type"]:
            case "message_start":
                self._has_begun = True
                self._model = str(event["message"].get("model", ""))
                self._usage.update(event["message"].get("usage") or {})
                return TurnBegun()
            case "content_block_start":
                self._open(int(event["index"]), dict(event["content_block"]))
            case "content_block_delta":
                return self._grow(int(event["index"]), event["delta"])
            case "content_block_stop":
                self._close(int(event["index"]))
            case "message_delta":
                self._stop_reason = event["delta"].get("stop_reason") or self._stop_reason
                self._stop_details = event["delta"].get("stop_details") or self._stop_details
                known = {key: value for key, value in (event.get("usage") or {}).items() if value is not None}
                self._usage.update(known)
            case "message_stop":
                self.turn = self._finish()
                return self.turn
            case "error":
                error = event.get("error") or {}
                code = error.get("error_code") or (error.get("details") or {}).get("error_code")
                raise StreamError(str(error.get("type", "an error")), str(error.get("message", "")), str(code or ""))
        return None

    def _open(self, index: int, block: dict[str, Any]) -> None:
        if index in self._blocks:
            raise StreamTruncated(f"block {index} began twice")
        self._blocks[index], self._parts[index] = block, {}
        self._chars += sum(len(value) for value in block.values() if isinstance(value, str))

    def _grow(self, index: int, delta: Mapping[str, Any]) -> ModelEvent | None:
        kind, block = delta["type"], self._blocks[index]
        if index not in self._parts:
            raise StreamTruncated(f"block {index} went on after its end")
        if field := _FIELD_OF_DELTA.get(kind):
            piece = delta[field]
            if not isinstance(piece, str):
                raise StreamTruncated(f"a {kind} without text")
            self._chars += len(piece)
            if self._chars > MAX_TURN_CHARS:
                return self.give_up()
            self._parts[index].setdefault(field, []).append(piece)
            if kind == "text_delta":
                return TextDelta(piece)
            return ThinkingDelta(piece) if kind == "thinking_delta" and piece else None
        if kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        else:
            block.update({key: value for key, value in delta.items() if key != "type"})
        return None

    def _close(self, index: int) -> None:
        block = self._blocks[index]
        for field, pieces in self._parts.pop(index, {}).items():
            text = "".join(pieces)
            if field == "partial_json":
                self._read_input(block, text)
            else:
                block[field] = block.get(field, "") + text

    def _read_input(self, block: dict[str, Any], text: str) -> None:
        if not text:
            return
        try:
            value = _decoded(text)
        except ValueError as error:
            value = None
            self._broken_input = f"the input of {block.get('name', 'a tool')} is not JSON: {error}"
        block["input"] = value if isinstance(value, dict) else {}
        if value is not None and not isinstance(value, dict):
            self._broken_input = f"the input of {block.get('name', 'a tool')} is not an object"

    def _finish(self) -> Turn:
        if not self._has_begun:
            raise StreamTruncated("the stream has no beginning")
        if not self._stop_reason:
            raise StreamTruncated("the turn ended without a stop reason")
        if self._stop_reason not in _CUT_BY_RIGHT:
            if self._parts:
                raise StreamTruncated(f"{len(self._parts)} blocks of the turn never ended")
            if self._broken_input:
                raise StreamTruncated(self._broken_input)
        for index in list(self._parts):
            self._close(index)
        for block in self._blocks.values():
            if block["type"] == "tool_use" and not (block["id"] and block["name"]):
                raise StreamTruncated("a tool call came without id or name")
        content = [block for _, block in sorted(self._blocks.items())]
        usage = self._tokens()
        details, context_tokens = self._stop_details, self._context_tokens()
        return Turn(content, self._stop_reason, usage, self._model, stop_details=details, context_tokens=context_tokens)

    def _tokens(self) -> Usage:
        """All that is billed: with a compaction on the way, the top-level counts leave that one out."""
        rows = self._iterations() or [self._usage]
        return Usage(
            input_tokens=_sum(rows, "input_tokens"),
            output_tokens=_sum(rows, "output_tokens"),
            cache_read_tokens=_sum(rows, "cache_read_input_tokens"),
            cache_write_tokens=_sum(rows, "cache_creation_input_tokens"),
            calls=1,
            cache_write_1h_tokens=_sum([row.get("cache_creation") or {} for row in rows], "ephemeral_1h_input_tokens"),
        )

    def _context_tokens(self) -> int:
        """How long the history is after the last iteration; 0 where the usage already says it."""
        rows = self._iterations()
        if len(rows) < 2:
            return 0
        # A summary alone is all that is left of the history behind it.
        counts = ("output_tokens",) if rows[-1].get("type") == "compaction" else _COUNTS
        return sum(_sum(rows[-1:], name) for name in counts)

    def _iterations(self) -> list[Mapping[str, Any]]:
        rows = self._usage.get("iterations")
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _sum(rows: Sequence[Any], name: str) -> int:
    return sum(value for row in rows if isinstance(row, Mapping) and isinstance(value := row.get(name), int))
