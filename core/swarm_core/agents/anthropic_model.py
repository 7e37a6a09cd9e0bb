"""``AnthropicModel``: one attempt at one turn through the Messages API, streamed.

The library is imported with the first call, in a thread: it takes seconds, and the engine's loop serves other agents
meanwhile. Its own retries are off, because it would sleep through a ``retry-after`` of hours inside a call; its
stream helpers are not used either: a stream that ends early comes back from them as an ordinary message, and a tool's
input is parsed again with every fragment. The events are read from the bytes and assembled here. The body is written
here too: the library walks the whole history by its type hints before it encodes it, and cannot send half a character
back that a server once sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import ModelError, ModelFailure

from .assembly import EventLines, LineTooLong, StreamTruncated, TurnAssembly
from .failures import model_error
from .model import ModelEvent, ModelRequest
from .model_facts import ModelFacts, facts_of, listed_facts
from .request_body import request_body

T = TypeVar("T")

CONNECT_TIMEOUT_S = 15.0
FACTS_TIMEOUT_S = 5.0
DRAIN_S = 0.2
# A server that only says that it is still there is believed this many times longer than one that says nothing.
PING_PATIENCE = 3
COMPACTION_BETA = "compact-2026-01-12"
OnResponse = Callable[[str, int, Mapping[str, str]], None]


class AnthropicModel:
    """The Claude models behind ``base_url``.

    Without ``api_key`` the library looks where it always does (``ANTHROPIC_API_KEY``, a profile). ``idle_s`` is how
    long a stream may be silent before it is given up. ``on_response`` is told the model that was asked for, the status
    and the headers of every response, as soon as they are there.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        idle_s: float = 300.0,
        clock: Clock,
        on_response: OnResponse = lambda model, status, headers: None,
    ) -> None:
        self._api_key = api_key or None
        self._base_url = base_url
        self._idle_s = idle_s
        self._clock = clock
        self._on_response = on_response
        self._client: Any = None
        self._connecting = asyncio.Lock()
        self._facts: dict[str, ModelFacts] = {}
        self._asking = asyncio.Lock()

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Deltas as they come, then the turn. Raises ModelError for whatever goes wrong, and only that.

        The connection is closed when the iterator is, so a consumer that may leave early wraps it in ``aclosing``.
        """
        try:
            client = await self._connected()
            facts = await self._facts_of(client, request.model)
            async with contextlib.AsyncExitStack() as open_things:
                watch = _Watch(self._clock, self._idle_s)
                await open_things.enter_async_context(watch)
                response = await watch.over(_posted(client, request, facts))
                open_things.push_async_callback(response.close)
                self._on_response(request.model, response.status_code, response.headers)
                chunks = response.iter_bytes()
                lines, assembly = EventLines(), TurnAssembly()
                try:
                    while assembly.turn is None:
                        chunk = await watch.over(anext(chunks, None))
                        if chunk is None:
                            raise StreamTruncated("the stream ended before the turn was whole")
                        for event in lines.feed(chunk):
                            if event.get("type") != "ping":
                                watch.news()
                            news = assembly.take(event)
                            if assembly.turn is not None:
                                await _drained(chunks)
                            if news is not None:
                                yield news
                            if assembly.turn is not None:
                                break
                except LineTooLong:
                    yield assembly.give_up()
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001 - no error of a library leaves this port
            if (response := getattr(error, "response", None)) is not None:
                self._on_response(request.model, response.status_code, response.headers)
            raise model_error(error, now=self._clock.now(), secrets=self._secrets()) from None

    async def close(self) -> None:
        """Give the connections back. The model may be used again afterwards."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._client is None:
                self._client = await asyncio.to_thread(self._connect)
            return self._client

    async def _facts_of(self, client: Any, model: str) -> ModelFacts:
        """What ``model`` can do: asked once, so that all its requests have the same parameters and share a cache.

        Only what makes a call fail for certain is worth an error, and the call itself reports that.
        """
        async with self._asking:
            if model not in self._facts:
                facts = listed_facts(model)
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(FACTS_TIMEOUT_S):
                        facts = facts_of(await client.models.retrieve(model), facts)
                self._facts[model] = facts
            return self._facts[model]

    def _connect(self) -> Any:
        library = import_module("anthropic")
        return library.AsyncAnthropic(
            api_key=self._api_key,
            base_url=self._base_url,
            max_retries=0,
            # The watch decides about silence; a read timeout of the library could only disagree with it.
            timeout=library.Timeout(None, connect=CONNECT_TIMEOUT_S),
        )

    def _secrets(self) -> Iterator[str]:
        for holder, name in ((self, "_api_key"), (self._client, "api_key"), (self._client, "auth_token")):
            if isinstance(secret := getattr(holder, name, None), str):
                yield secret


