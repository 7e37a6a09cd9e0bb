"""Lets one agent write the prompt prefix that all agents of a model share, before the others read it.

What a request puts into the provider's cache can be read only once the answer has begun. Agents that start together
would each pay for writing the same tools and system prompt; so the first call with a prefix goes, and the others wait
for its first event, a few seconds at most. The same holds again when the cache has forgotten the prefix.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from swarm_core.vocabulary.clock import Clock

from .model import Model, ModelEvent, ModelRequest
from .model_facts import listed_facts
from .request_body import tools_of

MAX_WAIT_S = 5.0
LEAST_BYTES_PER_TOKEN = 2


@dataclass(slots=True)
class _Prefix:
    """``warm_until_s`` by the monotonic clock; ``writing`` while somebody's first event is awaited."""

    warm_until_s: float = float("-inf")
    writing: asyncio.Event | None = None


class SharedPrefix:
    """A model whose calls wait, where that saves money, for the first event of another one with the same prefix."""

    def __init__(self, model: Model, clock: Clock, *, max_wait_s: float = MAX_WAIT_S) -> None:
        self._model = model
        self._clock = clock
        self._max_wait_s = max_wait_s
        self._prefixes: dict[str, _Prefix] = {}
        self.waited = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """As the model behind it. The wait ends early when the one who went first fails: then the next one goes."""
        prefix = self._prefixes.setdefault(key, _Prefix()) if (key := prefix_key(request)) else _Prefix()
        await self._wait(prefix)
        asked_s = self._clock.monotonic_s()
        writing: asyncio.Event | None = None
        if asked_s >= prefix.warm_until_s and prefix.writing is None:
            writing = prefix.writing = asyncio.Event()
        events = self._model.stream(request)
        try:
            async for event in events:
                # The provider counts an entry's life from the start of the request that used it last.
                prefix.warm_until_s = max(prefix.warm_until_s, asked_s + request.cache_ttl_s)
                _end(prefix, writing)
                yield event
        finally:
            _end(prefix, writing)
            if (close := getattr(events, "aclose", None)) is not None:
                await close()

    async def close(self) -> None:
        await self._model.close()

    async def _wait(self, prefix: _Prefix) -> None:
        """Return when the prefix can be read, when it is this caller's turn to write it, or after the longest wait."""
        deadline_s = self._clock.monotonic_s() + self._max_wait_s
        while (writing := prefix.writing) is not None:
            now_s = self._clock.monotonic_s()
            if now_s < prefix.warm_until_s or now_s >= deadline_s:
                return
            self.waited += 1
            await self._either(writing, deadline_s - now_s)

    async def _either(self, event: asyncio.Event, seconds: float) -> None:
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self._clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*waits, return_exceptions=True)


def _end(prefix: _Prefix, writing: asyncio.Event | None) -> None:
    """Whoever waits for ``writing`` may go."""
    if writing is not None:
        writing.set()
        if prefix.writing is writing:
            prefix.writing = None


def prefix_key(request: ModelRequest) -> str:
    """What names the prefix of a request; empty if it is too short to be cached, so that waiting would save nothing."""
    text = json.dumps([request.model, tools_of(request), request.system], ensure_ascii=False).encode()
    if len(text) < LEAST_BYTES_PER_TOKEN * listed_facts(request.model).cache_minimum_tokens:
        return ""
    return hashlib.sha256(text).hexdigest()
