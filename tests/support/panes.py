"""A pane alone on a terminal, with the room's palette and style."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textual.app import App, ComposeResult
from textual.widget import Widget

from swarm_tui import app, theme


class Stage(App[None]):
    """Shows the widgets that ``make`` gives; the first has the focus."""

    CSS_PATH = str(Path(app.__file__).with_name("css") / "room.tcss")

    def __init__(self, *make: Callable[[], Widget]) -> None:
        super().__init__()
        for palette in theme.load_all():
            self.register_theme(palette)
        self.theme = theme.DARK
        self.make = make

    def compose(self) -> ComposeResult:
        for make in self.make:
            yield make()

    @property
    def lines(self) -> list[str]:
        """What a person sees, without the blanks at the right."""
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]
