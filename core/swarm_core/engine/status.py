"""``engine.json``: who the engine is and that it lives. The file's age is the heartbeat."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import swarm_core
from swarm_core.journal.process import process_start
from swarm_core.vocabulary.clock import Clock

BEAT_S = 1.0


class EngineStatusFile:
    """Written whole when the message changes, touched on each beat; never fails the engine."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path, self.clock = path, clock
        self.message = ""
        self._started_at = clock.now()

    def say(self, message: str) -> None:
        """Replace the file with a new message; a full disk keeps the old one."""
        self.message = message
        body = {
            "pid": os.getpid(),
            "start": process_start(os.getpid()),
            "version": swarm_core.__version__,
            "started_at": self._started_at,
            "heartbeat_at": self.clock.now(),
            "message": message,
        }
        temporary = self.path.with_suffix(".tmp")
        try:
            temporary.write_text(json.dumps(body) + "\n")
            temporary.replace(self.path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()

    async def beat(self) -> None:
        """Touch the file once a second until cancelled; write it anew if it was deleted."""
        while True:
            try:
                os.utime(self.path)
            except OSError:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.say(self.message)
            await self.clock.sleep(BEAT_S)
