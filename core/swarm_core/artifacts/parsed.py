"""A parsed tree of plain values that still knows where each of them stood."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Parsed:
    """``value`` has mappings with text as keys, lists, text, numbers, booleans and None.

    ``find`` says where a path's last step stands: a key, or the item of a list. ``texts`` says how a scalar was
    written where that differs from its value (``1.10``).
    """

    value: Any
    find: Callable[[Path], Position]
    texts: Callable[[Path], str | None] = lambda path: None

    def position(self, path: Path) -> Position:
        """Line and column of what ``path`` leads to, or of the nearest thing above it that is there."""
        while path:
            try:
                return self.find(path)
            except (LookupError, TypeError):
                path = path[:-1]
        return 1, 1

    def at(self, path: Path) -> Any:
        """The value at a path. Raises LookupError or TypeError if there is none."""
        value = self.value
        for step in path:
            value = value[step]
        return value

    def text(self, path: Path) -> str:
        """A scalar as it was written."""
        written = self.texts(path)
        return str(self.at(path)) if written is None else written


def occurrences(value: Any, name: str) -> Iterator[Path]:
    """Every path that ends in the key ``name``, nearest to the top first; a dotted name is one path from the top."""
    if "." in name:
        steps = tuple(name.split("."))
        for step in steps:
            if not isinstance(value, dict) or step not in value:
                return
            value = value[step]
        yield steps
        return
    queue: deque[tuple[Path, Any]] = deque([((), value)])
    while queue:
        path, node = queue.popleft()
        if isinstance(node, dict):
            if name in node:
                yield (*path, name)
            queue.extend(((*path, key), item) for key, item in node.items() if isinstance(item, (dict, list)))
        elif isinstance(node, list):
            queue.extend(((*path, index), item) for index, item in enumerate(node) if isinstance(item, (dict, list)))


def number(value: Any) -> float | None:
    """A number, with or without a unit (``87.3``, ``"87.3%"``); None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value) if value == value and abs(value) < 1e300 else None
    if isinstance(value, str):
        text = value.strip().removesuffix("%").strip()
        if len(text) < 32 and text.replace(".", "", 1).replace("-", "", 1).isdecimal():
            return float(text)
    return None
