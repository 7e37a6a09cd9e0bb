"""Time in a journal: milliseconds since 1970, never backwards, and without the time nobody was there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from swarm_core.vocabulary.events import Event

MAX_AMOUNT = 1e12
HOLDS = frozenset({"run.paused", "run.halted"})
LETS_GO = frozenset({"run.resumed", "recovery.completed", "run.completed", "run.failed", "run.aborted"})


def milliseconds(ts: str) -> int:
    """``2026-11-21T03:04:05.678Z`` as milliseconds since 1970. Raises ValueError."""
    moment = datetime.fromisoformat(ts)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def stamp(at_ms: int) -> str:
    """Milliseconds since 1970 as ``2026-11-21T03:04:05.678Z``."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def amount(value: Any) -> float:
    """A number from a journal that can be added up: finite and not negative; 0 for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < MAX_AMOUNT else 0.0


class Moments:
    """The time of a journal's events, in milliseconds.

    ``now`` follows the events' wall time but never goes back: a clock that was set back stands still here until it
    has caught up. ``down`` is how much of the time up to ``now`` no engine worked on the run: from the last event
    of one engine to the first of the next. (How long the first one lived on after its last event, nobody knows.)
    ``held`` is how long the run was paused or halted, up to ``held_since`` if it is now.
    """

    def __init__(self) -> None:
        self.start = self.now = self.down = 0
        self.crashes = self.engines = self.held = self.held_since = 0

    def apply(self, event: Event) -> int:
        """Take the event's time; how many milliseconds nobody was there before it."""
        before = self.now
        try:
            at = milliseconds(event.ts)
        except ValueError:
            at = before  # a time that is none counts as the one before it
        self.now = max(before, at)
        self.start = self.start or self.now
        is_start, is_crash = event.kind == "engine.started", event.kind == "engine.crash_detected"
        gap = self.now - before if before and (is_crash or (is_start and self.engines)) else 0
        self.engines += is_start
        self.crashes += is_crash
        self.down += gap
        if event.kind in HOLDS:
            self.held_since = self.held_since or self.now
        elif event.kind in LETS_GO and self.held_since:
            self.held, self.held_since = self.held + self.now - self.held_since, 0
        return gap

    def freeze(self) -> dict[str, int]:
        return dict(vars(self))

    @classmethod
    def thaw(cls, frozen: dict[str, Any]) -> Moments:
        """Raises TypeError or ValueError for what ``freeze`` did not make."""
        moments = cls()
        for name in vars(moments):
            setattr(moments, name, int(frozen[name]))
        return moments
