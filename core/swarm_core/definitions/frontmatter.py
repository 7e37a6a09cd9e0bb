"""The YAML head of a markdown file, as people write it: agents, skills and commands.

Read strictly first. What YAML refuses (``argument-hint: [a] | --b``, ``tools: *``, a description with colons) is read
again key by key, and a value that is still no YAML is the text it is written as. Words such as ``on`` and dates stay
text; ``flag`` reads the spellings of yes and no.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_HEAD_CHARS = 64 * 1024
_HEAD = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.S | re.M)
_KEY = re.compile(r"([A-Za-z_][\w.-]*)[ \t]*:(?=[ \t\r\n]|$)")
_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})


class _Loader(yaml.SafeLoader):
    """YAML 1.2's idea of plain words: only true and false are booleans, and there are no dates."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, re.compile(r"true|false|True|False|TRUE|FALSE") if tag.endswith(":bool") else pattern)
        for tag, pattern in resolvers
        if not tag.endswith((":timestamp", ":merge"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Document:
    """A head's keys and the text below it. ``problem`` says what YAML had against the head, if it was repaired."""

    meta: Mapping[str, Any] = field(default_factory=dict)
    body: str = ""
    problem: str = ""

    def text(self, key: str) -> str:
        """A value as one text; a list is joined with commas, as it could have been written."""
        value = self.meta.get(key)
        if isinstance(value, list):
            return ", ".join(str(item) for item in value)
        return "" if value is None or isinstance(value, dict) else str(value).strip()

    def texts(self, key: str) -> tuple[str, ...]:
        """A value as a list; a text is cut at its commas."""
        value = self.meta.get(key)
        items = value if isinstance(value, list) else str("" if value is None else value).split(",")
        return tuple(text for item in items if (text := str(item).strip()))

    def flag(self, key: str, default: bool = False) -> bool:
        word = str(self.meta.get(key, "")).strip().lower()
        return True if word in _YES else False if word in _NO else default


def read(text: str) -> Document:
    """Take a file apart; never raises. A file without a head is all body."""
    match = _HEAD.match(text[: MAX_HEAD_CHARS + 16])
    if match is None:
        return Document(body=text.removeprefix("\ufeff"))
    head, body = match[1], text[match.end() :]
    try:
        return Document(_mapping(head), body)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return Document(_repaired(head), body, " ".join(str(error).split())[:300])


def _mapping(text: str) -> dict[str, Any]:
    """Raises yaml.YAMLError or ValueError for anything but a mapping, and for aliases, which can grow without end."""
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("aliases are not supported")
    value = yaml.load(text, Loader=_Loader)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("it is no mapping of keys to values")
    return {str(key): item for key, item in value.items()}


def _repaired(head: str) -> dict[str, Any]:
    """Each key with the lines that belong to it, read by itself."""
    found: dict[str, Any] = {}
    for key, lines in _entries(head):
        chunk = "\n".join(lines)
        try:
            value = _mapping(chunk)[key]
        except (yaml.YAMLError, ValueError, KeyError, RecursionError):
            plain = chunk.split(":", 1)[1]
            value = _unquoted(" ".join(plain.split()))
        found.setdefault(key, value)
    return found


def _entries(head: str) -> list[tuple[str, list[str]]]:
    entries: list[tuple[str, list[str]]] = []
    for line in head.splitlines():
        if match := _KEY.match(line):
            entries.append((match[1], [line]))
        elif entries and not line.startswith("#"):
            entries[-1][1].append(line)
    return entries


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text
