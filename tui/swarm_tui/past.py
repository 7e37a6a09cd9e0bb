"""What happened to single artifacts, findings, questions and firings: the journal, sorted by what it is about.

The fold knows how things are; this knows how they became so. Read when somebody wants to see it, then by cursor.
"""

from __future__ import annotations

import time

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.artifacts import Registry
from swarm_core.vocabulary.errors import SwarmError
from swarm_core.vocabulary.events import Event

CHUNK_BYTES = 1 << 18
BREATH_S = 0.001
GROUPS = ("artifact", "finding", "question", "rule", "action", "message")
"""Groups of events that are kept."""


class Past:
    """``look`` blocks: it belongs into a thread, one at a time. ``problem`` says what could not be read."""

    def __init__(self, client: SwarmClient, run: str) -> None:
        self.client, self.run = client, run
        self.registry = Registry()
        self.problem = ""
        self._reader = client.reader(run)
        self._events: dict[str, list[Event]] = {}
        self._has_registry = False

    def look(self) -> None:
        """Read what came since the last look."""
        try:
            if not self._has_registry:
                self.registry, self._has_registry = self.client.registry(self.run), True
            self.problem = ""
        except (SwarmError, OSError) as error:
            self.problem, self._has_registry = str(error), True
        try:
            while events := self._reader.poll(CHUNK_BYTES):
                for event in events:
                    if (key := subject_of(event)) is not None:
                        self._events.setdefault(key, []).append(event)
                time.sleep(BREATH_S)  # the room paints in between
        except (SwarmError, OSError) as error:
            self.problem = str(error)

    def of(self, kind: str, name: str) -> list[Event]:
        """What happened to one thing, oldest first. ``kind`` is artifact, finding, question or firing."""
        return list(self._events.get(f"{kind}:{name}", ()))

    def close(self) -> None:
        self._reader.close()


def subject_of(event: Event) -> str | None:
    """What an event is about, if its past is kept. A plan is no artifact of the repository."""
    group, data = event.kind.partition(".")[0], event.data
    match group:
        case "artifact" if data.get("path") and data.get("type") != "plan":
            return f"artifact:{data['path']}"
        case "finding" | "question" if data.get(group):
            return f"{group}:{data[group]}"
        case "rule" | "action" | "message" if data.get("firing"):
            return f"firing:{data['firing']}"
    return None
