"""Every way a call of the Messages API is known to go wrong, as answers of the loopback server, by name.

Each answer carries, as far as it gets, a call of Bash with the command ``danger``: no tool may run for a turn that did
not arrive whole, or that did not end for its calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from swarm_core.vocabulary.errors import ModelFailure

from .messages_server import Answer, failure, sse, turn_events

SPEND_CODE = "enforced_spend_limit_reached"
TEXT = {"type": "text", "text": "Let me look at that first."}
THOUGHT = {"type": "thinking", "thinking": "Hm, well.", "signature": "c2ln"}


def danger(id: str = "danger") -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "Bash", "input": {"command": "danger", "timeout": 1000}}


WHOLE = turn_events([TEXT, danger()], "tool_use")


def _up_to(kind: str, number: int = 1, *, after: bool = True) -> list[dict[str, Any]]:
    """The beginning of a whole turn, to its ``number``-th event of a kind."""
    for at, event in enumerate(WHOLE):
        number -= event["type"] == kind
        if number == 0:
            return WHOLE[: at + after]
    raise AssertionError(kind)


IN_TEXT = _up_to("content_block_delta", 2)
IN_INPUT = [*_up_to("content_block_start", 2), *WHOLE[len(_up_to("content_block_start", 2)) :][:3]]
BEFORE_STOP = WHOLE[:-1]
ERROR_TYPES: Mapping[str, ModelFailure] = {
    "overloaded_error": ModelFailure.OVERLOAD,
    "api_error": ModelFailure.OVERLOAD,
    "timeout_error": ModelFailure.OVERLOAD,
    "rate_limit_error": ModelFailure.LIMIT,
    "a_type_of_tomorrow": ModelFailure.OVERLOAD,
}
FATAL_TYPES: Mapping[str, ModelFailure] = {
    "invalid_request_error": ModelFailure.REQUEST,
    "authentication_error": ModelFailure.AUTH,
    "permission_error": ModelFailure.AUTH,
    "not_found_error": ModelFailure.REQUEST,
    "billing_error": ModelFailure.SPEND,
}


def in_stream(type: str, message: str = "Sorry", **more: Any) -> Answer:
    return Answer([*IN_INPUT, {"type": "error", "error": {"type": type, "message": message, **more}}])


def _delta(index: int, text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": text}}


def _with_input(text: str, stop: str = "tool_use") -> list[dict[str, Any]]:
    """A whole turn whose call's input is this text."""
    events = turn_events([TEXT], stop)
    start = {"type": "content_block_start", "index": 1, "content_block": {**danger(), "input": {}}}
    return [*events[:-2], start, _delta(1, text), {"type": "content_block_stop", "index": 1}, *events[-2:]]


