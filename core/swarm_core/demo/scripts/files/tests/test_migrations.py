"""Do the migrations build what ``database/schema.sql`` promises, and can they be undone?"""

from __future__ import annotations

import sqlite3
import unittest
from pathlib import Path

from database import migrate, seed

SCHEMA = Path(migrate.__file__).parent / "schema.sql"


def shape(db: sqlite3.Connection) -> dict[str, str]:
    """The SQL of every table and index except the migrations' own, whatever the blanks in it."""
    rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'schema_migrations'")
    return {name: "".join(sql.split()) for name, sql in rows}


class Migrations(unittest.TestCase):
    def setUp(self) -> None:
        self.db = migrate.connect(":memory:")
        self.addCleanup(self.db.close)

    def test_all_migrations_together_are_the_schema(self) -> None:
        migrate.up(self.db)
        promised = sqlite3.connect(":memory:")
        self.addCleanup(promised.close)
        promised.executescript(SCHEMA.read_text(encoding="utf-8"))
        self.assertEqual(shape(self.db), shape(promised))

    def test_up_a_second_time_does_nothing(self) -> None:
        self.assertEqual(migrate.up(self.db), [migration.name for migration in migrate.load()])
        self.assertEqual(migrate.up(self.db), [])

    def test_down_leaves_nothing_behind(self) -> None:
        migrate.up(self.db)
        seed.load(self.db)
        self.assertEqual(migrate.down(self.db), [migration.name for migration in reversed(migrate.load())])
        self.assertEqual(shape(self.db), {})

    def test_down_stops_where_it_is_told_to(self) -> None:
        migrate.up(self.db)
        migrate.down(self.db, to=1)
        self.assertEqual(migrate.version(self.db), 1)
        self.assertNotIn("service_events", shape(self.db))

    def test_a_migration_that_fails_changes_nothing(self) -> None:
        broken = migrate.Migration(1, "001_broken", "CREATE TABLE half (id INTEGER);\nCREATE TABLE half (id TEXT);", "")
        with self.assertRaises(sqlite3.OperationalError):
            migrate.up(self.db, [broken])
        self.assertEqual((shape(self.db), migrate.version(self.db)), ({}, 0))
