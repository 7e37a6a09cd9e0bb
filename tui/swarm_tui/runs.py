"""The runs of a repository at a glance: what each is at, what it cost, and whether a gate waits in it.

The newest are followed like the run in the room, each by its own cursor; a run that is over is read once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from swarm_core.client import SwarmClient
from swarm_core.journal.tail import JournalReader
from swarm_core.vocabulary.entities import Run, Usage
from swarm_core.vocabulary.errors import SwarmError
from swarm_core.vocabulary.view import RunView

FOLLOWED = 8
"""How many of the newest runs are looked at all the time; the others when the list is opened."""
CHUNK_BYTES = 1 << 18
BREATH_S = 0.001
NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in the list. ``problem`` says why it could not be read."""

    id: str
    run: Run
    gates: int = 0
    done: int = 0
    tasks: int = 0
    usage: Usage = NOTHING
    problem: str = ""

    @classmethod
    def of(cls, name: str, view: RunView) -> RunLine:
        index = view.index
        tasks = len(view.tasks)
        return cls(name, view.run, 0 if view.is_over else len(view.open_gates), index.done, tasks, view.usage)


class Runs:
    """``look`` blocks: it belongs into a thread, one at a time. What it found is replaced line by line."""

    def __init__(self, client: SwarmClient) -> None:
        self.client = client
        self.ids: list[str] = []
        self.lines: dict[str, RunLine] = {}
        self._followed: dict[str, tuple[JournalReader, RunView]] = {}
        self._settled: set[str] = set()

    def look(self, limit: int | None = FOLLOWED) -> None:
        """Read what the newest ``limit`` runs gained; None reads all."""
        self.ids = list(reversed(self.client.runs()))
        for name in self.ids[:limit]:
            if name not in self._settled:
                self._read(name)

    def _read(self, name: str) -> None:
        try:
            if name not in self._followed:
                view, _, reader = self.client.follow(name, 0)
                self._followed[name] = (reader, view)
            reader, view = self._followed[name]
            for _ in self._news(reader, view):
                time.sleep(BREATH_S)  # the room paints in between
        except (SwarmError, OSError) as error:
            self.lines[name] = RunLine(name, Run(), problem=str(error))
            self._settle(name)
            return
        self.lines[name] = RunLine.of(name, view)
        if view.is_over:
            self._settle(name)

    def _news(self, reader: JournalReader, view: RunView) -> Iterator[None]:
        while events := reader.poll(CHUNK_BYTES):
            for event in events:
                view.apply(event)
            yield

    def _settle(self, name: str) -> None:
        if name in self._followed:
            self._followed.pop(name)[0].close()
        self._settled.add(name)

    def waiting(self, but: str) -> int:
        """How many other runs wait at a gate."""
        return sum(line.gates > 0 for line in list(self.lines.values()) if line.id != but)
