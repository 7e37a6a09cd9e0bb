"""Several runs in one repository: a list tells what each is at, and one goes from one to another without leaving."""

from __future__ import annotations

from pathlib import Path

from tests.support.held import gate, write_run
from tests.support.journals import extend_journal
from tests.support.recorded import GOAL, RUN, record_run
from tests.support.room import Visit, visit

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.events import Draft
from swarm_tui.runs import Runs

OLDER, NEWER = "20261120-090000-an-older-goal", "20261122-090000-a-newer-goal"
WIDE = (200, 40)


async def look(at: Visit) -> None:
    """The next pulse that looks at the other runs."""
    at.room.look_at_runs(8)
    await at.settled()
    at.room.pulse()
    await at.settled()


async def test_the_list_says_what_each_run_is_at_newest_first(tmp_path: Path) -> None:
    record_run(tmp_path, "two at work")
    spent = Draft("llm.call", {"input_tokens": 1200, "output_tokens": 300, "cost_usd": 0.25})
    write_run(tmp_path, OLDER, "Older", spent, Draft("run.completed", {"outcome": "clean", "landed": True}))
    write_run(tmp_path, NEWER, "Newer", *gate(1), *gate(2))
    async with visit(tmp_path, None, size=WIDE) as at:
        await at.press("s")
        assert at.place == "RunsScreen"
        newer, here, older = at.text.splitlines()[3:6]
        assert NEWER in newer
        assert "waiting for you" in newer
        assert "⚑ 2 gates" in newer
        assert f"▸ {RUN}" in here
        assert "3/5 tasks" in here
        assert OLDER in older
        assert "landed" in older
        assert "1.5k tok $0.25" in older
        assert "Older" in older


async def test_one_goes_to_another_run_and_back_without_leaving(tmp_path: Path) -> None:
    record_run(tmp_path, "two at work")
    write_run(tmp_path, NEWER, "Newer")
    async with visit(tmp_path, None, size=WIDE) as at:
        await at.press("s", "up", "enter")
        assert at.place == "ControlScreen"
        assert "Newer" in at.text.splitlines()[0]
        assert "The architect's plan fills this board." in at.text
        assert len(at.room.screen_stack) == 2, "the room that was left is gone"
        extend_journal(at.layout.run(NEWER).journal, Draft("task.created", {"title": "A fresh task"}, task="task_001"))
        await at.settled()
        assert "A fresh task" in at.text
        await at.press("s", "down", "enter")
        assert GOAL[:20] in at.text.splitlines()[0]
        assert "testing-1" in at.text
        await at.press("p")
        assert at.inbox()[0]["run"] == RUN


async def test_the_run_that_waits_is_two_keys_away_and_its_gates_do_not_ring_when_one_comes(tmp_path: Path) -> None:
    record_run(tmp_path, "two at work")
    write_run(tmp_path, NEWER, "Newer", *gate(1))
    write_run(tmp_path, OLDER, "Older")
    async with visit(tmp_path, None, size=WIDE) as at:
        await look(at)
        await at.press("s", "enter")
        assert "⚑ 1 gate" in at.text.splitlines()[0]
        assert at.room.bells == 0


async def test_a_run_that_waits_elsewhere_is_said_in_the_head_as_long_as_it_does(tmp_path: Path) -> None:
    record_run(tmp_path, "two at work")
    journal = write_run(tmp_path, OLDER, "Older")
    async with visit(tmp_path, None, size=WIDE) as at:
        await look(at)
        assert "other run" not in at.text
        extend_journal(journal, *gate(1))
        await look(at)
        assert "⚑ 1 other run (s)" in at.text.splitlines()[0]
        extend_journal(journal, Draft("gate.decided", {"gate": "gate_001", "verdict": "approve", "by": "ada"}))
        await look(at)
        assert "other run" not in at.text


async def test_ones_own_gates_are_not_those_of_another_run(tmp_path: Path) -> None:
    async with visit(tmp_path, size=WIDE) as at:
        await look(at)
        assert "⚑ 1 gate" in at.text
        assert "other run" not in at.text


async def test_esc_and_the_run_one_is_in_lead_back_to_the_same_place(tmp_path: Path) -> None:
    record_run(tmp_path, "two at work")
    write_run(tmp_path, OLDER, "Older")
    async with visit(tmp_path, None, size=WIDE) as at:
        for way in (("escape",), ("s",), ("enter",)):
            await at.press("w", "s")
            screens = len(at.room.screen_stack)
            await at.press(*way)
            assert (at.place, at.focus) == ("ControlScreen", "gates")
            assert len(at.room.screen_stack) == screens - 1


async def test_a_damaged_run_is_said_and_one_stays_where_one_is(tmp_path: Path) -> None:
    record_run(tmp_path, "two at work")
    journal = write_run(tmp_path, NEWER, "Newer")
    journal.write_bytes(journal.read_bytes().replace(b'"actor"', b'"ACTOR"', 3))
    async with visit(tmp_path, None, size=WIDE) as at:
        await at.press("s", "up")
        assert "✗" in at.text
        assert "not an event" in at.text
        await at.press("enter")
        assert at.room.is_running
        await at.press("escape")
        assert GOAL[:20] in at.text.splitlines()[0]


async def test_a_run_that_begins_while_one_looks_appears(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        await at.press("s")
        write_run(tmp_path, NEWER, "Newer")
        await look(at)
        assert at.text.index(NEWER) < at.text.index(RUN)
        await at.press("enter")
        assert at.place == "ControlScreen", "the cursor stayed on the run one is in"
        assert GOAL[:20] in at.text.splitlines()[0]


def test_a_run_that_is_over_is_read_once_and_old_ones_only_when_asked_for(tmp_path: Path) -> None:
    for number in range(5):
        ended = Draft("run.completed", {"outcome": "clean", "landed": True})
        write_run(tmp_path, f"20261120-09000{number}-x", f"Run {number}", ended)
    runs = Runs(SwarmClient(tmp_path))
    runs.look(2)
    assert list(runs.lines) == ["20261120-090004-x", "20261120-090003-x"]
    before = runs.lines["20261120-090004-x"]
    runs.look(None)
    assert len(runs.lines) == 5
    assert runs.lines["20261120-090004-x"] is before
    assert all(line.run.landed for line in runs.lines.values())
