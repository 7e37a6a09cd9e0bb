"""What is wrong with an artifact, and where: file, line and column, for people and as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swarm_core.vocabulary.clean import clean_line

MAX_FAULTS = 20
MAX_MESSAGE_CHARS = 300
MAX_PATH_CHARS = 300


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file; lines and columns count from 1."""

    path: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. ``code`` is the rule, ``other`` the second side of a contradiction.

    ``is_note``: worth saying, and no reason to refuse the artifact. Foreign text in it is clean and short.
    """

    code: str
    message: str
    at: Place
    hint: str = ""
    other: Place | None = None
    is_note: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", clean_line(self.message, MAX_MESSAGE_CHARS))
        object.__setattr__(self, "at", Place(clean_line(self.at.path, MAX_PATH_CHARS), self.at.line, self.at.column))

    def __str__(self) -> str:
        also = f" (see {self.other})" if self.other is not None else ""
        return f"{self.at}: {'note: ' if self.is_note else ''}{self.message}{also}"

    def data(self) -> dict[str, Any]:
        """As plain JSON; ``of`` reads it."""
        other = self.other and [self.other.path, self.other.line, self.other.column]
        at = [self.at.path, self.at.line, self.at.column]
        return {
            "code": self.code,
            "message": self.message,
            "at": at,
            "hint": self.hint,
            "other": other,
            "is_note": self.is_note,
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Fault:
        other = data.get("other")
        return cls(
            str(data["code"]),
            str(data["message"]),
            Place(*data["at"]),
            str(data.get("hint", "")),
            Place(*other) if other else None,
            bool(data.get("is_note")),
        )


class Faults:
    """Collects the faults of one file, no more than a person reads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._found: list[Fault] = []
        self._left_out = 0

    @property
    def is_full(self) -> bool:
        return len(self._found) >= MAX_FAULTS

    def add(
        self,
        code: str,
        message: str,
        line: int = 1,
        column: int = 1,
        *,
        hint: str = "",
        other: Place | None = None,
        is_note: bool = False,
    ) -> None:
        if self.is_full:
            self._left_out += 1
            return
        self._found.append(Fault(code, message, Place(self.path, line, column), hint, other, is_note))

    def found(self) -> list[Fault]:
        """In the order of the file."""
        found = sorted(self._found, key=lambda fault: (fault.at.line, fault.at.column))
        if self._left_out:
            found.append(Fault("more", f"and {self._left_out} more", Place(self.path), is_note=True))
        return found


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Of a character of ``text``, both from 1."""
    before = text.rfind("\n", 0, offset)
    return text.count("\n", 0, offset) + 1, offset - before


def errors(faults: Sequence[Fault]) -> list[Fault]:
    """Those that make an artifact invalid."""
    return [fault for fault in faults if not fault.is_note]
