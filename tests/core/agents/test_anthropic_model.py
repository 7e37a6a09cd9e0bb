"""AnthropicModel against a real server on loopback: what goes over the wire, and what every failure becomes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.support.messages_server import Answer, MessagesServer, failure, sse, turn_events

from swarm_core.agents.anthropic_model import AnthropicModel
from swarm_core.agents.assembly import EventLines, TurnAssembly
from swarm_core.agents.failures import KIND_OF_CLASS, KIND_OF_TYPE, kind_of
from swarm_core.agents.model import ModelEvent, ModelRequest, TextDelta, Turn, TurnBegun
from swarm_core.tools.base import ToolDefinition
from swarm_core.vocabulary.clock import Clock, SystemClock
from swarm_core.vocabulary.errors import ModelError, ModelFailure

KEY = "sk-ant-canary-0123456789"
TOOLS = tuple(ToolDefinition(name, f"{name}.", {"type": "object", "properties": {}}) for name in ("Write", "Bash"))
REQUEST = ModelRequest("claude-sonnet-5-5", "Be good.", [{"role": "user", "content": "Hello"}], TOOLS, 900)
HELLO = turn_events([{"type": "text", "text": "Hello there, operator."}])


@contextlib.asynccontextmanager
async def talking(*answers: Answer, clock: Clock | None = None) -> AsyncIterator[tuple[AnthropicModel, MessagesServer]]:
    async with MessagesServer(answers) as server:
        model = AnthropicModel(api_key=KEY, base_url=server.base_url, clock=clock or SystemClock())
        try:
            yield model, server
        finally:
            await model.close()


async def everything(model: AnthropicModel, request: ModelRequest = REQUEST) -> list[ModelEvent]:
    return [event async for event in model.stream(request)]


async def error_of(*answers: Answer, clock: Clock | None = None) -> ModelError:
    async with talking(*answers, clock=clock) as (model, server):
        with pytest.raises(ModelError) as caught:
            await everything(model)
        assert len(server.requests) == 1, "one call is one attempt"
    assert KEY not in str(caught.value)
    return caught.value


async def test_blocks_arrive_as_they_were_sent_whatever_their_kind() -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "First the tests.", "signature": "EqQBc2ln=="},
        {"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"},
        {"type": "text", "text": "Line\u2028separator, NEL\u0085 and ünï\n\tcode", "citations": None},
        {"type": "hologram", "shape": {"sides": 6}, "nobody": ["knows", None]},
        {"type": "tool_use", "id": "toolu_1", "name": "Write", "input": {"content": "x\u2028y" * 50, "n": 1.5}},
    ]
    usage = {"input_tokens": 7, "output_tokens": 9, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3}
    events = turn_events(blocks, "tool_use", usage=usage)
    async with talking(Answer(events, piece_bytes=17)) as (model, _):
        *deltas, last = await everything(model)

    assert isinstance(last, Turn)
    assert list(last.content) == blocks
    assert (last.stop_reason, last.model) == ("tool_use", "claude-sonnet-5-5")
    tokens = last.usage
    assert (tokens.input_tokens, tokens.output_tokens) == (7, 9)
    assert (tokens.cache_read_tokens, tokens.cache_write_tokens) == (5, 3)
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == blocks[2]["text"]


async def test_the_request_caches_a_prefix_that_is_the_same_whatever_order_the_tools_have() -> None:
    other = ModelRequest(REQUEST.model, REQUEST.system, REQUEST.messages, TOOLS[::-1], 900)
    async with talking(Answer(HELLO), Answer(HELLO)) as (model, server):
        await everything(model)
        await everything(model, other)

    body, again = server.requests
    assert body == again
    assert body["system"] == [{"type": "text", "text": "Be good.", "cache_control": {"type": "ephemeral"}}]
    assert body["cache_control"] == {"type": "ephemeral"}
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert [tool["name"] for tool in body["tools"]] == ["Bash", "Write"]
    assert body["stream"] is True
    assert server.headers[0]["x-stainless-retry-count"] == "0"


def about_model(name: str) -> dict[str, Any]:
    """What the API says about a model that cannot think and writes little."""
    no, yes = {"supported": False}, {"supported": True}
    types = {"adaptive": no, "between_tools": no, "disabled": yes, "enabled": no}
    efforts = {"low": yes, "medium": no, "high": no, "max": no, "supported": yes}
    others = ("batch", "citations", "code_execution", "context_management", "image_input", "pdf_input", "server_tools")
    return {
        "id": name,
        "type": "model",
        "display_name": name,
        "created_at": "2026-11-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 50_000,
        "max_tokens": 700,
        "capabilities": {
            **dict.fromkeys((*others, "structured_outputs"), no),
            "thinking": {"supported": False, "types": types},
            "effort": efforts,
        },
    }


async def test_what_a_model_can_do_is_asked_of_the_api_once() -> None:
    name = "claude-sonnet-5-5"
    async with MessagesServer([Answer(HELLO), Answer(HELLO)], models={name: about_model(name)}) as server:
        model = AnthropicModel(api_key=KEY, base_url=server.base_url, clock=SystemClock())
        await everything(model, replace(REQUEST, effort="max"))
        await everything(model, replace(REQUEST, effort="max"))
        await model.close()
    body, again = server.requests
    assert body == again
    assert "thinking" not in body
    assert (body["max_tokens"], body["output_config"]) == (700, {"effort": "low"})
    assert server.looked_up == [name]


SPEND_CODE = "enforced_spend_limit_reached"


@pytest.mark.parametrize(
    ("answer", "kind", "wait_s"),
    [
        (failure(429, "rate_limit_error", retry_after="7999"), ModelFailure.LIMIT, 7999.0),
        (failure(429, "rate_limit_error", retry_after_ms="250"), ModelFailure.LIMIT, 0.25),
        (failure(429, "rate_limit_error", retry_after="Sat, 21 Nov 2026 03:04:15 GMT"), ModelFailure.LIMIT, 10.0),
        (failure(429, "rate_limit_error", retry_after="soon"), ModelFailure.LIMIT, None),
        (failure(429, "rate_limit_error"), ModelFailure.LIMIT, None),
        (failure(429, "rate_limit_error", code=SPEND_CODE), ModelFailure.SPEND, None),
        (failure(402, "billing_error"), ModelFailure.SPEND, None),
        (failure(529, "overloaded_error"), ModelFailure.OVERLOAD, None),
        (failure(500, "api_error"), ModelFailure.OVERLOAD, None),
        (failure(503, "api_error", retry_after="2"), ModelFailure.OVERLOAD, 2.0),
        (failure(401, "authentication_error", f"invalid key {KEY}"), ModelFailure.AUTH, None),
        (failure(403, "permission_error"), ModelFailure.AUTH, None),
        (failure(400, "invalid_request_error"), ModelFailure.REQUEST, None),
        (failure(404, "not_found_error"), ModelFailure.REQUEST, None),
        (failure(413, "request_too_large"), ModelFailure.CONTEXT, None),
    ],
)
async def test_an_answer_of_the_server_becomes_its_kind(
    answer: Answer, kind: ModelFailure, wait_s: float | None
) -> None:
    error = await error_of(answer, clock=FixedClock())

    assert (error.kind, error.wait_s) == (kind, wait_s)
    assert str(answer.status) in error.message


class FixedClock(SystemClock):
    """The machine's clock, except that it shows one moment to people."""

    def now(self) -> str:
        return "2026-11-21T03:04:05.000Z"


