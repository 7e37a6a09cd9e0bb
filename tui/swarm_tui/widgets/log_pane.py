"""A log that follows its end: a bounded ring of lines, wrapped to the pane's width and painted from the tail."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from rich.cells import cell_len, chop_cells

from .line_pane import LinePane, Row

KEPT_LINES = 5_000
_WORDS = re.compile(r"\S+\s*|\s+")


class LogPane(LinePane):
    """Holds about ``KEPT_LINES`` lines. ``is_following`` sticks to the end until the operator scrolls up."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.lines: list[Row] = []
        self.rows: list[Row] = []
        self.is_following = True
        self.unseen = 0
        self._width = 0

    @property
    def row_count(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> Row:
        return self.rows[index]

    def extend(self, lines: Iterable[Row]) -> None:
        """Add lines at the end; the oldest go when there are too many."""
        before = len(self.lines)
        self.lines.extend(lines)
        fresh = self.lines[before:]
        if not fresh:
            return
        if self._width:
            for line in fresh:
                self.rows += wrapped(line, self._width)
        if len(self.lines) > KEPT_LINES + KEPT_LINES // 8:  # amortised: not at every line
            del self.lines[:-KEPT_LINES]
            self._wrap_all()
        if self.is_following:
            self.top = self.last_top
        else:
            self.unseen += len(fresh)
        self.news()
        if self.is_on_screen:
            self.refresh()

    def news(self) -> None:
        """Something was added or seen; subclasses tell it in their title."""

    def _wrap_all(self) -> None:
        """Wrap every line anew; a reader who scrolled up keeps the distance to the end."""
        back = len(self.rows) - self.top
        was_empty = not self.rows
        self.rows = [row for line in self.lines for row in wrapped(line, self._width)] if self._width else []
        if self.is_following:
            self.top = self.last_top
        elif not was_empty:
            self.top = max(0, len(self.rows) - back)
        self._strips.clear()

    def on_resize(self) -> None:
        if self.content_size.width != self._width:
            self._width = self.content_size.width
            self._wrap_all()
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


def wrapped(line: Row, width: int) -> list[Row]:
    """``line`` as rows of at most ``width`` cells; what follows the first piece keeps its indentation.

    A list, whose pieces before the last fill more than half of a row, is broken between its pieces.
    """
    *heads, (text, style) = line
    indent = sum(cell_len(head) for head, _ in heads)
    room = max(8, width - indent)
    if cell_len(text) <= room and indent < width:
        return [line]
    if len(heads) > 1 and indent > width // 2:
        return _packed(line, width)
    if text.isascii():
        parts = textwrap.wrap(text, room, drop_whitespace=False, break_on_hyphens=False) or [""]
    else:
        parts = _wrapped_cells(text, room)
    margin = (" " * indent, style)
    return [(*heads, (parts[0], style)), *((margin, (part, style)) for part in parts[1:])]


def _packed(line: Row, width: int) -> list[Row]:
    """As many pieces in a row as fit; further rows begin below the second piece."""
    margin = (" " * cell_len(line[0][0]), line[0][1])
    rows: list[Row] = []
    row: list[tuple[str, str]] = []
    for piece in line:
        if len(row) > 1 and sum(cell_len(text) for text, _ in row) + cell_len(piece[0]) > width:
            rows += wrapped(row, width)
            row = [margin]
        row.append(piece)
    return [*rows, *wrapped(row, width)]


def _wrapped_cells(text: str, room: int) -> list[str]:
    """Break at spaces where there are some, counting cells: characters can be two wide."""
    parts, line, used = [], "", 0
    for word in _WORDS.findall(text):
        if used and used + cell_len(word.rstrip()) > room:
            parts.append(line)
            line, used = "", 0
        *whole, word = chop_cells(word, room) if cell_len(word.rstrip()) > room else (word,)
        parts += whole
        line, used = line + word, used + cell_len(word)
    return [*parts, line]
