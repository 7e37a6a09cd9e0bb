"""The list of runs: where one begins without a run, and how one goes to another."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult

from swarm_core.vocabulary.clean import clean_line
from swarm_tui import commands, words
from swarm_tui.runs import RunLine
from swarm_tui.widgets.bars import Bar, KeyBar
from swarm_tui.widgets.line_pane import LinePane, Row

from .base import RoomScreen

NAME_CELLS = 48
STATE_CELLS = 20


class RunList(LinePane):
    """One row a run, the newest first; the cursor stays on its run."""

    has_cursor = True

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.runs: list[str] = []
        self.lines: dict[str, RunLine] = {}
        self.here: str | None = None
        self.name_cells = 0

    @property
    def row_count(self) -> int:
        return len(self.runs)

    @property
    def chosen(self) -> str | None:
        return self.runs[self.cursor] if self.runs else None

    def tell(self, runs: list[str], lines: dict[str, RunLine], here: str | None) -> None:
        before = self.chosen
        self.runs, self.lines, self.here = runs, lines, here
        self.name_cells = min(NAME_CELLS, max(map(len, runs), default=0))
        if before in runs:
            self.cursor = runs.index(before)
        self.forget()

    def row(self, index: int) -> Row:
        name = self.runs[index]
        line = self.lines.get(name)
        head = (
            ((" ▸ " if name == self.here else "   "), "accent"),
            (f"{clean_line(name, NAME_CELLS):<{self.name_cells}}  ", "strong"),
        )
        if line is None:
            return (*head, ("…", "muted"))
        if line.problem:
            return (*head, (clean_line(f"✗ {line.problem}"), "bad"))
        state, style = words.run_state(line.run)
        gates = f"⚑ {words.some(line.gates, 'gate')}" if line.gates else ""
        figures = f"{line.done}/{line.tasks} tasks · {words.spent(line.usage)}"
        return (
            *head,
            (f"{state:<{STATE_CELLS}}", style),
            (f"{gates:<9} ", "accent"),
            (f"{figures:<32} ", "muted"),
            (clean_line(line.run.title), "plain"),
        )

    def empty_text(self) -> str:
        return 'No run was started here yet. In a shell: swarm-tui run "what you want"'


class StartScreen(RoomScreen):
    """Every run, newest first; Enter opens one."""

    BINDINGS = commands.bindings("runs")
    hint = ' swarm-tui run "what you want" starts a run; Enter opens one of these'

    def compose(self) -> ComposeResult:
        yield Bar(id="head")
        yield RunList(id="runs")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        where = clean_line(str(self.client.layout.root))
        self.query_one("#head", Bar).show(((" swarm-tui ", "accent"), (f" {where}", "strong")), ((self.hint, "muted"),))
        self.query_one(KeyBar).offer([*commands.of("runs"), *commands.of("global")])
        self.room.runs.ids = list(reversed(self.client.runs()))
        self.told()
        self.place_cursor()
        self.query_one(RunList).focus()
        self.room.look_at_runs(None)

    def place_cursor(self) -> None:
        """Where the list begins: at the newest."""

    def told(self) -> None:
        runs = self.room.runs
        here = self.room.store.run if self.room.store else None
        self.query_one(RunList).tell(list(runs.ids), runs.lines, here)

    @on(LinePane.Opened)
    def _opened(self, event: LinePane.Opened) -> None:
        event.stop()
        self.action_open_run()

    @on(LinePane.Moved)
    def _moved(self, event: LinePane.Moved) -> None:
        event.stop()

    def action_open_run(self) -> None:
        run = self.query_one(RunList).chosen
        if run is not None:
            self.room.show_run(run)


class RunsScreen(StartScreen):
    """The same list over a room: Esc goes back to it, and so does opening the run that one is in."""

    BINDINGS = [("escape", "back", "Back"), ("s", "back", "Back")]
    hint = " Enter goes to another run, Esc back to this one (▸); what is left goes on without you"

    def place_cursor(self) -> None:
        """On another run that waits at a gate, or else on this one."""
        runs, here = self.query_one(RunList), self.store.run
        waiting = (name for name in runs.runs if name != here and name in runs.lines and runs.lines[name].gates)
        first = next(waiting, here)
        if first in runs.runs:
            runs.move_to(runs.runs.index(first))

    def action_open_run(self) -> None:
        if self.query_one(RunList).chosen == self.store.run:
            self.action_back()
        else:
            super().action_open_run()

    def action_back(self) -> None:
        self.app.pop_screen()
