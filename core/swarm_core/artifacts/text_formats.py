"""Markdown and HTML: enough of each to know whether it says what it must, and whether it was cut off."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

from .fault import Faults
from .parsed import Position

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)")
_ENUMERATION = re.compile(r"\d+[.)]\s+")
_VOID = frozenset(
    "area base br col embed hr img input link meta param source track wbr".split()  # noqa: SIM905 - shorter
)
# Elements whose end HTML lets one leave out.
_OPTIONAL_END = frozenset("html head body p li dt dd tr td th thead tbody tfoot option optgroup colgroup rp rt".split())  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Heading:
    """A section of a Markdown document. ``lines`` is what stands below it up to the next heading of any level."""

    level: int
    title: str
    line: int
    lines: tuple[str, ...]


def headings(text: str) -> list[Heading]:
    """The sections in the order of the document; what stands in a code block is no heading."""
    found: list[tuple[int, str, int, list[str]]] = []
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        marker = _FENCE.match(line)
        if marker is not None and (not fence or marker[1].startswith(fence)):
            fence = "" if fence else marker[1]
        heading = _HEADING.match(line) if not fence and marker is None else None
        if heading is not None:
            found.append((len(heading[1]), heading[2].strip().rstrip("#").strip(), number, []))
        elif found:
            found[-1][3].append(line)
    return [Heading(level, title, number, tuple(lines)) for level, title, number, lines in found]


def check_markdown(text: str, sections: tuple[str, ...], faults: Faults) -> list[Heading]:
    """The document's headings; says which required sections are missing or empty."""
    if not text.strip():
        faults.add("empty", "is empty")
    found = headings(text)
    titles = {_plain(heading.title) for heading in found}
    last = text.count("\n") + 1
    for section in sections:
        if _plain(section) not in titles:
            faults.add("required_sections", f"the section {section!r} is missing", last, hint=f"add: ## {section}")
    return found


def _plain(title: str) -> str:
    return " ".join(_ENUMERATION.sub("", title).casefold().split())


# -- HTML


def check_html(text: str, faults: Faults) -> None:
    """Says where elements do not fit together, and whether it is a document at all."""
    if not text.strip():
        faults.add("empty", "is empty")
        return
    reader = _Elements(faults)
    reader.feed(text)
    reader.close()
    for name, (line, column) in reader.unclosed():
        faults.add("html", f"<{name}> is never closed", line, column)
    if reader.count == 0:
        faults.add("html", "holds no element: it is not HTML")
    elif "title" not in reader.seen and "h1" not in reader.seen:
        faults.add("html", "has neither <title> nor <h1>: nobody can tell what it is", is_note=True)


class _Elements(HTMLParser):
    def __init__(self, faults: Faults) -> None:
        super().__init__(convert_charrefs=True)
        self.faults = faults
        self.seen: set[str] = set()
        self.count = 0
        self._open: list[tuple[str, Position]] = []
        self._of: dict[str, int] = {}

    def _where(self) -> Position:
        line, column = self.getpos()
        return line, column + 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count += 1
        self.seen.add(tag)
        if tag not in _VOID:
            self._open.append((tag, self._where()))
            self._of[tag] = self._of.get(tag, 0) + 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count += 1
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self._of.get(tag):
            if tag != "p":  # an end of its own makes an empty paragraph
                self.faults.add("html", f"</{tag}> closes nothing", *self._where())
            return
        while True:
            name, (line, column) = self._open.pop()
            self._of[name] -= 1
            if name == tag:
                return
            if name not in _OPTIONAL_END:
                self.faults.add("html", f"<{name}> is still open at </{tag}>", line, column)

    def unclosed(self) -> list[tuple[str, Position]]:
        return [(name, where) for name, where in self._open if name not in _OPTIONAL_END]
