"""The words of Bash, without expanding anything.

A word keeps its literal parts; what only the shell can know is a ``Hole``. Commands inside substitutions are kept
with the word they stand in. Where a guess about quoting could hide a command, ``Unreadable`` is raised instead.
Grammar: the Bash Reference Manual, chapter 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

MAX_DEPTH = 24


class Unreadable(ValueError):
    """The text is not Bash as this reader knows it; the message says what it met."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A part of a word that is known only when it runs; ``name`` for a plain variable.

    ``splits``: its value can become several words, because it is not quoted.
    """

    name: str = ""
    splits: bool = True


@dataclass(frozen=True, slots=True)
class Word:
    """One word after quote removal. ``scripts`` are the command and process substitutions in it."""

    parts: tuple[str | Hole, ...] = ()
    scripts: tuple[Script, ...] = ()

    @classmethod
    def of(cls, text: str) -> Word:
        return cls((text,))

    @property
    def is_static(self) -> bool:
        return not any(isinstance(part, Hole) for part in self.parts)

    @property
    def splits(self) -> bool:
        """Whether it may be several words, or none, when it runs."""
        return any(isinstance(part, Hole) and part.splits for part in self.parts)

    @property
    def text(self) -> str:
        """The literal parts; the whole word if it is static."""
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def prefix(self) -> str:
        """What comes before the first hole."""
        out = ""
        for part in self.parts:
            if isinstance(part, Hole):
                break
            out += part
        return out

    @property
    def name(self) -> str | None:
        """The last component of a path, None if a hole may hide it."""
        if self.splits:
            return None
        tail = ""
        for part in reversed(self.parts):
            if isinstance(part, Hole):
                break
            tail = part + tail
        if self.is_static or "/" in tail:
            return tail.rsplit("/", 1)[-1]
        return None

    def fill(self, known: Mapping[str, str]) -> Word:
        """The word with the holes of known variables filled in."""
        parts = tuple(known.get(part.name, part) if isinstance(part, Hole) else part for part in self.parts)
        return replace(self, parts=parts)


@dataclass(slots=True)
class Redirect:
    """``op`` without its descriptor; ``body`` is the text of a here-document, filled in when its lines are read."""

    op: str
    target: Word
    body: Word | None = None


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple command; ``data`` are words that are not run: loop lists, case subjects, conditions."""

    words: tuple[Word, ...] = ()
    assignments: tuple[Word, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    data: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """Commands in order. A subshell leaves the directory of what follows as it was."""

    items: tuple[Simple | Script, ...] = ()
    is_subshell: bool = True
