"""A circuit breaker: while a server is in trouble nobody asks it, and then one call finds out for all.

Closed, it counts failures in a row. Open, it lets nobody through for a while, each time longer. Then it is half open:
exactly one call, the probe, goes through; it closes the breaker or opens it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

# As many as one agent tries in a turn: a lone agent does not use its tries up on a server that is down.
FAILURES = 4
COOL_S = 1.0
MAX_COOL_S = 60.0
JITTER = 0.3


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave of a breaker for one call. ``era`` tells calls that began before the last change from those after it."""

    era: int
    is_probe: bool


class Breaker:
    """``failures`` is how many came in a row. Times are in seconds of one monotonic clock."""

    def __init__(
        self,
        name: str,
        random: Random,
        *,
        limit: int = FAILURES,
        cool_s: float = COOL_S,
        max_cool_s: float = MAX_COOL_S,
    ) -> None:
        self.name = name
        self._random = random
        self._limit, self._first_cool_s, self._max_cool_s = limit, cool_s, max_cool_s
        self._cool_s = cool_s
        self._era = 0
        self._open_until_s: float | None = None
        self._is_probing = False
        self.failures = 0

    @property
    def is_open(self) -> bool:
        """Open or half open: the server has not been seen well since it failed."""
        return self._open_until_s is not None

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until a call may pass; None while a probe is under way and decides."""
        if self._open_until_s is None:
            return 0.0
        return None if self._is_probing else max(0.0, self._open_until_s - now_s)

    def let_through(self, now_s: float) -> Pass:
        """Count a call that passes now; only if ``wait_s`` is 0."""
        if self.wait_s(now_s) != 0.0:
            raise RuntimeError("the breaker is open")
        self._is_probing = self.is_open
        return Pass(self._era, self._is_probing)

    def answered(self, leave: Pass) -> bool:
        """The server did its part. True if that closes the breaker."""
        if leave.era != self._era:
            return False
        self.failures = 0
        if not leave.is_probe:
            return False
        self._era += 1
        self._open_until_s, self._is_probing, self._cool_s = None, False, self._first_cool_s
        return True

    def failed(self, leave: Pass, now_s: float, asked_s: float = 0.0) -> bool:
        """The server did not; ``asked_s`` is the pause it asked for. True if that opens the breaker, or again."""
        if leave.era != self._era:
            return False
        self.failures += 1
        if not leave.is_probe and self.failures < self._limit:
            return False
        self._era += 1
        self._is_probing = False
        self._open_until_s = now_s + max(self._cool_s, asked_s) * (1 + JITTER * self._random.random())
        self._cool_s = min(self._max_cool_s, self._cool_s * 2)
        return True

    def given_up(self, leave: Pass) -> None:
        """Nobody will know what became of the call. If it was the probe, another one may be."""
        if leave.is_probe and leave.era == self._era:
            self._is_probing = False
