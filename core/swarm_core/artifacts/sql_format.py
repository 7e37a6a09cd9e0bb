"""SQL: does it parse, and which tables with which columns does it leave behind.

What is written for sqlite (``dialect: sqlite``) runs on sqlite, see ``sqlite_schema``. Everything else is parsed with
``sqlglot`` (extra ``validators``), imported when the first SQL file is looked at. A statement that only one database
knows (``CREATE POLICY``) is taken as it is; a ``CREATE TABLE`` that cannot be read is a fault.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .fault import Faults, line_and_column
from .parsed import Position
from .sqlite_schema import tables_of

GUESSES = ("postgres", "sqlite", "mysql")
_MAKES_TABLE = re.compile(r"\s*create\s+(?:\w+\s+){0,2}?table\b", re.IGNORECASE)
_QUOTED = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"|\$\$.*?\$\$|['\"]|\$\$|/\*", re.DOTALL)


@dataclass(slots=True)
class Table:
    """A table after all statements; names in lower case. ``at`` is where it is created."""

    name: str
    at: Position
    columns: dict[str, Position] = field(default_factory=dict)


def parse(text: str, dialect: str, faults: Faults) -> dict[str, Table] | None:
    """The tables by name; None if the text cannot be read in ``dialect`` (any that is known, if empty).

    Raises ImportError if it takes sqlglot and that is not installed.
    """
    if dialect == "sqlite":
        found = tables_of(text, faults)
        return None if found is None else {name: Table(name, at, columns) for name, (at, columns) in found.items()}
    import sqlglot
    from sqlglot.errors import ParseError, SqlglotError

    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it tells of statements that it takes as they are
    first: Exception | None = None
    for guess in (dialect,) if dialect else GUESSES:
        try:
            return _tables(sqlglot.parse(text, dialect=guess), text, faults)
        except RecursionError:
            faults.add("depth", "is nested too deep to be read", hint="flatten the expression")
            return None
        except SqlglotError as error:
            first = first or error
    if isinstance(first, ParseError) and first.errors:
        for told in first.errors:
            width = len(str(told.get("highlight") or "")) or 1
            line, column = int(told.get("line") or 1), max(1, int(told.get("col") or 1) - width + 1)
            near = f" at {told['highlight']!r}" if told.get("highlight") else ""
            faults.add("syntax", f"is not SQL that can be read: {told.get('description', '')}{near}", line, column)
    else:
        faults.add("syntax", f"is not SQL that can be read: {first}", *_unclosed(text), hint="check quotes and $$")
    return None


def required(tables: dict[str, Table], names: tuple[str, ...], text: str, faults: Faults) -> None:
    """Says which tables are missing, at the end of the file, where they would be added."""
    missing = [name for name in names if name.casefold() not in tables]
    line = text.rstrip().count("\n") + 1
    for name in missing:
        there = ", ".join(sorted(tables)) or "none"
        hint = f"add CREATE TABLE {name}"
        faults.add("required_tables", f"the table {name!r} is missing; there are: {there}", line, hint=hint)


def _tables(statements: list[Any], text: str, faults: Faults) -> dict[str, Table]:
    from sqlglot import exp

    tables: dict[str, Table] = {}
    count = 0
    for statement in statements:
        if statement is None:
            continue
        count += 1
        kind = str(statement.args.get("kind") or "").upper()
        if isinstance(statement, exp.Create) and kind == "TABLE":
            _create(statement, text, tables)
        elif isinstance(statement, exp.Alter) and kind == "TABLE":
            _alter(statement, text, tables)
        elif isinstance(statement, exp.Drop) and kind == "TABLE":
            for named in statement.find_all(exp.Table):
                tables.pop(named.name.casefold(), None)
        elif isinstance(statement, exp.Command) and _MAKES_TABLE.match(statement.sql()):
            said = " ".join(statement.sql().split())[:60]
            start = max(0, text.find(said[:30]))
            faults.add("syntax", f"a table's definition cannot be read: {said}", *line_and_column(text, start))
    if not count:
        faults.add("empty", "holds no statement")
    return tables


def _create(statement: Any, text: str, tables: dict[str, Table]) -> None:
    from sqlglot import exp

    body = statement.this
    named = body.this if isinstance(body, exp.Schema) else body
    if not named.name or (statement.args.get("exists") and named.name.casefold() in tables):
        return
    table = Table(named.name.casefold(), _at(named.this, text))
    for column in _columns(body.expressions if isinstance(body, exp.Schema) else []):
        table.columns[column.name.casefold()] = _at(column.this, text)
    tables[table.name] = table


def _alter(statement: Any, text: str, tables: dict[str, Table]) -> None:
    from sqlglot import exp

    name = statement.this.name.casefold()
    table = tables.setdefault(name, Table(name, _at(statement.this.this, text)))
    for action in statement.args.get("actions") or ():
        for column in _columns([action, *getattr(action, "expressions", [])]):
            table.columns[column.name.casefold()] = _at(column.this, text)
        if isinstance(action, exp.Drop):
            table.columns.pop(action.this.name.casefold(), None)
        elif isinstance(action, exp.RenameColumn):
            at = table.columns.pop(action.this.name.casefold(), _at(statement.this.this, text))
            table.columns[action.args["to"].name.casefold()] = at


def _columns(found: list[Any]) -> Iterator[Any]:
    from sqlglot import exp

    return (item for item in found if isinstance(item, exp.ColumnDef))


def _at(identifier: Any, text: str) -> Position:
    found = getattr(identifier, "meta", {})
    start, line = found.get("start"), found.get("line")
    if not isinstance(start, int) or not isinstance(line, int):
        return 1, 1
    return line, start - text.rfind("\n", 0, start)  # counting lines from the top for each column would be quadratic


def _unclosed(text: str) -> Position:
    """The first quote that nothing closes: what a tokenizer stumbles over."""
    offset = 0
    for match in _QUOTED.finditer(text):
        if match.group() in ("'", '"', "$$", "/*"):
            offset = match.start()
            break
    return line_and_column(text, offset)
