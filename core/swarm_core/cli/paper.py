"""Lines for a person: clean, wrapped at the width of the terminal, what goes on indented under what it belongs to."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from swarm_core.vocabulary.clean import clean_line

Line = tuple[str, int]
"""A text and the column at which its continuation begins."""
LEAST_ROOM = 24


def columns() -> int:
    """The width of the terminal; 0 if there is none, so that whoever filters lines gets each as one."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def put(lines: Iterable[Line]) -> None:
    """Print lines, none wider than the terminal."""
    width = columns()
    for text, hang in lines:
        print("\n".join(wrapped(clean_line(text).rstrip(), hang, width)))


def wrapped(text: str, hang: int, width: int) -> Iterator[str]:
    """``text`` in lines of at most ``width`` cells, broken between words where there are any; 0 is as wide as it is."""
    room, hang = max(width, LEAST_ROOM), min(hang, max(0, width - LEAST_ROOM))
    if not width or cells(text) <= room:
        yield text
        return
    while cells(text) > room:
        cut = _fitting(text, room)
        space = text.rfind(" ", hang + 1, cut + 1)
        cut = space if space > 0 and text[:space].strip() else cut
        yield text[:cut].rstrip()
        text = " " * hang + text[cut:].lstrip()
    if text.strip():
        yield text


def counted(number: int, noun: str) -> str:
    """``1 rule``, ``9 rules``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def columned(rows: Sequence[Sequence[str]], *, indent: int = 0) -> Iterator[Line]:
    """Rows whose cells stand below each other; what is too long for its line goes on below its last cell."""
    clean_rows = [[clean_line(cell) for cell in row] for row in rows]
    wide = [max(map(cells, column)) for column in zip(*clean_rows, strict=True)] if rows else []
    hang = indent + sum(wide[:-1]) + 2 * len(wide[:-1])
    for row in clean_rows:
        told = [cell + " " * (width - cells(cell)) for cell, width in zip(row, wide, strict=True)]
        yield " " * indent + "  ".join(told).rstrip(), hang


def cells(text: str) -> int:
    """How many columns a terminal needs for a text."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(sign: str) -> int:
    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _fitting(text: str, room: int) -> int:
    """How many characters of a text fit."""
    used = 0
    for place, sign in enumerate(text):
        used += _cells(sign)
        if used > room:
            return place
    return len(text)
