"""The budget ledger: a model call reserves the most it may use before it is made, so no limit is ever exceeded.

What is spent stands in the journal. Where there is a limit, a line is written before each call with the most it may use
(``llm.started``); what the call used (``llm.call``), or what it counts for if nobody knows (``llm.cut``), takes its
place. A call that was cut off counts in full: the provider bills what it produced, and nobody told us. One that the
server refused, or that was never sent, counts for nothing. After a crash the calls that were under way count in full.

A call that does not fit waits for those that share its budget, first come first served: most use less than they
reserved. If there are none it gets as many output tokens as are left, and if those are too few the budget is used up.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from swarm_core.agents.admission import Admission, Call, Permit
from swarm_core.agents.model import Turn
from swarm_core.agents.prices import highest_rates
from swarm_core.policy.budgets import budget_id, budgets_of
from swarm_core.vocabulary.budgets import Amounts, Budget, in_units, scopes_of, smallest
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import IllegalTransition, ModelError
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.view import RunView

MIN_OUTPUT_TOKENS = 2_000  # less than this is cut off in the middle of a thought, and paid for
CALL_S = 600.0
MIN_CALL_S = 30.0
BEAT_S = 30.0
SETTLING_S = 60.0

Post = Callable[..., "asyncio.Future[list[Event]]"]
Wait = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a call may use: at most ``most``, with so many output tokens, for so long (None: as long as it likes)."""

    most: Amounts
    max_tokens: int
    max_s: float | None


@dataclass(frozen=True, slots=True)
class Short:
    """Why there is no offer: budgets that others may give something back to, or one that is used up."""

    behind: frozenset[str] = frozenset()
    exhausted: Budget | None = None
    asked: int = 0


class Ledger:
    """The budgets of one run.

    ``post`` records facts in the order in which it is called, ``moved`` returns when something was recorded or ``wake``
    was called. Whoever makes calls asks the ``Admission`` that ``admissions`` returns.
    """

    def __init__(self, view: RunView, spec: SwarmSpec, clock: Clock, post: Post, moved: Wait, wake: Callable[[], None]):
        self._view, self._spec, self._clock = view, spec, clock
        self._post, self._moved, self._wake = post, moved, wake
        self._tickets = itertools.count()
        self._waiting: dict[int, frozenset[str]] = {}
        self._held: dict[int, tuple[tuple[str, ...], Amounts]] = {}
        self._live: dict[str, float] = {}
        self._left_over = dict(view.open_calls)
        self._unpriced: set[str] = set()

    def admissions(self, clearance: Wait, beat: Callable[[], None]) -> Sequence[Admission]:
        """Who has to agree to an agent's calls: nobody where there is no limit.

        ``clearance`` returns when the agent may go on; it waits there while a budget that it needs is used up.
        """
        return [_Seat(self, clearance, beat)] if self._spec.budgets else []

    # -- one call

    async def enter(self, call: Call, clearance: Wait, beat: Callable[[], None]) -> Permit:
        """Wait until the call fits, and reserve the most it may use, durably."""
        self._settle_left_over()
        scopes = scopes_of(self._view.tasks[call.task], call.service)
        ticket = next(self._tickets)
        try:
            while True:
                self._waiting[ticket] = frozenset()
                await clearance()
                offer = self._offer(call, scopes, ticket)
                if isinstance(offer, Offer):
                    break
                await self._wait(ticket, offer, beat)
            self._held[ticket] = (scopes, offer.most)
            del self._waiting[ticket]
            return await self._begin(call, offer)
        finally:
            self._waiting.pop(ticket, None)
            self._held.pop(ticket, None)
            self._wake()

    async def _begin(self, call: Call, offer: Offer) -> Permit:
        self._say_unpriced(call.model)
        self._live[call.agent] = math.inf
        data = {"model": call.model, **offer.most.data()}
        try:
            await asyncio.shield(self._post(Draft("llm.started", data, call.agent, call.task, call.agent)))
        except BaseException:
            self.cut(call, Amounts(), "not made")
            raise
        return _Permit(self, call, offer, self._clock)

    def cut(self, call: Call, used: Amounts, reason: str) -> None:
        """A call ended without a turn and counts for ``used``."""
        self.answered(call)
        self._post(Draft("llm.cut", {**used.data(), "reason": reason}, call.agent, call.task, call.agent))

    def answered(self, call: Call) -> None:
        """A call ended: what it used is on its way into the journal."""
        self._live[call.agent] = self._clock.monotonic_s() + SETTLING_S

    async def _wait(self, ticket: int, short: Short, beat: Callable[[], None]) -> None:
        budget = short.exhausted
        if budget is not None and self._known(budget).status in ("ok", "warning") and budget.id in self._view.budgets:
            spent = self._view.spent.get(budget.scope, Amounts()).of(budget.dimension)
            amounts = {"spent": in_units(spent, budget.dimension), "asked": in_units(short.asked, budget.dimension)}
            try:
                await asyncio.shield(self._post(Draft("budget.exhausted", {"budget": budget.id, **amounts})))
            except IllegalTransition:  # somebody else found out in the same moment
                return
            return
        self._waiting[ticket] = short.behind
        beat()
        try:
            async with asyncio.timeout(BEAT_S):
                await self._moved()
        except TimeoutError:
            return

    # -- what fits

    def _offer(self, call: Call, scopes: Sequence[str], ticket: int) -> Offer | Short:
        """What the call may use now, judged by every budget it falls under."""
        rates = highest_rates(call.model, call.input_tokens, self._clock.now())
        ahead = frozenset().union(*(those for other, those in self._waiting.items() if other < ticket))
        budgets = list(self._budgets(scopes))
        is_timed = any(budget.dimension == "seconds" for budget in budgets)
        output, span_ms = call.max_tokens, smallest(CALL_S, "seconds") if is_timed else 0
        behind: set[str] = set()
        for budget in budgets:
            left, whole = self._left(budget), _most(call, rates, output, span_ms)
            if budget.status == "exhausted":
                return Short(exhausted=budget, asked=whole.of(budget.dimension))
            if budget.id in ahead:
                behind.add(budget.id)
            elif whole.of(budget.dimension) > left:
                if self._has_others(budget.scope):
                    behind.add(budget.id)
                    continue
                output, span_ms = _shrunk(call, rates, budget.dimension, left, output, span_ms)
                if _most(call, rates, output, span_ms).of(budget.dimension) > left:
                    return Short(exhausted=budget, asked=whole.of(budget.dimension))
        if behind:
            return Short(frozenset(behind))
        return Offer(_most(call, rates, output, span_ms), output, span_ms / 1000 if is_timed else None)

    def _budgets(self, scopes: Sequence[str]) -> Iterator[Budget]:
        for scope in scopes:
            for limit in budgets_of(scope, self._spec):
                name = budget_id(scope, limit.dimension)
                yield self._known(Budget(name, scope, limit.dimension, limit.limit))

    def _known(self, budget: Budget) -> Budget:
        return self._view.budgets.get(budget.id, budget)

    def _left(self, budget: Budget) -> int:
        """What is neither spent nor reserved, in the dimension's smallest unit."""
        scope, dimension = budget.scope, budget.dimension
        used = self._view.spent.get(scope, Amounts()).of(dimension)
        used += sum(call.most.of(dimension) for call in self._view.open_calls.values() if scope in call.scopes)
        used += sum(most.of(dimension) for scopes, most in self._held.values() if scope in scopes)
        return smallest(budget.limit, dimension) - used

    def _has_others(self, scope: str) -> bool:
        """Whether a call under way may give back some of what it reserved."""
        now_s = self._clock.monotonic_s()
        return any(scope in scopes for scopes, _ in self._held.values()) or any(
            scope in call.scopes and self._live.get(agent, -math.inf) >= now_s
            for agent, call in self._view.open_calls.items()
        )

    # -- what is said once

    def _settle_left_over(self) -> None:
        """Calls of an engine that ended: nobody knows what they used."""
        left_over, self._left_over = self._left_over, {}
        for agent, call in left_over.items():
            if self._view.open_calls.get(agent) == call:
                task = call.scopes[-1].removeprefix("task.") if len(call.scopes) > 1 else None
                data = {**call.most.data(), "reason": "the engine ended"}
                self._post(Draft("llm.cut", data, agent, task, agent))

    def _say_unpriced(self, model: str) -> None:
        is_money = any(limit.dimension == "usd" for limit in self._spec.budgets)
        if is_money and model not in self._unpriced and highest_rates(model, 0) is None:
            self._unpriced.add(model)
            text = f"no price is known for {model}: budgets in usd do not see its calls, those in tokens do"
            self._post(Draft("run.note", {"text": text}))


