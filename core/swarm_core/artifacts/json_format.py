"""JSON as data: the standard library's parser, and a second look only where a place is asked for."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # it is there; the stubs leave it out
from typing import Any

from .fault import Faults, line_and_column
from .parsed import Parsed, Path, Position

MAX_DEPTH = 500  # what nests deeper than the parser can go is told to be deeper than this
_BRACKETS = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*"', re.DOTALL)
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder(strict=False)


class _Refused(ValueError):
    pass


def parse(text: str, faults: Faults) -> Parsed | None:
    """The document; None if it cannot be read, which ``faults`` then says.

    A key given twice is a fault: two readers would see two documents.
    """
    text = text.removeprefix("\ufeff")
    twice: list[str] = []

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(found)
        if len(made) != len(found):
            names = [name for name, _ in found]
            twice.extend(sorted({name for name in names if names.count(name) > 1})[:3])
        return made

    def constant(name: str) -> Any:
        raise _Refused(name)

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except json.JSONDecodeError as error:
        if not text.strip():
            faults.add("empty", "is empty")
        else:
            faults.add("syntax", f"is not JSON: {error.msg}", error.lineno, error.colno, hint="check commas and quotes")
        return None
    except _Refused as error:
        faults.add("syntax", f"{error} is no JSON", *line_and_column(text, max(0, text.find(str(error)))))
        return None
    except RecursionError:
        faults.add("depth", f"is nested deeper than {MAX_DEPTH} levels", *_deepest(text), hint="flatten it")
        return None
    except ValueError as error:  # a number of more digits than Python reads
        faults.add("syntax", f"is not JSON that can be read: {error}")
        return None
    for name in twice:
        second = [match.start() for match in re.finditer(re.escape(json.dumps(name)) + r"\s*:", text)][1:2]
        faults.add("duplicate", f"{name!r} is given twice", *line_and_column(text, second[0] if second else 0))
    return Parsed(value, lambda path: line_and_column(text, locate(text, path)))


def _deepest(text: str) -> Position:
    """Where the nesting goes too deep."""
    depth = 0
    for match in _BRACKETS.finditer(text):
        if match.group() in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return line_and_column(text, match.start())
        elif match.group() in "]}":
            depth -= 1
    return 1, 1


def locate(text: str, path: Path) -> int:
    """The offset of the last step of ``path``: of a key, or of a list's item. Raises LookupError if it is not there."""
    place = offset = _skip(text, 0)
    for step in path:
        offset = _skip(text, offset)
        place, offset = _member(text, offset, step) if isinstance(step, str) else _item(text, offset, step)
    return place


def _member(text: str, offset: int, wanted: str) -> tuple[int, int]:
    if text[offset : offset + 1] != "{":
        raise LookupError(wanted)
    found: tuple[int, int] | None = None
    offset = _skip(text, offset + 1)
    while text[offset] == '"':
        start = offset
        key, offset = scanstring(text, offset + 1, False)
        offset = _skip(text, _skip(text, offset) + 1)
        if key == wanted:
            found = (start, offset)  # the last one is the one that counts
        offset = _skip(text, _DECODER.raw_decode(text, offset)[1])
        if text[offset] == "}":
            break
        offset = _skip(text, offset + 1)
    if found is None:
        raise LookupError(wanted)
    return found


def _item(text: str, offset: int, wanted: int) -> tuple[int, int]:
    if text[offset : offset + 1] != "[":
        raise LookupError(wanted)
    offset = _skip(text, offset + 1)
    for _ in range(wanted):
        offset = _skip(text, _DECODER.raw_decode(text, offset)[1])
        if text[offset] == "]":
            raise LookupError(wanted)
        offset = _skip(text, offset + 1)
    return offset, offset


def _skip(text: str, offset: int) -> int:
    found = _SPACE.match(text, offset)
    return found.end() if found else offset
