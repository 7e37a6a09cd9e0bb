"""Defects put into the product on purpose: each must be found by the invariants within two hundred schedules.

A mutant that nobody finds means that an invariant does not hold what it says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from swarm_core.engine import decisions, recorder, requests
from swarm_core.engine.acts import Hands
from swarm_core.engine.inbox import Verdict
from swarm_core.engine.runner import Runner
from swarm_core.policy import staffing
from swarm_core.policy.decide import _Decision
from swarm_core.policy.effects import Effect, MergeTask, Record
from swarm_core.simulation import engine as simulated_engine
from swarm_core.simulation.agent import SimulatedAgent
from swarm_core.simulation.dice import Rates
from swarm_core.simulation.journal import open_journal
from swarm_core.simulation.schedule import play
from swarm_core.simulation.world import World
from swarm_core.vocabulary import changes_gates, changes_work
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.reservations import Reservations
from swarm_core.vocabulary.spec import SwarmSpec
from swarm_core.vocabulary.view import RunView

SEEDS = 200
Patch = pytest.MonkeyPatch


def one_too_many(patch: Patch) -> None:
    """The policy starts one agent more than it may."""
    honest = _Decision.__init__

    def greedy(self: Any, view: RunView, spec: SwarmSpec, outlook: Any) -> None:
        honest(self, view, replace(spec, max_parallel=spec.max_parallel + 1), outlook)

    patch.setattr(_Decision, "__init__", greedy)


def a_replica_too_many(patch: Patch) -> None:
    honest = staffing.Staffing._startable
    patch.setattr(
        staffing.Staffing,
        "_startable",
        lambda self, service: honest(self, replace(service, replicas=service.replicas + 1)),
    )


def dependencies_ignored(patch: Patch) -> None:
    honest = _Decision._beginnings

    def hasty(self: Any) -> Iterator[Effect]:
        for task in self.view.tasks.values():
            if task.status == "pending":
                yield Record((Draft("task.ready", {"reason": "why wait"}, task=task.id),))
        yield from honest(self)

    patch.setattr(_Decision, "_beginnings", hasty)


def reservations_ignored(patch: Patch) -> None:
    patch.setattr(Reservations, "holder", lambda self, task: None)


def a_gate_ignored(patch: Patch) -> None:
    """Work that is being measured counts as approved."""

    def trusting(self: Any, task: Task) -> Iterator[Effect]:
        gate = self._gate("plan" if task.is_planning else "merge", task, task.iteration)
        if gate is None:
            yield self._new_gate("plan" if task.is_planning else "merge", task.title, task, task.iteration)
        else:
            yield self._accepted(task, gate)

    patch.setattr(_Decision, "_verifying", trusting)


def stale_evidence_accepted(patch: Patch) -> None:
    """A decision is applied whatever was on the operator's screen."""

    async def blind(run: Runner, item: InboxItem) -> Verdict:
        gate = run.view.gates.get(str(item.data["gate"]))
        if gate is None or gate.status != "open":
            return await decisions._refuse(run, item, "no")
        await run.record(Draft("gate.decided", {**item.data, "command": item.id}, task=gate.task or None))
        return Verdict(True)

    patch.setitem(requests._ANSWERS, "gate.decide", blind)
    patch.setattr(changes_gates, "_judged", lambda gate, data, verdict: gate)  # the fold looks, too


def a_request_taken_twice(patch: Patch) -> None:
    """Nobody remembers what was answered before the crash."""

    async def forgetful(run: Runner, item: InboxItem) -> Verdict:
        try:
            return await requests._ANSWERS[item.kind](run, item)
        except IllegalTransition as error:
            return await requests.refuse(run, item, error.message)

    patch.setattr(simulated_engine, "handle", forgetful)


def a_lie_about_a_request(patch: Patch) -> None:
    """What was refused before the crash is said to have been applied."""
    honest = requests.handle

    async def polite(run: Runner, item: InboxItem) -> Verdict:
        return Verdict(True) if item.id in run.view.commands else await honest(run, item)

    patch.setattr(simulated_engine, "handle", polite)


def a_merge_not_adopted(patch: Patch) -> None:
    """After a crash between the merge and its record the merge is made again."""
    patch.setattr(World, "find_merge", lambda self, commit, task: None)


