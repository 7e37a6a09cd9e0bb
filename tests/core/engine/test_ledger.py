"""The budget ledger: no limit is ever exceeded, whatever happens in which order; and nobody waits without a reason.

Agents, crashes and raises are played in virtual time; an interleaving is a seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import asdict, replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.story import spec

from swarm_core.agents.admission import Call, Narrow, Permit
from swarm_core.agents.model import Turn
from swarm_core.agents.prices import cost_usd
from swarm_core.engine.ledger import MIN_OUTPUT_TOKENS, Ledger
from swarm_core.policy import Record, decide
from swarm_core.simulation.loop import SimulatedClock, SimulatedLoop
from swarm_core.vocabulary.budgets import Amounts, raised_limit, smallest
from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.errors import IllegalTransition, ModelError, ModelFailure
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.spec import BudgetSpec, SwarmSpec
from swarm_core.vocabulary.view import RunView

MODEL = "claude-sonnet-5-5"
TS = "2026-11-21T03:04:05.000Z"
INPUT, OUTPUT = 30_000, 16_000


class Books:
    """A run's journal and view: facts become true a little after they were posted, in their order."""

    def __init__(self, spec: SwarmSpec, events: list[Event], random: Random) -> None:
        self.spec, self.events, self.random = spec, events, random
        self.view = RunView.of(events)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        self.clock = SimulatedClock(loop)
        self.changed = asyncio.Event()
        self.tail: asyncio.Future[None] | None = None
        self.applying: set[asyncio.Future[None]] = set()
        self.is_dead = False
        self.ledger = Ledger(self.view, spec, self.clock, self.post, self.moved, self.wake)

    def post(self, *drafts: Draft) -> asyncio.Future[list[Event]]:
        done: asyncio.Future[list[Event]] = asyncio.get_running_loop().create_future()
        done.add_done_callback(lambda future: future.cancelled() or future.exception())
        before, self.tail = self.tail, asyncio.get_running_loop().create_future()
        applying = asyncio.ensure_future(self._apply(drafts, done, before, self.tail))
        self.applying.add(applying)
        applying.add_done_callback(self.applying.discard)
        return done

    async def _apply(
        self,
        drafts: tuple[Draft, ...],
        done: asyncio.Future[list[Event]],
        before: asyncio.Future[None] | None,
        after: asyncio.Future[None],
    ) -> None:
        if before is not None:
            await before
        await asyncio.sleep(self.random.choice([0, 0, 0.003, 0.1]))
        if not self.is_dead:
            try:
                done.set_result([self.take(draft) for draft in drafts])
            except IllegalTransition as error:
                done.set_exception(error)
        after.set_result(None)
        self.wake()

    def take(self, draft: Draft) -> Event:
        self.view.check(draft)
        event = Event(len(self.events) + 1, TS, "r", draft.kind, draft.data, draft.actor, draft.task, draft.agent)
        self.events.append(event)
        self.view.apply(event)
        return event

    async def moved(self) -> None:
        await self.changed.wait()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def decide(self) -> None:
        """What the policy records about budgets."""
        for effect in decide(self.view, self.spec):
            if isinstance(effect, Record) and effect.drafts[0].kind.startswith("budget."):
                for draft in effect.drafts:
                    self.take(draft)


def beginning(agents: int) -> list[Event]:
    """A run in which each agent works on a task of its own, two services in turn."""
    drafts = [Draft("run.created", {"title": "T"}), Draft("run.started", {"base": "b", "integration": "b"})]
    drafts += [Draft("phase.started", phase="plan"), Draft("task.created", {"kind": "plan"}, task="task_000")]
    for number in range(1, agents + 1):
        service, task = f"s{number % 2}", f"task_{number:03d}"
        agent = f"{service}-{number}"
        drafts.append(Draft("task.created", {"assigned_to": service}, task=task))
        drafts.append(Draft("agent.starting", {"service": service}, agent=agent))
        drafts.append(Draft("agent.ready", agent=agent))
        drafts.append(Draft("task.ready", task=task))
        drafts.append(Draft("task.claimed", {"attempt": 1}, task=task, agent=agent))
    return [Event(n, TS, "r", d.kind, d.data, d.actor, d.task, d.agent, d.phase) for n, d in enumerate(drafts, 1)]


