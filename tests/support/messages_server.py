"""A server on loopback that speaks the Messages API: real sockets, server-sent events, and every way to go wrong.

Each request takes the next answer of a list, or what a function makes of the request; requests are kept as they came.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

from tests.support.prompt_cache import Asked, PromptCache, Refused

Sse = Sequence[Mapping[str, Any]]
Request = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    ``events`` are streamed; ``ending`` is ``close`` (a clean end), ``drop`` (the connection is reset), ``hang``
    (nothing more comes, until the server is stopped) or ``ping`` (nothing but pings). ``status`` other than 200 sends
    ``body`` instead.
    """

    events: Sse = ()
    ending: str = "close"
    status: int = 200
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes = b""
    piece_bytes: int = 0


def failure(status: int, type: str, message: str = "no", *, code: str = "", **headers: str) -> Answer:
    """An HTTP error as the API words it; ``retry_after="3"`` becomes the header ``retry-after: 3``."""
    error: dict[str, Any] = {"type": type, "message": message}
    if code:
        error["details"] = {"error_code": code}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, body={"type": "error", "error": error, "request_id": "req_1"}, headers=names)


def turn_events(
    blocks: Iterable[Mapping[str, Any]],
    stop_reason: str | None = "end_turn",
    *,
    model: str = "claude-sonnet-5-5",
    usage: Mapping[str, int] | None = None,
    piece: int = 5,
) -> list[dict[str, Any]]:
    """The events of a whole turn with these final blocks, cut into deltas of ``piece`` characters."""
    counts = {"input_tokens": 100, "output_tokens": 1, **(usage or {})}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "usage": counts}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        start, deltas = _unbuilt(block, piece)
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events.extend({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        events.append({"type": "content_block_stop", "index": index})
    tokens = {"output_tokens": counts["output_tokens"]}
    events.append({"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": tokens})
    events.append({"type": "message_stop"})
    return events


def _unbuilt(block: Mapping[str, Any], piece: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    def cut(text: str) -> list[str]:
        return [text[at : at + piece] for at in range(0, len(text), piece)]

    match block["type"]:
        case "text":
            return {**block, "text": ""}, [{"type": "text_delta", "text": part} for part in cut(block["text"])]
        case "thinking":
            thoughts = [{"type": "thinking_delta", "thinking": part} for part in cut(block["thinking"])]
            signature = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*thoughts, signature]
        case "tool_use":
            text = json.dumps(block["input"], ensure_ascii=False)
            parts = [{"type": "input_json_delta", "partial_json": part} for part in ["", *cut(text)]]
            return {**block, "input": {}}, parts
        case _:
            return dict(block), []


def _billed(events: Sse, usage: Mapping[str, Any]) -> Sse:
    """The events of a turn with ``usage`` where it begins; what it says about output stays."""
    first, *others = events
    message = first["message"]
    return [{**first, "message": {**message, "usage": {**message["usage"], **usage}}}, *others]


def sse(event: Mapping[str, Any]) -> bytes:
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event['type']}\ndata: {text}\n\n".encode()


class MessagesServer:
    """Use as an async context manager; ``base_url`` is for the client.

    With a ``cache`` the input tokens of every answered turn are those that it bills. ``models`` are what the API says
    about its models, by id; ``looked_up`` are the ids that were asked for.
    """

    def __init__(
        self,
        answers: Iterable[Answer] = (),
        *,
        decide: Callable[[Request], Awaitable[Answer]] | None = None,
        cache: PromptCache | None = None,
        models: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.models = models or {}
        self.looked_up: list[str] = []
        self.cache = cache
        self.connections = 0
        self.answers = list(answers)
        self.decide = decide
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.asked = asyncio.Event()
        self.disconnected = asyncio.Event()
        self._connections: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> MessagesServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.disconnected.set()
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        if head[0].startswith("GET "):
            self.looked_up.append(model := head[0].split()[1].rpartition("/")[2])
            unknown = failure(404, "not_found_error")
            await self._send_json(writer, Answer(body=self.models[model]) if model in self.models else unknown)
            return True
        self.headers.append(headers)
        request = json.loads(await reader.readexactly(int(headers.get("content-length", "0"))))
        self.requests.append(request)
        self.asked.set()
        asked: Asked | None = None
        try:
            asked = self.cache.ask(request) if self.cache is not None else None
            answer = self.answers.pop(0) if self.decide is None else await self.decide(request)
        except Refused as refusal:
            answer = failure(400, "invalid_request_error", str(refusal))
        if answer.status == 200 and asked is not None:
            answer = replace(answer, events=_billed(answer.events, asked.bill.usage))
        if answer.status != 200:
            await self._send_json(writer, answer)
            return True
        _head(writer, answer, {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"})
        stream = b"".join(map(sse, answer.events)) + answer.raw
        size = answer.piece_bytes or len(stream) or 1
        for at in range(0, len(stream), size):
            _chunk(writer, stream[at : at + size])
            await writer.drain()
            if self.cache is not None and asked is not None:
                self.cache.began(asked)
                asked = None
        if answer.ending == "hang":
            await reader.read()
            return False
        while answer.ending == "ping":
            _chunk(writer, sse({"type": "ping"}))
            await writer.drain()
            await asyncio.sleep(0.02)
        if answer.ending == "drop":
            writer.transport.abort()
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _send_json(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        body = json.dumps(answer.body).encode()
        _head(writer, answer, {"content-type": "application/json", "content-length": str(len(body))})
        writer.write(body)
        await writer.drain()


def _chunk(writer: asyncio.StreamWriter, piece: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))


def _head(writer: asyncio.StreamWriter, answer: Answer, fields: Mapping[str, str]) -> None:
    lines = [f"HTTP/1.1 {answer.status} Answer", "request-id: req_1"]
    lines += [f"{name}: {value}" for name, value in {**fields, **answer.headers}.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
