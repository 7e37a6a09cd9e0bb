"""The same world with hypothesis as its fate: what it finds it shrinks to a short story.

The rules say what happens next (an agent finishes, the operator decides, the engine dies, time passes); the invariants
look on after every event, and at the end everything that was started must come to its end by itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swarm_core.simulation.agent import Turn
from swarm_core.simulation.dice import Rates
from swarm_core.simulation.operator import SimulatedOperator
from swarm_core.simulation.schedule import Schedule
from swarm_core.simulation.world import Talk
from swarm_core.vocabulary.inbox import InboxItem

DEADLINE_S = 30 * 86_400.0


class Waiting:
    """Agents that take their turn when a rule says so."""

    def __init__(self) -> None:
        self.turns: dict[str, asyncio.Future[Turn]] = {}
        self.is_free = False

    async def turn(self, task: str, talk: Talk) -> Turn:
        if self.is_free:
            await asyncio.sleep(60)
            return Turn.HANDS_OFF
        self.turns[task] = asyncio.get_running_loop().create_future()
        return await self.turns[task]

    def let(self, task: str, turn: Turn) -> None:
        if not self.turns[task].done():
            self.turns[task].set_result(turn)
        del self.turns[task]


class Idle(SimulatedOperator):
    """An operator who does nothing but what the rules say, until the end."""

    async def watch(self) -> None:
        while not self.dice.is_calm:
            await self.clock.sleep(3600)
        await super().watch()


class Swarm(RuleBasedStateMachine):
    """One run; every rule lets one thing happen and then a little time pass."""

    @initialize(seed=st.integers(0, 2**16), tasks=st.integers(1, 4))
    def begin(self, seed: int, tasks: int) -> None:
        self.schedule = Schedule(seed, tasks, Rates.none())
        schedule = self.schedule
        schedule.crashes_left, schedule.calm_at_s = 0, DEADLINE_S
        schedule.operator = Idle(schedule.world, schedule.store, schedule.clock, schedule.dice, "simulated")
        self.fate = Waiting()
        schedule.fate = self.fate
        self.playing = schedule.loop.create_task(schedule._play())
        self.numbers = 0
        self.past: list[InboxItem] = []
        self.pass_time(1.0)

    # -- rules

    @rule(seconds=st.sampled_from((0.01, 1.0, 60.0, 1200.0)))
    def pass_time(self, seconds: float) -> None:
        """Let everything happen that is due within so many seconds."""
        loop = self.schedule.loop
        loop.call_later(seconds, loop.stop)
        loop.run_forever()

    @precondition(lambda self: self.fate.turns)
    @rule(data=st.data(), turn=st.sampled_from(list(Turn)))
    def agent_takes_a_turn(self, data: Any, turn: Turn) -> None:
        self.fate.let(data.draw(st.sampled_from(sorted(self.fate.turns))), turn)
        self.pass_time(30.0)

    @precondition(lambda self: self.open_gates())
    @rule(data=st.data(), verdict=st.sampled_from(("approve", "approve", "reject")), note=st.sampled_from(("", "no")))
    def operator_decides(self, data: Any, verdict: str, note: str) -> None:
        gate = data.draw(st.sampled_from(self.open_gates()))
        self.send("gate.decide", gate=gate.id, verdict=verdict, note=note, evidence=gate.evidence)

    @precondition(lambda self: self.schedule.invariants.view.gates)
    @rule(data=st.data(), verdict=st.sampled_from(("approve", "reject")), evidence=st.sampled_from(("", "stale")))
    def operator_decides_what_is_gone_or_moved(self, data: Any, verdict: str, evidence: str) -> None:
        gates = self.schedule.invariants.view.gates
        gate = gates[data.draw(st.sampled_from(sorted(gates)))]
        self.send("gate.decide", gate=gate.id, verdict=verdict, note="x", evidence=evidence or gate.evidence)

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def operator_repeats_a_request(self, data: Any) -> None:
        self.schedule.world.send(data.draw(st.sampled_from(self.past)))
        self.pass_time(5.0)

    @rule(kind=st.sampled_from(("run.pause", "run.halt", "run.resume")))
    def operator_holds_or_frees_the_run(self, kind: str) -> None:
        self.send(kind)

    @precondition(lambda self: self.schedule.invariants.view.gates)
    @rule(data=st.data())
    def operator_rolls_back(self, data: Any) -> None:
        gates = sorted(self.schedule.invariants.view.gates)
        self.send("run.rollback", to="gate:" + data.draw(st.sampled_from(gates)).removeprefix("gate_"))

    @rule(steps=st.integers(1, 40))
    def engine_dies(self, steps: int) -> None:
        """After so many more steps, wherever that is."""
        loop = self.schedule.loop
        loop.at_step(loop.steps + steps, lambda: self.schedule.life.die())
        self.pass_time(5.0)

    @rule(hours=st.sampled_from((-48.0, -1.0, 1.0, 48.0)))
    def wall_clock_jumps(self, hours: float) -> None:
        self.schedule.clock.skew_s += hours * 3600

    # -- what they need

    def open_gates(self) -> list[Any]:
        return self.schedule.invariants.view.open_gates

    def send(self, kind: str, **data: str) -> None:
        self.numbers += 1
        item = InboxItem(f"{self.numbers:06d}", kind, "simulated", data=data)
        self.past.append(item)
        self.schedule.operator.sent[item.id] = item
        self.schedule.world.send(item)
        self.pass_time(5.0)

    @invariant()
    def everything_holds(self) -> None:
        if (violation := self.schedule.report.violation) is not None:
            raise violation

    def teardown(self) -> None:
        """From here on nothing fails, agents hand off and the operator is at the keyboard: it has to end."""
        if not hasattr(self, "schedule"):
            return
        self.fate.is_free = True
        for task in list(self.fate.turns):
            self.fate.let(task, Turn.HANDS_OFF)
        self.schedule.dice.is_calm = True
        try:
            if self.schedule.report.violation is None:
                self.schedule.loop.run_until_complete(self.playing)
        finally:
            self.schedule._close()
        self.everything_holds()


TestSwarm = Swarm.TestCase
TestSwarm.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
