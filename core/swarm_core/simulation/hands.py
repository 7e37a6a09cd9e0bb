"""The engine's hands in the simulated world.

Preparing, starting, merging, adopting, retiring and giving up are the product's (``engine.acts.Hands``) over a
simulated hub; only what talks to models, runs checks or touches the operator's checkout is written anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from swarm_core.checks.run import CheckRun
from swarm_core.engine.acts import Hands
from swarm_core.engine.evidence import Evidence, escalation_evidence, landing_evidence
from swarm_core.engine.judging import Judging
from swarm_core.engine.landing import Landing
from swarm_core.engine.measuring import EVENTS, Measuring
from swarm_core.engine.models import ModelPool
from swarm_core.engine.runner import Runner
from swarm_core.policy.effects import Act, RunAgent
from swarm_core.policy.matrix import blocking
from swarm_core.vocabulary.entities import Gate, Task
from swarm_core.vocabulary.errors import SwarmError, WorkspaceError
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.spec import CheckSpec
from swarm_core.workspace.facts import MergeTry
from swarm_core.workspace.hub import Hub

from .agent import AgentFate, SimulatedAgent
from .dice import Dice
from .hub import SimulatedHub
from .world import World

CHECK_S = (0.5, 900.0)


class SimulatedMeasuring(Measuring):
    """Checks that take their time and come out as the dice say."""

    def __init__(self, runner: Runner, hub: Callable[[], Awaitable[Hub]], dice: Dice) -> None:
        super().__init__(runner, hub)
        self.dice = dice

    async def at_merge(self, task: Task, onto: str, attempt: MergeTry) -> list[CheckRun]:
        return await self._rolled(self.specs("merge"), task.id) if task.commit else []

    async def _on_the_line(self, specs: Sequence[CheckSpec]) -> list[CheckRun]:
        return await self._rolled(specs, "")

    async def before_merge(self, task: Task, commit: str, onto: str) -> str:
        """The simulated line is not measured again."""
        return ""

    async def _rolled(self, specs: Sequence[CheckSpec], task: str) -> list[CheckRun]:
        results = []
        for spec in specs:
            seconds = self.dice.seconds(*CHECK_S)
            await self.runner.clock.sleep(seconds)
            result = CheckRun(spec.name, spec.command, int(self.dice.strikes("check_fails")), round(seconds, 1), "")
            data = {"name": spec.name, "exit_code": result.exit_code, "seconds": result.seconds, "tree": "merged"}
            await self.runner.record(Draft(EVENTS[result.result], data, task=task or None))
            results.append(result)
        return results


class SimulatedJudging(Judging):
    """The evidence of gates whose world is simulated."""

    hands: SimulatedHands

    async def _escalation_evidence(self, gate: Gate, task: Task) -> Evidence:
        return escalation_evidence(gate, task, [])

    async def _landing_evidence(self, gate: Gate) -> Evidence:
        checks = await self.hands.measuring.at_landing()
        world, hub = self.hands.world, self.hands.simulated_hub
        diff = await hub.diff(world.base, world.integration)
        return landing_evidence(
            gate,
            self.view.run,
            [task for task in self.view.tasks.values() if task.is_work],
            branch="main",
            user_tip=world.user_tip,
            is_fast_forward=world.user_tip == world.base,
            diff=diff.text,
            stat=diff.stat,
            checks=checks,
            blockers=[*self.hands.in_the_way(), *blocking(self.view)],
            about=self.hands.landing_about(),
        )


class SimulatedLanding(Landing):
    """Lands on the operator's simulated branch."""

    hands: SimulatedHands

    async def land(self, gate: Gate) -> None:
        world = self.hands.world
        is_landed = world.integration in world.ancestors(world.user_tip)
        if not is_landed and (self.hands.landing_about() != gate.about or self.hands.in_the_way()):
            reason = "the branch or the checkout moved after the decision"
            await self.runner.record(Draft("gate.invalidated", {"gate": gate.id, "reason": reason}))
            return
        try:
            commit = await self.hands.simulated_hub.land(world.user_tip)
        except WorkspaceError as error:
            await self.runner.record(Draft("gate.invalidated", {"gate": gate.id, "reason": str(error)}))
            return
        await self.finish(landed=True, commit=commit, reason="")

    async def keep_unlanded(self, reason: str) -> None:
        await self.finish(landed=False, commit=self.hands.world.integration, reason=reason)


class SimulatedHands(Hands):
    """Performs the acts of one run in a ``World``. What agents do is ``fate``'s to say.

    ``surprised`` is told of an error that no hand should raise: those of the tree in ``vocabulary.errors`` are meant.
    """

    def __init__(
        self, runner: Runner, hub: SimulatedHub, fate: AgentFate, surprised: Callable[[Act, Exception], None]
    ) -> None:
        super().__init__(runner, ModelPool(runner.spec, runner.layout.repo.root, runner.clock))
        self.simulated_hub, self.fate, self.surprised = hub, fate, surprised
        self.measuring = SimulatedMeasuring(runner, self.hub, hub.dice)
        self.judging, self.landing = SimulatedJudging(self), SimulatedLanding(self)

    @property
    def world(self) -> World:
        return self.simulated_hub.world

    @property
    def dice(self) -> Dice:
        return self.simulated_hub.dice

    async def hub(self) -> Hub:
        return cast(Hub, self.simulated_hub)

    async def perform(self, act: Act) -> None:
        try:
            if isinstance(act, RunAgent):
                agent = SimulatedAgent(self.runner, self.simulated_hub, self.fate, act)
                await agent.perform(self.trailers(self.view.tasks[act.task], act.instance))
            else:
                await super().perform(act)
        except SwarmError:
            raise
        except Exception as error:
            self.surprised(act, error)
            raise

    def landing_about(self) -> str:
        dirty = " dirty" if self.world.is_dirty else ""
        return f"{self.world.user_tip} {self.world.integration}{dirty}"

    def in_the_way(self) -> list[str]:
        return ["uncommitted changes"] if self.world.is_dirty else []
