"""Take a database up to the newest migration, or back down.

    python3 -m database.migrate up     ecoroute.db
    python3 -m database.migrate down   ecoroute.db --to 1
    python3 -m database.migrate status ecoroute.db

A migration is one file in ``migrations/``, ``NNN_name.sql``, with an ``-- up`` and a ``-- down`` part.
Each part runs in one transaction together with the note that it ran.
"""

from __future__ import annotations

import argparse
import sqlite3
from pathlib import Path
from typing import NamedTuple

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


class Migration(NamedTuple):
    number: int
    name: str
    up: str
    down: str


def load(directory: Path = MIGRATIONS) -> list[Migration]:
    """All migrations in their order. Raises ValueError for a file without both parts."""
    found = []
    for path in sorted(directory.glob("[0-9][0-9][0-9]_*.sql")):
        text = path.read_text(encoding="utf-8")
        head, up_mark, rest = text.partition("-- up\n")
        up, down_mark, down = rest.partition("-- down\n")
        if not (up_mark and down_mark):
            raise ValueError(f"{path.name} needs an '-- up' and a '-- down' part")
        found.append(Migration(int(path.name[:3]), path.stem, up.strip(), down.strip()))
    return found


def connect(path: str | Path) -> sqlite3.Connection:
    """A connection with foreign keys on and rows that know their column names."""
    connection = sqlite3.connect(str(path), timeout=5)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def version(connection: sqlite3.Connection) -> int:
    """The number of the newest applied migration, 0 for an empty database."""
    connection.execute("CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    return connection.execute("SELECT coalesce(max(number), 0) FROM schema_migrations").fetchone()[0]


def up(connection: sqlite3.Connection, migrations: list[Migration] | None = None) -> list[str]:
    """Apply what is missing; returns the names of what was applied."""
    present = version(connection)
    missing = [m for m in (migrations or load()) if m.number > present]
    for migration in missing:
        note = f"INSERT INTO schema_migrations VALUES ({migration.number}, '{migration.name}');"
        _in_one_transaction(connection, f"{migration.up}\n{note}")
    return [m.name for m in missing]


def down(connection: sqlite3.Connection, to: int = 0, migrations: list[Migration] | None = None) -> list[str]:
    """Undo everything above migration ``to``, newest first; returns the names of what was undone."""
    present = version(connection)
    undone = [m for m in reversed(migrations or load()) if to < m.number <= present]
    for migration in undone:
        note = f"DELETE FROM schema_migrations WHERE number = {migration.number};"
        _in_one_transaction(connection, f"{migration.down}\n{note}")
    return [m.name for m in undone]


def _in_one_transaction(connection: sqlite3.Connection, script: str) -> None:
    try:
        connection.executescript(f"BEGIN;\n{script}\nCOMMIT;")
    except sqlite3.Error:
        connection.rollback()
        raise


def main() -> None:
    parser = argparse.ArgumentParser(prog="database.migrate", description="Apply or undo migrations.")
    parser.add_argument("action", choices=("up", "down", "status"))
    parser.add_argument("database")
    parser.add_argument("--to", type=int, default=0, help="down: the migration to stay at")
    options = parser.parse_args()
    connection = connect(options.database)
    if options.action == "status":
        print(f"at migration {version(connection)} of {load()[-1].number}")
        return
    names = up(connection) if options.action == "up" else down(connection, options.to)
    for name in names:
        print(f"{options.action:>4}  {name}")
    print(f"at migration {version(connection)}")


if __name__ == "__main__":
    main()
