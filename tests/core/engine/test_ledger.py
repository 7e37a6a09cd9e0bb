"""The budget ledger: no limit is ever exceeded, whatever happens in which order; and nobody waits without a reason.

Agents, crashes and raises are played in virtual time; an interleaving is a seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random

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
from swarm_core.vocabulary.budgets import Amounts, smallest
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
        self.clock = SimulatedClock(asyncio.get_running_loop())
        self.changed = asyncio.Event()
        self.tail: asyncio.Future[None] | None = None
        self.is_dead = False
        self.ledger = Ledger(self.view, spec, self.clock, self.post, self.moved, self.wake)

    def post(self, *drafts: Draft) -> asyncio.Future[list[Event]]:
        done: asyncio.Future[list[Event]] = asyncio.get_running_loop().create_future()
        done.add_done_callback(lambda future: future.cancelled() or future.exception())
        before, self.tail = self.tail, asyncio.get_running_loop().create_future()
        asyncio.ensure_future(self._apply(drafts, done, before, self.tail))
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
    data = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "cost_usd": round(cost, 6)}
    books.post(Draft("llm.call", {**data, "ms": ms}, call.agent, call.task, call.agent))


async def always() -> None:
    return


def played[T](play: Callable[[], object], seed: int = 0) -> None: ...


def run_simulated(main: Callable[[], object], seed: int) -> None:
    loop = SimulatedLoop(Random(seed))
    try:
        loop.run_until_complete(main())  # type: ignore[arg-type]
    finally:
        loop.close()
