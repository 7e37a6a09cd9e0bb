"""SQL for sqlite is judged by running it: without a library, with the place of what fails, with no way to a file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.support.artifacts import judged, kind, told

from swarm_core.artifacts.validate import examine

SCHEMA = """\
-- customers; and a table t (never) that is only told of
CREATE TABLE "Customers" (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL DEFAULT 'CREATE TABLE u (x);'
);
PRAGMA foreign_keys = ON;
CREATE TRIGGER watch AFTER INSERT ON Customers BEGIN SELECT 1; SELECT 2; END;
CREATE TABLE gone (id INTEGER);
ALTER TABLE Customers ADD COLUMN phone_number TEXT;
DROP TABLE gone;
"""


def test_tables_are_what_the_statements_leave_each_at_its_place() -> None:
    judgement, document = examine(kind("sql", dialect="sqlite"), SCHEMA.encode())

    assert told(judgement.faults) == []
    assert document is not None
    assert {name: (table.at, table.columns) for name, table in document.tables.items()} == {
        "customers": ((2, 15), {"id": (3, 5), "name": (4, 5), "phone_number": (9, 34)})
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("CREATE TABLE a (id INTEGER);\n\n  CREATE TABEL b (id);\n", '3:3: is not SQL that sqlite runs: near "TABEL"'),
        ("CREATE TABLE a (id INTEGER);\nCREATE TABLE a (x);\n", "2:1: is not SQL that sqlite runs: table a already"),
        ("CREATE TABLE a (id INTEGER)\n", ""),
        ("CREATE TABLE a (id TEXT DEFAULT 'x);\n", "1:1: is not SQL that sqlite runs"),
        ("-- nothing\n", "1:1: holds no statement"),
        (";;\n", "1:1: holds no statement"),
        ("ATTACH 'other.db' AS o;\n", "1:1: is not SQL that sqlite runs: not authorized"),
        ("PRAGMA temp_store_directory = '/tmp';\n", "1:1: is not SQL that sqlite runs: not authorized"),
        ("CREATE VIRTUAL TABLE v USING fts5(x);\n", "1:1: is not SQL that sqlite runs: not authorized"),
    ],
)
def test_what_sqlite_refuses_is_a_fault_at_its_statement(content: str, expected: str) -> None:
    faults = told(judged(content, "sql", dialect="sqlite").faults)

    assert (faults == []) if not expected else (len(faults) == 1 and expected in faults[0]), faults


def test_no_statement_writes_a_file(tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    text = f"CREATE TABLE a (id INTEGER);\nVACUUM INTO '{target}';\n"

    assert not judged(text, "sql", dialect="sqlite").is_valid
    assert not target.exists()


def test_it_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)

    assert judged(SCHEMA, "sql", dialect="sqlite", required_tables=("customers",)).status == "valid"
    missing = judged(SCHEMA, "sql", dialect="sqlite", required_tables=("bins",))
    assert "10:1: the table 'bins' is missing; there are: customers" in told(missing.faults)[0]
