"""Steering from the keyboard: each key asks the engine for one thing, what cannot be taken back is asked about first,
and the engine's word is shown."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.recorded import RUN
from tests.support.room import Visit, visit, write_pulse

from swarm_core.vocabulary.events import Draft
from swarm_tui.screens.requests import ASKED_S, SAID_S
from swarm_tui.screens.steering import Steering

PAUSED = Draft("run.paused", {"mode": "pause", "reason": "the operator paused the run"})
HALTED = Draft("run.halted", {"mode": "halt", "reason": "task_003: the API answered 401 (invalid x-api-key)"})
HELD = Draft("task.paused", {"reason": "the operator holds this task"}, task="task_003")


def asked(at: Visit) -> list[tuple[str, dict[str, Any]]]:
    """What lies in the inbox: kinds and their data."""
    return [(item["kind"], item["data"]) for item in at.inbox()]


def said(at: Visit) -> str:
    """The line above the keys."""
    return at.text.splitlines()[-2]


async def pulse(at: Visit) -> None:
    at.room.pulse()
    await at.settled()


# -- what a key asks for


@pytest.mark.parametrize(
    ("keys", "before", "wanted"),
    [
        (("p",), (), ("run.pause", {})),
        (("P",), (), ("run.pause", {"mode": "drain"})),
        (("P",), (PAUSED,), ("run.pause", {"mode": "drain"})),
        (("H",), (), ("run.halt", {})),
        (("H",), (PAUSED,), ("run.halt", {})),
        (("r",), (PAUSED,), ("run.resume", {})),
        (("r",), (HALTED,), ("run.resume", {})),
        (("X", "y"), (), ("engine.halt", {})),
        (("A", "y"), (), ("run.abort", {})),
        (("w", "down", "R", "y"), (), ("run.rollback", {"to": "gate:gate_002"})),
        (("b", "G", "h"), (), ("task.pause", {"task": "task_004"})),
        (("b", "G", "k", "h"), (HELD,), ("task.resume", {"task": "task_003"})),
        (("4", "h"), (), ("task.pause", {"task": "task_003"})),
        (("b", "G", "D", "y"), (), ("task.cancel", {"task": "task_004"})),
        (("b", "G", "S"), (), ("service.pause", {"service": "testing"})),
        (("4", "S"), (), ("service.pause", {"service": "frontend"})),
        (("4", "S"), (Draft("service.paused", {"service": "frontend"}),), ("service.resume", {"service": "frontend"})),
    ],
    ids=lambda value: "-".join(value) if value and all(isinstance(v, str) for v in value) else None,
)
async def test_a_key_asks_for_one_thing(
    tmp_path: Path, keys: tuple[str, ...], before: tuple[Draft, ...], wanted: tuple[str, dict[str, Any]]
) -> None:
    async with visit(tmp_path, "two at work") as at:
        if before:
            await at.happen(*before)
        await at.press(*keys)
        assert asked(at) == [wanted]
        assert at.inbox()[0]["run"] == RUN


@pytest.mark.parametrize("keys", [("X",), ("A",), ("w", "down", "R"), ("b", "G", "D")], ids="-".join)
async def test_what_cannot_be_taken_back_is_asked_about_and_moves_no_focus(
    tmp_path: Path, keys: tuple[str, ...]
) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press(*keys[:-1])
        focus = at.focus
        await at.press(*keys[-1:] * 3)
        assert asked(at) == []
        assert (at.place, at.focus) == ("ControlScreen", focus)
        assert "y: yes · Esc: no" in said(at)
        await at.press("escape", "y")
        assert asked(at) == []
        assert "Nothing was asked." in said(at)


async def test_a_question_is_forgotten_after_a_while(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("X")
        at.clock.seconds += ASKED_S
        await at.press("y")
        assert asked(at) == []
        at.clock.seconds += SAID_S
        await pulse(at)
        assert "Nothing was asked" not in at.text


async def test_another_command_takes_a_question_away(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("A", "p", "y", "y")
        assert asked(at) == [("run.pause", {})]


async def test_a_question_says_what_it_is_about(tmp_path: Path) -> None:
    async with visit(tmp_path, "landing") as at:
        await at.press("w", "G", "R")
        assert "Roll back to gate_001 (plan task_000)?" in at.text
        assert "task_001, task_002, task_003, task_004 is taken back" in at.text
        await at.press("g", "R")
        assert "gate_006 is open: put the gates' cursor (w) on one that was passed" in at.text
        assert asked(at) == []


# -- the engine's word


async def test_sent_then_accepted_with_the_event(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        write_pulse(at.layout, os.getpid())
        await pulse(at)
        await at.press("p")
        assert said(at).strip() == "pause: sent"
        command = at.inbox()[0]["id"]
        await at.happen(Draft(PAUSED.kind, {**PAUSED.data, "command": command}))
        assert at.room.store is not None
        assert said(at).strip() == f"pause: accepted #{at.room.store.view.last_seq}"
        at.clock.seconds += SAID_S
        await pulse(at)
        assert "accepted" not in at.text


async def test_sent_then_refused_with_the_reason(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("b", "G", "h")
        reason = "task task_004 is done: task.paused does not apply"
        data = {"command": at.inbox()[0]["id"], "request": "task.pause", "reason": reason}
        await at.happen(Draft("decision.refused", data))
        assert f"hold task_004: refused: {reason}" in said(at)


async def test_an_answer_that_no_journal_holds_is_found_in_the_inbox(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("X", "y")
        (item,) = at.inbox()
        done = {"result": "applied", "reason": "halted: nothing was under way"}
        (at.layout.inbox_done / f"{item['id']}.json").write_text(json.dumps(done))
        await pulse(at)
        assert said(at).strip() == "emergency stop: accepted"
        await at.press("p")
        item = at.inbox()[-1]
        gone = {"result": "refused", "reason": "no run is under way"}
        (at.layout.inbox_done / f"{item['id']}.json").write_text(json.dumps(gone))
        await pulse(at)
        assert said(at).strip() == "pause: refused: no run is under way"


async def test_without_an_engine_one_is_told_that_nobody_takes_it(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        at.layout.engine_file.unlink()
        await pulse(at)
        await at.press("p")
        assert "pause: sent; no engine takes it: E starts one" in said(at)


async def test_an_inbox_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=(200, 40)) as at:
        at.layout.inbox_done.rmdir()
        at.layout.inbox.rmdir()
        at.layout.inbox.write_text("in the way")
        await at.press("p")
        assert "cannot be written: File exists" in " ".join(at.text.split())


# -- where there is nothing to do


@pytest.mark.parametrize(
    ("keys", "before", "word"),
    [
        (("r",), (), "The run is not held"),
        (("p",), (PAUSED,), "The run is paused: r resumes it."),
        (("p",), (HALTED,), "The run is halted: r resumes it."),
        (("H",), (HALTED,), "The run is halted: r resumes it."),
        (("b", "g", "h"), (), "task_000 is done: there is nothing to hold or drop."),
        (("b", "g", "D"), (), "task_000 is done: there is nothing to hold or drop."),
    ],
)
async def test_a_key_that_does_nothing_says_why(
    tmp_path: Path, keys: tuple[str, ...], before: tuple[Draft, ...], word: str
) -> None:
    async with visit(tmp_path, "two at work") as at:
        if before:
            await at.happen(*before)
        await at.press(*keys)
        assert word in at.text
        assert asked(at) == []


@pytest.mark.parametrize("key", ["p", "P", "r", "H", "A", "R", "h", "D", "S"])
async def test_a_run_that_is_over_is_not_steered(tmp_path: Path, key: str) -> None:
    async with visit(tmp_path, "landed") as at:
        await at.press(key, "y")
        assert asked(at) == []


def test_every_control_is_an_action_of_steering() -> None:
    from swarm_tui import commands

    elsewhere = {"runs", "hand_in", "give_back"}
    assert [c.id for c in commands.of("run") if c.id not in elsewhere and not hasattr(Steering, f"action_{c.id}")] == []


# -- an engine that hangs


async def test_a_silent_engine_is_not_ended_without_a_yes(tmp_path: Path) -> None:
    hanging = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    try:
        async with visit(tmp_path, "two at work", size=(160, 40)) as at:
            os.utime(write_pulse(at.layout, hanging.pid), (time.time() - 60,) * 2)
            await at.press("E")
            assert f"Engine {hanging.pid} lives but gave no sign for 6" in at.text
            assert hanging.returncode is None
            await at.press("escape", "y")
            assert hanging.returncode is None
    finally:
        if hanging.returncode is None:
            hanging.kill()
        await hanging.wait()


async def test_only_the_engine_that_was_seen_to_hang_is_ended(tmp_path: Path) -> None:
    from swarm_core.client import SwarmClient
    from swarm_tui.local import end_engine

    hanging = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    async with visit(tmp_path, "two at work") as at:
        write_pulse(at.layout, hanging.pid)
        client = SwarmClient(tmp_path)
        await asyncio.to_thread(end_engine, client, hanging.pid + 1)
        assert hanging.returncode is None
        reaped = asyncio.create_task(hanging.wait())
        await asyncio.to_thread(end_engine, client, hanging.pid)
        assert await reaped == -9


async def test_an_engine_at_work_is_left_alone(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        write_pulse(at.layout, os.getpid())
        await at.press("E", "y")
        assert "Nothing was asked" in at.text


# -- the mouse, the picture


async def test_a_click_moves_the_cursor_and_a_second_one_opens(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        lines = at.text.splitlines()
        y = next(n for n, line in enumerate(lines) if "002 merge task_002" in line or "merge task_001" in line)
        x = lines[y].index("merge")
        await at.pilot.click(offset=(x, y))
        await at.settled()
        assert at.focus == "gates"
        assert at.place == "ControlScreen"
        await at.pilot.click(offset=(x, y), times=2)
        await at.settled()
        assert at.place == "GateScreen"
        assert at.text.splitlines()[0].split()[1] == f"gate_{lines[y].split('✓')[-1].split()[0]}"


async def test_a_picture_goes_where_no_commit_takes_it_and_the_place_is_said(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=(200, 40)) as at:
        await at.press("ctrl+s", "ctrl+s")
        pictures = sorted((at.layout.control / "screens").iterdir())
        assert [path.name for path in pictures] == ["20261121T100405-2.svg", "20261121T100405.svg"]
        assert all("<svg" in path.read_text() for path in pictures)
        assert ".multi-agent/screens/" in "".join(at.text.split())
