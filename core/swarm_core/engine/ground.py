"""The worktree an agent is about to work in, while it is still being made.

A checkout takes longer than everything else before an agent's first question, and the question needs nothing of it.
So the two go on side by side, and whatever reads or writes the tree waits here first. The question has the start:
each git that is started stops this process for as long as that takes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType

HEAD_START_S = 0.05
BEAT_S = 30.0


class Ground:
    """Use as an async context manager around the work in the tree that ``make`` prepares.

    ``alive`` is told now and then while somebody waits: a large checkout is no lost agent. When the work ends, however
    it ends, nothing is at work in the tree any more.
    """

    def __init__(self, make: Callable[[], Awaitable[None]], alive: Callable[[], None] = lambda: None) -> None:
        self._make, self._alive = make, alive
        self._is_wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Ground:
        self._task = asyncio.create_task(self._making(), name="ground")
        return self

    async def _making(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEAD_START_S):
                await self._is_wanted.wait()
        await self._make()

    async def ready(self) -> None:
        """Return when the tree is there. Raises what kept it from being made, to everybody who asks."""
        assert self._task is not None
        self._is_wanted.set()
        while not self._task.done():
            self._alive()
            await asyncio.wait([self._task], timeout=BEAT_S)
        self._task.result()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        if isinstance(error, asyncio.CancelledError):
            self._task.cancel()  # what is half done is finished when the tree is needed again
        self._is_wanted.set()
        try:
            await asyncio.wait([self._task])
        except asyncio.CancelledError:  # hurried: the tree may be given to somebody else as soon as this returns
            self._task.cancel()
            await asyncio.wait([self._task])
            raise
        if not self._task.cancelled():
            self._task.exception()  # whoever needed the tree was told
