"""The control room under test: a clock that stands, and the screen as text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.segment import Segment
from tests.support.journals import extend_journal
from tests.support.recorded import RUN, record_run
from textual.pilot import Pilot

from swarm_core.client import SwarmClient
from swarm_core.journal.process import process_start
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import RepoLayout
from swarm_tui import app
from swarm_tui.app import ControlRoom

PASSED_S = 20.0


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


class WatchedRoom(ControlRoom):
    """Counts the bell, and has an action that only foreign text would call."""

    CSS_PATH = str(Path(app.__file__).with_name("css") / "room.tcss")
    bells = 0
    booms = 0

    def bell(self) -> None:
        self.bells += 1

    def action_boom(self) -> None:
        self.booms += 1


@dataclass
class Visit:
    """A person in the room: keys go in, the screen comes out, and the engine's files can be made to grow."""

    pilot: Pilot[None]
    room: WatchedRoom
    clock: FixedClock
    layout: RepoLayout

    async def settled(self) -> None:
        await settled(self.pilot)

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.settled()

    @property
    def text(self) -> str:
        return screen_text(self.room)

    @property
    def place(self) -> str:
        """The name of the screen in sight."""
        return type(self.room.screen).__name__

    @property
    def focus(self) -> str:
        """The id of the widget that gets the keys."""
        return (self.room.focused and self.room.focused.id) or ""

    async def happen(self, *drafts: Draft) -> None:
        """The engine journals; the room sees it."""
        extend_journal(self.layout.run(RUN).journal, *drafts)
        await self.settled()

    async def log(self, instance: str, *lines: tuple[str, str]) -> None:
        """An agent says something; the room sees it."""
        write_log(self.layout, instance, *lines)
        await self.settled()

    def inbox(self) -> list[dict[str, Any]]:
        """The requests that wait for the engine, oldest first."""
        return [json.loads(path.read_bytes()) for path in sorted(self.layout.inbox.glob("*.json"))]


@asynccontextmanager
async def visit(
    root: Path, until: str | None = "backend gate", size: tuple[int, int] = (120, 36), run: str | None = RUN
) -> AsyncIterator[Visit]:
    """The room on a run recorded up to ``until``; with None, on what ``root`` has."""
    if until is not None:
        record_run(root, until)
    clock = FixedClock()
    room = WatchedRoom(SwarmClient(root), run, clock)
    async with room.run_test(size=size, notifications=True) as pilot:
        await settled(pilot)
        yield Visit(pilot, room, clock, room.client.layout)


async def settled(pilot: Pilot[None]) -> None:
    """Until the journal is read and what follows from it is painted."""
    room = pilot.app
    assert isinstance(room, ControlRoom)
    for _ in range(2):
        await room.workers.wait_for_complete()
        with room._context():  # of several rooms in one process this one is meant
            room.frame()
        await _passed(room)
        await pilot.pause()


async def _passed(room: ControlRoom) -> None:
    """Until the application took what was in its queue: a pause alone waits for the screen's."""
    passed = asyncio.Event()
    if room.call_later(passed.set):
        async with asyncio.timeout(PASSED_S):  # a room that broke takes nothing any more
            await passed.wait()


def write_log(layout: RepoLayout, instance: str, *lines: tuple[str, str]) -> None:
    """Append ``(kind, text)`` lines to an instance's log."""
    path = layout.run(RUN).log(instance)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        for kind, text in lines:
            file.write(json.dumps({"ts": "2026-11-21T10:04:00.000Z", "kind": kind, "text": text}) + "\n")


def write_pulse(layout: RepoLayout, pid: int, message: str = "ready") -> Path:
    """``engine.json`` as an engine with that process id writes it."""
    layout.control.mkdir(parents=True, exist_ok=True)
    body = {"pid": pid, "start": process_start(pid), "version": "0.1.0", "message": message}
    layout.engine_file.write_text(json.dumps(body))
    return layout.engine_file


def screen_segments(room: ControlRoom) -> list[Segment]:
    """Every piece of the screen as it goes to the terminal."""
    return [segment for strip in room.screen._compositor.render_strips() for segment in strip]


def screen_text(room: ControlRoom) -> str:
    """What a person sees, line by line."""
    strips = room.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips)