def in_stream(type: str) -> Answer:
    return Answer([*HELLO[:4], {"type": "error", "error": {"type": type, "message": "Sorry"}}])


HALF_JSON = [
    {**event, "delta": {"type": "input_json_delta", "partial_json": '{"command": "rm -rf bu'}}
    if event["type"] == "content_block_delta"
    else event
    for event in turn_events([{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}], "tool_use", piece=100)[:5]
    + turn_events([{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}], "tool_use", piece=100)[-3:]
]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (in_stream("overloaded_error"), ModelFailure.OVERLOAD),
        (in_stream("rate_limit_error"), ModelFailure.LIMIT),
        (in_stream("a_new_error"), ModelFailure.OVERLOAD),
        (Answer(HELLO[:4], ending="drop"), ModelFailure.TRANSPORT),
        (Answer((), ending="drop"), ModelFailure.TRANSPORT),
        (Answer(HELLO[:4]), ModelFailure.TRUNCATED),
        (Answer(HELLO[:-1]), ModelFailure.TRUNCATED),
        (Answer([*HELLO[:-2], HELLO[-1]]), ModelFailure.TRUNCATED),
        (Answer(HELLO[:3], raw=sse(HELLO[3])[:60]), ModelFailure.TRUNCATED),
        (Answer(HELLO[:3], raw=b'data: {"type":"content_block_del\n\n'), ModelFailure.TRUNCATED),
        (Answer([HELLO[0], *HELLO[3:]]), ModelFailure.TRUNCATED),
        (Answer(HALF_JSON), ModelFailure.TRUNCATED),
    ],
)
async def test_a_turn_that_did_not_arrive_whole_is_never_a_turn(answer: Answer, kind: ModelFailure) -> None:
    error = await error_of(answer)

    assert error.kind is kind


