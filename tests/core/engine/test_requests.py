"""What the operator and workers ask of a run: carried out once, or refused with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.crew import Crew, Run, eventually
from tests.support.story import planned, spec

from swarm_core.engine.requests import handle
from swarm_core.engine.workers import HandedIn
from swarm_core.policy.effects import RunAgent
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.spec import SwarmSpec

TASKS = (planned(1, "a"), planned(2, "b", 1), planned(3, "a", 2))


@pytest.fixture
async def runs() -> AsyncIterator[list[Run]]:
    opened: list[Run] = []
    yield opened
    for run in opened:
        await run.stop()


async def forever(crew: Crew, act: RunAgent) -> None:
    await asyncio.Event().wait()


async def outside(crew: Crew, act: RunAgent) -> None:
    """The place of a worker outside the engine: waits until it hands in."""
    waiting = crew.runner.workers[act.task] = asyncio.get_running_loop().create_future()
    crew.runner.wake()
    try:
        handed_in: HandedIn = await waiting
    finally:
        crew.runner.workers.pop(act.task, None)
    assert handed_in.handoff.what_i_did == "all of it"
    await crew.submit(act, command=handed_in.command)


def outsiders() -> SwarmSpec:
    plain = spec("a", "b")
    services = {**plain.services, "a": replace(plain.services["a"], adapter="external")}
    return SwarmSpec(services, max_parallel=4)


async def at_work(tmp_path: Path, runs: list[Run], swarm: SwarmSpec | None = None, **options: Any) -> Run:
    """A run whose first task is with an agent that does not come to an end."""
    run = await Run.open(tmp_path, swarm or spec("a", "b"), *TASKS, work=options.pop("work", forever), **options)
    runs.append(run)
    run.drive()
    if swarm is None:
        await eventually(lambda: RunAgent("task_001", "a-1", 1, 1) in run.runner.jobs, "the first task")
    return run


ONCE: dict[str, tuple[str, dict[str, Any], str]] = {
    "pause": ("run.pause", {}, "run.paused"),
    "drain": ("run.pause", {"mode": "drain"}, "run.paused"),
    "halt": ("run.halt", {}, "run.halted"),
    "stop": ("run.halt", {"mode": "stop"}, "run.halted"),
    "abort": ("run.abort", {"note": "enough"}, "run.aborted"),
    "hold a task": ("task.pause", {"task": "task_002"}, "task.paused"),
    "drop a task": ("task.cancel", {"task": "task_001"}, "task.cancelled"),
    "hold a service": ("service.pause", {"service": "b"}, "service.paused"),
    "go back": ("run.rollback", {"to": "gate:1"}, "recovery.started"),
}


@pytest.mark.parametrize(("kind", "data", "event"), ONCE.values(), ids=ONCE)
async def test_a_request_is_carried_out_once_also_after_a_crash_before_it_was_put_away(
    tmp_path: Path, runs: list[Run], kind: str, data: dict[str, Any], event: str
) -> None:
    run = await at_work(tmp_path, runs)
    item = run.ask(kind, **data)
    assert (await handle(run.runner, item)).is_applied
    assert (await handle(run.runner, item)).is_applied
    await run.stop()
    again = await Run.open(tmp_path, spec("a", "b"), *TASKS, work=forever)
    runs.append(again)
    assert (await handle(again.runner, item)).is_applied

    (found,) = [e for e in again.events(event) if e.data.get("command") == item.id]
    assert found.actor == "operator"
    assert again.events("decision.refused") == []


async def test_a_refusal_is_remembered_as_well(tmp_path: Path, runs: list[Run]) -> None:
    run = await at_work(tmp_path, runs)
    item = run.ask("task.pause", task="task_009")
    verdicts = [await handle(run.runner, item) for _ in range(2)]
    await run.stop()
    again = await Run.open(tmp_path, spec("a", "b"))
    runs.append(again)
    verdicts.append(await handle(again.runner, item))

    assert [verdict.is_applied for verdict in verdicts] == [False] * 3
    assert len({verdict.reason for verdict in verdicts}) == 1
    assert "no task task_009" in verdicts[0].reason
    assert len(again.events("decision.refused")) == 1


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "resume what runs": ("run.resume", {}, "run.resumed does not apply"),
    "hold an unknown task": ("task.pause", {"task": "task_009"}, "no task task_009"),
    "free a task nobody holds": ("task.resume", {"task": "task_001"}, "is not paused"),
    "hold a task that is over": ("task.pause", {"task": "task_000"}, "task_000 is done"),
    "drop a task that is over": ("task.cancel", {"task": "task_000"}, "task.cancelled does not apply"),
    "drop an unknown task": ("task.cancel", {"task": "task_009"}, "no task task_009"),
    "hold an unknown service": ("service.pause", {"service": "z"}, "there is no service 'z'"),
    "free a service nobody holds": ("service.resume", {"service": "a"}, "is not paused"),
    "go back to nowhere": ("run.rollback", {"to": "yesterday"}, "use gate:N or seq:N"),
    "go back to before the start": ("run.rollback", {"to": "seq:1"}, "they go from 2 to"),
    "go back to the future": ("run.rollback", {"to": "seq:99999"}, "no event 99999"),
    "go back to a number without end": ("run.rollback", {"to": "seq:" + "9" * 5000}, "use gate:N or seq:N"),
    "go back to an unknown gate": ("run.rollback", {"to": "gate:77"}, "there is no gate '77'"),
    "go back to a task": ("run.rollback", {"to": {"task": 1}}, "use gate:N or seq:N"),
}


@pytest.mark.parametrize(("kind", "data", "reason"), WRONG.values(), ids=WRONG)
async def test_what_makes_no_sense_is_refused_with_a_reason_and_changes_nothing(
    tmp_path: Path, runs: list[Run], kind: str, data: dict[str, Any], reason: str
) -> None:
    run = await at_work(tmp_path, runs)
    before = (run.runner.view.run, dict(run.runner.view.tasks), dict(run.runner.view.held_services))
    verdict = await handle(run.runner, run.ask(kind, **data))

    assert (verdict.is_applied, reason in verdict.reason) == (False, True), verdict.reason
    assert (run.runner.view.run, dict(run.runner.view.tasks), dict(run.runner.view.held_services)) == before
    assert len(run.events("decision.refused")) == 1


@pytest.mark.parametrize(
    ("kind", "data"),
    [("run.pause", {}), ("run.halt", {}), ("run.resume", {}), ("run.abort", {}), ("run.rollback", {"to": "seq:5"})],
)
async def test_nothing_can_be_asked_of_a_run_that_is_over(
    tmp_path: Path, runs: list[Run], kind: str, data: dict[str, Any]
) -> None:
    run = await at_work(tmp_path, runs)
    assert (await handle(run.runner, run.ask("run.abort"))).is_applied
    await run.end()
    verdict = await handle(run.runner, run.ask(kind, **data))

    assert not verdict.is_applied
    assert "aborted" in verdict.reason
    assert run.runner.view.run.status == "aborted"


async def test_nobody_goes_back_to_a_gate_that_was_not_passed(tmp_path: Path, runs: list[Run]) -> None:
    run = await Run.open(tmp_path, spec("a", "b"), *TASKS)
    runs.append(run)
    run.crew.yes = False
    run.drive()
    await run.until("gate.opened")
    verdict = await handle(run.runner, run.ask("run.rollback", to="gate:1"))

    assert verdict.reason == "gate_001 is open: only a gate that was passed is a point to go back to"


async def test_going_back_halts_first_and_goes_on_when_it_is_done(tmp_path: Path, runs: list[Run]) -> None:
    run = await at_work(tmp_path, runs)
    verdict = await handle(run.runner, run.ask("run.rollback", to="gate:1"))
    await run.until("recovery.completed")
    await run.until("incident.closed")

    assert verdict.is_applied
    view = run.runner.view
    assert (view.run.status, view.run.pause) == ("running", "")
    kinds = [e.kind for e in run.events() if e.kind.startswith(("run.h", "recovery", "rollback", "incident"))]
    order = ["incident.opened", "run.halted", "incident.contained", "recovery.started", "rollback.done"]
    assert kinds[:5] == order
    assert [incident.status for incident in view.incidents.values()] == ["closed"]


async def test_a_second_way_back_while_one_is_gone_is_refused(tmp_path: Path, runs: list[Run]) -> None:
    run = await Run.open(tmp_path, spec("a", "b"), *TASKS, work=forever)
    runs.append(run)
    run.drive()
    await run.until("task.claimed", 2)
    await run.stop()
    again = await Run.open(tmp_path, spec("a", "b"), *TASKS, work=forever)
    runs.append(again)  # nobody drives it: it stays at the way back
    first = asyncio.create_task(handle(again.runner, again.ask("run.rollback", to="gate:1")))
    await again.until("run.halted")
    await again.runner.record(Draft("incident.contained", {"incident": "incident_001"}))
    assert (await first).is_applied
    verdict = await handle(again.runner, again.ask("run.rollback", to="seq:3"))

    assert not verdict.is_applied
    assert len(again.events("recovery.started")) == 1
    assert again.runner.view.run.status == "recovering"


async def test_a_dropped_task_takes_its_agent_its_gate_and_what_needs_it_along(tmp_path: Path, runs: list[Run]) -> None:
    run = await Run.open(tmp_path, spec("a", "b"), *TASKS)
    runs.append(run)
    run.crew.yes = False
    run.drive()
    await run.until("gate.opened")
    await run.crew.decide("gate_001", "approve")
    await run.until("gate.opened", 2)
    assert run.runner.view.run.status == "awaiting_operator"
    verdict = await handle(run.runner, run.ask("task.cancel", task="task_001", note="not needed"))
    await run.end()

    view = run.runner.view
    assert verdict.is_applied
    assert {view.tasks[f"task_00{n}"].status for n in (1, 2, 3)} == {"cancelled"}
    assert view.tasks["task_001"].reason == "not needed"
    assert view.gates["gate_002"].status == "aborted"
    assert view.is_over


async def test_the_first_plan_cannot_be_dropped(tmp_path: Path, runs: list[Run]) -> None:
    run = await Run.open(tmp_path, spec("a", "b"), *TASKS)
    runs.append(run)
    run.crew.trouble[RunAgent] = RuntimeError("not yet")
    run.drive()
    await run.until("task.claimed")
    verdict = await handle(run.runner, run.ask("task.cancel", task="task_000"))

    assert verdict.reason == "the first plan cannot be dropped: abort the run"


async def test_a_held_task_and_a_held_service_wait_until_they_are_freed(tmp_path: Path, runs: list[Run]) -> None:
    tasks = (planned(1, "a"), planned(2, "b"))
    run = await Run.open(tmp_path, spec("a", "b"), *tasks)
    runs.append(run)
    run.crew.yes = False
    run.drive()
    await run.until("gate.opened")
    assert (await handle(run.runner, run.ask("service.pause", service="b"))).is_applied
    run.crew.yes = True
    await run.crew.decide("gate_001", "approve")
    await run.until("task.done", 2)
    assert run.runner.view.tasks["task_002"].status == "ready"
    assert (await handle(run.runner, run.ask("task.pause", task="task_002"))).is_applied
    assert (await handle(run.runner, run.ask("service.resume", service="b"))).is_applied
    await run.runner.record()
    assert run.runner.view.tasks["task_002"].status == "ready"
    assert (await handle(run.runner, run.ask("task.resume", task="task_002"))).is_applied
    await run.end()

    assert run.runner.view.tasks["task_002"].status == "done"


# -- workers outside


async def claimed(run: Run, id: str = "") -> dict[str, Any]:
    """Claim until it is given, as a worker does."""
    item = run.ask("task.claim", id=id, service="a", worker="ada")
    for _ in range(500):
        verdict = await handle(run.runner, replace(item, id=id or ulid()))
        if verdict.is_applied:
            return dict(verdict.data)
        await asyncio.sleep(0.005)
    raise AssertionError(verdict.reason)


async def test_a_claim_whose_answer_a_crash_swallowed_is_answered_again_with_the_task(
    tmp_path: Path, runs: list[Run]
) -> None:
    run = await at_work(tmp_path, runs, outsiders(), work=outside)
    mine = ulid()
    given = await claimed(run, mine)
    assert (given["task"], given["attempt"], given["worktree"]) == ("task_001", 1, "/trees/a-1")
    await run.stop()
    again = await at_work(tmp_path, runs, outsiders(), work=outside)
    verdict = await handle(again.runner, again.ask("task.claim", id=mine, service="a", worker="ada"))

    assert verdict.is_applied
    assert verdict.data == given
    assert len(again.events("task.claimed")) == 2, "the plan's, and this one"


@pytest.mark.parametrize("kind", ["task.submit", "task.fail"])
async def test_what_was_handed_in_before_a_crash_is_called_applied_after_it(
    tmp_path: Path, runs: list[Run], kind: str
) -> None:
    run = await at_work(tmp_path, runs, outsiders(), work=outside)
    given = await claimed(run)
    data = {"task": given["task"], "attempt": given["attempt"], "what_i_did": "all of it", "reason": "no idea"}
    item = run.ask(kind, **data)
    assert (await handle(run.runner, item)).is_applied
    await run.stop()
    again = await Run.open(tmp_path, outsiders(), *TASKS, work=outside)
    runs.append(again)
    verdict = await handle(again.runner, item)

    assert (verdict.is_applied, verdict.reason) == (True, "")
    found = again.events("task.submitted" if kind == "task.submit" else "task.failed")
    assert [event.data.get("command") for event in found].count(item.id) == 1


FENCED: dict[str, tuple[dict[str, Any], str]] = {
    "an earlier attempt": ({"attempt": 0}, "attempt 0 comes too late"),
    "a later attempt": ({"attempt": 2}, "attempt 2 comes too late"),
    "an attempt that is no number": ({"attempt": "1"}, "comes too late"),
    "an unknown task": ({"task": "task_009"}, "there is no task 'task_009'"),
    "a task of nobody outside": ({"task": "task_002"}, "not with a worker"),
}


@pytest.mark.parametrize("kind", ["task.submit", "task.fail", "task.heartbeat"])
@pytest.mark.parametrize(("changes", "reason"), FENCED.values(), ids=FENCED)
async def test_only_the_attempt_that_holds_the_task_may_speak_for_it(
    tmp_path: Path, runs: list[Run], kind: str, changes: dict[str, Any], reason: str
) -> None:
    run = await at_work(tmp_path, runs, outsiders(), work=outside)
    given = await claimed(run)
    data = {"task": given["task"], "attempt": 1, "what_i_did": "all of it", "reason": "no idea", **changes}
    verdict = await handle(run.runner, run.ask(kind, **data))

    assert (verdict.is_applied, reason in verdict.reason) == (False, True), verdict.reason
    assert run.runner.view.tasks["task_001"].status == "running"


CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "a service of the engine": ({"service": "b"}, "workers outside may claim tasks of: a"),
    "an unknown service": ({"service": "z"}, "workers outside may claim tasks of: a"),
    "a task that is not ready": ({"task": "task_003"}, "nothing of a is ready"),
}


@pytest.mark.parametrize(("changes", "reason"), CLAIMS.values(), ids=CLAIMS)
async def test_a_claim_that_cannot_be_met_says_why(
    tmp_path: Path, runs: list[Run], changes: dict[str, Any], reason: str
) -> None:
    run = await at_work(tmp_path, runs, outsiders(), work=outside)
    await run.until("agent.ready", 2)
    verdict = await handle(run.runner, run.ask("task.claim", **{"service": "a", "worker": "ada", **changes}))

    assert (verdict.is_applied, verdict.reason) == (False, reason)
