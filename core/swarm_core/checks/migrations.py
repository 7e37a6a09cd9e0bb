"""Migrations really run, up and down, on a new sqlite database: what ``down`` leaves is what ``up`` found.

A directory holds ``001_name.sql`` with ``-- up`` and ``-- down`` sections, or pairs ``001_name.up.sql`` and
``001_name.down.sql``. Applied in order; each is also taken back and applied again at once, so that the one at fault is
named. Then all are taken back in reverse order.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction

from .files import files
from .measured import Found, Measured, not_measured, verdict
from .worker import Request

_NAME = re.compile(r"(\d{1,20})[_-][^/]*?(?:\.(up|down))?\.sql")
_SECTION = re.compile(r"(?im)^--\s*(?:\+?migrate\s+)?(up|down)\b[^\n]*$")
Schema = list[tuple[str, str, str]]


@dataclass(slots=True)
class Migration:
    """``up`` and ``down`` are SQL; each with the file and line where it begins."""

    number: int
    name: str
    up: str = ""
    down: str = ""
    up_at: tuple[str, int] = ("", 0)
    down_at: tuple[str, int] = ("", 0)


def scan(request: Request) -> Measured:
    directory = str(request.options.get("directory", "migrations"))
    found: list[Found] = []
    migrations: dict[int, Migration] = {}
    for file in files(request.root, (f"{directory}/*.sql",), every=True):
        match = _NAME.fullmatch(file.path.rpartition("/")[2])
        if match is None:
            found.append(Found("is not named NNN_name.sql", file.path, 0, "name"))
        elif file.text is None:
            found.append(Found("is no text that can be read", file.path, 0, "unreadable"))
        else:
            found += take(migrations, int(match[1]), match[2] or "", file.path, file.text)
    if not migrations and not found:
        return not_measured(f"there is no migration in {directory}", "set directory, or remove the check")
    for migration in migrations.values() if not found else ():
        for way, place in (("up", migration.up_at), ("down", migration.down_at)):
            if not place[0]:
                found.append(Found(f"has no {way}", migration.name, 0, way, "HIGH"))
    if not found:
        found = run([migrations[number] for number in sorted(migrations)], str(request.private / "trial.sqlite"))
    return verdict(found, f"{len(migrations)} migrations, up and down", Fraction(len(found)))


def take(migrations: dict[int, Migration], number: int, way: str, path: str, text: str) -> list[Found]:
    """Read one file into the migration it belongs to. Returns what is wrong with it."""
    known = migrations.setdefault(number, Migration(number, path))
    sections = [(way, 1, text)] if way else split(text)
    if not sections:
        return [Found("has neither -- up nor -- down", path, 1, "sections", "HIGH")]
    for name, line, sql in sections:
        if getattr(known, f"{name}_at")[0]:
            other = getattr(known, f"{name}_at")[0]
            return [Found(f"there is a second {name} of migration {number} ({other})", path, line, "number", "HIGH")]
        setattr(known, name, sql)
        setattr(known, f"{name}_at", (path, line))
    return []


def split(text: str) -> list[tuple[str, int, str]]:
    """The ``-- up`` and ``-- down`` sections with the lines on which they begin."""
    marks = list(_SECTION.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)][: len(marks)]
    return [
        (mark[1].lower(), text.count("\n", 0, mark.start()) + 1, text[mark.end() : end])
        for mark, end in zip(marks, ends, strict=True)
    ]


def run(migrations: Sequence[Migration], database: str) -> list[Found]:
    """Apply and take back. Stops at the first one that goes wrong: what follows stands on it."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = OFF")  # a trial need not outlive a power cut
        connection.set_authorizer(_authorised)
        states = [schema(connection)]
        for migration in migrations:
            for way in ("up", "down", "up"):
                if wrong := _apply(connection, migration, way):
                    return [wrong]
                if way == "down" and (wrong := _same(states[-1], schema(connection), migration)):
                    return [wrong]
            states.append(schema(connection))
        for migration, before in zip(reversed(migrations), reversed(states[:-1]), strict=True):
            if wrong := _apply(connection, migration, "down") or _same(before, schema(connection), migration):
                return [wrong]
    return []


def schema(connection: sqlite3.Connection) -> Schema:
    """Everything the database has, in an order of its own: kind, name and SQL with blanks made equal."""
    rows = connection.execute(
        "SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    )
    return sorted((str(kind), str(name), " ".join(str(sql).split())) for kind, name, sql in rows)


def _apply(connection: sqlite3.Connection, migration: Migration, way: str) -> Found | None:
    path, line = migration.up_at if way == "up" else migration.down_at
    try:
        connection.executescript(migration.up if way == "up" else migration.down)
        if connection.in_transaction:
            connection.execute("ROLLBACK")
            return Found(f"{way} leaves a transaction open", path, line, way, "HIGH")
    except (sqlite3.Error, sqlite3.Warning) as error:
        return Found(f"{way} failed: {error}", path, line, way, "HIGH")
    return None


def _same(before: Schema, after: Schema, migration: Migration) -> Found | None:
    path, line = migration.down_at
    left = [f"{kind} {name} is left" for kind, name, _ in after if not any((kind, name) == one[:2] for one in before)]
    gone = [f"{kind} {name} is gone" for kind, name, _ in before if not any((kind, name) == one[:2] for one in after)]
    other = [f"{a[0]} {a[1]} is not as before" for a in before for b in after if a[:2] == b[:2] and a[2] != b[2]]
    said = "; ".join([*left, *gone, *other][:5])
    return Found(f"down does not take up back: {said}", path, line, "down", "HIGH") if said else None


def _authorised(action: int, *_: object) -> int:
    """A migration works on its own database, and on no other file."""
    return sqlite3.SQLITE_DENY if action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH) else sqlite3.SQLITE_OK
