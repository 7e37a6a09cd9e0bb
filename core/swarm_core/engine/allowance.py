"""The time an agent has for a task: it stands still while the agent waits for others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from types import TracebackType


class Allowance:
    """Use as an async context manager around the work; raises TimeoutError once ``seconds`` of its own are used."""

    def __init__(self, seconds: float) -> None:
        self._timeout = asyncio.timeout(seconds)
        self._excused = 0
        self._left_s = 0.0

    async def __aenter__(self) -> Allowance:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._timeout.__aexit__(kind, error, trace)

    @contextlib.contextmanager
    def excused(self) -> Iterator[None]:
        """Time in here does not count. May be entered by several at once: the clock goes on when all have left."""
        loop, when = asyncio.get_running_loop(), self._timeout.when()
        self._excused += 1
        if self._excused == 1 and when is not None and not self._timeout.expired():
            self._left_s = when - loop.time()
            self._timeout.reschedule(None)
        try:
            yield
        finally:
            self._excused -= 1
            if self._excused == 0 and not self._timeout.expired():
                with contextlib.suppress(RuntimeError):  # the work is over
                    self._timeout.reschedule(loop.time() + self._left_s)