# What may pass: the same request is made again.
PASSING: Mapping[str, tuple[Answer, ModelFailure]] = {
    "429 with retry-after": (failure(429, "rate_limit_error", retry_after="2"), ModelFailure.LIMIT),
    "429 with retry-after of hours": (failure(429, "rate_limit_error", retry_after="7999"), ModelFailure.LIMIT),
    "429 without retry-after": (failure(429, "rate_limit_error"), ModelFailure.LIMIT),
    "529": (failure(529, "overloaded_error"), ModelFailure.OVERLOAD),
    "500": (failure(500, "api_error"), ModelFailure.OVERLOAD),
    "502 of a proxy": (failure(502, "bad_gateway"), ModelFailure.OVERLOAD),
    "503 with retry-after": (failure(503, "api_error", retry_after="1"), ModelFailure.OVERLOAD),
    **{f"{type} in the stream": (in_stream(type), kind) for type, kind in ERROR_TYPES.items()},
    "dropped before the first byte": (Answer((), ending="drop"), ModelFailure.TRANSPORT),
    "dropped in a text": (Answer(IN_TEXT, ending="drop"), ModelFailure.TRANSPORT),
    "dropped in a tool's input": (Answer(IN_INPUT, ending="drop"), ModelFailure.TRANSPORT),
    "dropped after message_delta": (Answer(BEFORE_STOP, ending="drop"), ModelFailure.TRANSPORT),
    "ended before the first event": (Answer(()), ModelFailure.TRUNCATED),
    "ended in a text": (Answer(IN_TEXT), ModelFailure.TRUNCATED),
    "ended in a tool's input": (Answer(IN_INPUT), ModelFailure.TRUNCATED),
    "ended without message_stop": (Answer(BEFORE_STOP), ModelFailure.TRUNCATED),
    "ended inside a data line": (Answer(IN_INPUT, raw=sse(WHOLE[-4])[:50]), ModelFailure.TRUNCATED),
    "ended inside the last line": (Answer(BEFORE_STOP, raw=sse(WHOLE[-1])[:-3]), ModelFailure.TRUNCATED),
    "no stop reason": (Answer(turn_events([TEXT, danger()], None)), ModelFailure.TRUNCATED),
    "no message_delta": (Answer([*WHOLE[:-2], WHOLE[-1]]), ModelFailure.TRUNCATED),
    "no message_start": (Answer(WHOLE[1:]), ModelFailure.TRUNCATED),
    "a block that never ends": (Answer([*IN_INPUT, *WHOLE[-2:]]), ModelFailure.TRUNCATED),
    "a call without its input": (
        Answer([*_up_to("content_block_start", 2), *WHOLE[-2:]]),
        ModelFailure.TRUNCATED,
    ),
    "a block that begins twice": (
        Answer([*IN_TEXT, *[event for event in WHOLE if event["type"] == "content_block_start"][:1]]),
        ModelFailure.TRUNCATED,
    ),
    "a delta of no block": (Answer([*WHOLE[:2], _delta(7, "{")]), ModelFailure.TRUNCATED),
    "half a tool's JSON": (Answer(_with_input('{"command": "dang')), ModelFailure.TRUNCATED),
    "an input that is a list": (Answer(_with_input('["danger"]')), ModelFailure.TRUNCATED),
    "an input with NaN": (Answer(_with_input('{"command": NaN}')), ModelFailure.TRUNCATED),
    "an input beyond all numbers": (Answer(_with_input('{"command": 1e999}')), ModelFailure.TRUNCATED),
    "an input nested without end": (Answer(_with_input('{"a":' * 3000)), ModelFailure.TRUNCATED),
    "an input nested deeply": (Answer(_with_input('{"a":' * 300 + "1" + "}" * 300)), ModelFailure.TRUNCATED),
    "an id twice in a turn": (Answer(turn_events([danger(), danger()], "tool_use")), ModelFailure.TRUNCATED),
    "an id of an earlier turn": (Answer(turn_events([danger("w_1")], "tool_use")), ModelFailure.TRUNCATED),
    "an id that is none": (Answer(turn_events([danger("räuber/../")], "tool_use")), ModelFailure.TRUNCATED),
    "a call without a name": (
        Answer(turn_events([{**danger(), "name": ""}], "tool_use")),
        ModelFailure.TRUNCATED,
    ),
    "invalid UTF-8": (
        Answer(IN_INPUT, raw=b'data: {"type":"content_block_delta","index":1,"x":"\xff\xfe"}\n\n'),
        ModelFailure.TRUNCATED,
    ),
    "a line that is not JSON": (Answer(IN_INPUT, raw=b"data: {oh no\n\n"), ModelFailure.TRUNCATED),
    "a line that is a list": (Answer(IN_INPUT, raw=b"data: [1]\n\n"), ModelFailure.TRUNCATED),
    "a page of HTML": (Answer((), raw=b"<html><body>Welcome to the hotel</body></html>\n"), ModelFailure.TRUNCATED),
}

# Silence: given to a model with a short patience.
SILENT: Mapping[str, Answer] = {
    "nothing at all": Answer((), ending="hang"),
    "silence in a text": Answer(IN_TEXT, ending="hang"),
    "silence in a tool's input": Answer(IN_INPUT, ending="hang"),
    "silence after message_delta": Answer(BEFORE_STOP, ending="hang"),
    "nothing but pings": Answer(IN_INPUT, ending="ping"),
}

# What cannot pass: the attempt at the task ends.
FATAL: Mapping[str, tuple[Answer, ModelFailure]] = {
    "spend cap": (failure(429, "rate_limit_error", code=SPEND_CODE), ModelFailure.SPEND),
    "402": (failure(402, "billing_error"), ModelFailure.SPEND),
    "400": (failure(400, "invalid_request_error"), ModelFailure.REQUEST),
    "401": (failure(401, "authentication_error"), ModelFailure.AUTH),
    "403": (failure(403, "permission_error"), ModelFailure.AUTH),
    "404": (failure(404, "not_found_error"), ModelFailure.REQUEST),
    **{f"{type} in the stream": (in_stream(type), kind) for type, kind in FATAL_TYPES.items()},
    "spend cap in the stream": (
        in_stream("rate_limit_error", details={"error_code": SPEND_CODE}),
        ModelFailure.SPEND,
    ),
}