async def _posted(client: Any, request: ModelRequest, facts: ModelFacts) -> Any:
    """The response to one attempt, its body not yet read. Raises the library's errors."""
    body = request_body(request, facts)
    headers = {"content-type": "application/json", "x-stainless-raw-response": "stream"}
    if "context_management" in body:
        headers["anthropic-beta"] = COMPACTION_BETA
    library = import_module("anthropic")
    return await client.post(
        "/v1/messages",
        cast_to=object,
        content=encoded(body),
        options={"headers": headers},
        stream=True,
        stream_cls=library.AsyncStream[object],
    )


async def _drained(chunks: AsyncIterator[bytes]) -> None:
    """Read what is left behind a whole turn, which is nothing, so that the connection serves the next one too."""
    with contextlib.suppress(Exception):  # the turn is whole, whatever becomes of the connection
        async with asyncio.timeout(DRAIN_S):
            async for _ in chunks:
                pass


def encoded(body: Mapping[str, Any]) -> bytes:
    """A body as JSON. Half a character, which UTF-8 cannot carry, goes back escaped, as it came."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()


class _Watch:
    """Ends a wait for the next event when nothing has come for ``idle_s``, by the clock that was passed in.

    A ping is a sign of life and no event: with nothing else, the wait ends after ``PING_PATIENCE`` times as long. One
    sleeping task for a whole stream; an event costs a time stamp. Only waiting counts: while the consumer works on
    what it was given, nothing is armed.
    """

    def __init__(self, clock: Clock, idle_s: float) -> None:
        self._clock = clock
        self._idle_s = idle_s
        self._since_s = self._news_s = clock.monotonic_s()
        self._limit: asyncio.Timeout | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Watch:
        self._task = asyncio.create_task(self._guard(), name="model stream watch")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def news(self) -> None:
        """Something came that is more than a sign of life."""
        self._news_s = self._clock.monotonic_s()

    async def over(self, awaitable: Awaitable[T]) -> T:
        """What ``awaitable`` gives; raises ModelError (SILENT) if that takes too long."""
        self._since_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(None) as self._limit:
                return await awaitable
        except TimeoutError:
            silent_s = self._clock.monotonic_s() - self._since_s
            if silent_s >= self._idle_s:
                message = f"the model's server sent nothing for {self._idle_s:g} s"
            else:
                message = f"the model's server sent nothing but pings for {PING_PATIENCE * self._idle_s:g} s"
            raise ModelError(message, kind=ModelFailure.SILENT) from None
        finally:
            self._limit = None

    async def _guard(self) -> None:
        rest_s = self._idle_s
        while True:
            await self._clock.sleep(rest_s)
            now_s = self._clock.monotonic_s()
            rest_s = min(self._idle_s - (now_s - self._since_s), PING_PATIENCE * self._idle_s - (now_s - self._news_s))
            if rest_s > 0:
                continue
            rest_s = self._idle_s
            if self._limit is not None and not self._limit.expired():
                self._limit.reschedule(asyncio.get_running_loop().time())