def _most(call: Call, rates: tuple[float, float] | None, output: int, span_ms: int) -> Amounts:
    """The most a call may use; a model without a price counts as free of charge."""
    dollars = 0 if rates is None else math.ceil(call.input_tokens * rates[0] + output * rates[1])
    return Amounts(call.input_tokens + output, dollars, span_ms, 1)


def _shrunk(
    call: Call, rates: tuple[float, float] | None, dimension: str, left: int, output: int, span_ms: int
) -> tuple[int, int]:
    """The output tokens and the time that fit into what is left, or the least that is worth a call."""
    match dimension:
        case "tokens":
            output = min(output, max(left - call.input_tokens, _least(call)))
        case "usd" if rates is not None:
            fits = int((left - math.ceil(call.input_tokens * rates[0])) / rates[1]) if rates[1] else output
            output = min(output, max(fits, _least(call)))
        case "seconds":
            span_ms = min(span_ms, max(left, smallest(MIN_CALL_S, "seconds")))
    return output, span_ms


def _least(call: Call) -> int:
    return min(call.max_tokens, MIN_OUTPUT_TOKENS)


class _Seat:
    """The ledger as one agent's loop sees it."""

    def __init__(self, ledger: Ledger, clearance: Wait, beat: Callable[[], None]) -> None:
        self._ledger, self._clearance, self._beat = ledger, clearance, beat

    async def enter(self, call: Call) -> Permit:
        return await self._ledger.enter(call, self._clearance, self._beat)


class _Permit:
    """Leave for one call, with less than it asked for if that is what is left."""

    def __init__(self, ledger: Ledger, call: Call, offer: Offer, clock: Clock) -> None:
        self._ledger, self._call, self._offer, self._clock = ledger, call, offer, clock
        self._made_s: float | None = None
        self.max_tokens, self.max_s = offer.max_tokens, offer.max_s

    def made(self) -> None:
        self._made_s = self._clock.monotonic_s()

    def settle(self, turn: Turn | None, error: ModelError | None) -> None:
        if turn is not None:
            self._ledger.answered(self._call)
        elif self._made_s is None:
            self._ledger.cut(self._call, Amounts(), "not made")
        elif error is not None and error.is_free:
            self._ledger.cut(self._call, Amounts(), str(error.kind))
        else:
            took_ms = round((self._clock.monotonic_s() - self._made_s) * 1000)
            used = replace(self._offer.most, ms=min(took_ms, self._offer.most.ms) if self.max_s else took_ms)
            self._ledger.cut(self._call, used, str(error.kind) if error is not None else "cancelled")
