"""What stands in a terminal that is too small for the room."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.events import Resize
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

SMALLEST = Size(60, 15)


def is_too_small(size: Size) -> bool:
    return size.width < SMALLEST.width or size.height < SMALLEST.height


class SmallScreen(ModalScreen[None]):
    """Covers the room and takes its keys: nobody decides about what cannot be seen. The focus beneath stays."""

    DEFAULT_CSS = """
    SmallScreen { background: $background; }
    SmallScreen > Static { width: 100%; }
    """
    BINDINGS = [("q,ctrl+q", "app.leave", "Leave")]

    def compose(self) -> ComposeResult:
        yield Static(self._text(self.app.size), markup=False)

    def on_resize(self, event: Resize) -> None:
        self.query_one(Static).update(self._text(event.size))

    def _text(self, size: Size) -> str:
        return (
            f"This terminal is {size.width}x{size.height}: the room needs {SMALLEST.width}x{SMALLEST.height}. "
            "Make it larger, or q leaves. The swarm goes on."
        )
