"""A gate's document: plain lines, then a patch, coloured by what each line is."""

from __future__ import annotations

import re

from swarm_core.vocabulary.clean import clean_line
from swarm_tui import commands

from .line_pane import LinePane, Row

_QUIET_HEADS = ("index ", "--- ", "+++ ")
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


def rows_of(text: str) -> tuple[list[Row], list[tuple[int, str]]]:
    """The rows of a document and where its files begin, as ``(row, path)``.

    A hunk says how many lines it has, and only outside of hunks is a line taken for a heading: a changed line that
    looks like one (``--- a``) is shown as what it is.
    """
    rows: list[Row] = []
    files: list[tuple[int, str]] = []
    in_patch, old, new = False, 0, 0
    for raw in text.split("\n"):
        line = clean_line(raw)
        if old > 0 or new > 0:
            rows.append(((line, _CHANGE.get(line[:1], "plain")),))
            old -= line[:1] in ("-", " ", "")
            new -= line[:1] in ("+", " ", "")
        elif line.startswith("diff --git "):
            in_patch = True
            path = _path_of(line)
            if rows:
                rows.append((("", "plain"),))
            files.append((len(rows), path))
            rows.append(((f" {path} ", "file"),))
        elif in_patch and (hunk := _HUNK.match(line)):
            old, new = int(hunk[1] or 1), int(hunk[2] or 1)
            rows.append(((line, "hunk"),))
        elif not in_patch:
            rows.append(_prose(line))
        elif line and not line.startswith(_QUIET_HEADS):
            rows.append(((f"  {line}", "muted"),))
    return rows, files


def _path_of(line: str) -> str:
    """The path in ``diff --git a/PATH b/PATH``.

    Unless a file was renamed, the two halves are the same, so that a name with `` b/`` in it is told from two names;
    git puts names with unusual characters into quotes.
    """
    names = line.removeprefix("diff --git ")
    old, new = names[: len(names) // 2], names[len(names) // 2 + 1 :]
    if old.removeprefix('"').startswith("a/") and new == old.replace("a/", "b/", 1):
        return new.strip('"')[2:]
    return names.rpartition(" b/")[2]


_CHANGE = {"+": "added", "-": "removed", "\\": "muted"}


def _prose(line: str) -> Row:
    words = line.strip()
    if words.startswith("✓"):
        return ((line, "good"),)
    if words.startswith("✗"):
        return ((line, "bad"),)
    if set(words) == {"─"}:
        return ((line, "muted"),)
    if line and not line.startswith(" "):
        return ((line, "strong"),)
    return ((line, "plain"),)


class Document(LinePane):
    """Shows one document; knows its files."""

    BINDINGS = commands.bindings("diff")

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: list[Row] = []
        self.files: list[tuple[int, str]] = []

    @property
    def row_count(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> Row:
        return self.rows[index]

    def empty_text(self) -> str:
        return "There is nothing to show: the document is empty or was deleted."

    def show(self, data: bytes) -> None:
        """Show a document from its beginning."""
        self.rows, self.files = rows_of(data.decode("utf-8", "replace")) if data else ([], [])
        self.top = 0
        self.forget()

    def file_in_sight(self) -> str:
        """The path of the file at the top of the screen."""
        paths = [path for row, path in self.files if row <= self.top + 1]
        return paths[-1] if paths else ""

    def action_next_file(self) -> None:
        after = [row for row, _ in self.files if row > self.top]
        self.move_to(after[0] if after else self.row_count)

    def action_previous_file(self) -> None:
        before = [row for row, _ in self.files if row < self.top]
        self.move_to(before[-1] if before else 0)
