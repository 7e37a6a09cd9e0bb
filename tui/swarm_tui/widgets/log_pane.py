"""A log that follows its end: a bounded ring of lines, painted from the tail."""

from __future__ import annotations

from collections.abc import Iterable

from .line_pane import LinePane, Row

KEPT_LINES = 5_000


class LogPane(LinePane):
    """Holds at most ``KEPT_LINES`` rows. ``is_following`` sticks to the end until the operator scrolls up."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.rows: list[Row] = []
        self.is_following = True
        self.unseen = 0

    @property
    def row_count(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> Row:
        return self.rows[index]

    def extend(self, rows: Iterable[Row]) -> None:
        """Add rows at the end; the oldest go when the ring is full."""
        before = len(self.rows)
        self.rows.extend(rows)
        added = len(self.rows) - before
        if not added:
            return
        over = len(self.rows) - KEPT_LINES
        if over > KEPT_LINES // 8:  # amortised: not at every line
            del self.rows[:over]
            self.top = max(0, self.top - over)
            self._strips.clear()
        if self.is_following:
            self.top = self.last_top
        else:
            self.unseen += added
        self.news()
        if self.is_on_screen:
            self.refresh()

    def news(self) -> None:
        """Something was added; subclasses tell it in their title."""

    def on_resize(self) -> None:
        if self.is_following:
            self.top = self.last_top
        super().on_resize()

    def move_to(self, index: int) -> None:
        self.top = max(0, min(index, self.last_top))
        self._judge_following()

    def _scroll(self, rows: int) -> None:
        super()._scroll(rows)
        self._judge_following()

    def _judge_following(self) -> None:
        self.is_following = self.top >= self.last_top
        if self.is_following:
            self.unseen = 0
        self.news()
        self.refresh()
