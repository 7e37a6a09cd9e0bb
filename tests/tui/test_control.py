"""The room: what a glance tells, where the keys go, and that nothing takes the focus by itself."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from pathlib import Path

import pytest
from tests.support.recorded import RUN, record_run
from tests.support.room import Visit, visit, write_pulse

from swarm_core.vocabulary.events import Draft
from swarm_tui.panes.agent import AgentPane
from swarm_tui.panes.board import TaskBoard
from swarm_tui.panes.gates import GateQueue

DONE = Draft("agent.retired", {"reason": "its work is done"}, agent="frontend-1")


def gate_opens(number: int, task: str, place: str = "merge") -> list[Draft]:
    gate = f"gate_{number:03d}"
    return [
        Draft("task.submitted", {"commit": "c0ffee", "files": 1}, task=task),
        Draft("gate.evaluating", {"gate": gate, "place": place, "title": f"{task} · a change", "round": 1}, task=task),
        Draft("gate.opened", {"gate": gate, "document": "gates/gate_003.patch", "evidence": "0" * 64}, task=task),
    ]


def agents(at: Visit) -> list[str]:
    return [pane.instance.id for pane in at.room.screen.query(AgentPane) if pane.display]


def head(at: Visit) -> str:
    return at.text.splitlines()[0]


# -- what is shown


async def test_the_room_shows_run_agents_board_gates_and_keys(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=(120, 36)) as at:
        assert "Build EcoRoute" in head(at)
        assert "running" in head(at)
        assert re.search(r"\d+:\d\d · [\d.]+k tok \$\d+\.\d\d", head(at))
        for word in ("4 frontend-1 ● busy", "5 testing-1 ● busy", "Tasks · 2 running · 3 done", "Gates · none waits"):
            assert word in at.text
        assert "Write frontend/index.html" in at.text
        assert "✗ 1 denied" in at.text
        assert at.text.splitlines()[-1].startswith(" Enter open")


async def test_eighty_columns_and_24_lines_are_enough(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=(80, 24)) as at:
        lines = at.text.splitlines()
        assert len(lines) == 24
        assert "running" in head(at)
        assert "engine" in head(at)
        for word in (
            "frontend-1",
            "testing-1",
            "Tasks",
            "Gates",
            "task_003",
            "merge task_002",
            "Write tests/test_api.py",
        ):
            assert word.removeprefix("task_") in at.text
        for word in ("Enter open", "n gate", "? help", "q leave"):
            assert word in lines[-1]


async def test_a_gate_that_waits_is_said_above_and_below(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        assert "waiting for you" in head(at)
        assert "⚑ 1 gate" in head(at)
        assert "Gates · 1 waiting · n opens" in at.text


async def test_agents_that_left_make_room_until_none_is_left(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        assert agents(at) == ["frontend-1", "testing-1"]
        await at.happen(Draft("agent.idle", agent="frontend-1"), DONE)
        assert agents(at) == ["testing-1"]
    (tmp_path / "over").mkdir()
    async with visit(tmp_path / "over", "landed") as at:
        assert len(agents(at)) == 5
        assert "landed" in head(at)


async def test_a_new_agent_gets_a_pane_while_one_looks(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        start = {"service": "docs", "branch": "agent/docs-1", "worktree": "/t/docs-1", "model": "m"}
        await at.happen(Draft("agent.starting", start, agent="docs-1"))
        assert agents(at) == ["frontend-1", "testing-1", "docs-1"]
        assert "6 docs-1 ◌ starting" in at.text
        assert "The worktree is being made." in at.text
        await at.happen(Draft("agent.ready", agent="docs-1"))
        assert "6 docs-1 ○ idle" in at.text


async def test_an_agent_that_waits_or_failed_says_why(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        waits = Draft("agent.waiting", {"reason": "rate limit, 20 s"}, agent="frontend-1")
        await at.happen(waits, Draft("agent.failed", {"reason": "no answer"}, agent="testing-1"))
        assert "frontend-1 ◔ waiting (rate limit, 20 s)" in at.text
        assert "testing-1 ✗ failed (no answer)" in at.text


async def test_an_event_of_an_unknown_kind_disturbs_nothing(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        before = at.text
        await at.happen(Draft("weather.changed", {"sky": "grey"}, task="task_999", agent="nobody-7"))
        assert at.text == before


# -- the engine


async def shown_engine(at: Visit) -> str:
    at.room.pulse()
    await at.settled()
    return head(at)


async def test_an_engine_that_lives_is_shown_as_such(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        write_pulse(at.layout, os.getpid())
        assert "● engine" in await shown_engine(at)


async def test_an_engine_that_was_killed_is_lost_and_the_key_is_named(tmp_path: Path) -> None:
    gone = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE)
    async with visit(tmp_path) as at:
        file = write_pulse(at.layout, gone.pid)
        assert "● engine" in await shown_engine(at)
        gone.kill()
        await gone.wait()
        os.utime(file, (time.time() - 42,) * 2)
        assert re.search(r"✗ engine lost 4\d s ago, E starts it", await shown_engine(at))


async def test_an_engine_that_gives_no_sign_is_silent_before_it_is_gone(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        file = write_pulse(at.layout, os.getpid())
        os.utime(file, (time.time() - 3,) * 2)
        assert "● engine" in await shown_engine(at)
        os.utime(file, (time.time() - 8,) * 2)
        assert re.search(r"✗ engine silent for \d+ s", await shown_engine(at))
        file.touch()
        assert "● engine" in await shown_engine(at)


async def test_no_engine_is_told_from_a_lost_one(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        at.layout.engine_file.unlink(missing_ok=True)
        assert "✗ no engine, E starts it" in await shown_engine(at)
        write_pulse(at.layout, os.getpid(), "stopped")
        assert "✗ no engine, E starts it" in await shown_engine(at)


async def test_a_half_written_pulse_is_no_engine(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        at.layout.engine_file.write_text('{"pid": 12')
        assert "✗ no engine" in await shown_engine(at)


async def test_an_engine_that_paused_says_why(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        write_pulse(at.layout, os.getpid(), "paused: no space left on the disk")
        assert "■ paused: no space left" in await shown_engine(at)


async def test_a_run_that_is_over_misses_no_engine(tmp_path: Path) -> None:
    async with visit(tmp_path, "landed") as at:
        at.layout.engine_file.unlink(missing_ok=True)
        assert "○ no engine" in await shown_engine(at)


# -- the focus


async def test_a_gate_that_opens_moves_no_focus_and_rings_once(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("5")
        await at.happen(*gate_opens(4, "task_003"))
        assert at.focus == "agent-testing-1"
        assert at.place == "ControlScreen"
        assert at.room.bells == 1
        await at.settled()
        await at.happen(Draft("llm.call", {"input_tokens": 5}, agent="testing-1"))
        assert at.room.bells == 1
        assert "⚑ 1 gate" in head(at)


async def test_two_gates_at_once_ring_once_and_the_next_rings_again(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.happen(*gate_opens(4, "task_003"), *gate_opens(5, "task_004"))
        assert at.room.bells == 1
        assert "⚑ 2 gates" in head(at)
        await at.happen(Draft("gate.invalidated", {"gate": "gate_004", "reason": "the base moved"}))
        assert "⚑ 1 gate " in head(at)
        await at.happen(Draft("gate.opened", {"gate": "gate_004", "evidence": "1" * 64}))
        assert at.room.bells == 2


async def test_gates_that_waited_before_one_came_do_not_ring(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        assert at.room.bells == 0


@pytest.mark.parametrize("way", [(), ("5",), ("w",), ("at",), ("question_mark",), ("down", "down", "d"), ("5", "z")])
async def test_the_next_gate_opens_from_anywhere(tmp_path: Path, way: tuple[str, ...]) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press(*way)
        place = at.place
        await at.happen(*gate_opens(4, "task_003"))
        assert at.place == place
        await at.press("n")
        assert at.place == "GateScreen"
        assert "gate_004" in at.text
        await at.press("escape")
        assert at.place == place


async def test_without_a_gate_the_key_says_so(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("n")
        assert at.place == "ControlScreen"
        assert "No gate waits for you." in at.text


@pytest.mark.parametrize("focus", ["board", "gates", "agent-testing-1"])
async def test_a_resize_keeps_the_focus(tmp_path: Path, focus: str) -> None:
    key = {"board": "b", "gates": "w", "agent-testing-1": "5"}[focus]
    async with visit(tmp_path, "two at work") as at:
        await at.press(key)
        for size in ((80, 24), (200, 60), (50, 12), (30, 5), (120, 36)):
            await at.pilot.resize_terminal(*size)
            await at.settled()
        assert at.place == "ControlScreen"
        assert at.focus == focus
        assert "Tasks" in at.text


async def test_tab_goes_round_in_the_order_of_the_eye(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        seen = []
        for _ in range(4):
            await at.press("tab")
            seen.append(at.focus)
        assert seen == ["gates", "agent-frontend-1", "agent-testing-1", "board"]


async def test_digits_and_brackets_go_to_agents(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        seen = []
        for key in ("4", "5", "b", "right_square_bracket", "right_square_bracket", "right_square_bracket"):
            await at.press(key)
            seen.append(at.focus.removeprefix("agent-"))
        assert seen == ["frontend-1", "testing-1", "board", "frontend-1", "testing-1", "frontend-1"]
        await at.press("left_square_bracket")
        assert at.focus == "agent-testing-1"
        await at.press("1")
        assert at.focus == "agent-testing-1", "the architect left: there is nothing to go to"


async def test_a_focused_agent_that_leaves_gives_the_keys_to_somebody_in_sight(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("4")
        await at.happen(Draft("agent.idle", agent="frontend-1"), DONE)
        assert at.room.focused is not None
        assert at.room.focused.display
        await at.press("n")
        assert "No gate waits for you." in at.text


# -- zoom


@pytest.mark.parametrize("back", ["z", "escape", "5"])
async def test_zoom_and_back_keep_focus_and_place(tmp_path: Path, back: str) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.log("testing-1", *(("say", f"step {n}") for n in range(80)))
        await at.press("5", "g", "j")
        await at.press("z")
        assert agents(at) == ["testing-1"]
        assert "Tasks" not in at.text
        assert "One server for all tests" not in at.text
        await at.press(back)
        assert agents(at) == ["frontend-1", "testing-1"]
        assert at.focus == "agent-testing-1"
        assert "Tasks" in at.text
        assert at.room.screen.query_one("#agent-testing-1", AgentPane).top == 1


async def test_a_digit_pressed_again_zooms(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("5", "5")
        assert agents(at) == ["testing-1"]


async def test_an_agent_that_leaves_while_it_is_zoomed_stays_until_one_looked(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("4", "z")
        await at.happen(Draft("agent.idle", agent="frontend-1"), DONE)
        assert agents(at) == ["frontend-1"]
        await at.press("escape")
        assert agents(at) == ["testing-1"]
        assert "Tasks" in at.text
        assert at.room.focused is not None


async def test_zoom_without_an_agent_says_what_to_do(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("z")
        assert "Go to an agent's pane first" in at.text
        assert "Tasks" in at.text


# -- the board and the gates


async def test_the_cursor_stays_on_its_task_when_rows_change(tmp_path: Path) -> None:
    async with visit(tmp_path, "planned") as at:
        board = at.room.screen.query_one(TaskBoard)
        decided = Draft("gate.decided", {"gate": "gate_001", "verdict": "approve", "by": "operator"}, task="task_000")
        await at.happen(
            decided, *(Draft("task.created", {"title": f"Part {n}"}, task=f"task_{n:03d}") for n in (1, 2, 3))
        )
        await at.press("down", "down")
        assert board.chosen is not None
        assert board.chosen.id == "task_002"
        assert at.room.store is not None
        view = at.room.store.view
        view.tasks = dict(sorted(view.tasks.items(), reverse=True))
        await at.happen(Draft("task.created", {"title": "Part 4"}, task="task_004"))
        assert board.tasks[0].id == "task_003"
        assert board.chosen.id == "task_002"


async def test_the_cursor_stays_on_its_gate_when_another_opens(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        queue = at.room.screen.query_one(GateQueue)
        await at.press("w", "down")
        assert queue.chosen is not None
        assert queue.chosen.id == "gate_002"
        await at.happen(*gate_opens(4, "task_003"))
        assert queue.gates[0].id == "gate_004"
        assert queue.chosen.id == "gate_002"


async def test_what_a_pending_task_waits_for_is_said(tmp_path: Path) -> None:
    async with visit(tmp_path, "backend gate", size=(160, 36)) as at:
        assert "pending" in at.text
        assert "needs 002" in at.text


async def test_enter_opens_what_the_cursor_is_on(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await at.press("w", "enter")
        assert at.place == "GateScreen"
        await at.press("escape", "b", "down", "down", "enter")
        assert at.place == "GateScreen", "the task's gate is open: it is shown with its decision"
        await at.press("escape", "up", "enter")
        assert at.place == "DocumentScreen"
        assert "gate_002" in at.text


async def test_a_task_without_a_document_says_so(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await at.press("G", "d")
        assert at.place == "ControlScreen"
        assert "Nothing was handed off here yet" in at.text


async def test_many_tasks_and_agents_fit_by_scrolling(tmp_path: Path) -> None:
    record_run(tmp_path, "two at work")
    async with visit(tmp_path, None, run=RUN) as at:
        await at.happen(*(Draft("task.created", {"title": f"Part {n}"}, task=f"task_{n:03d}") for n in range(10, 400)))
        await at.press("G")
        assert "Part 399" in at.text
        await at.press("g")
        assert "Part 399" not in at.text
