"""Between two attempts at a turn: why the first failed is told, and the agent waits without being taken for lost."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import ModelError, ModelFailure

from .log import AgentLog
from .patience import MAX_RETRIES

SHOWN_WAIT_S = 1.0
BEAT_S = 30.0


class Waiting:
    """The pauses of one agent. ``excused`` is entered while it waits for a limit that all agents share."""

    def __init__(
        self,
        log: AgentLog,
        clock: Clock,
        tell: Callable[..., Awaitable[None]],
        excused: Callable[[], contextlib.AbstractContextManager[object]],
        beat: Callable[[], None],
    ) -> None:
        self._log, self._clock = log, clock
        self._tell, self._excused, self._beat = tell, excused, beat

    async def tell(self, error: ModelError, wait_s: float, attempt: int, of: str = "") -> None:
        """Report the failure, and when there is another attempt."""
        self._log.write(
            "note", f"{error.message} — attempt {attempt}{of} failed ({error.kind}), again in {wait_s:.1f} s"
        )
        await self._tell(
            "llm.retry",
            kind=str(error.kind),
            wait_s=round(wait_s, 3),
            attempt=attempt,
            message=clean_line(error.message, 300),
        )

    async def wait(self, error: ModelError, wait_s: float, attempt: int) -> None:
        """Report the failure, then wait; a limit that takes a while shows as the agent waiting."""
        is_limit = error.kind is ModelFailure.LIMIT
        await self.tell(error, wait_s, attempt, "" if is_limit else f"/{MAX_RETRIES}")
        if not (is_limit and wait_s > SHOWN_WAIT_S):
            await self._sleep(wait_s)
            return
        until = datetime.fromisoformat(self._clock.now()) + timedelta(seconds=min(wait_s, 366 * 86_400))
        stamp = until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        await self._tell("agent.waiting", reason="the model's rate limit", until=stamp)
        with self._excused():
            await self._sleep(wait_s)
        await self._tell("agent.busy")

    async def _sleep(self, seconds: float) -> None:
        """Wait, and show signs of life: waiting is not being lost."""
        while seconds > 0:
            self._beat()
            await self._clock.sleep(min(seconds, BEAT_S))
            seconds -= BEAT_S
        self._beat()
