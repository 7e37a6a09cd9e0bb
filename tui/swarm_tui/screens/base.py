"""What every screen of the room has: the store, the client, and a word when something happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.screen import Screen

from swarm_core.client import SwarmClient
from swarm_tui.store import Store

if TYPE_CHECKING:
    from swarm_tui.app import ControlRoom


class RoomScreen(Screen[None]):
    """A screen that is told when the journal grew. ``scope`` names the keys that the help shows first."""

    scope: ClassVar[str] = "room"

    @property
    def room(self) -> ControlRoom:
        return cast("ControlRoom", self.app)

    @property
    def store(self) -> Store:
        assert self.room.store is not None
        return self.room.store

    @property
    def client(self) -> SwarmClient:
        return self.room.client

    def told(self) -> None:
        """The store changed; show it. Called at most once a frame."""

    @property
    def section_wanted(self) -> str:
        """The section of the evidence that belongs to what is in sight; empty for whichever needs a look."""
        return ""

    def pulse(self) -> None:
        """Twice a second: what changes by time alone."""
