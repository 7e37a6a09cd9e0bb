"""Markdown made of items with fields, so that what was rendered can be read back to the same.

An item is a heading and lines ``- **Name**: value``; a value of several lines goes on in lines indented by four
spaces. Text is put into a form first (``plain``) in which it can be told from the marks around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from swarm_core.vocabulary.clean import clean

_FIELD = re.compile(r"- \*\*([A-Za-z][A-Za-z ]*)\*\*:(?: (.*))?")
INDENT = "    "


def plain(text: str) -> str:
    """Clean text without blanks at the ends of its lines or of the whole."""
    lines = [" ".join(line.split("\t")).rstrip() for line in clean(text).replace("\r", "\n").split("\n")]
    return "\n".join(lines).strip()


def one_line(text: str) -> str:
    return " ".join(plain(text).split())


def render_fields(fields: Mapping[str, str]) -> list[str]:
    """Fields with a value, in their order."""
    out: list[str] = []
    for name, value in fields.items():
        if value:
            first, *rest = value.split("\n")
            out += [f"- **{name}**: {first}".rstrip(), *(f"{INDENT}{line}".rstrip() for line in rest)]
    return out


def parse_fields(lines: Sequence[str]) -> dict[str, str]:
    """The fields that ``render_fields`` wrote; lines that are none are left out."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is not None:
            current = found.setdefault(match[1], [])
            current.append(match[2] or "")
        elif current is not None and (line.startswith(INDENT) or not line):
            current.append(line.removeprefix(INDENT))
        else:
            current = None
    return {name: "\n".join(value).strip() for name, value in found.items()}


def sections(text: str, mark: str) -> Iterator[tuple[str, list[str]]]:
    """Each heading of the level ``mark`` (``##``) with the lines below it."""
    heading: str | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        level = line.partition(" ")[0]
        if level == mark:
            if heading is not None:
                yield heading, lines
            heading, lines = line[len(mark) + 1 :], []
        elif level and not level.strip("#") and len(level) < len(mark):
            if heading is not None:
                yield heading, lines
            heading, lines = None, []
        else:
            lines.append(line)
    if heading is not None:
        yield heading, lines
