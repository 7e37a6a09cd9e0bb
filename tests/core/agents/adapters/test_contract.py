"""One contract for agents of every make: ours, ACP, ``claude -p``, ``codex exec``, and a person.

Each plays the same steps in a real worktree of a real hub, and the engine's own act runs and concludes it. A make is
left out of a test where the promise cannot be kept for it, which ``docs/adapters.md`` says:

- a person is not held, counted or ended, and has no process;
- our own agent is a coroutine of the engine: it has no process that could be killed, and no session of its own.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support import repos
from tests.support.seats import INSTANCE, MAKES, PROCESSES, TASK, Seat
from tests.support.tools import is_running, until

from swarm_core.tools.child import MAX_OUTPUT_BYTES
from swarm_core.tools.confine import confinement
from swarm_core.vocabulary.events import Draft

HAS_ACP = importlib.util.find_spec("acp") is not None
Open = Callable[..., Awaitable[Seat]]


def makes(*names: str) -> pytest.MarkDecorator:
    skip = pytest.mark.skipif(not HAS_ACP, reason="the extra acp is not installed")
    return pytest.mark.parametrize("make", [pytest.param(n, marks=skip) if n == "acp" else n for n in names])


@pytest.fixture
async def seat(tmp_path: Path) -> AsyncIterator[Open]:
    opened: list[Seat] = []

    async def open_one(make: str, *steps: Any, **service: Any) -> Seat:
        opened.append(Seat(tmp_path / "repository", make, steps, **service))
        return await opened[-1].open()

    yield open_one
    for one in opened:
        await one.close()


def changed(one: Seat) -> list[str]:
    """The paths of the commit that was handed in."""
    return repos.git(one.tree, "show", "--name-only", "--format=", one.task.commit).split()


@makes(*MAKES)
async def test_work_is_committed_handed_off_and_submitted(seat: Open, make: str) -> None:
    one = await seat(make, ("say", "I begin."), ("write", "api/one.txt", "one\n"))
    task = await one.work()

    assert (task.status, task.stat.files) == ("verifying", 1)
    assert repos.git(one.tree, "show", f"{task.commit}:api/one.txt") == "one"
    assert repos.git(one.tree, "log", "-1", "--format=%an", task.commit) == INSTANCE
    assert task.handoff["what_i_did"] == "all of it"
    assert [fact["attempt"] for fact in one.facts("task.submitted")] == [1]
    if make != "human":
        assert "say: I begin." in one.log()
        assert any(fact["ok"] and fact["target"].endswith("one.txt") for fact in one.facts("tool.used"))


@makes(*MAKES)
async def test_what_lies_outside_its_directories_is_not_committed_and_is_journaled(seat: Open, make: str) -> None:
    one = await seat(make, ("write", "web/stray.txt", "no\n"), ("write", "api/one.txt", "one\n"))
    task = await one.work()

    assert repos.git(one.tree, "ls-tree", "-r", "--name-only", task.commit).splitlines().count("web/stray.txt") == 0
    assert repos.git(one.tree, "show", f"{task.commit}:api/one.txt") == "one"
    denied = one.facts("policy.denied")
    assert denied
    assert all(fact["rule"] in ("directories", "confined") for fact in denied)
    assert any("stray" in fact["target"] for fact in denied)


@makes("native", "acp", "claude")
async def test_a_rule_that_denies_binds_it_where_it_asks(seat: Open, make: str) -> None:
    one = await seat(
        make,
        ("write", "api/two.txt", "no\n"),
        ("write", "api/one.txt", "one\n"),
        permissions={"deny": ["Edit(./api/two.txt)"]},
    )
    await one.work()

    assert changed(one) == ["api/one.txt"]
    (denied,) = one.facts("policy.denied")
    assert "two.txt" in denied["target"]


@makes(*PROCESSES)
async def test_the_confinement_holds_an_agent_that_asks_nobody(seat: Open, make: str) -> None:
    one = await seat(make, ("sneak", "web/stray.txt", "no\n"), ("sneak", "api/one.txt", "one\n"))
    await one.work()

    assert changed(one) == ["api/one.txt"]
    (denied,) = one.facts("policy.denied")
    assert "web" in denied["target"]
    if confinement() != "none":
        assert denied["rule"] == "confined"
        assert not (one.tree / "web").exists()


@makes("native", *PROCESSES)
async def test_a_pause_holds_it_at_its_next_step_and_loses_nothing(seat: Open, make: str) -> None:
    steps = [("pid", "pid"), ("write", "api/one.txt", "1"), ("wait", "go"), ("write", "api/two.txt", "2")]
    steps += [("run", "sleep 0.3"), ("write", "api/three.txt", "3")] if make == "codex" else []
    one = await seat(make, *steps)
    sitting = one.sit()
    await until((one.tree / "api/one.txt").exists)
    await one.runner.record(Draft("run.paused", {"mode": "pause"}))
    (one.home / "go").write_text("")
    await until(lambda: bool(one.facts("agent.paused")))
    if make == "codex":  # it asks nobody: its processes are stopped soon after it told of a step
        pid = await one.pid("pid")
        await until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        assert not (one.tree / "api/three.txt").exists()
    else:
        assert not (one.tree / "api/two.txt").exists()
    await one.runner.record(Draft("run.resumed"))
    async with asyncio.timeout(20):
        await sitting

    assert one.task.status == "verifying"
    assert (one.tree / "api/two.txt").read_text() == "2"


@makes("native", *PROCESSES)
async def test_a_cancel_ends_it_within_seconds_and_no_child_is_left(seat: Open, make: str) -> None:
    one = await seat(make, ("pid", "pid"), ("child", "child"), ("hang",))
    sitting = one.sit()
    pids = [await one.pid("child")]
    if make != "native":
        pids.append(await one.pid("pid"))
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    sitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sitting

    assert loop.time() - began_s < 8
    await until(lambda: not any(is_running(pid) for pid in pids))
    assert one.task.status == "running", "whoever cancelled says what becomes of the task"
    if make == "acp":
        assert (one.home / "cancelled").exists(), "it was told before it was ended"


@makes(*PROCESSES)
async def test_a_held_agent_can_be_cancelled(seat: Open, make: str) -> None:
    one = await seat(make, ("pid", "pid"), ("wait", "go"), ("write", "api/one.txt", "1"), ("hang",))
    sitting = one.sit()
    pid = await one.pid("pid")
    await one.runner.record(Draft("run.paused", {"mode": "pause"}))
    (one.home / "go").write_text("")
    await until(lambda: bool(one.facts("agent.paused")))
    sitting.cancel()
    async with asyncio.timeout(8):
        await asyncio.gather(sitting, return_exceptions=True)

    assert not is_running(pid)


@makes("human")
async def test_a_persons_task_can_be_taken_away(seat: Open, make: str) -> None:
    one = await seat(make)
    sitting = one.sit()
    await until(lambda: TASK in one.runner.workers)
    sitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sitting

    assert TASK not in one.runner.workers


@makes(*PROCESSES)
async def test_a_killed_agent_fails_its_attempt_as_lost_and_the_next_goes_on_in_the_same_tree(
    seat: Open, make: str
) -> None:
    steps = [("write", "api/one.txt", "1"), ("once", "died"), ("die",)]
    one = await seat(make, *steps)
    await one.work()

    (lost,) = one.facts("task.released")
    assert (lost["kind"], lost["failures"]) == ("lost", 1)
    assert "signal 9" in lost["reason"]
    assert (one.tree / "api/one.txt").read_text() == "1"
    await one.claim()
    task = await one.work()
    assert (task.status, task.attempt) == ("verifying", 2)
    assert repos.git(one.tree, "show", f"{task.commit}:api/one.txt") == "1"


@makes("native", *PROCESSES)
async def test_junk_is_noted_and_survived(seat: Open, make: str) -> None:
    one = await seat(make, ("junk",), ("write", "api/one.txt", "one\n"))
    task = await one.work()

    assert task.status == "verifying"
    assert "\x1b" not in one.layout.log(INSTANCE).read_text()
    if make != "native":
        assert "not a message: not JSON" in one.log()


@makes(*PROCESSES)
async def test_a_flood_ends_the_agent_and_not_the_engine(
    seat: Open, make: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm_core.tools.child.MAX_OUTPUT_BYTES", 4 << 20)
    assert MAX_OUTPUT_BYTES > 4 << 20
    one = await seat(make, ("flood",))
    await one.work()

    (failed,) = one.facts("task.failed")
    assert "it printed more than" in failed["reason"]


@makes("native", *PROCESSES)
async def test_after_the_engines_death_it_continues_in_the_same_tree(seat: Open, make: str, tmp_path: Path) -> None:
    one = await seat(make, ("write", "api/one.txt", "1"), ("wait", "go"), ("write", "api/two.txt", "2"))
    sitting = one.sit()
    await until((one.tree / "api/one.txt").exists)
    await until(lambda: bool(one.facts("tool.used")))
    sitting.cancel()
    await asyncio.gather(sitting, return_exceptions=True)
    await one.close()
    await one.open()
    assert (one.tree / "api/one.txt").read_text() == "1", "work in progress is kept"
    (one.home / "go").write_text("")
    task = await one.work()

    assert (task.status, task.attempt) == ("verifying", 1)
    assert repos.git(one.tree, "show", "--name-only", "--format=", task.commit).split() == [
        "api/one.txt",
        "api/two.txt",
    ]
    if make != "native":
        first, again = one.told(0), one.told(1)
        assert "Build the API" in first
        assert "You were interrupted" in again, "it knows the session, so it is told only that"
        assert "said long ago" not in one.log()


@makes("human")
async def test_after_the_engines_death_a_person_hands_in_as_before(seat: Open, make: str) -> None:
    one = await seat(make, ("write", "api/one.txt", "1"))
    sitting = one.sit()
    await until(lambda: TASK in one.runner.workers)
    repos.write(one.tree, "api/zero.txt", "0")
    sitting.cancel()
    await asyncio.gather(sitting, return_exceptions=True)
    await one.close()
    await one.open()
    task = await one.work()

    assert repos.git(one.tree, "show", "--name-only", "--format=", task.commit).split() == [
        "api/one.txt",
        "api/zero.txt",
    ]


@makes(*MAKES)
async def test_usage_is_counted_once(seat: Open, make: str) -> None:
    one = await seat(make, ("say", "I think."), ("write", "api/one.txt", "1"))
    usage = (await one.work()).usage
    summed = [sum(fact[key] for fact in one.facts("llm.call")) for key in ("input_tokens", "output_tokens")]

    assert summed == [usage.input_tokens, usage.output_tokens]
    match make:
        case "human":
            assert usage.calls == 0
        case "native":
            assert usage.tokens > 0
        case _:
            assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (300, 50, 10)
    if make in ("acp", "claude"):
        assert usage.cost_usd == pytest.approx(0.25)


@makes(*PROCESSES)
async def test_only_named_variables_reach_the_agent(seat: Open, make: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_KEY", "given")
    monkeypatch.setenv("OTHER_KEY", "secret")
    one = await seat(make, ("look", "seen", ["AGENT_KEY", "OTHER_KEY", "HOME"]), env=["AGENT_KEY", "NOT_SET"])
    await one.work()

    seen = (one.home / "seen").read_text()
    assert '"AGENT_KEY": "given"' in seen
    assert "secret" not in seen
    assert str(one.home) in seen


@makes(*PROCESSES)
async def test_a_program_that_is_not_there_fails_the_task_with_what_to_do(seat: Open, make: str) -> None:
    one = await seat(make, command=["no-such-agent"])
    await one.work()

    (failed,) = one.facts("task.failed")
    assert "no-such-agent was not found: install it" in failed["reason"]


@makes(*PROCESSES)
async def test_a_terminated_agent_is_lost_too(seat: Open, make: str) -> None:
    one = await seat(make, ("pid", "pid"), ("hang",))
    sitting = one.sit()
    pid = await one.pid("pid")
    os.kill(pid, signal.SIGTERM)
    async with asyncio.timeout(20):
        await sitting

    (lost,) = one.facts("task.released")
    assert (lost["kind"], "signal 15" in lost["reason"]) == ("lost", True)
    assert not is_running(pid)
