"""The part of JSON Schema that tool inputs need.

That is type, required, properties, items, enum, minimum, maximum and maxLength.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and value == int(value),
    "number": lambda value: _is_number(value),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, Mapping),
    "null": lambda value: value is None,
}


MAX_NAME_CHARS = 60
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = MAX_NAME_CHARS


def size_chars(value: Any, limit: int) -> int:
    """About how many characters ``value`` holds, counted no further than past ``limit`` and without recursion."""
    size, todo = 0, [value]
    while todo and size <= limit:
        item = todo.pop()
        if isinstance(item, str):
            size += len(item)
        elif isinstance(item, Mapping):
            size += len(item)
            todo.extend(item)
            todo.extend(item.values())
        elif isinstance(item, list):
            size += len(item)
            todo.extend(item)
        else:
            size += 1
    return size


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and (isinstance(value, int) or abs(value) < float("inf"))


def violations(schema: Mapping[str, Any], value: Any, place: str = "") -> list[str]:
    """What is wrong with ``value``, one sentence each; empty if it fits."""
    wanted = schema.get("type")
    kinds = [wanted] if isinstance(wanted, str) else list(wanted or ())
    if kinds and not any(_TYPES.get(kind, _anything)(value) for kind in kinds):
        return [f"{place or 'the input'} must be {' or '.join(kinds)}, not {_shown(value)}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{place} must be one of {', '.join(map(str, schema['enum']))}, not {_shown(value)}"]
    found: list[str] = []
    if _is_number(value):
        if "minimum" in schema and value < schema["minimum"]:
            found.append(f"{place} must be at least {schema['minimum']}, not {value}")
        if "maximum" in schema and value > schema["maximum"]:
            found.append(f"{place} must be at most {schema['maximum']}, not {value}")
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        found.append(f"{place} may have {schema['maxLength']} characters, not {len(value)}")
    if isinstance(value, Mapping):
        found += _members(schema, value, place)
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, item in enumerate(value):
            found += violations(schema["items"], item, f"{place}[{index}]")
    return found


def _anything(value: Any) -> bool:
    return True


def _members(schema: Mapping[str, Any], value: Mapping[str, Any], place: str) -> list[str]:
    known = schema.get("properties", {})
    known = known if isinstance(known, Mapping) else {}
    lead = f"{place}." if place else ""
    found = [f"{lead}{name} is missing" for name in schema.get("required", ()) if name not in value]
    for name, item in value.items():
        if name in known and isinstance(known[name], Mapping):
            found += violations(known[name], item, f"{lead}{name}")
        elif name not in known and schema.get("additionalProperties") is False:
            name = str(name)
            is_short = len(name) <= MAX_NAME_CHARS
            close = difflib.get_close_matches(name, list(known), 1) if is_short else []
            name = name if is_short else f"{name[:MAX_NAME_CHARS]}…"
            guess = f"; did you mean {close[0]}?" if close else f"; it takes {', '.join(known)}"
            found.append(f"{lead}{name} is not a parameter{guess}")
    return found


def _shown(value: Any) -> str:
    text = _BRIEF.repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
