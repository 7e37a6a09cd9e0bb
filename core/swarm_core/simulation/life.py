"""One life of the simulated engine process, from its start to its death or its end."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

from .loop import CREW


class EngineDied(BaseException):
    """Code of a dead process tried to touch the world. No handler for ordinary errors may catch it."""


class Life:
    """Knows every task the process runs, and whether it still lives. What is dead can touch nothing."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_over = False
        self.ended = asyncio.Event()
        self._tasks: list[asyncio.Task[Any]] = []
        self._last_words: list[Callable[[], None]] = []

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` as this process; every task it makes belongs to the process."""
        context = contextvars.copy_context()
        context.run(CREW.set, self._tasks)
        return context.run(asyncio.ensure_future, work)

    def at_death(self, what: Callable[[], None]) -> None:
        """What the world does in the instant of death, such as keeping half of what was being written."""
        self._last_words.append(what)

    def require(self) -> None:
        """Raise EngineDied in a process that is dead. To be called before every effect."""
        if self.is_over:
            raise EngineDied

    def die(self) -> None:
        """End the process between two of its steps. Nothing of it touches the world any more."""
        if self.is_over:
            return
        self.is_over = True
        for what in self._last_words:
            what()
        for task in self._tasks:
            if task is not _current():
                task.cancel()
        self.ended.set()

    def leave(self) -> None:
        """The process has ended by itself."""
        self._last_words.clear()
        self.die()


def _current() -> asyncio.Task[Any] | None:
    """The task that runs right now, None between two of them."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
