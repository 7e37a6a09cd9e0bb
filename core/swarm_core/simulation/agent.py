"""A simulated agent: takes virtual minutes, writes files, and fails in the ways that models fail.

Its conversation lies in the world and outlives the engine, as a transcript does: a turn that was taken is not taken
again, and an agent that has handed off hands off the same thing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

from swarm_core.engine.runner import Runner
from swarm_core.policy.effects import RunAgent
from swarm_core.vocabulary.entities import PLANNING_TASK
from swarm_core.vocabulary.events import Draft

from .dice import Dice
from .hub import SimulatedHub
from .loop import SimulatedClock
from .world import Talk

TURN_S = (5.0, 900.0)
BACKOFF_S = 2.0
MAX_MODEL_TRIES = 4
MAX_TURNS = 12


class Turn(StrEnum):
    """What comes of one turn of a model."""

    WORKS = "works"
    HANDS_OFF = "hands off"
    OVERLOADED = "overloaded"
    REFUSES = "refuses"
    STALLS = "stalls"
    HANGS = "hangs"
    ASKS = "asks for more tasks"


class AgentFate(Protocol):
    """Says how the next turn of an agent ends, after the time it takes."""

    async def turn(self, task: str, talk: Talk) -> Turn: ...


class RandomFate:
    """Chance decides."""

    def __init__(self, dice: Dice, clock: SimulatedClock) -> None:
        self.dice, self.clock = dice, clock

    async def turn(self, task: str, talk: Talk) -> Turn:
        await self.clock.sleep(self.dice.seconds(*TURN_S))
        for fault, turn in _FAULTS:
            if self.dice.strikes(fault):
                return turn
        is_last = talk.turns >= MAX_TURNS or self.dice.random.random() < 0.4
        return Turn.HANDS_OFF if is_last else Turn.WORKS


FOUND = (("", "HIGH"), ("", "LOW"), ("security", "HIGH"), ("security", "MEDIUM"), ("inconsistency", "MEDIUM"))
_FAULTS = (
    ("model_overload", Turn.OVERLOADED),
    ("model_refusal", Turn.REFUSES),
    ("agent_stalls", Turn.STALLS),
    ("agent_hangs", Turn.HANGS),
    ("agent_asks", Turn.ASKS),
)


class SimulatedAgent:
    """One instance on one task, from its claim to submission or failure."""

    def __init__(self, runner: Runner, hub: SimulatedHub, fate: AgentFate, act: RunAgent) -> None:
        self.runner, self.hub, self.fate = runner, hub, fate
        self.task, self.instance = runner.view.tasks[act.task], act.instance
        self.timeout_s = runner.spec.services[self.task.assigned_to].timeout_s
        self.talk = hub.world.talks.setdefault((act.instance, act.task), Talk())

    async def perform(self, trailers: Mapping[str, str]) -> None:
        await self.hub.add_tree(self.instance)
        await self._place(trailers)
        try:
            async with asyncio.timeout(self.timeout_s) as self.limit:
                failure = await self._converse(trailers)
        except TimeoutError:
            failure = "timeout"
        if failure:
            await self.runner.fail(self.task.id, failure, f"it ended: {failure}", attempt=self.task.attempt)
        elif self.task.is_planning:
            await self._submit_plan()
        else:
            await self._submit(trailers)

    async def _place(self, trailers: Mapping[str, str]) -> None:
        """Bring the tree to where the task's work stands; a commit whose record was lost is adopted."""
        hub = self.hub
        wanted, tip = self.task.commit or self.task.base, await hub.tip(self.instance)
        merge = self.runner.view.merges.get(self.task.id)
        if tip != wanted:
            if (await hub.trailers(tip)).get("Task-Id") == self.task.id:
                await self._report("commit.created", commit=tip, message="adopted after a crash")
                return
            await hub.reset_tree(self.instance, wanted)
        if merge is not None and merge.status == "conflicted":
            await hub.start_conflict(self.instance, await hub.integration())

    async def _converse(self, trailers: Mapping[str, str]) -> str:
        """Turns until the hand-off. Returns why it failed, "" if it did not."""
        talk = self.talk
        if talk.iteration < self.task.iteration:
            talk.iteration, talk.turns, talk.is_over = self.task.iteration, 0, False
        if talk.is_over and self.hub.dice.strikes("late_writes"):
            self._write_file()  # something the agent had left running in the background
        tries = 0
        while not talk.is_over:
            await self._clearance()
            turn = await self.fate.turn(self.task.id, talk)
            self.hub.life.require()
            match turn:
                case Turn.OVERLOADED:
                    tries += 1
                    if tries == MAX_MODEL_TRIES:
                        return "overload"
                    await self._report("llm.retry", kind="overload", attempt=tries)
                    await self.runner.clock.sleep(BACKOFF_S**tries)
                    continue
                case Turn.REFUSES:
                    return "auth"
                case Turn.STALLS:
                    return "gave_up"
                case Turn.HANGS:
                    await self.runner.clock.sleep(self.timeout_s + 1)
                case Turn.ASKS:
                    request = f"{self.task.id}-{self.runner.view.last_seq}"
                    await self._report("tasks.requested", request=request, reason="somebody should do more")
            tries = 0
            talk.turns += 1
            talk.is_over = turn is Turn.HANDS_OFF
            if self.hub.dice.rates.agent_finds and self.hub.dice.strikes("agent_finds"):
                await self._find()
            self._write_file()
            if not talk.is_over and self.hub.dice.random.random() < 0.3:
                await self._commit(trailers)
        return ""

    async def _find(self) -> None:
        """Something is wrong somewhere: nobody's, a weakness, or two things that do not agree."""
        dice, number = self.hub.dice, len(self.runner.view.findings) + 1
        where = f"{dice.pick(self.runner.spec.workers)}/file"
        category, severity = dice.pick(FOUND)
        data = {"title": "it is wrong", "severity": severity, "category": category, "location": where}
        await self._report("finding.opened", finding=f"W-{number}-{self.runner.view.last_seq}", **data)

    def _write_file(self) -> None:
        dice = self.hub.dice
        if self.task.is_planning or dice.strikes("agent_does_nothing"):
            return
        tree = self.hub.world.checkouts[self.instance]
        path = f"{self.task.assigned_to}/{'shared' if dice.strikes('same_file') else self.task.id}"
        tree.files[path] = f"{self.task.id}.{self.task.iteration}.{self.talk.turns}"

    async def _commit(self, trailers: Mapping[str, str]) -> None:
        if (commit := await self.hub.commit_all(self.instance, trailers)) is not None:
            await self._report("commit.created", commit=commit, message="work")

    async def _submit(self, trailers: Mapping[str, str]) -> None:
        await self._commit(trailers)
        await self._report("handoff.recorded", what_i_did="the work")
        tip = await self.hub.tip(self.instance)
        diff = await self.hub.diff(self.hub.world.merge_base(await self.hub.integration(), tip), tip)
        await self._report("task.submitted", attempt=self.task.attempt, commit=tip, files=diff.stat.files)

    async def _clearance(self) -> None:
        """Wait for leave to take the next step; time spent held does not count against the task."""
        asked_s = self.runner.clock.monotonic_s()
        await self.runner.clearance(self.task.id)
        held_s = self.runner.clock.monotonic_s() - asked_s
        if held_s and (when := self.limit.when()) is not None:
            self.limit.reschedule(when + held_s)

    async def _submit_plan(self) -> None:
        """The first plan, or what the architect makes of a task that failed or of a wish."""
        tasks = self.hub.world.plan if self.task.id == PLANNING_TASK else []
        reassign, cancel = [], []
        failed = self.runner.view.tasks.get(self.task.about)
        if failed is not None and failed.status == "failed":
            match self.hub.dice.random.randrange(4):
                case 0:
                    cancel.append({"task": failed.id, "reason": "it is not worth it"})
                case 1:
                    pass
                case _:
                    to = self.hub.dice.pick(self.runner.spec.workers)
                    reassign.append({"task": failed.id, "assigned_to": to})
        plan = {"tasks": tasks, "reassign": reassign, "cancel": cancel}
        await self._report("artifact.written", type="plan", path=f"plan-{self.task.id}.json", **plan)
        await self._report("task.submitted", attempt=self.task.attempt, commit="", files=0)

    async def _report(self, kind: str, /, **data: Any) -> None:
        await self.runner.record(Draft(kind, data, actor=self.instance, task=self.task.id, agent=self.instance))
