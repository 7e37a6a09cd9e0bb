"""SQL for sqlite, judged by sqlite itself: the statements really run, in memory, and the tables are what they leave.

Needs no library. Runs in the judging process, which has its limits of time and memory; no statement reaches a file.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from .fault import Faults, line_and_column
from .parsed import Position

_ASIDE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_PRAGMAS = ("foreign_keys", "encoding", "user_version", "application_id", "table_info")
_CLOSED = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_CREATE_VTABLE)


def tables_of(text: str, faults: Faults) -> dict[str, tuple[Position, dict[str, Position]]] | None:
    """By name in lower case: where a table is created, and where each of its columns stands. None if a statement
    fails, which is then a fault at its first line."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as base:
        base.set_authorizer(_authorised)
        count = 0
        for offset, statement in _statements(text):
            try:
                count += 1
                base.execute(statement)
            except (sqlite3.Error, sqlite3.Warning) as error:
                faults.add("syntax", f"is not SQL that sqlite runs: {error}", *line_and_column(text, offset))
                return None
        if not count:
            faults.add("empty", "holds no statement")
        return _found(base, text)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement with the place of its first word; what follows the last semicolon is one too."""
    start = end = 0
    while end < len(text):
        end = text.find(";", end) + 1 or len(text)
        piece = text[start:end]
        if sqlite3.complete_statement(piece) or end == len(text):
            bare = _without_asides(piece)
            if first := re.search(r"[^\s;]", bare):
                yield start + first.start(), piece
            start = end


def _found(base: sqlite3.Connection, text: str) -> dict[str, tuple[Position, dict[str, Position]]]:
    rows = base.execute(
        "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c"
        " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY t.rowid, c.cid"
    ).fetchall()
    bare, found = _without_asides(text), dict[str, tuple[Position, dict[str, Position]]]()
    starts: dict[str, int] = {}
    for table, column in rows:
        if table not in starts:
            named = re.search(rf"(?i)\btable\b[^;(]*?[\s.\"`\[]({re.escape(table)})(?!\w)", bare)
            starts[table] = named.start(1) if named else 0
            found[table.casefold()] = (line_and_column(text, starts[table]), {})
        named = re.compile(rf"(?i)(?<!\w){re.escape(column)}(?!\w)").search(bare, starts[table] + len(table))
        place = named.start() if named else starts[table]
        found[table.casefold()][1][column.casefold()] = line_and_column(text, place)
    return found


def _without_asides(text: str) -> str:
    """Comments and texts as blanks of the same length."""
    return _ASIDE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def _authorised(action: int, first: str | None, *_: object) -> int:
    """A schema works on its own database, and reaches no other file."""
    if action in _CLOSED or (action == sqlite3.SQLITE_PRAGMA and (first or "").lower() not in _PRAGMAS):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