async def test_half_a_call_cut_off_by_the_length_limit_is_a_turn_that_says_so() -> None:
    cut = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}
    async with talking(Answer([*HALF_JSON[:-2], cut, HALF_JSON[-1]])) as (model, _):
        *_, last = await everything(model)

    assert isinstance(last, Turn)
    assert last.stop_reason == "max_tokens"
    assert last.tool_calls[0]["input"] == {}


class HeldClock(SystemClock):
    """Time stands still until it is let go; then a sleep has taken as long as it was asked to."""

    def __init__(self) -> None:
        self.passed_s = 0.0
        self.let_go = asyncio.Event()

    def monotonic_s(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        await self.let_go.wait()
        self.passed_s += seconds
        await asyncio.sleep(0)


@pytest.mark.parametrize("events", [(), HELLO[:4]])
async def test_a_silent_server_is_given_up_by_the_clock_that_was_passed_in(events: list[dict[str, Any]]) -> None:
    clock, heard = HeldClock(), asyncio.Event()

    async def listen(model: AnthropicModel) -> None:
        async for _ in model.stream(REQUEST):
            heard.set()

    async with talking(Answer(events, ending="hang"), clock=clock) as (model, server):
        listening = asyncio.create_task(listen(model))
        async with asyncio.timeout(20):
            await (heard if events else server.asked).wait()
        assert not listening.done()
        clock.let_go.set()
        with pytest.raises(ModelError) as caught:
            await listening

    assert caught.value.kind is ModelFailure.SILENT
    assert "300 s" in caught.value.message


async def test_nobody_listening_is_a_transport_failure() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        model = AnthropicModel(api_key=KEY, base_url=f"http://127.0.0.1:{unused.getsockname()[1]}", clock=SystemClock())
        with pytest.raises(ModelError) as caught:
            await everything(model)
        await model.close()

    assert caught.value.kind is ModelFailure.TRANSPORT


@pytest.mark.parametrize("key", [None, ""])
async def test_no_key_is_said_with_the_next_step(key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_CONFIG_DIR")
    model = AnthropicModel(api_key=key, base_url="http://127.0.0.1:1", clock=SystemClock())
    with pytest.raises(ModelError) as caught:
        await everything(model)
    await model.close()

    assert caught.value.kind is ModelFailure.AUTH
    assert "ANTHROPIC_API_KEY" in caught.value.hint


@pytest.mark.parametrize("ending", ["close", "hang", "drop", "ping"])
async def test_one_connection_serves_all_turns_and_nothing_behind_a_whole_one_is_waited_for(ending: str) -> None:
    async with talking(Answer(HELLO, ending=ending), Answer(HELLO), Answer(HELLO)) as (model, server):
        async with asyncio.timeout(20):
            for _ in range(3):
                assert isinstance((await everything(model))[-1], Turn)

    assert server.connections == (1 if ending == "close" else 2)


async def test_leaving_a_stream_early_gives_the_connection_back() -> None:
    async with talking(Answer(HELLO[:4], ending="hang")) as (model, server):
        stream = model.stream(REQUEST)
        assert isinstance(await anext(stream), TurnBegun)
        assert isinstance(await anext(stream), TextDelta)
        await stream.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(10):
            await server.disconnected.wait()
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "model stream watch"]


def test_the_library_is_not_imported_before_the_first_call() -> None:
    code = "import swarm_core.agents.anthropic_model, sys; print('anthropic' in sys.modules)"
    path = os.pathsep.join(sys.path)
    run = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, check=True)

    assert run.stdout.strip() == b"False"


