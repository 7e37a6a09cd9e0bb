"""The critical path: the chain of dependencies that decided when the run was over, or why it is not over yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .stations import WAITS, Stations, TaskTimes


@dataclass(frozen=True, slots=True)
class Link:
    """One task of the path. ``spent_s`` is seconds by station and adds up to ``total_s``."""

    task: str
    title: str
    service: str
    start_ms: int
    end_ms: int
    is_open: bool
    spent_s: Mapping[str, float]

    @property
    def total_s(self) -> float:
        return (self.end_ms - self.start_ms) / 1000

    @property
    def waited_s(self) -> float:
        """Seconds in queues, at gates, for a model or without an engine; the rest is work."""
        return sum(self.spent_s.get(station, 0.0) for station in WAITS)

    @property
    def worked_s(self) -> float:
        return max(0.0, self.total_s - self.waited_s)


def critical_path(stations: Stations, now: int | None = None) -> list[Link]:
    """The links in order of time. ``now`` (milliseconds) is when an unfinished run is looked at.

    While the run goes on, its path ends with the task that is under way for the longest time.
    """
    now = max(stations.moments.now, now or 0) if not stations.is_over else stations.moments.now
    times, links = _last(stations), list[Link]()
    while times is not None:
        is_open = not times.outcome
        spent = stations.spent_until(times, now)
        spent_s = {station: milliseconds / 1000 for station, milliseconds in spent.items() if milliseconds}
        end = now if is_open else times.ended
        links.append(Link(times.key, times.title, times.service, times.began, end, is_open, spent_s))
        times = stations.tasks.get(times.after)
    return links[::-1]


def _last(stations: Stations) -> TaskTimes | None:
    under_way = [times for times in stations.unfinished.values() if times.stay and times.stay.station != "pending"]
    if under_way:
        return min(under_way, key=lambda times: (times.began, times.key))
    ended = [times for times in stations.tasks.values() if times.ended and times.spent.keys() - {"pending", "down"}]
    return max(ended, key=lambda times: (times.ended, times.outcome == "done", times.key), default=None)
