"""The dialects of headless programs: how each is started, what its JSON lines mean.

A profile reads one message at a time and holds no process. Messages, fields and values it does not know change
nothing: such programs gain some with every release.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from swarm_core.vocabulary.spec import ServiceSpec

from .base import AgentEvent


@dataclass(frozen=True, slots=True)
class Session:
    """The program named its session: with this name it can be resumed."""

    name: str


@dataclass(frozen=True, slots=True)
class Question:
    """The program asks whether it may use a tool; ``answer`` makes the line to send back."""

    tool: str
    arguments: Mapping[str, Any]
    answer: Callable[[str], bytes]
    """Takes why it may not, empty if it may."""


@dataclass(frozen=True, slots=True)
class Over:
    """The turn is over. ``trouble`` is empty if it ended well; ``kind`` is then of no meaning."""

    last_words: str = ""
    trouble: str = ""
    kind: str = "gave_up"


Meaning = AgentEvent | Session | Question | Over


class Profile(Protocol):
    """One dialect, for one run of a program. ``takes_answers``: its input stays open until its turn is over."""

    takes_answers: bool

    def command(self, service: ServiceSpec, session: str, *, is_confined: bool) -> Sequence[str]:
        """The command line; ``session`` is resumed if it is not empty."""
        ...

    def opening(self, text: str) -> bytes:
        """What is written to its input."""
        ...

    def read(self, message: Mapping[str, Any]) -> Iterator[Meaning]:
        """What a message means; the last ones may be an ``Over``."""
        ...


def line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


# -- foreign values, whatever they are


def text_in(data: Mapping[str, Any], *keys: str) -> str:
    """The first of these fields that is text."""
    return next((value for key in keys if isinstance(value := data.get(key), str)), "")


def map_in(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def maps_in(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = data.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def count_in(data: Mapping[str, Any], key: str) -> int:
    """A count of tokens: no negative one, none beyond reason."""
    value = data.get(key)
    return min(max(0, value), 10**12) if isinstance(value, int) and not isinstance(value, bool) else 0


def money_in(data: Mapping[str, Any], key: str) -> float:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value < 10**9 else 0.0
