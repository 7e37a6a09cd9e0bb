"""YAML as data: read event by event, so that neither depth nor aliases can blow up a reader.

Differences from a plain YAML reader, on purpose: keys are text (``200:`` and ``"200":`` are one), dates stay as they
are written, an alias, a foreign tag, a second document and a key given twice are faults.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import yaml

from .fault import Faults
from .parsed import Parsed, Path, Position

MAX_DEPTH = 100
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PREFIX = "tag:yaml.org,2002:"
_PLAIN = frozenset({None, "!", *(_PREFIX + name for name in ("str", "map", "seq"))})
_SCALARS = frozenset(_PREFIX + name for name in ("null", "bool", "int", "float"))
_RESOLVERS = {
    first: [(tag, pattern) for tag, pattern in found if tag in _SCALARS]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_BOOLS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_NOT_A_KEY = object()
_INFINITE = re.compile(r"\.(inf|nan)")
_MAX_DIGITS = 400


def parse(text: str, faults: Faults) -> Parsed | None:
    """The one document of ``text``; None if it cannot be read, which ``faults`` then says."""
    reader = _Reader(faults)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if not reader.take(event):
                return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = error.problem or "it cannot be read"
        faults.add("syntax", f"is not valid YAML: {what}", line, column, hint="check indentation, quotes and colons")
        return None
    except yaml.YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        faults.add("syntax", f"is not valid YAML: {error}", line)
        return None
    if not reader.has_root:
        faults.add("empty", "is empty")
        return None
    return Parsed(reader.root, reader.find, reader.text)


class _Reader:
    """Builds the value from events; containers that are not closed yet lie on a stack."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.root: Any = None
        self.has_root = False
        self._stack: list[Any] = []
        self._keys: list[Any] = []
        self._marks: dict[int, dict[Any, Position]] = {}
        self._texts: dict[tuple[int, Any], str] = {}
        self._documents = 0
        self._key_at: Position = (1, 1)

    def take(self, event: Any) -> bool:
        """False if there is no use in reading on."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            return self._scalar(event)
        if kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            return self._begin(event, {} if kind is yaml.MappingStartEvent else [])
        if kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._stack.pop()
            self._keys.pop()
            return True
        if kind is yaml.AliasEvent:
            said = "aliases (*name) are not allowed: one line can stand for millions"
            return self._stop(event, "alias", said, "write the value out where it is used")
        if kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                return self._stop(
                    event, "documents", "a second document begins: an artifact is one document", "remove ---"
                )
        return True

    def _stop(self, event: Any, code: str, message: str, hint: str = "") -> bool:
        self.faults.add(code, message, *_position(event), hint=hint)
        return False

    def _begin(self, event: Any, container: Any) -> bool:
        if len(self._stack) >= MAX_DEPTH:
            return self._stop(event, "depth", f"is nested deeper than {MAX_DEPTH} levels", "flatten it")
        if event.tag not in _PLAIN:
            return self._foreign(event)
        if self._stack and type(self._stack[-1]) is dict and self._keys[-1] is _NOT_A_KEY:
            return self._stop(event, "key", "a key must be plain text")
        self._put(container, _position(event))
        self._stack.append(container)
        self._keys.append(_NOT_A_KEY)
        self._marks[id(container)] = {}
        return True

    def _scalar(self, event: Any) -> bool:
        if self._stack and type(self._stack[-1]) is dict and self._keys[-1] is _NOT_A_KEY:
            return self._key(event)
        if event.tag in _PLAIN:
            value = event.value if event.tag or not event.implicit[0] else _resolved(event.value)
        elif event.tag in _SCALARS:
            value = _constructed(event.tag, event.value)
        else:
            return self._foreign(event)
        where = self._put(value, _position(event))
        if where is not None and type(value) in (float, int):
            self._texts[where] = event.value
        return True

    def _key(self, event: Any) -> bool:
        container, key = self._stack[-1], event.value
        marks = self._marks[id(container)]
        self._key_at = _position(event)
        if key in marks:
            line = marks[key][0]
            self.faults.add("duplicate", f"{key!r} is given twice (line {line})", *self._key_at)
        if key == "<<" and event.implicit[0]:
            return self._stop(event, "alias", "merge keys (<<) are not allowed", "write the fields out")
        self._keys[-1] = key
        marks[key] = self._key_at
        return True

    def _put(self, value: Any, at: Position) -> tuple[int, Any] | None:
        if not self._stack:
            self.root, self.has_root = value, True
            return None
        container = self._stack[-1]
        if type(container) is list:
            self._marks[id(container)][len(container)] = at
            container.append(value)
            return id(container), len(container) - 1
        key, self._keys[-1] = self._keys[-1], _NOT_A_KEY
        container[key] = value
        return id(container), key

    def _foreign(self, event: Any) -> bool:
        return self._stop(event, "tag", f"the tag {event.tag} is not allowed", "write plain values")

    # -- afterwards

    def find(self, path: Path) -> Position:
        """Raises LookupError or TypeError if there is no such path."""
        container = self.root
        for step in path[:-1]:
            container = container[step]
        return self._marks[id(container)][path[-1]]

    def text(self, path: Path) -> str | None:
        try:
            container = self.root
            for step in path[:-1]:
                container = container[step]
            return self._texts.get((id(container), path[-1]))
        except (LookupError, TypeError):
            return None


def _position(event: Any) -> Position:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


@lru_cache(maxsize=4096)
def _resolved(text: str) -> Any:
    """What a plain scalar means. Short ones only: a long text is text."""
    if len(text) > _MAX_DIGITS:
        return text
    for tag, pattern in _RESOLVERS.get(text[:1], ()):
        if pattern.match(text):
            return _constructed(tag, text)
    return text


def _constructed(tag: str, text: str) -> Any:
    try:
        match tag.removeprefix(_PREFIX):
            case "null":
                return None
            case "bool":
                return _BOOLS.get(text.casefold(), text)
            case "int":
                return int(text.replace("_", ""), 8 if _is_octal(text) else 0)
            case _:
                return float(_INFINITE.sub(r"\1", text.replace("_", "").lower()))
    except ValueError:
        return text


def _is_octal(text: str) -> bool:
    digits = text.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0" and digits[1:].replace("_", "").isdecimal()
