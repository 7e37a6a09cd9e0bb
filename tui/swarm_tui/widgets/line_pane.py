"""The one widget behind every log, list and diff: rows of styled text, painted as they come into sight.

A row is a sequence of ``(text, style)`` pieces, the style being one of ``STYLES``. Only visible rows are made into
strips and strips are kept, so cost follows what is on the screen. Text must be clean before it gets here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from swarm_tui import commands

Row = Sequence[tuple[str, str]]
STYLES = (
    "plain",
    "muted",
    "strong",
    "accent",
    "good",
    "bad",
    "think",
    "tool",
    "denied",
    "added",
    "removed",
    "hunk",
    "file",
)
FILLING = frozenset({"added", "removed", "file"})
"""Styles whose background goes on to the edge."""
KEPT_STRIPS = 512


class LinePane(Widget, can_focus=True):
    """Base of all panes. Subclasses give ``row_count`` and ``row``; ``has_cursor`` makes one row the chosen one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line--{name}" for name in STYLES} | {"line--cursor"}
    BINDINGS = commands.bindings("list")
    has_cursor = False

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, pane: LinePane) -> None:
            super().__init__()
            self.pane = pane

    class Opened(Message):
        """A row was clicked twice."""

        def __init__(self, pane: LinePane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.top = 0
        self.cursor = 0
        self._strips: dict[tuple[int, int, bool], Strip] = {}
        self._styles: dict[str, Style] = {}

    # -- what subclasses give

    @property
    def row_count(self) -> int:
        return 0

    def row(self, index: int) -> Row:
        raise IndexError(index)

    def empty_text(self) -> str:
        """What stands in a pane without rows: what would fill it."""
        return ""

    # -- painting

    def forget(self) -> None:
        """The rows changed: paint them anew."""
        self._strips.clear()
        self.top = max(0, min(self.top, self.last_top))
        self.cursor = max(0, min(self.cursor, self.row_count - 1))
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()

    @property
    def page(self) -> int:
        return max(1, self.content_size.height)

    @property
    def last_top(self) -> int:
        return max(0, self.row_count - self.page)

    def render_line(self, y: int) -> Strip:
        index, width = self.top + y, self.content_size.width
        if index >= self.row_count:
            if y == 0 and self.row_count == 0:
                return self._strip([(self.empty_text(), "muted")], width, is_chosen=False)
            return Strip.blank(width, self._style("plain"))
        is_chosen = self.has_cursor and index == self.cursor and self.has_focus
        key = (index, width, is_chosen)
        strip = self._strips.get(key)
        if strip is None:
            if len(self._strips) > KEPT_STRIPS:
                self._strips.clear()
            strip = self._strips[key] = self._strip(self.row(index), width, is_chosen=is_chosen)
        return strip

    def _strip(self, row: Row, width: int, *, is_chosen: bool) -> Strip:
        base = self._style("cursor" if is_chosen else row[-1][1] if row and row[-1][1] in FILLING else "plain")
        segments = []
        for text, name in row:
            style = self._style(name)
            segments.append(Segment(text, style + Style(bgcolor=base.bgcolor) if is_chosen else style))
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self._styles[name] = self.get_component_rich_style(f"line--{name}")
        return style

    def on_focus(self) -> None:
        self.forget()

    def on_blur(self) -> None:
        self.forget()

    def on_resize(self) -> None:
        self.forget()

    # -- moving

    def move_to(self, index: int) -> None:
        """Put the cursor, or the top where there is none, on a row and keep it in sight."""
        if not self.has_cursor:
            self.top = max(0, min(index, self.last_top))
            self.refresh()
            return
        index = max(0, min(index, self.row_count - 1))
        if index == self.cursor:
            return
        self.cursor = index
        self.keep_in_sight()
        self.refresh()
        self.post_message(self.Moved(self))

    def keep_in_sight(self) -> None:
        if self.cursor < self.top:
            self.top = self.cursor
        elif self.cursor >= self.top + self.page:
            self.top = self.cursor - self.page + 1

    @property
    def place(self) -> int:
        return self.cursor if self.has_cursor else self.top

    def action_line_down(self) -> None:
        self.move_to(self.place + 1)

    def action_line_up(self) -> None:
        self.move_to(self.place - 1)

    def action_half_down(self) -> None:
        self.move_to(self.place + max(1, self.page // 2))

    def action_half_up(self) -> None:
        self.move_to(self.place - max(1, self.page // 2))

    def action_to_top(self) -> None:
        self.move_to(0)

    def action_to_end(self) -> None:
        self.move_to(self.row_count - 1)

    def on_click(self, event: Click) -> None:
        """A click puts the cursor on a row, a second one opens it."""
        place = event.get_content_offset(self)
        if not self.has_cursor or place is None or self.top + place.y >= self.row_count:
            return
        self.move_to(self.top + place.y)
        if event.chain == 2:
            self.post_message(self.Opened(self))

    def on_mouse_scroll_down(self) -> None:
        self._scroll(3)

    def on_mouse_scroll_up(self) -> None:
        self._scroll(-3)

    def _scroll(self, rows: int) -> None:
        self.top = max(0, min(self.top + rows, self.last_top))
        self.refresh()
