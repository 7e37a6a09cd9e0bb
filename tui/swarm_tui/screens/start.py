"""No run to show: where one is, how to begin, and what ran before."""

from __future__ import annotations

from textual.app import ComposeResult

from swarm_core.vocabulary.clean import clean_line
from swarm_tui import commands
from swarm_tui.widgets.bars import Bar, KeyBar
from swarm_tui.widgets.line_pane import LinePane, Row

from .base import RoomScreen


class RunList(LinePane):
    has_cursor = True
    runs: list[str]

    @property
    def row_count(self) -> int:
        return len(self.runs)

    def row(self, index: int) -> Row:
        return ((f" {clean_line(self.runs[index])}", "plain"),)

    def empty_text(self) -> str:
        return 'No run was started here yet. In a shell: swarm-tui run "what you want"'


class StartScreen(RoomScreen):
    """Past runs, newest first; Enter opens one."""

    BINDINGS = [("enter", "open_run", "Open")]

    def compose(self) -> ComposeResult:
        yield Bar(id="head")
        runs = RunList(id="runs")
        runs.runs = list(reversed(self.client.runs()))
        yield runs
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        where = clean_line(str(self.client.layout.root))
        self.query_one("#head", Bar).show(
            ((" swarm-tui ", "accent"), (f" {where}", "strong")),
            ((' swarm-tui run "what you want" starts a run; Enter opens one of these', "muted"),),
        )
        self.query_one(KeyBar).offer(commands.of("global"))
        self.query_one(RunList).focus()

    def action_open_run(self) -> None:
        runs = self.query_one(RunList)
        if runs.runs:
            self.room.show_run(runs.runs[runs.cursor])
