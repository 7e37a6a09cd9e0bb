"""The seed's ``phone_number``: a contract knows a column that the schema lacks. Found, migrated, proven, closed.

The migration really runs up and down on sqlite, as the check that stands before the operator's gate.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import repos
from tests.support.cli import swarm

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView

pytestmark = pytest.mark.timeout(180)
CONFIG = """\
adapter: scripted
script: scripts
services:
  database:
    directories: ["database", "migrations"]
  backend:
    directories: ["backend"]
  reviewer:
    access_level: global_read
    directories: ["/"]
checks:
  - {name: migration-up-down, command: "python3 updown.py"}
"""
SCHEMA = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\n"
CONTRACT = "Customer: {id: integer, name: string, phone_number: string}\n"
UPDOWN = """\
import pathlib, sqlite3

def columns(base):
    return [row[1] for row in base.execute("PRAGMA table_info(customers)")]

base = sqlite3.connect(":memory:")
base.executescript(pathlib.Path("database/schema.sql").read_text())
before = columns(base)
for up in sorted(pathlib.Path("migrations").glob("*.up.sql")):
    base.executescript(up.read_text())
    assert columns(base) != before, "up changes nothing"
    base.executescript(up.with_name(up.name.replace(".up.", ".down.")).read_text())
    assert columns(base) == before, "down does not undo up"
    base.executescript(up.read_text())
print("columns:", columns(base))
"""
UP = "ALTER TABLE customers ADD COLUMN phone_number TEXT;\n"
DOWN = "ALTER TABLE customers DROP COLUMN phone_number;\n"
FOUND = {
    "title": "phone_number is not in the schema",
    "severity": "HIGH",
    "location": "database/schema.sql:1",
    "issue": "backend/contract.yml has Customer.phone_number, the table customers has no such column.",
    "fix": "Add migrations/002_add_phone_number, up and down.",
    "verification": "check:migration-up-down",
}


def call(tool: str, **args: Any) -> dict[str, Any]:
    return {"tool": tool, "args": args}


def turns(task: str, *calls: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"when": {"task": task}, "do": [each]} for each in calls]


SCRIPTS = {
    "architect": [
        *turns(
            "task_000",
            call(
                "plan_tasks",
                tasks=[
                    {"key": "c", "title": "Contract", "description": "Write it", "assigned_to": "backend"},
                    {
                        "key": "r",
                        "title": "Compare contract and schema",
                        "description": "Look",
                        "assigned_to": "reviewer",
                        "dependencies": ["c"],
                    },
                ],
            ),
        ),
        *turns("task_0*", call("change_plan")),
    ],
    "backend": turns(
        "task_001",
        call("Write", file_path="backend/contract.yml", content=CONTRACT),
        call("handoff", what_i_did="Wrote the contract"),
    ),
    "reviewer": [
        *turns(
            "task_002",
            call("Read", file_path="backend/contract.yml"),
            call("Read", file_path="database/schema.sql"),
            call("finding", **FOUND),
            call("ask_architect", question="Is the contract right, or the schema?", default="the contract is"),
            call("handoff", what_i_did="Compared them"),
        ),
        *turns("task_0*", call("Glob", pattern="migrations/*"), call("handoff", what_i_did="It is there now")),
    ],
    "database": turns(
        "task_0*",
        call("Write", file_path="migrations/002_add_phone_number.up.sql", content=UP),
        call("Write", file_path="migrations/002_add_phone_number.down.sql", content=DOWN),
        call("handoff", what_i_did="Added the migration, up and down"),
    ),
}


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "eco"
    repos.small(root)
    for name, text in (("multi-agent.yaml", CONFIG), ("updown.py", UPDOWN), ("database/schema.sql", SCHEMA)):
        repos.write(root, name, text)
    repos.git(root, "add", "updown.py", "database")
    repos.git(root, "commit", "-qm", "schema")
    for name, script in SCRIPTS.items():
        repos.write(root, f"scripts/{name}.yaml", yaml.safe_dump(script))
    yield root
    swarm("stop", cwd=root)


def test_an_inconsistency_is_migrated_behind_a_gate_and_closed_with_the_real_commit(root: Path) -> None:
    done = swarm("run", "Customers with phones", "--headless", "--yes", "--speed", "0", cwd=root)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    client = SwarmClient(root)
    run = client.latest()
    assert run is not None
    events: list[Event] = client.reader(run).poll(max_bytes=1 << 24)
    view = RunView.of(events)

    (finding,) = view.findings.values()
    assert (finding.owner, finding.status, finding.resolution) == ("database", "closed", "verified")
    assert any(event.kind == "tasks.requested" for event in events)  # the clarification
    gate = view.latest_gate("merge", finding.task)
    assert gate is not None
    assert (gate.verdict, gate.status) == ("approve", "passed")
    assert [(check.name, check.has_passed) for check in gate.checks] == [("migration-up-down", True)]
    assert finding.commit == view.merges[finding.task].merged_as
    assert "002_add_phone_number.up.sql" in repos.git(root, "show", "--stat=200", "-m", finding.commit)
    report = (root / ".runs" / run / "error-reports.md").read_text()
    assert f"Auto-fixed in commit {finding.commit}" in report

    base = sqlite3.connect(":memory:")
    base.executescript((root / "database/schema.sql").read_text())
    base.executescript((root / "migrations/002_add_phone_number.up.sql").read_text())
    assert "phone_number" in [row[1] for row in base.execute("PRAGMA table_info(customers)")]
    base.close()
    told = swarm("trace", "migrations/002_add_phone_number.up.sql", cwd=root).stdout
    assert "Fix W-002-1" in told
    assert "because of finding W-002-1\n" in told
    assert "✓ migration-up-down · checks/migration-up-down-" in told
