"""The gate before every call with one key to one class of models: whose turn it is, and whether it is time.

A call reserves what it will probably use before it is made. Among equals who was let in less often comes first; who
waits longer than others comes first at last, and who is first and does not fit yet is not overtaken. A 429 limits
everybody at the gate until the time the server named, and nobody sleeps on that inside a call.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from swarm_core.agents.admission import Call
from swarm_core.agents.model import Turn
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import ModelError, ModelFailure

from .breaker import Breaker, Pass
from .buckets import Buckets, Need
from .expectation import Expectation, counted_input
from .fairness import Fairness
from .quota import Quota
from .window import Window

AGEING_S = 120.0  # waiting this long is worth one rank
MAX_BACKOFF_S = 60.0
MAX_JITTER_S = 5.0
MIN_SLEEP_S = 0.001
NEWS_S = 0.5  # a limit that passes sooner, or moves by less, is nobody's concern
_NOTHING = Need(0.0)
_OVERLOADED = frozenset({ModelFailure.OVERLOAD})
_UNREACHABLE = frozenset({ModelFailure.TRANSPORT, ModelFailure.SILENT})
# What a server turned down before it did anything: no tokens were used.
_TURNED_DOWN = frozenset(
    {ModelFailure.LIMIT, ModelFailure.OVERLOAD, ModelFailure.AUTH, ModelFailure.REQUEST, ModelFailure.SPEND}
)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something everybody at a gate should hear. ``kind`` is the event's; it holds for ``wait_s``."""

    kind: str
    gate: str
    wait_s: float = 0.0
    failures: int = 0
    reason: str = ""


@dataclass(order=True, slots=True)
class _Waiter:
    order: tuple[float, int]
    call: Call = field(compare=False)
    granted: asyncio.Future[Ticket] = field(compare=False)


class Ticket:
    """Leave for one call. The first of ``settle`` and ``withdraw`` counts."""

    def __init__(
        self, gate: RateGate, call: Call, need: Need, tick: int, passes: tuple[Pass, Pass], begun_s: float
    ) -> None:
        self._gate: RateGate | None = gate
        self.call, self.need, self.tick, self.passes, self.begun_s = call, need, tick, passes, begun_s

    def settle(self, turn: Turn | None, error: ModelError | None) -> None:
        if (gate := self._taken()) is not None:
            gate._settle(self, turn, error)

    def withdraw(self) -> None:
        """The call was never made."""
        if (gate := self._taken()) is not None:
            gate._withdraw(self)

    def _taken(self) -> RateGate | None:
        gate, self._gate = self._gate, None
        return gate