def limited(*budgets: tuple[str, str, float]) -> SwarmSpec:
    return replace(spec("s0", "s1"), budgets=tuple(BudgetSpec(*budget) for budget in budgets))


def call_of(number: int, input_tokens: int = INPUT, max_tokens: int = OUTPUT) -> Call:
    service = f"s{number % 2}"
    return Call(f"{service}-{number}", service, f"task_{number:03d}", MODEL, input_tokens, max_tokens)


def answer(books: Books, call: Call, permit: Permit, usage: Usage, ms: int = 10) -> None:
    """What the loop does with a turn: settle, then journal what it used."""
    permit.settle(Turn([], "end_turn", usage, MODEL), None)
    cost = cost_usd(MODEL, usage) or 0.0
    data = {**asdict(usage), "cost_usd": round(cost, 6), "ms": ms}
    books.post(Draft("llm.call", data, call.agent, call.task, call.agent))


def run_simulated(main: Callable[[], Coroutine[Any, Any, None]], seed: int = 0) -> None:
    """Play ``main`` on a loop of its own whose interleaving is drawn from ``seed``."""
    loop = SimulatedLoop(Random(seed))
    try:
        loop.run_until_complete(main())
        if rest := asyncio.all_tasks(loop):  # what is still being written
            loop.run_until_complete(asyncio.wait(rest, timeout=100))
        for task in asyncio.all_tasks(loop):
            task.cancel()
            loop.run_until_complete(asyncio.wait({task}))
        assert loop.complaints == []
    finally:
        loop.close()


class Provider:
    """What calls really cost. ``limits`` are held against the truth, not against anybody's books."""

    def __init__(self, limits: dict[str, Any]) -> None:
        self.used: dict[str, Amounts] = {}
        self.under_way: dict[str, tuple[tuple[str, ...], Amounts]] = {}
        self.limits = limits
        self.made = 0

    def begins(self, call: Call, scopes: tuple[str, ...], most: Amounts, view: RunView) -> None:
        self.made += 1
        self.under_way[call.agent] = (scopes, most)
        for limit in self.limits["budgets"]:
            for scope in scopes:
                if limit.scope not in (scope, scope.partition(".")[0] if scope.startswith("task.") else scope):
                    continue
                known = view.budgets.get(f"{scope}.{limit.dimension}")
                allowed = smallest(known.limit if known else limit.limit, limit.dimension)
                could = self.used.get(scope, Amounts()).of(limit.dimension)
                could += sum(m.of(limit.dimension) for those, m in self.under_way.values() if scope in those)
                assert could <= allowed, f"{scope}: {could} of {allowed} {limit.dimension}"

    def ends(self, agent: str, used: Amounts) -> None:
        scopes, _ = self.under_way.pop(agent)
        for scope in scopes:
            self.used[scope] = self.used.get(scope, Amounts()) + used