_TOO_LONG = "prompt is too long: 1000312 tokens > 1000000 maximum"
_REFUSED = turn_events([TEXT, danger()], "refusal")
_REFUSED[-2]["delta"]["stop_details"] = {"type": "refusal", "category": "cyber", "explanation": "Not with me."}

# What ends the work on a task, for the architect to decide: a part of the reason.
STALLING: Mapping[str, tuple[Answer, str]] = {
    "refusal": (Answer(_REFUSED), "cyber: Not with me."),
    "refusal without a reason": (Answer(turn_events([danger()], "refusal")), "refused"),
    "context window exceeded": (
        Answer(turn_events([TEXT, danger()], "model_context_window_exceeded")),
        "split the task",
    ),
    "prompt too long": (failure(400, "invalid_request_error", _TOO_LONG), "split the task"),
    "prompt too long in the stream": (in_stream("invalid_request_error", _TOO_LONG), "split the task"),
    "413": (failure(413, "request_too_large"), "split the task"),
}

_CUT = [*IN_INPUT, {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}, WHOLE[-1]]
_CUT_THINKING = turn_events([{**THOUGHT, "signature": ""}], "max_tokens")
_SEARCHING = {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"query": "x"}}
_COMPACTED = turn_events([{"type": "compaction", "content": "So far: nothing."}], "compaction")
_UNKNOWN = [
    WHOLE[0],
    {"type": "weather_report", "sun": [1, {"deep": None}]},
    *turn_events([{"type": "hologram", "sides": 6}, TEXT])[1:-2],
    {"type": "content_block_start", "index": 2, "content_block": {"type": "aura", "hue": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "aura_delta", "hue": "blue"}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "mood": "odd"}, "usage": {"leaves": 7}},
    WHOLE[-1],
]
_HALF_CHARACTER = (
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"half \\ud83d"}}\n\n'
)
_HALF_CHARACTER += b"".join(map(sse, turn_events([TEXT])[-3:]))
_HUGE = "x" * 65_536


def _flood(pieces: int, piece: str = _HUGE) -> Answer:
    """A call with an input of many pieces, which nobody should have to take."""
    delta = {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": piece}}
    opening = delta | {"delta": {"type": "input_json_delta", "partial_json": '{"command": "danger'}}
    raw = sse(opening) + sse(delta) * pieces
    return Answer(_up_to("content_block_start", 2), raw=raw, ending="drop", piece_bytes=1 << 16)


# Turns that end in another way than for their calls: the agent is told, or simply goes on.
GOING_ON: Mapping[str, Answer] = {
    "max_tokens in a text": Answer(turn_events([TEXT], "max_tokens")),
    "max_tokens in a call": Answer(_CUT),
    "max_tokens in a thought": Answer(_CUT_THINKING),
    "max_tokens with a whole call": Answer(turn_events([TEXT, danger()], "max_tokens")),
    "a call in a turn that ended": Answer(turn_events([TEXT, danger()], "end_turn")),
    "a stop sequence": Answer(turn_events([TEXT, danger()], "stop_sequence")),
    "a stop reason of tomorrow": Answer(turn_events([TEXT, danger()], "bored")),
    "pause_turn": Answer(turn_events([TEXT, _SEARCHING], "pause_turn")),
    "pause_turn in a thought": Answer(turn_events([THOUGHT], "pause_turn")),
    "pause_turn with a call": Answer(turn_events([TEXT, danger()], "pause_turn")),
    "compaction": Answer(_COMPACTED),
    "an empty turn": Answer(turn_events([], "end_turn")),
    "an empty text": Answer(turn_events([{"type": "text", "text": ""}], "end_turn")),
    "only thoughts": Answer(turn_events([THOUGHT, THOUGHT], "end_turn")),
    "tool_use without a call": Answer(turn_events([TEXT], "tool_use")),
    "unknown events, blocks and deltas": Answer(_UNKNOWN),
    "half a character": Answer(WHOLE[:3], raw=_HALF_CHARACTER),
    "an input of 50 MB": _flood(800),
    "a line of 50 MB": Answer(
        _up_to("content_block_start", 2),
        raw=b'data: {"type":"content_block_delta","index":1,"delta":{"text":"' + b"x" * 50_000_000,
        ending="drop",
        piece_bytes=1 << 16,
    ),
}


def in_pieces(answer: Answer, piece_bytes: int) -> Answer:
    """The same answer, cut elsewhere."""
    return replace(answer, piece_bytes=piece_bytes)
