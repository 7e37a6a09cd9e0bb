"""The widget behind every list, log and diff: keys move it, and only what is in sight costs anything."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.support.panes import Stage

from swarm_tui import theme
from swarm_tui.widgets.line_pane import LinePane, Row

HEIGHT = 10


class Numbers(LinePane):
    """Rows 0, 1, 2 …; knows which were asked for."""

    def __init__(self, count: int, *, has_cursor: bool = False) -> None:
        super().__init__()
        self.count, self.has_cursor = count, has_cursor
        self.asked: Counter[int] = Counter()
        self.moves: list[int] = []

    @property
    def row_count(self) -> int:
        return self.count

    def row(self, index: int) -> Row:
        self.asked[index] += 1
        return ((f"row {index}", "plain"),)

    def empty_text(self) -> str:
        return "numbers would stand here"

    def on_line_pane_moved(self, event: LinePane.Moved) -> None:
        self.moves.append(event.pane.cursor)


def stage(pane: LinePane) -> Stage:
    return Stage(lambda: pane)


async def test_only_rows_in_sight_are_made() -> None:
    pane = Numbers(1_000_000)
    async with stage(pane).run_test(size=(40, HEIGHT)) as pilot:
        await pilot.pause()
        assert set(pane.asked) == set(range(HEIGHT))
        await pilot.press("G")
        await pilot.pause()
        assert set(pane.asked) == {*range(HEIGHT), *range(1_000_000 - HEIGHT, 1_000_000)}


async def test_a_row_in_sight_is_made_once_however_often_it_is_painted() -> None:
    pane = Numbers(100)
    async with stage(pane).run_test(size=(40, HEIGHT)) as pilot:
        await pilot.pause()
        pane.asked.clear()
        for _ in range(5):
            pane.refresh()
            await pilot.pause()
        assert not pane.asked
        pane.forget()
        await pilot.pause()
        assert set(pane.asked) == set(range(HEIGHT))


@pytest.mark.parametrize(
    ("keys", "top"),
    [
        (["j"], 1),
        (["down"], 1),
        (["j", "j", "k"], 1),
        (["k"], 0),
        (["ctrl+d"], HEIGHT // 2),
        (["pagedown", "pagedown"], HEIGHT),
        (["ctrl+d", "ctrl+u"], 0),
        (["G"], 90),
        (["end", "j"], 90),
        (["G", "g"], 0),
        (["end", "up"], 89),
        (["end", "home"], 0),
    ],
)
async def test_keys_move_what_is_in_sight(keys: list[str], top: int) -> None:
    pane = Numbers(100)
    app = stage(pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        assert app.lines == [f"row {n}" for n in range(top, top + HEIGHT)]


@pytest.mark.parametrize(
    ("keys", "cursor"),
    [(["j", "j"], 2), (["k"], 0), (["G"], 99), (["G", "j"], 99), (["ctrl+d"], 5), (["G", "g"], 0), (["G", "k"], 98)],
)
async def test_keys_move_the_cursor_and_it_stays_in_sight(keys: list[str], cursor: int) -> None:
    pane = Numbers(100, has_cursor=True)
    app = stage(pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        assert pane.cursor == cursor
        assert f"row {cursor}" in app.lines


async def test_the_cursor_tells_each_time_it_is_on_another_row() -> None:
    pane = Numbers(3, has_cursor=True)
    async with stage(pane).run_test(size=(40, HEIGHT)) as pilot:
        await pilot.press("j", "j", "j", "k")
        await pilot.pause()
        assert pane.moves == [1, 2, 1]


async def test_rows_that_go_leave_the_cursor_on_a_row() -> None:
    pane = Numbers(100, has_cursor=True)
    app = stage(pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.press("G")
        pane.count = 3
        pane.forget()
        await pilot.pause()
        assert (pane.cursor, pane.top) == (2, 0)
        assert [line for line in app.lines if line] == ["row 0", "row 1", "row 2"]


async def test_a_pane_without_rows_says_what_would_fill_it_and_takes_all_keys() -> None:
    pane = Numbers(0, has_cursor=True)
    app = stage(pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.press("j", "k", "g", "G", "ctrl+d", "ctrl+u")
        await pilot.pause()
        assert app.lines[0] == "numbers would stand here"
        assert pane.cursor == 0


async def test_the_cursor_is_painted_only_where_the_keys_go() -> None:
    one, other = Numbers(3, has_cursor=True), Numbers(3, has_cursor=True)
    app = Stage(lambda: one, lambda: other)
    async with app.run_test(size=(40, HEIGHT)) as pilot:

        def grounds(pane: Numbers) -> set[object]:
            return {segment.style and segment.style.bgcolor for y in range(3) for segment in pane.render_line(y)}

        await pilot.pause()
        assert (len(grounds(one)), len(grounds(other))) == (2, 1)
        await pilot.press("tab")
        await pilot.pause()
        assert (len(grounds(one)), len(grounds(other))) == (1, 2)


async def test_lines_fill_the_width_after_a_resize() -> None:
    app = stage(Numbers(100))
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.resize_terminal(70, 5)
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        assert [strip.cell_length for strip in strips] == [70] * 5


async def test_a_resize_at_the_end_shows_no_empty_lines() -> None:
    app = stage(Numbers(100))
    async with app.run_test(size=(40, 5)) as pilot:
        await pilot.press("G")
        await pilot.resize_terminal(40, 20)
        await pilot.pause()
        assert app.lines == [f"row {n}" for n in range(80, 100)]


async def test_another_palette_paints_every_line_anew() -> None:
    pane = Numbers(3)
    app = stage(pane)
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.pause()
        before = [segment.style for segment in pane.render_line(0)]
        app.theme = theme.LIGHT
        await pilot.pause()
        assert [segment.style for segment in pane.render_line(0)] != before