class RateGate:
    """An ``Admission``. ``breaker`` is for this class of models, ``line`` for the way to its provider.

    ``tell`` hears what concerns everybody, ``moved`` that another gate on the same line may look again.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        random: Random,
        *,
        breaker: Breaker,
        line: Breaker,
        window: Window | None,
        tell: Callable[[Notice], None] = lambda notice: None,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._clock, self._random = clock, random
        self._breaker, self._line, self._window = breaker, line, window
        self._tell, self._moved = tell, moved
        self.buckets = Buckets()
        self.expectation = Expectation()
        self._fairness = Fairness()
        self.under_way = 0
        self._queue: list[_Waiter] = []
        self._arrivals = 0
        self._limited_until_s = float("-inf")
        self._limited_s = float("-inf")
        self._limits_in_a_row = 0
        self._reset_s = 0.0
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_due_s = 0.0

    # -- entering

    async def enter(self, call: Call, rank: float = 0.0) -> Ticket:
        """Wait for leave. A higher ``rank`` comes first; 120 s of waiting are worth one rank."""
        self._arrivals += 1
        rank += self._fairness.rank(call.agent)
        order = (self._clock.monotonic_s() / AGEING_S - rank, self._arrivals)
        waiter = _Waiter(order, call, asyncio.get_running_loop().create_future())
        heapq.heappush(self._queue, waiter)
        self.look()
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.done() and not waiter.granted.cancelled():
                waiter.granted.result().withdraw()
            else:
                waiter.granted.cancel()
                self.look()
            raise

    def enter_now(self, call: Call) -> Ticket | None:
        """Leave without waiting, or None if there is anything to wait for."""
        self.look()
        if self._queue:
            return None
        need = self.expectation.of(call)
        return self._let_in(call, need) if self._wait_s(need) == 0.0 else None

    def look(self) -> None:
        """Let in whoever may enter now, and see to it that somebody looks again in time."""
        while self._queue:
            waiter = self._queue[0]
            if waiter.granted.done():
                heapq.heappop(self._queue)
                continue
            need = self.expectation.of(waiter.call)
            if (wait_s := self._wait_s(need)) != 0.0:
                self._look_again_in(wait_s)
                return
            heapq.heappop(self._queue)
            waiter.granted.set_result(self._let_in(waiter.call, need))
        self._look_again_in(None)

    def _let_in(self, call: Call, need: Need) -> Ticket:
        now_s = self._clock.monotonic_s()
        tick = self.buckets.take(need)
        self.under_way += 1
        self._fairness.let_in(call.agent)
        passes = (self._breaker.let_through(now_s), self._line.let_through(now_s))
        return Ticket(self, call, need, tick, passes, now_s)

    def _wait_s(self, need: Need) -> float | None:
        """Seconds until a call may be let in, or None until something that is under way ends."""
        now_s = self._clock.monotonic_s()
        if (rest_s := self.limited_for_s) > 0:
            return rest_s
        for breaker in (self._breaker, self._line):
            if (wait_s := breaker.wait_s(now_s)) != 0.0:
                return wait_s
        if self._window is not None and self.under_way >= max(1.0, self._window.size):
            return None
        return self.buckets.wait_s(need, now_s)

    def _look_again_in(self, wait_s: float | None) -> None:
        due_s = float("inf") if wait_s is None else self._clock.monotonic_s() + max(wait_s, MIN_SLEEP_S)
        if self._alarm is not None:
            if wait_s is not None and self._alarm_due_s <= due_s:
                return  # it looks, and then sleeps on if there is need
            self._alarm.cancel()
            self._alarm = None
        if wait_s is not None:
            self._alarm_due_s = due_s
            self._alarm = asyncio.create_task(self._sleep(max(wait_s, MIN_SLEEP_S)), name=f"gate {self.name}")

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._alarm = None
        self.look()

    # -- why anybody waits

    @property
    def limited_for_s(self) -> float:
        """Seconds until the limit that everybody here was told of has passed."""
        return max(0.0, self._limited_until_s - self._clock.monotonic_s())

    @property
    def is_broken(self) -> bool:
        """Whether the server is in trouble, as far as anybody knows."""
        return self._breaker.is_open or self._line.is_open

    @property
    def blocked_for_s(self) -> float:
        """Seconds in which nobody is let in, as far as that is known; a limit or a breaker is the reason."""
        now_s = self._clock.monotonic_s()
        return max(self.limited_for_s, self._breaker.wait_s(now_s) or 0.0, self._line.wait_s(now_s) or 0.0)

    # -- how calls end

    def heard(self, quotas: dict[str, Quota], status: int) -> None:
        """Take what a response said in its headers; it is known before the call ends."""
        if not quotas:
            return
        self.buckets.told(quotas, self._clock.monotonic_s())
        if status == 429:
            self._reset_s = max((q.reset_s or 0.0 for q in quotas.values() if not q.remaining), default=0.0)
        self.look()

    def limit(self, wait_s: float, reason: str = "") -> None:
        """Let nobody in for ``wait_s``; say so if it is news and there is a reason."""
        until_s = self._clock.monotonic_s() + wait_s
        is_news = until_s > max(self._limited_until_s, self._clock.monotonic_s()) + NEWS_S
        self._limited_until_s = max(until_s, self._limited_until_s)
        if is_news and reason:
            self._tell(Notice("limit.reached", self.name, wait_s, reason=reason))

    def _settle(self, ticket: Ticket, turn: Turn | None, error: ModelError | None) -> None:
        under_way = self.under_way
        self.under_way -= 1
        now_s = self._clock.monotonic_s()
        if turn is not None:
            used = Need(1.0, float(counted_input(turn.usage)), float(turn.usage.output_tokens))
            self.expectation.learn(ticket.call, turn.usage)
            self._limits_in_a_row = 0
            if self._window is not None:
                self._window.succeeded(under_way)
        elif error is not None and error.kind in _TURNED_DOWN:
            used = _NOTHING if error.kind is ModelFailure.LIMIT else Need()
        else:
            used = ticket.need  # how much of it, nobody knows; a minute makes up for it
        self.buckets.settle(ticket.tick, ticket.need, used)
        self._judge(ticket, turn, error, now_s)
        if error is not None and error.kind in (ModelFailure.LIMIT, ModelFailure.OVERLOAD) and self._window is not None:
            self._window.shrink(under_way, now_s)
        if error is not None and error.kind is ModelFailure.LIMIT:
            self._limited(ticket, error, now_s)
        self.look()
        self._moved()

    def _judge(self, ticket: Ticket, turn: Turn | None, error: ModelError | None, now_s: float) -> None:
        """What the end of a call says about the models' servers, and about the way to them."""
        kind = error.kind if error is not None else None
        for breaker, leave, failures in (
            (self._breaker, ticket.passes[0], _OVERLOADED),
            (self._line, ticket.passes[1], _UNREACHABLE),
        ):
            if (turn is None and error is None) or (breaker is self._breaker and kind in _UNREACHABLE):
                breaker.given_up(leave)  # it says nothing about this one
            elif error is not None and kind in failures:
                if breaker.failed(leave, now_s, error.wait_s or 0.0):
                    wait_s = breaker.wait_s(now_s) or 0.0
                    self._tell(Notice("breaker.opened", breaker.name, wait_s, breaker.failures, error.message))
            elif breaker.answered(leave):
                self._tell(Notice("breaker.closed", breaker.name))

    def _limited(self, ticket: Ticket, error: ModelError, now_s: float) -> None:
        if ticket.begun_s >= self._limited_s:  # what was under way together is told the same together
            self._limits_in_a_row += 1
            self._limited_s = now_s
        wait_s = error.wait_s
        if wait_s is None:
            wait_s = self._reset_s or min(MAX_BACKOFF_S, 2.0 ** min(self._limits_in_a_row - 1, 10))
        # A little later than the server said: it rounds, and others were told the same.
        self.limit(wait_s + min(MAX_JITTER_S, wait_s * (0.02 + 0.08 * self._random.random())), error.message)

    def _withdraw(self, ticket: Ticket) -> None:
        self.under_way -= 1
        self.buckets.settle(ticket.tick, ticket.need, _NOTHING)
        self._breaker.given_up(ticket.passes[0])
        self._line.given_up(ticket.passes[1])
        self.look()
        self._moved()
