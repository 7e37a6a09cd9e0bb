"""The limits that all runs of an engine share, and how a run hears of them.

The gates know nothing of runs. Here each agent's calls get their rank, its waiting is shown, and what concerns
everybody at a gate is journaled by every run that uses it.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from swarm_core.agents.admission import Call
from swarm_core.agents.limits.gates import RateGates
from swarm_core.agents.limits.rate_gate import Notice, RateGate, Ticket
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import ModelError, ModelFailure
from swarm_core.vocabulary.events import Draft

if TYPE_CHECKING:
    from .agent_act import AgentAct
    from .models import ModelPool
    from .runner import Runner

RANKS = {"critical": 3.0, "high": 2.0, "medium": 1.0, "low": 0.0}
PLANNING_RANK = 4.0
# Who failed on a server in trouble lets the others find out next, or one bad request would be every probe.
AFTER_FAILURE = -10.0
SHOWN_BLOCK_S = 0.5
SHOWN_QUEUE_S = 5.0
ANTHROPIC, SCRIPTED = "anthropic", "scripted"


class SharedLimits:
    """One for an engine. A run is known from its first call on, and until it leaves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.gates = RateGates(clock)
        self.gates.unlimited.add(SCRIPTED)
        self.gates.listeners.append(self._tell)
        self._runs: dict[Runner, set[str]] = {}

    def gate(self, runner: Runner, provider: str, model: str) -> RateGate:
        """The gate of a run's call. A limit that the run's journal remembers from an earlier engine still stands."""
        if runner not in self._runs:
            self._runs[runner] = set()
            for limit in runner.view.limits.values():
                if limit.kind == "limit" and (rest_s := _seconds_until(limit.until, self._clock.now())) > 0:
                    self.gates.remember(limit.gate, rest_s)
        gate = self.gates.gate(provider, model)
        self._runs[runner] |= {gate.name, provider}
        return gate

    def leave(self, runner: Runner) -> None:
        self._runs.pop(runner, None)

    def _tell(self, notice: Notice) -> None:
        data: dict[str, Any] = {"gate": notice.gate}
        if notice.kind != "breaker.closed":
            data |= {"until": self.until(notice.wait_s), "wait_s": round(notice.wait_s, 3)}
            data["reason"] = clean_line(notice.reason, 300)
        if notice.failures:
            data["failures"] = notice.failures
        for runner, names in self._runs.items():
            if notice.gate in names:
                runner.recorder.enqueue(Draft(notice.kind, data))

    def until(self, wait_s: float) -> str:
        """The time in ``wait_s``, as the journal writes times."""
        moment = datetime.fromisoformat(self._clock.now()) + timedelta(seconds=min(wait_s, 366 * 86_400))
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Paced:
    """The ``Pacing`` of one agent: its calls go through the shared gates, and its waiting is seen."""

    def __init__(self, act: AgentAct, models: ModelPool) -> None:
        self._act, self._runner = act, act.runner
        self._limits = models.limits
        self._provider = models.provider(act.service, act.runner.view.run.options)
        self._models = (act.service.model, *act.service.fallback_models)
        self._gate = self._limits.gate(self._runner, self._provider, act.service.model)
        self._has_failed = False

    def choose(self) -> str:
        """The model for the next attempt."""
        return self._limits.gates.choose(self._provider, self._models)

    async def enter(self, call: Call) -> Ticket:
        """Wait for leave, off the task's clock. Raises ModelError if another model can be asked instead."""
        self._gate = self._limits.gate(self._runner, self._provider, call.model)
        ticket = None if self._has_failed else self._gate.enter_now(call)
        while ticket is None:
            with self._act.allowance.excused():
                ticket = await self._wait(call)
            if self._runner.must_wait(self._act.task.id):  # the operator held the task meanwhile
                ticket.withdraw()
                ticket = None
                await self._act.clearance()
        self._has_failed = False
        return ticket

    def held_s(self, error: ModelError) -> float | None:
        """A limit holds everybody; an outage does once the breaker knows of it."""
        self._has_failed = error.kind is not ModelFailure.LIMIT
        is_held = error.kind is ModelFailure.LIMIT or (error.is_retryable and self._gate.is_broken)
        return self._gate.blocked_for_s if is_held else None

    async def _wait(self, call: Call) -> Ticket:
        """Wait at the gate, say why and until when, and show signs of life: who waits is not lost."""
        entering = asyncio.create_task(self._gate.enter(call, self._rank()), name=f"{call.agent} at {self._gate.name}")
        clock, is_shown = self._act.clock, False
        asked_s = clock.monotonic_s()
        try:
            await asyncio.sleep(0)
            while not entering.done():
                self._runner.watch.beat(self._act.task.id)
                if (other := self.choose()) != call.model:
                    message = f"{self._gate.name} cannot be asked now: goes on with {other}"
                    raise ModelError(message, kind=ModelFailure.LIMIT, wait_s=0.0)
                if not is_shown and (data := self._reason(clock.monotonic_s() - asked_s)):
                    is_shown = True
                    await self._act.report(Draft("agent.waiting", data))
                await self._nap(entering)
            if is_shown:
                await self._act.report(Draft("agent.busy"))
        except BaseException:
            if entering.done() and not entering.cancelled() and entering.exception() is None:
                entering.result().withdraw()
            entering.cancel()
            raise
        return entering.result()

    def _reason(self, waited_s: float) -> dict[str, str]:
        """Why it waits, if that is worth a word."""
        if (blocked_s := self._gate.blocked_for_s) > SHOWN_BLOCK_S:
            is_limit = self._gate.limited_for_s > 0
            reason = "the model's rate limit" if is_limit else "the model's server is in trouble"
            return {"reason": reason, "until": self._limits.until(blocked_s)}
        return {"reason": "its turn under the model's rate limit"} if waited_s >= SHOWN_QUEUE_S else {}

    async def _nap(self, entering: asyncio.Task[Ticket]) -> None:
        napping = asyncio.create_task(self._act.clock.sleep(SHOWN_QUEUE_S))
        try:
            await asyncio.wait({entering, napping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            napping.cancel()

    def _rank(self) -> float:
        task = self._runner.view.tasks[self._act.task.id]
        rank = PLANNING_RANK if task.is_planning else RANKS.get(task.priority, 1.0)
        return rank + (AFTER_FAILURE if self._has_failed else 0.0)


def _seconds_until(until: str, now: str) -> float:
    try:
        return (datetime.fromisoformat(until) - datetime.fromisoformat(now)).total_seconds()
    except (TypeError, ValueError):
        return 0.0
