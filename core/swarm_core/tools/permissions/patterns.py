"""Texts with unknown parts against patterns with wildcards.

A command can hold parts that only the shell will know (``$X``, ``*.py``). ``HOLE`` stands for one in a text. Whether a
text *is* of a pattern and whether it *may be* are two questions: an allow rule needs the first, a deny rule is
answered by both.
"""

from __future__ import annotations

import re
from functools import lru_cache

HOLE = "\ue000"
MAX_UNKNOWN_CHARS = 2_000
_ANY = ""  # an element of a pattern that is any text, the empty one included


@lru_cache(4096)
def variants(pattern: str) -> tuple[str, ...]:
    """A command pattern as plain globs: a last `` *``, or ``:*``, also stands for nothing."""
    pattern = squeezed(pattern.removesuffix(":*") + " *" if pattern.endswith(":*") else pattern)
    return (pattern, pattern[:-2]) if pattern.endswith(" *") else (pattern,)


def is_match(pattern: str, text: str) -> bool:
    """Whether a command is of a pattern whatever its unknown parts turn out to be."""
    return any(is_glob(variant, text) for variant in variants(pattern))


def is_glob(pattern: str, text: str) -> bool:
    """Whether ``text`` is of a pattern in which ``*`` is any text, at a cost that no pattern makes large."""
    first, *others = pattern.split("*")
    if not others:
        return text == first
    if not text.startswith(first) or len(text) < len(first) + len(others[-1]) or not text.endswith(others[-1]):
        return False
    place, end = len(first), len(text) - len(others[-1])
    for part in others[:-1]:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def may_match(pattern: str, text: str) -> bool:
    """Whether some value of the unknown parts makes the command one of the pattern."""
    if HOLE not in text:
        return is_match(pattern, text)
    if len(text) > MAX_UNKNOWN_CHARS:
        return True
    # A word that is unknown as a whole may also be no word: then the blank before it is gone with it.
    text = re.sub(f" {HOLE}(?= |$)", HOLE, text)
    return any(may_meet(wildcards(variant), unknowns(text)) for variant in variants(pattern))


def wildcards(pattern: str) -> list[str]:
    """A pattern as characters and ``_ANY``."""
    return [_ANY if char == "*" else char for char in pattern]


def unknowns(text: str) -> list[str]:
    """A text as characters and ``_ANY`` where it is unknown."""
    return [_ANY if char == HOLE else char for char in text]


def may_meet(one: list[str], other: list[str]) -> bool:
    """Whether two patterns have a text in common, judged by the places that can be reached together."""
    column = _spread({0}, one)
    for element in other:
        if element is _ANY:
            low = min(column, default=len(one) + 1)
            column = set(range(low, len(one) + 1))  # it swallows anything the pattern still asks for
            continue
        column = _spread(
            {at if one[at] is _ANY else at + 1 for at in column if at < len(one) and _takes(one[at], element)}, one
        )
        if not column:
            return False
    return len(one) in column


def _takes(element: str, char: str) -> bool:
    return element is _ANY or element == char


def _spread(places: set[int], pattern: list[str]) -> set[int]:
    """With the places behind wildcards, which may be empty."""
    out = set(places)
    for place in places:
        while place < len(pattern) and pattern[place] is _ANY:
            place += 1
            out.add(place)
    return out


def squeezed(text: str) -> str:
    """Blanks as the shell sees them: one between words, none around."""
    return re.sub(r"[ \t]+", " ", text).strip()
