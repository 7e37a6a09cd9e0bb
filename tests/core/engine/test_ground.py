"""An agent asks its model while its tree is being made; nothing touches the tree before it is there, or after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.crew import eventually
from tests.support.seats import INSTANCE, TASK, Seat

from swarm_core.agents.model import Model, ModelEvent, ModelRequest
from swarm_core.engine import ground
from swarm_core.engine.ground import Ground
from swarm_core.engine.models import ModelPool
from swarm_core.engine.placing import NoWorktreeError
from swarm_core.policy.effects import RetireInstance, RunAgent
from swarm_core.vocabulary.errors import SwarmError
from swarm_core.vocabulary.spec import ServiceSpec
from swarm_core.workspace.facts import Tree

pytestmark = pytest.mark.timeout(60)
FILE = ("write", "api/new.txt", "new\n")


class Asked(ModelPool):
    """The scripted model, which says when it was asked; ``saw_tree`` is whether the tree was there each time."""

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat.runner.spec, seat.root, seat.runner.clock, "build")
        self.tree, self.saw_tree = seat.tree, list[bool]()

    def get(self, service: ServiceSpec, options: Mapping[str, Any]) -> Model:
        return _Telling(super().get(service, options), self)


class _Telling:
    def __init__(self, inner: Model, asked: Asked) -> None:
        self.inner, self.asked = inner, asked

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self.asked.saw_tree.append((self.asked.tree / ".git").exists())
        async for event in self.inner.stream(request):
            yield event

    async def close(self) -> None:
        await self.inner.close()


class Held:
    """Keeps the hub from making trees until ``go``."""

    def __init__(self, seat: Seat) -> None:
        self.seat, self.go = seat, asyncio.Event()

    async def hold(self) -> None:
        hub = await self.seat.hands.hub()
        make = hub.add_tree

        async def add_tree(instance: str, at: str | None = None) -> Tree:
            await self.go.wait()
            return await make(instance, at)

        hub.add_tree = add_tree  # type: ignore[method-assign]


async def open_seat(root: Path, make: str = "native") -> tuple[Seat, Asked, Held]:
    seat = await Seat(root, make, [FILE]).open()
    seat.hands.models = asked = Asked(seat)
    held = Held(seat)
    await held.hold()
    return seat, asked, held


async def test_the_model_is_asked_before_the_tree_is_there_and_no_tool_runs_until_it_is(tmp_path: Path) -> None:
    seat, asked, held = await open_seat(tmp_path / "repo")
    sitting = seat.sit()
    await eventually(lambda: seat.facts("llm.call"), "a first turn")

    assert asked.saw_tree == [False]
    assert seat.facts("tool.used") == []
    held.go.set()
    await sitting
    assert all(asked.saw_tree[1:])
    assert seat.task.status == "verifying"
    assert [fact["name"] for fact in seat.facts("tool.used")] == ["Write", "handoff"]
    assert (seat.tree / "api/new.txt").read_text() == "new\n"
    await seat.close()


async def test_a_tree_that_is_behind_is_moved_before_any_tool_sees_it(tmp_path: Path) -> None:
    seat = await Seat(tmp_path / "repo", "native", [FILE]).open()
    seat.hands.models = asked = Asked(seat)
    hub = await seat.hands.hub()
    tree = await hub.add_tree(INSTANCE)
    (tree.path / "api").mkdir(exist_ok=True)
    (tree.path / "api/old.txt").write_text("of an earlier task\n")
    earlier = await hub.commit(INSTANCE, "earlier", allowed=lambda path: True, trailers={}, author=INSTANCE)
    assert earlier is not None
    (tree.path / "api/stray.txt").write_text("left behind\n")

    await seat.work()

    assert asked.saw_tree[0]
    assert not (seat.tree / "api/old.txt").exists()
    assert not (seat.tree / "api/stray.txt").exists()
    assert seat.facts("task.submitted")[0]["files"] == 1
    await seat.close()


@pytest.mark.parametrize("make", ["human", "codex"])
async def test_whoever_works_in_the_tree_itself_begins_when_it_is_there(tmp_path: Path, make: str) -> None:
    seat, _, held = await open_seat(tmp_path / "repo", make)
    sitting = seat.sit()
    await asyncio.wait([sitting], timeout=4 * ground.HEAD_START_S)
    assert not sitting.done()
    assert TASK not in seat.runner.workers
    assert not (seat.home / "told-0").exists()

    held.go.set()
    if make == "human":
        await seat.operate()
    await sitting
    assert seat.task.status == "verifying"
    await seat.close()


async def test_a_tree_that_cannot_be_made_ends_the_attempt_and_the_question_is_not_asked_again(tmp_path: Path) -> None:
    seat, asked, held = await open_seat(tmp_path / "repo")
    held.go.set()
    trees = seat.tree.parent
    trees.parent.mkdir(parents=True, exist_ok=True)
    trees.write_text("in the way\n")
    act = RunAgent(TASK, INSTANCE, seat.task.iteration, seat.task.attempt)
    with pytest.raises(NoWorktreeError, match=f"{INSTANCE} has no worktree") as failed:
        await seat.hands.perform(act)
    assert [draft.kind for draft in seat.hands.give_up(act, failed.value)] == ["incident.opened", "run.halted"]
    assert seat.task.status == "running"
    assert len(asked.saw_tree) == 1

    trees.unlink()
    await seat.sit()
    assert seat.task.status == "verifying"
    assert len(asked.saw_tree) == 2  # the second turn: the first was not lost
    await seat.close()


async def test_an_agent_that_is_taken_away_leaves_nobody_at_work_in_its_tree(tmp_path: Path) -> None:
    seat, _, held = await open_seat(tmp_path / "repo")
    sitting = seat.sit()
    await eventually(lambda: seat.facts("llm.call"), "a first turn")
    sitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sitting
    held.go.set()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "ground"]
    await seat.work()
    assert seat.task.status == "verifying"
    await seat.close()


async def test_an_instance_that_never_worked_has_no_tree_and_leaves(tmp_path: Path) -> None:
    seat = await Seat(tmp_path / "repo", "native", [FILE]).open()
    assert not seat.tree.exists()
    await seat.hands.perform(RetireInstance(INSTANCE))
    assert seat.runner.view.instances[INSTANCE].status == "retired"
    await seat.close()


async def test_the_question_has_a_head_start_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made = asyncio.Event()

    async def make() -> None:
        made.set()

    async with Ground(make):
        await asyncio.sleep(0)
        assert not made.is_set()
        async with asyncio.timeout(10):
            await made.wait()  # though nobody asks for it
    monkeypatch.setattr(ground, "HEAD_START_S", 3600.0)
    made.clear()
    async with asyncio.timeout(10), Ground(make) as asked_for:
        await asked_for.ready()
    assert made.is_set()


async def test_everybody_who_waits_hears_why_there_is_no_tree() -> None:
    async def fail() -> None:
        raise SwarmError("the disk is full")

    async with Ground(fail) as found:
        answers = await asyncio.gather(found.ready(), found.ready(), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["the disk is full"] * 2


async def test_waiting_for_a_large_checkout_is_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "BEAT_S", 0.001)
    beats = 0
    enough = asyncio.Event()

    def beat() -> None:
        nonlocal beats
        beats += 1
        if beats == 3:
            enough.set()

    async def make() -> None:
        await enough.wait()

    async with Ground(make, beat) as found:
        await found.ready()
    assert beats >= 3


async def test_leaving_waits_for_what_is_under_way_even_when_it_is_hurried() -> None:
    begun, order = asyncio.Event(), list[str]()

    async def make() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # as git does, which is not left alone
            order.append("made")

    async def work() -> None:
        try:
            async with Ground(make):
                await begun.wait()
        finally:
            order.append("left")

    working = asyncio.create_task(work())
    await begun.wait()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert order == ["made", "left"]
