"""A log follows its end until somebody reads, counts what came meanwhile, and never grows without bound."""

from __future__ import annotations

import weakref
from collections import UserList
from collections.abc import Iterator
from pathlib import Path

from rich.cells import cell_len
from tests.support.panes import Stage
from tests.support.room import visit, write_log
from textual.events import MouseScrollDown, MouseScrollUp

from swarm_tui.panes.agent import AgentPane
from swarm_tui.widgets.line_pane import Row
from swarm_tui.widgets.log_pane import KEPT_LINES, LogPane, wrapped

HEIGHT = 10
MOST = KEPT_LINES + KEPT_LINES // 8 + 1


def numbered(start: int, end: int) -> Iterator[Row]:
    return ((("· ", "muted"), (f"line {n}", "plain")) for n in range(start, end))


def shown(start: int, end: int) -> list[str]:
    return [f"· line {n}" for n in range(start, end)]


async def test_a_log_follows_its_end() -> None:
    pane = LogPane()
    app = Stage(lambda: pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        for start in range(0, 100, 20):
            pane.extend(numbered(start, start + 20))
            await pilot.pause()
            assert app.lines == shown(start + 10, start + 20)
        assert pane.is_following
        assert pane.unseen == 0


async def test_scrolling_up_stops_it_and_counts_what_is_new() -> None:
    pane = LogPane()
    app = Stage(lambda: pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        pane.extend(numbered(0, 100))
        await pilot.press("k")
        pane.extend(numbered(100, 137))
        await pilot.pause()
        assert app.lines == shown(89, 99)
        assert not pane.is_following
        assert pane.unseen == 37


async def test_to_the_end_follows_again() -> None:
    pane = LogPane()
    app = Stage(lambda: pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        pane.extend(numbered(0, 100))
        await pilot.press("g")
        pane.extend(numbered(100, 120))
        await pilot.press("end")
        assert pane.is_following
        assert pane.unseen == 0
        pane.extend(numbered(120, 140))
        await pilot.pause()
        assert app.lines == shown(130, 140)


async def test_the_last_line_reached_by_hand_follows_again() -> None:
    pane = LogPane()
    app = Stage(lambda: pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        pane.extend(numbered(0, 100))
        await pilot.press("k", "k", "j")
        assert not pane.is_following
        await pilot.press("j")
        assert pane.is_following


async def test_the_wheel_does_what_the_keys_do() -> None:
    pane = LogPane()
    app = Stage(lambda: pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        pane.extend(numbered(0, 100))
        await pilot._post_mouse_events([MouseScrollUp], pane)
        await pilot.pause()
        assert app.lines == shown(87, 97)
        assert not pane.is_following
        await pilot._post_mouse_events([MouseScrollDown], pane)
        await pilot.pause()
        assert pane.is_following


async def test_a_log_that_follows_does_so_through_a_resize() -> None:
    pane = LogPane()
    app = Stage(lambda: pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        pane.extend(numbered(0, 100))
        for height in (20, 5):
            await pilot.resize_terminal(40, height)
            await pilot.pause()
            assert app.lines == shown(100 - height, 100)


async def test_a_short_log_begins_at_the_top() -> None:
    pane = LogPane()
    app = Stage(lambda: pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        pane.extend(numbered(0, 3))
        await pilot.pause()
        assert app.lines == [*shown(0, 3), *[""] * (HEIGHT - 3)]


async def test_who_reads_keeps_the_place_when_the_oldest_lines_go() -> None:
    pane = LogPane()
    app = Stage(lambda: pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        pane.extend(numbered(0, KEPT_LINES))
        await pilot.press("k", "k")
        await pilot.pause()
        before = app.lines
        for start in range(KEPT_LINES, KEPT_LINES + 1_000, 50):
            pane.extend(numbered(start, start + 50))
            await pilot.pause()
            assert app.lines == before
        assert pane.row_count < KEPT_LINES + 1_000


class Piece(UserList[tuple[str, str]]):
    """A row that can be watched while it lives."""


async def test_fifty_thousand_lines_in_a_hidden_log_stay_bounded() -> None:
    pane = LogPane()
    app = Stage(lambda: pane)
    alive: weakref.WeakValueDictionary[int, Piece] = weakref.WeakValueDictionary()

    def flood() -> Iterator[Row]:
        for n in range(50_000):
            alive[n] = piece = Piece([("· ", "muted"), (f"line {n}", "plain")])
            yield piece

    async with app.run_test(size=(40, HEIGHT)) as pilot:
        pane.display = False
        await pilot.pause()
        rows = flood()
        for _ in range(500):
            pane.extend(row for _, row in zip(range(100), rows, strict=False))
            assert len(alive) <= MOST + 100
        pane.display = True
        await pilot.pause()
        assert app.lines == shown(50_000 - HEIGHT, 50_000)
        assert KEPT_LINES <= pane.row_count <= MOST


async def test_an_agents_pane_says_how_much_is_new(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.log("testing-1", *(("say", f"step {n}") for n in range(40)))
        assert "step 39" in at.text
        await at.press("5", "k")
        await at.log("testing-1", *(("say", f"step {n}") for n in range(40, 52)))
        assert "+12 new" in at.text
        assert "step 51" not in at.text
        await at.press("end")
        assert "new ·" not in at.text
        assert "step 51" in at.text


async def test_an_agents_pane_out_of_sight_reads_nothing_and_catches_up_near_the_end(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("5", "z")
        hidden = at.room.screen.query_one("#agent-frontend-1", AgentPane)
        before = hidden.row_count
        write_log(at.layout, "frontend-1", *(("say", f"step {n}") for n in range(50_000)))
        await at.settled()
        assert hidden.row_count == before
        await at.press("z")
        for _ in range(4):  # at most 32 KiB a frame
            await at.settled()
        assert "step 49999" in at.text
        assert any("KiB of the log are left out here" in text for row in hidden.rows for text, _ in row)
        assert hidden.row_count < MOST


async def test_a_log_that_was_deleted_and_begun_anew_is_read_again(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        at.layout.run("20261121-100000-build-ecoroute").log("testing-1").write_text("")
        await at.settled()
        await at.log("testing-1", ("say", "a new beginning"))
        assert "a new beginning" in at.text


def test_a_list_of_pieces_is_broken_between_them_and_nothing_of_it_is_lost() -> None:
    pieces = [(f" ✓ check-{number} 32 passed, 0 failed, 0 skipped, 1.3 s", "good") for number in range(6)]
    for width in (40, 80, 120, 200):
        rows = wrapped([(" checks ", "muted"), *pieces], width)
        lines = ["".join(text for text, _ in row) for row in rows]
        assert all(cell_len(line) <= width for line in lines)
        said = " ".join(" ".join(lines).split())
        assert said == " ".join(" ".join(text for text, _ in [(" checks ", ""), *pieces]).split())
        if width >= 80:
            assert all(line.count("✓") == line.count("1.3 s") for line in lines), "no piece is torn apart"
