"""A document without a decision: what a task handed in, file by file."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Gate
from swarm_tui import commands
from swarm_tui.widgets.bars import Bar, KeyBar
from swarm_tui.widgets.document import Document
from swarm_tui.widgets.line_pane import LinePane, Row

from .base import RoomScreen


class FileList(LinePane):
    """The files of a diff with their size; the cursor moves the diff."""

    has_cursor = True

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.files: list[tuple[str, int, int]] = []

    @property
    def row_count(self) -> int:
        return len(self.files)

    def row(self, index: int) -> Row:
        path, added, removed = self.files[index]
        figures = f" +{added} −{removed} "
        room = max(4, self.content_size.width - len(figures) - 1)
        shown = path if len(path) <= room else "…" + path[-(room - 1) :]
        return ((f" {shown.ljust(room)}", "plain"), (f" +{added}", "good"), (f" −{removed} ", "bad"))

    def empty_text(self) -> str:
        return "No file was changed."


class DocumentScreen(RoomScreen):
    """The latest document of a gate: files on the left, the diff on the right."""

    BINDINGS = [*commands.bindings("diff"), ("escape", "back", "Back")]

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.shown = gate

    def compose(self) -> ComposeResult:
        yield Bar(id="head")
        with Horizontal():
            yield FileList(id="files")
            yield Document(id="document")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        gate = self.shown
        document, files = self.query_one(Document), self.query_one(FileList)
        document.show(self.client.document(self.store.run, gate))
        files.files = document.sizes()
        files.border_title = f" {len(files.files)} files "
        files.forget()
        title = (f" {gate.id} ", "accent"), (clean_line(gate.title), "strong"), (f"  {gate.status}", "muted")
        self.query_one("#head", Bar).show(title)
        self.query_one(KeyBar).offer([*commands.of("diff"), *commands.of("global")])
        (files if files.files else document).focus()
        if files.files:
            self._go_to(0)

    def on_line_pane_moved(self, event: LinePane.Moved) -> None:
        event.stop()
        if isinstance(event.pane, FileList):
            self._go_to(event.pane.cursor)

    def _go_to(self, number: int) -> None:
        document = self.query_one(Document)
        if number < len(document.files):
            document.move_to(document.files[number][0])

    def action_next_file(self) -> None:
        self.query_one(FileList).action_line_down()

    def action_previous_file(self) -> None:
        self.query_one(FileList).action_line_up()

    def action_back(self) -> None:
        self.app.pop_screen()
