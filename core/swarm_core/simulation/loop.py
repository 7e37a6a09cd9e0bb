"""An event loop whose time is a number: it jumps to the next timer when nothing is ready.

Which ready callback runs next is drawn from a seeded random, so each seed is another legal interleaving and the same
seed is the same one. Threads, processes and sockets are refused: they would bring real time and real chance in.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NoReturn

CREW: ContextVar[list[asyncio.Task[Any]] | None] = ContextVar("crew", default=None)
"""Where tasks made in this context are listed, so that all that belong to one process can be ended together."""

START = datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC)


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is set: whoever waits would wait for ever."""


class RealWorld(RuntimeError):
    """Something asked the simulated loop for a thread, a process, a socket or a signal."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """``steps`` counts the callbacks that ran; ``time()`` is in virtual seconds from 0."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.steps = 0
        self.complaints: list[str] = []
        self._now_s = 0.0
        self._at_step: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.set_exception_handler(lambda _, context: self.complaints.append(_complaint(context)))

    def time(self) -> float:
        return self._now_s

    def at_step(self, step: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` between two callbacks, when ``step`` of them have run."""
        heapq.heappush(self._at_step, (step, next(self._numbers), callback))

    def create_task(  # type: ignore[override]  # what tasks take differs from version to version
        self, coro: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = super().create_task(coro, **options)
        if (crew := CREW.get()) is not None:
            crew.append(task)
        return task

    def _run_once(self) -> None:
        """Run one ready callback; called by ``run_forever`` until the loop is stopped."""
        self.steps += 1
        while self._at_step and self._at_step[0][0] <= self.steps:
            heapq.heappop(self._at_step)[2]()
        ready = self._ready
        if not ready:
            self._pass_time()
        if (waiting := len(ready)) > 1:
            ready.rotate(-int(self.random.random() * waiting))
        handle = ready.popleft()
        if not handle.cancelled():
            handle._run()

    def _pass_time(self) -> None:
        """Move on to the next timer that still matters, and ready all that are due then."""
        timers = self._scheduled
        while timers and timers[0].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise Deadlock(f"at {self._now_s:.3f} s: nothing ready and no timer")
        self._now_s = max(self._now_s, timers[0].when())
        while timers and timers[0].when() <= self._now_s:
            self._ready.append(heapq.heappop(timers))

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:  # type: ignore[override]
        raise RealWorld(f"a thread was asked for, to run {getattr(func, '__qualname__', func)}")

    def _write_to_self(self) -> NoReturn:
        raise RealWorld("another thread tried to wake the loop")

    def _process_events(self, events: Any) -> None:
        """There is no selector."""

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> NoReturn:  # type: ignore[override]
        raise RealWorld("a signal handler was asked for")

    async def subprocess_exec(self, *args: Any, **options: Any) -> NoReturn:
        raise RealWorld(f"a process was asked for: {args[1:]}")

    async def subprocess_shell(self, *args: Any, **options: Any) -> NoReturn:
        raise RealWorld(f"a process was asked for: {args[1:]}")

    async def create_connection(self, *args: Any, **options: Any) -> NoReturn:
        raise RealWorld("a socket was asked for")

    async def create_server(self, *args: Any, **options: Any) -> NoReturn:
        raise RealWorld("a socket was asked for")


def _complaint(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context.get('message', '')}: {error!r}" if error else str(context.get("message", ""))


class SimulatedClock:
    """Virtual time. ``skew_s`` moves the wall's clock in either direction; monotonic time it never touches."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.loop = loop
        self.skew_s = 0.0
        self.booted_s = 1000.0

    def now(self) -> str:
        moment = START + timedelta(seconds=self.loop.time() + self.skew_s)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def monotonic_s(self) -> float:
        return self.booted_s + self.loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