class Play:
    """Agents that make calls with every kind of ending, an engine that is killed, an operator that raises."""

    def __init__(self, seed: int, agents: int, calls: int, kills: int, budgets: SwarmSpec, *, raises: bool) -> None:
        self.random = Random(seed)
        self.spec, self.raises, self.kills = budgets, raises, kills
        self.left = dict.fromkeys(range(1, agents + 1), calls)
        self.provider = Provider({"budgets": budgets.budgets})
        self.events = beginning(agents)
        self.books: Books

    async def perform(self) -> None:
        for life in range(self.kills + 1):
            self.books = Books(self.spec, self.events, self.random)
            self.books.decide()
            crew = [asyncio.create_task(self._agent(number)) for number in self.left]
            crew.append(asyncio.create_task(self._operate()))
            is_last = life == self.kills
            lifetime_s = 20_000.0 if is_last else self.random.uniform(0.0, 60.0)
            await asyncio.wait(crew[:-1], timeout=lifetime_s)
            self.books.is_dead = not is_last
            for task in crew:
                task.cancel()
            ended = await asyncio.gather(*crew, return_exceptions=True)
            assert [error for error in ended if isinstance(error, Exception)] == []
            for agent, (_, most) in list(self.provider.under_way.items()):  # the provider goes on without us
                self.provider.ends(agent, part(most, self.random.random()))

    async def _operate(self) -> None:
        while True:
            self.books.decide()
            for scope in list(self.books.view.index.exhausted) if self.raises else ():
                for name in list(self.books.view.index.exhausted.get(scope, ())):
                    limit = raised_limit(self.books.view.budgets[name])
                    self.books.take(Draft("budget.raised", {"budget": name, "limit": limit}))
                    self.books.wake()
            await self.books.moved()

    async def _agent(self, number: int) -> None:
        books, random = self.books, self.random
        while self.left[number]:
            call = call_of(number, random.choice([100, 30_000, 120_000]), random.choice([500, 4_000, 16_000]))
            trying = asyncio.create_task(self._call(books, call))
            try:
                if random.random() < 0.15:
                    await asyncio.wait({trying}, timeout=random.uniform(0.0, 30.0))
                    trying.cancel()
                await asyncio.wait({trying})
            finally:
                if not trying.done():
                    trying.cancel()
                    await asyncio.wait({trying})
            if not trying.cancelled():
                trying.result()
                self.left[number] -= 1

    async def _call(self, books: Books, call: Call) -> None:
        async def clearance() -> None:
            while books.view.why_unpaid(books.view.tasks[call.task]):
                await books.moved()

        (admission,) = books.ledger.admissions(clearance, lambda: None)
        permit = await admission.enter(call)
        assert isinstance(permit, Narrow)
        turn, error, most = None, None, books.view.open_calls[call.agent].most
        permit.made()
        began_s = books.clock.monotonic_s()
        try:
            scopes = books.view.open_calls[call.agent].scopes
            self.provider.begins(call, scopes, most, books.view)
            took_s = min(self.random.uniform(0.0, 90.0), permit.max_s or 90.0)
            await asyncio.sleep(took_s)
            used, error = self._ending(permit, call)
            is_free = error is not None and error.is_free
            used_up = Amounts() if is_free else amounts(used, round(took_s * 1000))
            self.provider.ends(call.agent, used_up)
            if error is None:
                turn = used
        except asyncio.CancelledError:
            if call.agent in self.provider.under_way and not books.is_dead:
                used_up = part(most, self.random.random())
                took_ms = round((books.clock.monotonic_s() - began_s) * 1000)
                self.provider.ends(call.agent, replace(used_up, ms=took_ms))
            raise
        finally:
            if turn is not None:
                answer(books, call, permit, turn, used_up.ms)
            else:
                permit.settle(None, error)

    def _ending(self, permit: Narrow, call: Call) -> tuple[Usage, ModelError | None]:
        """What the call used, and how it failed."""
        random = self.random
        written = random.randint(0, call.input_tokens)
        output = random.randint(0, permit.max_tokens)
        usage = Usage(call.input_tokens - written, output, 0, written, cache_write_1h_tokens=random.randint(0, written))
        if (chance := random.random()) < 0.1:
            return Usage(), ModelError("slow down", kind=ModelFailure.LIMIT)
        if chance < 0.2:
            return usage, ModelError("cut off", kind=ModelFailure.TRUNCATED)
        return usage, None


def part(most: Amounts, share: float) -> Amounts:
    return Amounts(int(most.tokens * share), int(most.micro_usd * share), int(most.ms * share), 1)


def amounts(usage: Usage, ms: int) -> Amounts:
    cost = round(cost_usd(MODEL, usage) or 0.0, 6)  # as the journal has it
    return Amounts(usage.tokens, round(cost * 1_000_000), ms, 1)


