"""What every section has, and how the lines about one thing are written.

The lines are plain text for a ``Document``: what begins in the first column is a heading of ours, so everything that
somebody else wrote is indented.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView
from swarm_tui import words
from swarm_tui.past import Past
from swarm_tui.widgets.line_pane import Row

WIDE = 100
NAME_CELLS = 12
MAX_LINES = 200
MAX_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Look:
    """What a section reads: the state of the run, and the past of single things as far as it was read."""

    view: RunView
    past: Past


class Section(ABC):
    """One kind of thing. ``groups`` are the events that move its rows, ``act`` says what its key does."""

    key: ClassVar[str]
    title: ClassVar[str]
    groups: ClassVar[frozenset[str]]
    empty: ClassVar[str]

    @abstractmethod
    def order(self, look: Look) -> list[str]:
        """The names of its things, those that matter first."""

    @abstractmethod
    def waiting(self, look: Look) -> int:
        """How many of them the operator ought to know of."""

    @abstractmethod
    def told(self, look: Look) -> str:
        """The counts, in words."""

    @abstractmethod
    def row(self, look: Look, name: str, width: int) -> Row: ...

    @abstractmethod
    def why(self, look: Look, name: str) -> str:
        """What a row has no room for, in one line."""

    @abstractmethod
    def lines(self, look: Look, name: str) -> Iterator[str]:
        """Everything that is known of one thing."""


def cells(pieces: Iterable[tuple[str, str]]) -> int:
    """How wide the beginning of a row is."""
    return sum(cell_len(text) for text, _ in pieces)


def field(name: str, value: str) -> Iterator[str]:
    """``  name   value``, further lines below it; nothing where there is no value."""
    first, *rest = clipped(value) or [""]
    if first or rest:
        yield f"  {name:<{NAME_CELLS}}{first}"
        yield from (f"  {'':<{NAME_CELLS}}{line}" for line in rest)


def block(title: str, text: str) -> Iterator[str]:
    """A heading and a text below it; nothing where there is no text."""
    if lines := clipped(text):
        yield from ("", title, *(f"  {line}" for line in lines))


def clipped(text: str) -> list[str]:
    """The lines of a foreign text, as many as a person reads."""
    text = text.strip("\n")
    lines = text[:MAX_CHARS].split("\n") if text.strip() else []
    is_cut = len(text) > MAX_CHARS or len(lines) > MAX_LINES
    return [*lines[:MAX_LINES], *(["… the journal has the rest"] if is_cut else [])]


def happened(event: Event, said: str) -> str:
    """A line of a thing's past."""
    return f"  #{event.seq:<5} {event.ts[11:19]}  {clean_line(said)}"


def task_line(view: RunView, name: str) -> str:
    """``task_003 ● running · Implement auth · backend-1``; only the name of one that is not there."""
    task = view.tasks.get(name)
    if task is None:
        return name
    symbol, state, _ = words.task_state(task, view)
    return f"{name} {symbol} {state} · {clean_line(task.title, 120)} · {task.instance or task.assigned_to}"


def merged_as(view: RunView, task: str) -> str:
    """The commit that brought a task's work onto the integration branch; empty if none did."""
    merge = view.merges.get(task)
    return merge.merged_as if merge is not None else ""
