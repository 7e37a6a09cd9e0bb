"""Path reservations: two tasks under way never hold the same path.

A task holds the paths it declared from its claim until its change is merged. A pattern is held from its first
wildcard upwards: ``src/*/api.py`` holds ``src``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from .entities import Task
from .state import State

HOLDING = ("running", "verifying", "merging", "blocked", "failed")
_WILD = frozenset("*?[")


def overlap(one: str, other: str) -> bool:
    """Whether two declared paths can name the same file."""
    first, second = _fixed(one), _fixed(other)
    shorter = min(len(first), len(second))
    return first[:shorter] == second[:shorter]


class Reservations:
    """Who holds what in one state of a run."""

    def __init__(self, view: State) -> None:
        self._view = view
        self._taken: list[tuple[str, str]] = []
        self._known: list[tuple[str, str]] | None = None

    def holder(self, task: Task) -> tuple[str, str] | None:
        """A path that another task holds and this one needs, and who holds it."""
        for path in task.writes:
            for held, owner in itertools.chain(self._held(), self._taken):
                if owner != task.id and overlap(path, held):
                    return held, owner
        return None

    def take(self, task: Task) -> None:
        self._taken += [(path, task.id) for path in task.writes]

    def _held(self) -> list[tuple[str, str]]:
        """Looked up when somebody asks for a path: most tasks declare none."""
        if self._known is None:
            tasks = (self._view.tasks[name] for name in self._view.index.in_status(*HOLDING))
            self._known = [(path, task.id) for task in tasks for path in task.writes]
        return self._known


def _fixed(path: str) -> tuple[str, ...]:
    parts: Iterable[str] = (part for part in path.split("/") if part not in ("", "."))
    out = []
    for part in parts:
        if not _WILD.isdisjoint(part):
            break
        out.append(part)
    return tuple(out)