LIMITS = st.lists(
    st.sampled_from(
        [
            ("run", "usd", 1.1),
            ("run", "tokens", 700_000.0),
            ("run", "iterations", 7.0),
            ("run", "seconds", 900.0),
            ("service.s1", "usd", 0.9),
            ("phase.build", "tokens", 400_000.0),
            ("task", "usd", 0.75),
            ("task", "iterations", 2.0),
            ("task", "seconds", 100.0),
        ]
    ),
    min_size=1,
    max_size=4,
    unique=True,
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(0, 3), LIMITS, st.booleans())
def test_no_call_is_made_that_could_exceed_a_limit_in_any_interleaving(
    seed: int, agents: int, kills: int, limits: list[tuple[str, str, float]], raises: bool
) -> None:
    play = Play(seed, agents, 4, kills, limited(*limits), raises=raises)
    run_simulated(play.perform, seed)

    view = play.books.view
    for number, left in play.left.items():
        if left:
            assert not raises, "whoever waits goes on after a raise"
            assert view.why_unpaid(view.tasks[f"task_{number:03d}"]), "nobody waits without a reason"
    for scope, used in play.provider.used.items():
        under_way = (call.most for call in view.open_calls.values() if scope in call.scopes)
        kept = sum(under_way, view.spent.get(scope, Amounts()))
        for dimension in {dimension for _, dimension, _ in limits}:
            assert kept.of(dimension) >= used.of(dimension), f"{scope}: the journal knows of all {dimension}"


# -- one call at a time


async def always() -> None:
    return


def enter(books: Books, call: Call) -> asyncio.Task[Permit]:
    (admission,) = books.ledger.admissions(always, lambda: None)
    return asyncio.create_task(admission.enter(call))


async def entered(books: Books, call: Call) -> Permit:
    """Leave for a call that is sent at once."""
    permit = await asyncio.wait_for(enter(books, call), 5)
    assert isinstance(permit, Narrow)
    permit.made()
    return permit


async def settled(books: Books) -> None:
    while books.tail is not None and not books.tail.done():
        await asyncio.shield(books.tail)
    await asyncio.sleep(0.001)


def test_where_there_is_no_limit_nobody_is_asked() -> None:
    async def play() -> None:
        assert Books(spec("s0"), beginning(1), Random(1)).ledger.admissions(always, lambda: None) == []

    run_simulated(play)


def test_a_call_gets_as_many_output_tokens_as_are_left_and_then_none() -> None:
    async def play() -> None:
        books = Books(limited(("run", "tokens", INPUT + 5_000)), beginning(1), Random(1))
        books.decide()
        permit = await entered(books, call_of(1))
        assert isinstance(permit, Narrow)
        assert permit.max_tokens == 5_000
        answer(books, call_of(1), permit, Usage(INPUT, 4_000))
        await settled(books)

        again = enter(books, call_of(1))
        await asyncio.wait({again}, timeout=100)
        assert not again.done()
        budget = books.view.budgets["run.tokens"]
        assert (budget.status, budget.spent, budget.asked) == ("exhausted", INPUT + 4_000, INPUT + OUTPUT)
        books.take(Draft("budget.raised", {"budget": "run.tokens", "limit": 2 * INPUT + 5_500}))
        books.wake()
        await asyncio.wait({again}, timeout=100)
        assert not again.done(), f"what is left is less than {MIN_OUTPUT_TOKENS}: not worth a call"
        again.cancel()

    run_simulated(play)


def test_a_call_waits_for_those_that_may_give_something_back() -> None:
    async def play() -> None:
        books = Books(limited(("run", "tokens", 2 * (INPUT + OUTPUT) - 1)), beginning(3), Random(1))
        books.decide()
        first = await entered(books, call_of(1))
        second = enter(books, call_of(2))
        await asyncio.wait({second}, timeout=1)
        third = enter(books, call_of(3, 10))
        await asyncio.wait({second, third}, timeout=100)
        assert not second.done()
        assert not third.done(), "first come, first served: a small one does not overtake"
        assert not books.view.index.exhausted

        answer(books, call_of(1), first, Usage(1_000, 10))
        await asyncio.wait({second}, timeout=5)
        permit = second.result()
        assert isinstance(permit, Narrow)
        assert permit.max_tokens == OUTPUT, "it waited, so it is not cut short"
        third.cancel()

    run_simulated(play)