def test_a_large_file_in_small_pieces_costs_what_its_size_says() -> None:
    def assembly_s(size: int) -> float:
        block = {"type": "tool_use", "id": "t", "name": "Write", "input": {"content": "x" * size}}
        raw = b"".join(map(sse, turn_events([block], "tool_use", piece=8)))
        lines, assembly = EventLines(), TurnAssembly()
        started = time.perf_counter()
        for at in range(0, len(raw), 1000):
            for event in lines.feed(raw[at : at + 1000]):
                assembly.take(event)
        assert assembly.turn is not None
        return time.perf_counter() - started

    small = min(assembly_s(20_000) for _ in range(3))
    assert min(assembly_s(160_000) for _ in range(3)) < 8 * small * 3, "linear would be 8, quadratic 64"


def test_every_error_the_library_exports_has_a_row() -> None:
    import anthropic

    exported = {
        name
        for name in dir(anthropic)
        if isinstance(value := getattr(anthropic, name), type) and issubclass(value, Exception)
    }
    missing = exported - KIND_OF_CLASS.keys()
    assert not missing, f"map these in failures.py: {sorted(missing)}"
    ours = {"TransportError", "DecodingError", "InvalidURL", "StreamTruncated"}
    assert not KIND_OF_CLASS.keys() - exported - ours, "a row for a class that is gone"


def test_no_error_class_of_the_library_is_unknown_wherever_it_is_defined() -> None:
    import importlib

    import anthropic
    import httpx2

    for name in ("_exceptions", "lib", "lib.streaming", "lib.credentials"):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(f"anthropic.{name}")
    pending: list[type] = [anthropic.AnthropicError, httpx2.TransportError]
    while pending:
        kind = pending.pop()
        pending.extend(kind.__subclasses__())
        assert any(ancestor.__name__ in KIND_OF_CLASS for ancestor in kind.__mro__), kind
        if kind.__module__ == "anthropic._exceptions":
            assert kind.__name__ in KIND_OF_CLASS, f"map {kind.__name__} in failures.py"


def test_every_error_type_the_library_knows_has_a_row() -> None:
    from typing import get_args

    from anthropic.types.shared.error_type import ErrorType

    assert set(get_args(ErrorType)) <= KIND_OF_TYPE.keys()


def test_an_unknown_subclass_takes_the_row_of_its_ancestor() -> None:
    import anthropic
    import httpx2

    class NewLimitError(anthropic.RateLimitError):
        pass

    response = httpx2.Response(429, request=httpx2.Request("POST", "http://x"))
    assert kind_of(NewLimitError("no", response=response, body=None)) is ModelFailure.LIMIT
    assert kind_of(httpx2.ReadError("cut")) is ModelFailure.TRANSPORT
    assert kind_of(RuntimeError("?")) is ModelFailure.REQUEST


async def test_every_response_is_told_with_its_status_and_headers_before_the_call_ends() -> None:
    told: list[tuple[str, int, str | None]] = []

    def heard(model: str, status: int, headers: Mapping[str, str]) -> None:
        told.append((model, status, headers.get("anthropic-ratelimit-requests-remaining")))

    left = {"anthropic-ratelimit-requests-remaining": "7"}
    answers = [
        Answer(HELLO, headers=left),
        failure(429, "rate_limit_error", anthropic_ratelimit_requests_remaining="0"),
        failure(529, "overloaded_error"),
        failure(400, "invalid_request_error"),
        Answer(HELLO[:3], ending="drop", headers=left),
    ]
    async with MessagesServer(answers) as server:
        model = AnthropicModel(api_key=KEY, base_url=server.base_url, clock=SystemClock(), on_response=heard)
        async with contextlib.aclosing(model.stream(REQUEST)) as events:  # type: ignore[type-var]
            await anext(events)
            assert len(told) == 1, "known while the turn is still under way"
            async for _ in events:
                pass
        for _ in answers[1:]:
            with pytest.raises(ModelError):
                await everything(model)
        await model.close()
    sonnet = REQUEST.model
    assert told == [
        (sonnet, 200, "7"),
        (sonnet, 429, "0"),
        (sonnet, 529, None),
        (sonnet, 400, None),
        (sonnet, 200, "7"),
    ]
