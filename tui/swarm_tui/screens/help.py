"""The keys: those of the place one came from first."""

from __future__ import annotations

from textual.app import ComposeResult

from swarm_tui import commands
from swarm_tui.widgets.bars import Bar, KeyBar
from swarm_tui.widgets.line_pane import Row
from swarm_tui.widgets.log_pane import LogPane

from .base import RoomScreen


class HelpScreen(RoomScreen):
    """Lists every command of the registry."""

    BINDINGS = [("escape", "back", "Back"), ("question_mark", "back", "Back")]

    def __init__(self, first: str) -> None:
        super().__init__()
        self.first = first

    def compose(self) -> ComposeResult:
        yield Bar(id="head")
        yield LogPane(id="help")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.query_one("#head", Bar).show(((" Keys ", "accent"), (" Esc goes back", "muted")))
        self.query_one(KeyBar).offer(commands.of("global"))
        pane = self.query_one(LogPane)
        pane.extend(help_rows(self.first))
        pane.is_following = False
        pane.top = 0
        pane.focus()

    def action_back(self) -> None:
        self.app.pop_screen()


def help_rows(first: str) -> list[Row]:
    """Every command, its keys and what it does; ``first`` is the scope that comes first."""
    scopes = sorted(commands.SCOPES, key=lambda scope: scope != first)
    rows: list[Row] = []
    for scope in scopes:
        rows += [((f" {commands.SCOPES[scope]}", "accent"),)]
        for command in commands.of(scope):
            keys = " ".join(commands.show_key(key) for key in command.keys)
            rows.append(((f"   {keys:<14}", "strong"), (f"{command.title:<20}", "plain"), (command.help, "muted")))
        rows.append((("", "plain"),))
    return rows