def test_a_budget_is_not_called_used_up_while_what_was_given_back_is_being_written() -> None:
    async def play() -> None:
        books = Books(limited(("run", "tokens", INPUT + OUTPUT)), beginning(2), Random(1))
        books.decide()
        first = await entered(books, call_of(1))
        second = enter(books, call_of(2))
        await asyncio.wait({second}, timeout=5)
        answer(books, call_of(1), first, Usage(100, 10))
        books.random = Random(3)
        while not second.done():
            books.wake()  # somebody else's news, before this call's
            await asyncio.sleep(0)
            if books.applying:
                await asyncio.sleep(0.001)
            assert "budget.exhausted" not in {event.kind for event in books.events}

    run_simulated(play)


@pytest.mark.parametrize(
    ("error", "spent"),
    [
        (ModelError("slow down", kind=ModelFailure.LIMIT), 0),
        (ModelError("no key", kind=ModelFailure.AUTH), 0),
        (ModelError("busy", kind=ModelFailure.OVERLOAD, is_free=True), 0),
        (ModelError("busy in the middle", kind=ModelFailure.OVERLOAD), INPUT + OUTPUT),
        (ModelError("cut off", kind=ModelFailure.TRUNCATED), INPUT + OUTPUT),
        (None, INPUT + OUTPUT),
    ],
    ids=["limit", "auth", "refused", "overload", "truncated", "cancelled"],
)
def test_a_call_without_a_turn_counts_for_nothing_or_for_the_most_it_may_have_used(
    error: ModelError | None, spent: int
) -> None:
    async def play() -> None:
        books = Books(limited(("run", "tokens", 1e9)), beginning(1), Random(1))
        books.decide()
        (await entered(books, call_of(1))).settle(None, error)
        await settled(books)
        assert books.view.spent.get("run", Amounts()).tokens == spent
        assert books.view.open_calls == {}

    run_simulated(play)


def test_a_call_that_somebody_else_did_not_admit_was_not_made() -> None:
    async def play() -> None:
        books = Books(limited(("run", "tokens", 1e9)), beginning(1), Random(1))
        books.decide()
        permit = await asyncio.wait_for(enter(books, call_of(1)), 5)
        permit.settle(None, None)
        await settled(books)
        assert books.view.spent.get("run", Amounts()) == Amounts()

    run_simulated(play)


def test_a_call_cut_by_a_crash_counts_in_full_and_holds_nobody_up() -> None:
    async def play() -> None:
        books = Books(limited(("run", "tokens", 2 * (INPUT + OUTPUT))), beginning(2), Random(1))
        books.decide()
        await entered(books, call_of(1))
        again = Books(books.spec, books.events, Random(2))
        permit = await entered(again, call_of(2))
        await settled(again)
        assert again.view.spent["run"].tokens == INPUT + OUTPUT
        permit.settle(None, None)
        await settled(again)
        third = enter(again, call_of(1))
        await asyncio.wait({third}, timeout=5)
        assert again.view.index.exhausted == {"run": {"run.tokens": None}}
        third.cancel()

    run_simulated(play)


def test_a_model_without_a_price_is_said_once_and_its_tokens_count() -> None:
    async def play() -> None:
        books = Books(limited(("run", "usd", 0.01), ("run", "tokens", 1e9)), beginning(1), Random(1))
        books.decide()
        for _ in range(2):
            permit = await entered(books, replace(call_of(1), model="tomorrow-1"))
            answer(books, call_of(1), permit, Usage(1_000, 10))
            await settled(books)
        notes = [event.data["text"] for event in books.events if event.kind == "run.note"]
        assert len(notes) == 1
        assert "no price is known for tomorrow-1" in notes[0]
        assert books.view.spent["run"].tokens == 2_020

    run_simulated(play)
