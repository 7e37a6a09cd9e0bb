"""The loop of one run: nothing is lost, nothing runs ahead of the disk, nobody sits where somebody still sits."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.crew import Crew, HandClock, Run, eventually
from tests.support.story import planned, spec

from swarm_core.engine import runner as module
from swarm_core.engine.runner import MAX_ACT_TRIES
from swarm_core.journal.disk import FaultyDisk, RealDisk
from swarm_core.policy import decide
from swarm_core.policy.effects import Effect, EvaluateGate, MergeTask, Record, RetireInstance, RunAgent
from swarm_core.vocabulary.errors import IllegalTransition, JournalError, JournalPoisoned
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.view import RunView


@pytest.fixture
async def runs() -> AsyncIterator[list[Run]]:
    """Runs to be stopped at the end."""
    opened: list[Run] = []
    yield opened
    for run in opened:
        await run.stop()


async def forever(crew: Crew, act: RunAgent) -> None:
    await asyncio.Event().wait()


# -- a policy that is wrong


async def test_a_run_whose_next_step_the_state_refuses_halts_and_says_why(
    tmp_path: Path, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(view: RunView, *more: object) -> list[Effect]:
        known = decide(view, *more)  # type: ignore[arg-type]
        impossible = Record((Draft("finding.closed", {"finding": "W-1", "resolution": "verified"}),))
        return [impossible] if "build" in view.phases else known

    monkeypatch.setattr(module, "decide", wrong)
    run = await Run.open(tmp_path, spec("a"), planned(1, "a"))
    runs.append(run)
    run.drive()
    await run.until("run.halted")

    (incident,) = run.runner.view.incidents.values()
    assert (incident.trigger, run.runner.view.run.status) == ("policy", "halted")
    assert "the next step does not fit the state" in incident.reason
    assert "W-1" in incident.reason


# -- a whole run


async def test_a_run_goes_from_goal_to_landing_and_the_disk_tells_the_same(tmp_path: Path, runs: list[Run]) -> None:
    tasks = [planned(1, "a"), planned(2, "b", 1), planned(3, "a", 2)]
    run = await Run.open(tmp_path, spec("a", "b"), *tasks)
    runs.append(run)
    await run.drive().end()

    view = run.runner.view
    assert (view.run.status, view.run.landed) == ("completed", True)
    folded = RunView.of(run.events())
    assert (folded.tasks, folded.gates, folded.index) == (view.tasks, view.gates, view.index)
    assert [act.task for act in run.crew.began(MergeTask)] == ["task_001", "task_002", "task_003"]
    assert run.crew.is_closed


# -- the disk


async def test_a_full_disk_holds_everybody_and_then_all_goes_on_in_order(tmp_path: Path, runs: list[Run]) -> None:
    clock, is_full = HandClock(), False
    disk = FaultyDisk(lambda name, _: errno.ENOSPC if is_full and name == "write" else None)
    run = await Run.open(tmp_path, spec("a"), clock=clock, disk=disk)
    runs.append(run)
    is_full = True
    notes = [asyncio.create_task(run.runner.record(Draft("run.note", {"text": f"{n}"}))) for n in range(5)]
    await eventually(lambda: run.said, "a word to the operator")
    assert "paused" in run.said[-1]
    clock.advance(1.0)
    await eventually(lambda: len(run.said) >= 2, "a second try")
    assert run.runner.view.last_seq == 1
    assert not any(note.done() for note in notes)
    is_full = False
    clock.advance(1.0)
    await asyncio.gather(*notes)

    assert [event.data["text"] for event in run.events("run.note")] == ["0", "1", "2", "3", "4"]
    assert run.said[-1] == "ready"
    assert run.runner.view.last_seq == 6


async def test_after_a_failed_sync_the_loop_ends_and_everybody_who_waits_is_told(
    tmp_path: Path, runs: list[Run]
) -> None:
    is_broken = False
    disk = FaultyDisk(lambda name, _: errno.EIO if is_broken and name == "sync" else None)
    run = await Run.open(tmp_path, spec("a"), planned(1, "a"), work=forever, disk=disk)
    runs.append(run)
    run.drive()
    await eventually(lambda: run.crew.began(RunAgent)[1:], "the agent")
    before = run.runner.view.last_seq
    is_broken = True
    asked = [asyncio.create_task(run.runner.record(Draft("run.note", {"text": f"{n}"}))) for n in range(20)]
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert all(isinstance(answer, JournalPoisoned) for answer in answers)
    with pytest.raises(JournalPoisoned):
        await run.end()
    assert run.runner.view.last_seq == before, "the view never holds what may not be on disk"
    assert run.crew.is_closed
    assert run.runner.jobs == {}
    await run.stop()
    again = await Run.open(tmp_path, spec("a"))
    runs.append(again)
    assert again.runner.view.last_seq >= before


async def test_a_refusal_that_cannot_be_written_is_still_told(tmp_path: Path, runs: list[Run]) -> None:
    is_broken = False
    disk = FaultyDisk(lambda name, _: errno.EIO if is_broken and name == "write" else None)
    run = await Run.open(tmp_path, spec("a"), disk=disk)
    runs.append(run)
    is_broken = True
    async with asyncio.timeout(5):
        with pytest.raises(IllegalTransition):
            await run.runner.record(Draft("task.ready", task="task_009"))
        with pytest.raises(JournalError):
            await run.runner.record(Draft("run.note", {"text": "one"}))
    is_broken = False

    assert run.events("run.note") == []


# -- facts


async def test_what_does_not_fit_is_kept_as_evidence_once_and_never_applied(tmp_path: Path, runs: list[Run]) -> None:
    run = await Run.open(tmp_path, spec("a"))
    runs.append(run)
    wrong = Draft("task.ready", task="task_009", agent="a-1", actor="a-1")
    for _ in range(3):
        with pytest.raises(IllegalTransition, match="no task task_009"):
            await run.runner.record(Draft("run.note", {"text": "with it"}), wrong)
    await run.runner.record(Draft("run.note", {"text": "then"}))
    with pytest.raises(IllegalTransition):
        await run.runner.record(wrong)

    refused = run.events("event.refused")
    assert [(e.data["kind"], e.task, e.actor) for e in refused] == [("task.ready", "task_009", "a-1")]
    assert [event.data["text"] for event in run.events("run.note")] == ["then"]
    assert run.runner.view.tasks == {}


async def test_a_draft_nobody_can_read_harms_only_its_writer(tmp_path: Path, runs: list[Run]) -> None:
    run = await Run.open(tmp_path, spec("a"))
    runs.append(run)
    with pytest.raises(ValueError, match="could not convert"):
        await run.runner.record(Draft("budget.set", {"budget": "b", "limit": "much"}))
    with pytest.raises(TypeError):
        await run.runner.record(Draft("run.note", {"text": object()}))
    await run.runner.record(Draft("run.note", {"text": "on"}))

    assert run.runner.view.last_seq == 2


class CountingDisk(RealDisk):
    """Counts syncs, and makes each wait until it is let go."""

    def __init__(self) -> None:
        self.syncs = 0
        self.leave = threading.Event()
        self.leave.set()

    def sync(self, fd: int) -> None:
        self.leave.wait(10)
        self.syncs += 1
        super().sync(fd)


async def crowd(tmp_path: Path, disk: CountingDisk, count: int) -> Run:
    """A run with so many tasks at work, each with an agent of its own."""
    run = await Run.open(tmp_path, spec("a"), disk=disk)
    await run.runner.record(Draft("run.started", {"base": "b"}))
    for number in range(count):
        task, agent = f"task_{number:03d}", f"a-{number}"
        await run.runner.record(Draft("task.created", {"assigned_to": "a"}, task=task), Draft("run.note"))
        await run.runner.record(Draft("agent.starting", {"service": "a"}, agent=agent))
        await run.runner.record(Draft("agent.ready", agent=agent))
        await run.runner.record(Draft("task.ready", task=task))
        await run.runner.record(Draft("task.claimed", task=task, agent=agent))
    return run


async def test_facts_of_fifty_agents_share_their_syncs_and_each_keeps_its_order(
    tmp_path: Path, runs: list[Run]
) -> None:
    disk = CountingDisk()
    run = await crowd(tmp_path, disk, 50)
    runs.append(run)
    record, before = run.runner.record, disk.syncs

    async def work(number: int) -> None:
        task, agent = f"task_{number:03d}", f"a-{number}"
        for turn in range(6):
            (event,) = await record(Draft("tool.used", {"name": f"{turn}"}, task=task, agent=agent))
            assert (event.task, event.data["name"]) == (task, f"{turn}")
            assert run.runner.view.last_seq >= event.seq

    await asyncio.gather(*(work(number) for number in range(50)))

    assert disk.syncs - before <= 30, "300 facts"
    used = run.events("tool.used")
    assert len(used) == 300
    for number in range(50):
        mine = [event.data["name"] for event in used if event.task == f"task_{number:03d}"]
        assert mine == ["0", "1", "2", "3", "4", "5"]


async def test_who_writes_about_the_same_task_sees_what_the_one_before_wrote(tmp_path: Path, runs: list[Run]) -> None:
    disk = CountingDisk()
    run = await crowd(tmp_path, disk, 2)
    runs.append(run)
    record = run.runner.record
    disk.leave.clear()
    first = asyncio.create_task(record(Draft("llm.call", {"input_tokens": 1}, task="task_000", agent="a-0")))
    submitted = asyncio.create_task(record(Draft("task.submitted", {"attempt": 1}, task="task_000", agent="a-0")))
    late = asyncio.create_task(record(Draft("commit.created", {"attempt": 2}, task="task_000", agent="a-0")))
    twice = asyncio.create_task(record(Draft("task.submitted", {"attempt": 1}, task="task_000", agent="a-0")))
    other = asyncio.create_task(record(Draft("llm.call", {"input_tokens": 1}, task="task_001", agent="a-1")))
    await eventually(lambda: len(run.runner.recorder._waiting) >= 3, "a queue")
    disk.leave.set()
    outcome = await asyncio.gather(first, submitted, late, twice, other, return_exceptions=True)

    assert [isinstance(one, IllegalTransition) for one in outcome] == [False, False, True, True, False]
    assert len(run.events("task.submitted")) == 1
    assert run.runner.view.tasks["task_000"].status == "verifying"


async def test_a_caller_that_is_cancelled_leaves_view_and_disk_the_same(tmp_path: Path, runs: list[Run]) -> None:
    disk = CountingDisk()
    run = await Run.open(tmp_path, spec("a"), disk=disk)
    runs.append(run)
    disk.leave.clear()
    caller = asyncio.create_task(run.runner.record(Draft("run.started", {"base": "b"})))
    await eventually(lambda: run.runner.recorder._working is not None and not run.runner.recorder._waiting)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    disk.leave.set()
    await eventually(lambda: run.runner.view.run.status == "running", "the record to go on")

    assert [event.kind for event in run.events()] == ["run.created", "run.started"]


# -- acts that fail


async def test_an_act_that_raises_is_tried_three_times_with_growing_pauses_and_then_given_up(
    tmp_path: Path, runs: list[Run]
) -> None:
    clock = HandClock()
    run = await Run.open(tmp_path, spec("a"), planned(1, "a"), clock=clock)
    runs.append(run)
    run.crew.trouble[MergeTask] = RuntimeError("the hub is gone")
    run.drive()

    def rests(tries: int, pause_s: float) -> bool:
        return len(run.crew.began(MergeTask)) == tries and pause_s in clock.slept

    for tries, pause_s in ((1, 1.0), (2, 2.0)):
        await eventually(partial(rests, tries, pause_s))
        clock.advance(pause_s)
    await run.until("task.failed")

    assert len(run.crew.began(MergeTask)) == MAX_ACT_TRIES
    assert run.events("task.failed")[0].data["reason"] == "the hub is gone"
    assert "MergeTask: the hub is gone" in [event.data["text"] for event in run.events("run.note")]


async def test_an_act_that_works_the_second_time_is_not_counted_against_the_next(
    tmp_path: Path, runs: list[Run]
) -> None:
    clock = HandClock()
    run = await Run.open(tmp_path, spec("a"), planned(1, "a"), clock=clock)
    runs.append(run)
    run.crew.trouble[EvaluateGate] = RuntimeError("once")
    run.drive()
    await eventually(lambda: 1.0 in clock.slept)
    del run.crew.trouble[EvaluateGate]
    clock.advance(1.0)
    await run.end()

    assert run.runner.tries == {}
    assert run.runner.view.run.landed


# -- whoever sits there leaves first


class SlowLeaver:
    """An agent that takes its time to leave when it is taken away; from its second seat on it hands in at once."""

    def __init__(self) -> None:
        self.sitting: list[str] = []
        self.may_leave = asyncio.Event()
        self.met: list[str] = []

    async def __call__(self, crew: Crew, act: RunAgent) -> None:
        self.met += [other for other in self.sitting if other == act.instance]
        self.sitting.append(act.instance)
        try:
            if crew.began(RunAgent).count(act) == 1 and act.attempt == 1 and act.task == "task_001":
                await asyncio.Event().wait()
            await crew.submit(act)
        except asyncio.CancelledError:
            await asyncio.shield(self.may_leave.wait())
            raise
        finally:
            self.sitting.remove(act.instance)


@pytest.mark.parametrize("tasks", [1, 2], ids=["the same task", "another task of the same agent"])
async def test_an_agent_that_was_taken_away_leaves_before_the_next_sits_down(
    tmp_path: Path, runs: list[Run], tasks: int
) -> None:
    clock, leaver = HandClock(), SlowLeaver()
    plan = [planned(n, "a") for n in range(1, tasks + 1)]
    run = await Run.open(tmp_path, spec("a"), *plan, work=leaver, clock=clock)
    runs.append(run)
    run.drive()
    await eventually(lambda: leaver.sitting == ["a-1"])
    clock.advance(901.0)
    run.runner.wake()
    await run.until("task.released")
    clock.advance(10.0)  # the pause after the failure is over: the task is claimed again
    run.runner.wake()
    await run.until("task.claimed", 3)
    await run.runner.record(Draft("run.note", {"text": "the loop has looked again"}))
    assert leaver.sitting == ["a-1"], "nobody sits down beside it"
    leaver.may_leave.set()
    await run.end()

    assert leaver.met == []
    assert run.runner.view.run.landed


async def test_a_worktree_is_not_removed_while_somebody_still_sits_in_it(tmp_path: Path, runs: list[Run]) -> None:
    leaver = SlowLeaver()
    run = await Run.open(tmp_path, spec("a"), planned(1, "a"), work=leaver)
    runs.append(run)
    run.drive()
    await eventually(lambda: leaver.sitting == ["a-1"])
    await run.runner.record(Draft("run.aborted", {"reason": "enough"}))
    await eventually(lambda: RetireInstance("architect-1") in run.crew.acts)
    await run.until("agent.retired")
    assert RetireInstance("a-1") not in run.crew.acts
    leaver.may_leave.set()
    await run.end()

    assert RetireInstance("a-1") in run.crew.acts
    assert run.runner.view.instances["a-1"].status == "retired"


# -- signs of life


async def test_an_agent_without_a_sign_of_life_loses_its_task_three_times_with_growing_pauses_and_then_it_failed(
    tmp_path: Path, runs: list[Run]
) -> None:
    clock = HandClock()
    run = await Run.open(tmp_path, spec("a"), planned(1, "a"), work=forever, clock=clock)
    runs.append(run)
    run.crew.yes = False
    run.drive()
    await run.until("gate.opened")
    await run.crew.decide("gate_001", "approve")
    for attempt in (1, 2, 3, 4):
        await eventually(partial(run.runner.jobs.get, RunAgent("task_001", "a-1", 1, attempt)), f"attempt {attempt}")
        clock.advance(899.0)
        run.runner.wake()
        await run.runner.record(Draft("run.note"))
        assert len(run.events("agent.stalled")) == attempt - 1, "too early"
        clock.advance(1.5)
        run.runner.wake()
        await run.until("agent.stalled", attempt)
        if attempt < 4:
            await run.until("task.released", attempt)
            clock.advance(run.events("task.released")[-1].data["wait_s"] + 0.01)
            run.runner.wake()
    await run.until("task.failed")

    waits = [event.data["wait_s"] for event in run.events("task.released")]
    assert [0.75 * whole <= wait <= whole for whole, wait in zip((2, 4, 8), waits, strict=True)] == [True] * 3
    assert run.events("task.failed")[0].data["kind"] == "lost"
    stalled = run.events("agent.stalled")
    assert all(event.agent == "a-1" for event in stalled)


async def test_a_task_handed_in_at_the_last_moment_is_not_taken_away(tmp_path: Path, runs: list[Run]) -> None:
    """The loop sees that a sign of life is missing while the submission is on its way to the disk."""
    clock, disk, go = HandClock(), CountingDisk(), asyncio.Event()

    async def late(crew: Crew, act: RunAgent) -> None:
        await go.wait()
        await crew.submit(act)

    run = await Run.open(tmp_path, spec("a"), planned(1, "a"), work=late, clock=clock, disk=disk)
    runs.append(run)
    run.drive()
    await run.until("task.claimed", 2)
    await run.until("agent.busy", 2)
    disk.leave.clear()
    go.set()
    recorder = run.runner.recorder
    await eventually(lambda: recorder._working is not None and not recorder._waiting, "the submission on its way")
    clock.advance(901.0)
    run.runner.wake()
    await eventually(lambda: recorder._waiting, "the loop to say that the agent stalled")
    disk.leave.set()
    await run.end()

    assert run.runner.view.run.landed
    assert run.events("task.released") == []


# -- held


async def stepping(crew: Crew, act: RunAgent) -> None:
    """An agent that asks for leave before each of its steps, which the test counts, and hands in after the third."""
    steps: Any = crew.__dict__.setdefault("steps", asyncio.Queue())
    go: Any = crew.__dict__.setdefault("go", asyncio.Semaphore(0))
    for step in range(3):
        await crew.runner.clearance(act.task)
        steps.put_nowait(step)
        await go.acquire()
    await crew.submit(act)


HOLDS: list[tuple[Draft, Draft]] = [
    (Draft("run.paused", {"mode": "pause"}), Draft("run.resumed")),
    (Draft("run.halted", {"mode": "halt"}), Draft("run.resumed")),
    (Draft("task.paused", task="task_001"), Draft("task.resumed", task="task_001")),
    (Draft("service.paused", {"service": "a"}), Draft("service.resumed", {"service": "a"})),
]


@pytest.mark.parametrize(("hold", "free"), HOLDS, ids=[hold.kind for hold, _ in HOLDS])
async def test_who_is_held_stops_between_two_steps_and_goes_on_from_there(
    tmp_path: Path, runs: list[Run], hold: Draft, free: Draft
) -> None:
    clock = HandClock()
    run = await Run.open(tmp_path, spec("a"), planned(1, "a"), work=stepping, clock=clock)
    runs.append(run)
    run.drive()
    await eventually(lambda: "steps" in run.crew.__dict__)
    steps, go = run.crew.__dict__["steps"], run.crew.__dict__["go"]
    assert await steps.get() == 0
    await run.runner.record(hold)
    go.release()
    await run.until("agent.paused")
    clock.advance(5_000.0)  # time spent held is no sign of death
    run.runner.wake()
    await run.runner.record(Draft("run.note"))
    assert steps.empty()
    assert run.runner.view.instances["a-1"].status == "paused"
    await run.runner.record(free)
    assert await steps.get() == 1
    assert run.runner.view.instances["a-1"].status == "busy"
    go.release()
    go.release()
    await run.end()

    assert run.runner.view.run.landed
    assert run.events("agent.stalled") == []
    assert run.crew.began(RunAgent)[-1].attempt == 1


async def test_a_draining_run_lets_its_agents_finish_and_begins_nothing(tmp_path: Path, runs: list[Run]) -> None:
    run = await Run.open(tmp_path, spec("a", max_parallel=1), planned(1, "a"), planned(2, "a"), work=stepping)
    runs.append(run)
    run.drive()
    await eventually(lambda: "steps" in run.crew.__dict__)
    steps, go = run.crew.__dict__["steps"], run.crew.__dict__["go"]
    await run.runner.record(Draft("run.paused", {"mode": "drain"}))
    for step in range(3):
        assert await steps.get() == step
        go.release()
    await run.until("task.done", 2)
    assert run.events("agent.paused") == []
    assert run.runner.view.tasks["task_002"].status == "ready"
    await run.runner.record(Draft("run.resumed"))
    for _ in range(3):
        go.release()
    await run.end()

    assert run.runner.view.run.landed


async def test_an_agent_of_a_draining_run_that_shows_no_sign_of_life_is_noticed(
    tmp_path: Path, runs: list[Run]
) -> None:
    clock = HandClock()
    run = await Run.open(tmp_path, spec("a"), planned(1, "a"), work=forever, clock=clock)
    runs.append(run)
    run.drive()
    await eventually(lambda: len(run.crew.began(RunAgent)) == 2)
    await run.runner.record(Draft("run.paused", {"mode": "drain"}))
    clock.advance(901.0)
    run.runner.wake()
    await run.until("task.released")

    assert run.events("agent.stalled")[0].agent == "a-1"


async def test_a_task_that_is_held_while_the_run_drains_stays_held(tmp_path: Path, runs: list[Run]) -> None:
    run = await Run.open(tmp_path, spec("a"), planned(1, "a"), work=stepping)
    runs.append(run)
    run.drive()
    await eventually(lambda: "steps" in run.crew.__dict__)
    go = run.crew.__dict__["go"]
    await run.runner.record(Draft("run.paused", {"mode": "drain"}))
    await run.runner.record(Draft("task.paused", task="task_001"))
    go.release()
    await run.until("agent.paused")

    assert run.runner.view.instances["a-1"].reason == "the run is paused"


async def test_a_stop_takes_agents_away_and_resuming_seats_the_same_attempt_again(
    tmp_path: Path, runs: list[Run]
) -> None:
    run = await Run.open(tmp_path, spec("a"), planned(1, "a"), work=stepping)
    runs.append(run)
    run.drive()
    await eventually(lambda: "steps" in run.crew.__dict__)
    await run.runner.record(Draft("run.halted", {"mode": "stop"}))
    await eventually(lambda: not any(isinstance(act, RunAgent) for act in run.runner.jobs))
    assert run.runner.view.tasks["task_001"].status == "running"
    await run.runner.record(Draft("run.resumed"))
    for _ in range(4):
        run.crew.__dict__["go"].release()
    await run.end()

    assert run.crew.began(RunAgent)[1:] == [RunAgent("task_001", "a-1", 1, 1)] * 2
