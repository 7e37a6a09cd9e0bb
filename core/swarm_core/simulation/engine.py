"""The simulated engine process: opens the journal, resumes the run, takes requests. It may die at any await."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from swarm_core.definitions.matrix import shipped_matrix
from swarm_core.engine.inbox import Verdict
from swarm_core.engine.requests import handle
from swarm_core.engine.runner import Runner
from swarm_core.journal.journal import Journal
from swarm_core.policy.effects import Act
from swarm_core.vocabulary.errors import JournalPoisoned, SwarmError
from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.layout import RepoLayout
from swarm_core.vocabulary.rules import Matrix
from swarm_core.vocabulary.spec import SwarmSpec

from .agent import AgentFate
from .dice import Dice
from .hands import SimulatedHands
from .hub import SimulatedHub, SimulatedPapers
from .life import Life
from .loop import SimulatedClock
from .world import World

RUN = "simulated"
LAYOUT = RepoLayout(Path("/simulated")).run(RUN)


def _rules() -> Matrix:
    """What is shipped, but for what stops a run: nobody here takes one up again."""
    matrix = shipped_matrix()
    return replace(matrix, rules=tuple(rule for rule in matrix.rules if "halt_all_agents" not in rule.actions))


class SimulatedEngine:
    """One life's engine. ``run`` returns when the run is over, or when the life is."""

    def __init__(
        self,
        life: Life,
        world: World,
        journal: Journal,
        spec: SwarmSpec,
        clock: SimulatedClock,
        dice: Dice,
        fate: AgentFate,
        surprised: Callable[[Act, Exception], None],
    ) -> None:
        self.life, self.world, self.clock, self.dice = life, world, clock, dice
        self.has_finished = False
        self.runner = Runner(
            LAYOUT, journal, spec, clock, random=dice.random, papers=SimulatedPapers(world, life, clock, dice)
        )
        self.runner.performer = SimulatedHands(
            self.runner, SimulatedHub(world, LAYOUT, life, clock, dice), fate, surprised
        )

    async def run(self) -> None:
        """Resume, drive on, leave. A poisoned journal ends the process, as it does the real one."""
        inbox = self.life.start(self._serve())
        try:
            await self._resume()
            await self.runner.drive()
            await self.runner.leave()
            await self._answer_the_rest()
            self.has_finished = True
        except JournalPoisoned:
            self.life.die()
        finally:
            inbox.cancel()
            self.life.leave()

    async def _resume(self) -> None:
        runner = self.runner
        if not runner.view.run.id:
            data = {"title": "a simulated run", "goal": "see whether it holds", "services": {}, "options": {}}
            matrix = [Draft("matrix.adopted", _rules().data())] if self.dice.rates.agent_finds else []
            await runner.record(Draft("run.created", data, actor=OPERATOR), *matrix)
        if runner.view.engine_pid:
            found = {"pid": runner.view.engine_pid, "last_seq": runner.view.last_seq}
            await runner.record(Draft("engine.crash_detected", found))
        await runner.record(Draft("engine.started", {"pid": self.life.number, "version": "simulated"}))

    # -- requests

    async def _serve(self) -> None:
        while True:
            news = self.world.news
            for name in sorted(self.world.inbox):
                if (item := self.world.inbox.get(name)) is not None:
                    await self._take(item)
            await news.wait()

    async def _take(self, item: InboxItem) -> None:
        """Handle, then archive; a crash in between handles it again."""
        try:
            verdict = await handle(self.runner, item)
        except SwarmError as error:
            verdict = Verdict(False, str(error))
        await self.clock.sleep(self.dice.seconds(0.001, 0.1))
        self.life.require()
        self.world.answer(item, verdict)

    async def _answer_the_rest(self) -> None:
        """What came too late for the run."""
        while self.world.inbox:
            await self.world.news.wait()