def merges_side_by_side(patch: Patch) -> None:
    honest = _Decision._merging

    def crowd(self: Any) -> Iterator[Effect]:
        yield from honest(self)
        for name in self.view.index.merge_queue:
            yield MergeTask(name, self.view.merges[name].commit)

    patch.setattr(_Decision, "_merging", crowd)


def a_record_lost_in_a_crash(patch: Patch) -> None:
    """The last event that was told to be durable is not there after the restart."""
    honest = open_journal

    def forgetful(store: Any, *rest: Any) -> Any:
        if len(store.events) > 30:
            store.events.pop()
            store.times_s.pop()
        return honest(store, *rest)

    patch.setattr("swarm_core.simulation.schedule.open_journal", forgetful)


def a_zombie_believed(patch: Patch) -> None:
    """An agent that lost its task hands in all the same, and nobody asks which attempt it was."""
    patch.setattr(changes_work, "_fence", lambda task, event: None)
    honest = SimulatedAgent.perform

    async def undead(self: SimulatedAgent, trailers: Any) -> None:
        try:
            await honest(self, trailers)
        except asyncio.CancelledError:
            self.hub.life.require()
            await asyncio.sleep(1)
            await self._report("task.submitted", attempt=self.task.attempt, commit=self.hub.world.base, files=1)

    patch.setattr(SimulatedAgent, "perform", undead)


def applied_before_it_is_durable(patch: Patch) -> None:
    """The view runs ahead of the disk: what a failed write takes back was acted on already."""
    honest = recorder.Recorder._append

    async def eager(self: Any, drafts: Any) -> Any:
        for draft in drafts:
            if draft.kind == "task.verified":
                event = Event(self.view.last_seq + 1, "", "r", draft.kind, draft.data, task=draft.task)
                self.view.apply(event)
        return await honest(self, drafts)

    patch.setattr(recorder.Recorder, "_append", eager)


def a_wakeup_lost(patch: Patch) -> None:
    """The engine does not look again when the operator has decided."""
    honest = Runner._applied

    def deaf(self: Runner, events: Any) -> None:
        if events[-1].kind != "gate.decided":
            honest(self, events)

    patch.setattr(Runner, "_applied", deaf)


def a_failure_tried_for_ever(patch: Patch) -> None:
    patch.setattr("swarm_core.policy.failures.is_tried_again", lambda task, kind, retries: True)


def landing_told_before_it_is_made(patch: Patch) -> None:
    async def boastful(self: Any, gate: Any) -> None:
        await self.finish(landed=True, commit="", reason="")

    patch.setattr("swarm_core.simulation.hands.SimulatedLanding.land", boastful)


def a_failed_merge_blamed_on_the_agent(patch: Patch) -> None:
    """The task begins again although its commit may be in the line already."""
    honest = Hands.give_up

    def blaming(self: Hands, act: Any, error: Exception) -> list[Draft]:
        if isinstance(act, MergeTask):
            return [Draft("task.failed", {"reason": f"{error}", "kind": "engine"}, task=act.task)]
        return honest(self, act, error)

    patch.setattr(Hands, "give_up", blaming)


MUTANTS: list[Callable[[Patch], None]] = [
    one_too_many,
    a_replica_too_many,
    dependencies_ignored,
    reservations_ignored,
    a_gate_ignored,
    stale_evidence_accepted,
    a_request_taken_twice,
    a_lie_about_a_request,
    a_merge_not_adopted,
    merges_side_by_side,
    a_record_lost_in_a_crash,
    a_zombie_believed,
    applied_before_it_is_durable,
    a_wakeup_lost,
    a_failure_tried_for_ever,
    landing_told_before_it_is_made,
    a_failed_merge_blamed_on_the_agent,
]

RATES: dict[Callable[[Patch], None], Rates] = {
    a_failure_tried_for_ever: Rates(agent_hangs=0.6),  # a world in which one failure follows another
    a_failed_merge_blamed_on_the_agent: Rates(git_fails=0.2, git_fails_after=0.2),  # a merge fails three times in a row
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_defect_is_found(mutant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mutant(monkeypatch)
    rates = RATES.get(mutant)
    assert any(play(seed, rates=rates).violation is not None for seed in range(SEEDS)), (
        f"{mutant.__name__}: nobody noticed"
    )
