"""What the room does to this machine by itself: a picture of the screen, an engine that is started or ended."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from textual import work
from textual.app import App

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import EngineError, SwarmError
from swarm_core.vocabulary.layout import RepoLayout

ENDS_S = 10.0


class LocalWorks(App[None]):
    """The part of the room that works beside the screens; everything here that blocks runs in a thread."""

    client: SwarmClient
    clock: Clock

    def complain(self, error: SwarmError) -> None:
        self.notify(clean(str(error)), severity="error", markup=False, timeout=10)

    @work(exclusive=True, group="engine")
    async def restart_engine(self, silent: int = 0) -> None:
        """Make sure there is an engine; one that is ``silent`` is ended first and resumes from the disk."""
        try:
            if silent:
                await asyncio.to_thread(end_engine, self.client, silent)
            status = await asyncio.to_thread(self.client.ensure_engine)
        except SwarmError as error:
            self.complain(error)
        else:
            self.notify(f"Engine {status.pid} is at work.", markup=False)

    @work(group="picture")
    async def action_save_screenshot(self) -> None:
        try:
            path = await asyncio.to_thread(save_picture, self.client.layout, self.clock, self.export_screenshot())
        except SwarmError as error:
            self.complain(error)
        else:
            self.notify(clean(f"Saved {path}"), markup=False)


def save_picture(layout: RepoLayout, clock: Clock, svg: str) -> Path:
    """Write an SVG under the control directory, which no commit takes in. Raises EngineError."""
    stamp = "".join(c for c in clock.now()[:19] if c.isdigit() or c == "T")
    directory = layout.control / "screens"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            path = directory / (f"{stamp}.svg" if number == 1 else f"{stamp}-{number}.svg")
            try:
                with open(path, "x", encoding="utf-8") as file:
                    file.write(svg)
                return path
            except FileExistsError:
                number += 1
    except OSError as error:
        hint = "check permissions and free space"
        raise EngineError(f"{directory} cannot be written: {error.strerror}", hint=hint) from error


def end_engine(client: SwarmClient, pid: int) -> None:
    """Kill the engine that was seen to hang, and only that one; the next resumes from the disk. Raises EngineError."""
    status = client.engine()
    if not status.is_alive or status.pid != pid:
        return
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError as error:
        raise EngineError(f"engine {pid} cannot be ended: {error.strerror}", hint="end it by hand") from error
    deadline = time.monotonic() + ENDS_S
    while client.engine().is_alive:
        if time.monotonic() > deadline:
            raise EngineError(f"engine {pid} does not end", hint=f"see {client.layout.engine_log}")
        time.sleep(0.02)
