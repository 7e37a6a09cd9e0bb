"""The control room under test: a clock that stands, and the screen as text."""

from __future__ import annotations

import asyncio

from textual.pilot import Pilot

from swarm_tui.app import ControlRoom


class FixedClock:
    """Wall time stands at the recorded run's fourth minute; monotonic time moves when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> str:
        return "2026-11-21T10:04:05.000Z"

    def monotonic_s(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def settled(pilot: Pilot[None]) -> None:
    """Until the journal is read and what follows from it is painted."""
    app = pilot.app
    assert isinstance(app, ControlRoom)
    await app.workers.wait_for_complete()
    app.frame()
    await pilot.pause()
    app.frame()
    await pilot.pause()


def screen_text(app: ControlRoom) -> str:
    """What a person sees, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips)
