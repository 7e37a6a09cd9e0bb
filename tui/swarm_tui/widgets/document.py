"""A gate's document: plain lines, then a patch, coloured by what each line is."""

from __future__ import annotations

import re

from swarm_core.vocabulary.clean import clean_line
from swarm_tui import commands

from .line_pane import LinePane, Row
from .log_pane import wrapped

_QUIET_HEADS = ("index ", "--- ", "+++ ")
_MEASURED = ("Checks", "Tasks", "In the way")
"""Headings of what the engine says of its own knowledge; what agents wrote is indented below others."""
_CHANGED = ("Tasks", "Given to somebody else", "Dropped")
"""Headings of a plan: what stands under them begins with a task."""
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")


def rows_of(text: str) -> tuple[list[Row], list[tuple[int, str]]]:
    """The rows of a document and where its files begin, as ``(row, path)``.

    A hunk says how many lines it has, and only outside of hunks is a line taken for a heading: a changed line that
    looks like one (``--- a``) is shown as what it is.
    """
    rows: list[Row] = []
    files: list[tuple[int, str]] = []
    in_patch, heading, old, new = False, "", 0, 0
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
            if line and not line.startswith(" "):
                heading = line
            rows.append(_prose(line, heading))
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


def patch_of(text: str, path: str) -> str:
    """The part of a document's patch that is about one file; empty if it is not in it. Inside of a hunk no line begins
    in the first column, so that no content passes for another file's beginning."""
    found: list[str] = []
    is_inside = False
    for line in text.split("\n"):
        if line.startswith("diff --git "):
            is_inside = _path_of(line) == path
        if is_inside:
            found.append(line)
    return "\n".join(found)


_CHANGE = {"+": "added", "-": "removed", "\\": "muted"}


_TASK = re.compile(r"  (task_\d+(?: → \S+)?)(  .*)?")


def _prose(line: str, heading: str) -> Row:
    """A line above the patch; its indentation is a piece of its own, so that wrapping keeps it.

    Only under the engine's own headings something is coloured: an agent that writes ``✓ tests`` has not passed them.
    """
    text = line.lstrip()
    margin = (line[: len(line) - len(text)], "plain")
    if heading.startswith(_MEASURED) and text.startswith("✓"):
        return (margin, (text, "good"))
    if heading.startswith(_MEASURED) and text.startswith("✗"):
        return (margin, (text, "bad"))
    if heading in _CHANGED and (task := _TASK.fullmatch(line)):
        return (margin, (task[1], "tool"), (task[2] or "", "strong" if heading == "Tasks" else "plain"))
    if text and set(text) == {"─"}:
        return (margin, (text, "muted"))
    return (margin, (text, "plain" if margin[0] else "strong"))


class Document(LinePane):
    """Shows one document; knows its files. Long lines are wrapped: nothing is out of sight at the right edge."""

    BINDINGS = commands.bindings("diff")

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[Row] = []
        self.rows: list[Row] = []
        self.files: list[tuple[int, str]] = []
        self._file_lines: list[tuple[int, str]] = []
        self._width = 0

    @property
    def row_count(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> Row:
        return self.rows[index]

    def empty_text(self) -> str:
        return "There is nothing to show: the document is empty or was deleted."

    def show(self, data: bytes) -> None:
        """Show a document from its beginning."""
        self.lines, self._file_lines = rows_of(data.decode("utf-8", "replace")) if data else ([], [])
        self.top = 0
        self._lay_out()

    def on_resize(self) -> None:
        if self.content_size.width != self._width:
            self._width = self.content_size.width
            self._lay_out()
        super().on_resize()

    def _lay_out(self) -> None:
        """Wrap the lines to the width; ``files`` then name rows."""
        starts = dict(self._file_lines)
        self.rows, self.files = [], []
        for number, line in enumerate(self.lines):
            if number in starts:
                self.files.append((len(self.rows), starts[number]))
            self.rows += wrapped(line, self._width) if self._width else [line]
        self.forget()

    def sizes(self) -> list[tuple[str, int, int]]:
        """Each file with its added and removed lines."""
        starts = [line for line, _ in self._file_lines]
        ends = [*starts, len(self.lines)][1:]
        out = []
        for (start, path), end in zip(self._file_lines, ends, strict=True):
            styles = [line[0][1] for line in self.lines[start:end]]
            out.append((path, styles.count("added"), styles.count("removed")))
        return out

    def action_next_file(self) -> None:
        after = [row for row, _ in self.files if row > self.top]
        self.move_to(after[0] if after else self.row_count)

    def action_previous_file(self) -> None:
        before = [row for row, _ in self.files if row < self.top]
        self.move_to(before[-1] if before else 0)
