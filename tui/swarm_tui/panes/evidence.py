"""One section of the evidence as rows, and the line of sections above it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.geometry import Size
from textual.message import Message

from swarm_core.vocabulary.clean import clean_line
from swarm_tui.sections.base import Look, Section
from swarm_tui.widgets.bars import Bar
from swarm_tui.widgets.document import Document
from swarm_tui.widgets.line_pane import LinePane, Row

LEAST_ROWS = 4


class SectionBar(Bar):
    """The sections with how much of each waits; a click goes to one."""

    class Chosen(Message):
        """A section was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._ends: list[int] = []

    def tell(self, sections: Sequence[tuple[str, int]], chosen: int) -> None:
        """``sections`` are titles, each with how much of it waits."""
        row: list[tuple[str, str]] = [(" ", "muted")]
        self._ends, used = [], 1
        for number, (title, waiting) in enumerate(sections):
            text = f"{'▸' if number == chosen else ' '}{number + 1} {title}{f' ({waiting})' if waiting else ''}  "
            row.append((text, "accent" if number == chosen else "plain" if waiting else "muted"))
            used += cell_len(text)
            self._ends.append(used)
        self.show(row)

    def on_click(self, event: Click) -> None:
        event.stop()
        number = next((number for number, end in enumerate(self._ends) if event.x < end), None)
        if number is not None:
            self.post_message(self.Chosen(number))


class EvidenceList(LinePane):
    """The rows of one section; the cursor stays on its thing when rows come and go."""

    has_cursor = True

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.names: list[str] = []
        self.section: Section | None = None
        self._look: Look | None = None
        self._rows = 0

    @property
    def row_count(self) -> int:
        return len(self.names)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As high as it has rows, where it need not fill what there is."""
        return max(LEAST_ROWS, self.row_count)

    @property
    def chosen(self) -> str:
        """The name of the thing under the cursor; empty if there is none."""
        return self.names[self.cursor] if self.names else ""

    def empty_text(self) -> str:
        return f" {self.section.empty}" if self.section is not None else ""

    def tell(self, section: Section, look: Look, chosen: str = "") -> None:
        """Show a section as it is now, the cursor on the thing named ``chosen`` or where it was."""
        wanted = chosen or (self.chosen if section is self.section else "")
        offset = self.cursor - self.top
        self.section, self._look, self.names = section, look, section.order(look)
        if wanted:
            self.cursor = next((i for i, name in enumerate(self.names) if name == wanted), self.cursor)
            self.top = self.cursor - offset
        else:
            self.cursor = self.top = 0
        self.border_title = Content(clean_line(f" {section.title} · {section.told(look) or 'none yet'} ", 200))
        self.forget()
        self.keep_in_sight()
        self._say_why()
        if self._rows != self.row_count:
            self._rows = self.row_count
            self.refresh(layout=True)

    def move_to(self, index: int) -> None:
        super().move_to(index)
        self._say_why()

    def on_resize(self) -> None:
        super().on_resize()
        self.keep_in_sight()
        self._say_why()

    def _say_why(self) -> None:
        """What the row under the cursor has no room for stands in the lower edge."""
        why = ""
        if self.section is not None and self._look is not None and self.names:
            why = self.section.why(self._look, self.chosen)
        self.border_subtitle = Content(f" {clean_line(why, max(20, self.content_size.width - 4))} " if why else "")

    def row(self, index: int) -> Row:
        assert self.section is not None
        assert self._look is not None
        row = self.section.row(self._look, self.names[index], self.content_size.width)
        return [(clean_line(text), style) for text, style in row]


class Detail(Document):
    """All that is known of the thing under the cursor."""

    def empty_text(self) -> str:
        return " What is known of the row under the cursor appears here."

    def tell(self, text: str, *, is_same: bool) -> None:
        """Show a text; of the same thing as before, the reader keeps the place."""
        top = self.top if is_same else 0
        self.show(text.encode("utf-8", "replace"))
        self.move_to(top)
