"""One-line widgets: the state above, the keys below, a word about what was just done."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len
from textual.geometry import Size

from swarm_tui.commands import Command

from .line_pane import LinePane, Row
from .log_pane import wrapped


class Bar(LinePane, can_focus=False):
    """Shows rows it is given; as many as it is high."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.rows: list[Row] = []

    @property
    def row_count(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> Row:
        return self.rows[index]

    def show(self, *rows: Row) -> None:
        if list(rows) == self.rows:
            return
        is_higher = len(rows) != len(self.rows)
        self.rows = list(rows)
        self.forget()
        if is_higher:
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(self.rows))


class Heading(Bar):
    """Rows that are wrapped where they are too long: a bar as high as what it has to say."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._source: tuple[Row, ...] = ()

    def show(self, *rows: Row) -> None:
        self._source = rows
        width = self.size.width
        super().show(*(part for row in rows for part in (wrapped(row, width) if width else [row])))

    def on_resize(self) -> None:
        super().on_resize()
        self.show(*self._source)


class KeyBar(Bar):
    """The keys that apply here, as many as fit; what is left out is in the help."""

    def offer(self, commands: Iterable[Command]) -> None:
        labelled = [command for command in commands if command.label]
        self.commands = list({command.shown_key: command for command in reversed(labelled)}.values())[::-1]
        self._fit()

    def on_resize(self) -> None:
        super().on_resize()
        self._fit()

    def _fit(self) -> None:
        row: list[tuple[str, str]] = [(" ", "muted")]
        left = self.size.width - 2
        for command in getattr(self, "commands", ()):
            width = cell_len(f"{command.shown_key} {command.label}   ")
            if width > left:
                break
            left -= width
            row += [(command.shown_key, "accent"), (f" {command.label}   ", "muted")]
        self.show(row)


def spread(left: Row, right: Row, width: int) -> Row:
    """Two groups on one line, the right one at the edge; the left one gives way."""
    used = sum(cell_len(text) for text, _ in right)
    room = max(0, width - used - 1)
    out: list[tuple[str, str]] = []
    for text, style in left:
        if cell_len(text) > room:
            out.append((text[: max(0, room - 1)] + "…" if room else "", style))
            room = 0
            break
        out.append((text, style))
        room -= cell_len(text)
    return [*out, (" " * (room + 1), "plain"), *right]
