"""The seed's ``phone_number``: the API promises a column that the schema lacks. Found, asked about, migrated, closed.

Nobody is told to look: the artifacts are compared as the second one is merged, the error agent raises what does not
agree, the decision matrix asks the architect, the migration waits for a person although everything else is left to the
checks, and the finding is closed by the next comparison, with the commit that mended it. Killed, it ends alike.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import repos
from tests.support.artifacts import needs_validators
from tests.support.cli import kill_engine, swarm, wait_until

from swarm_core.client import SwarmClient
from swarm_core.documents import error_report, recovery_actions
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView

pytestmark = pytest.mark.timeout(240)
CONFIG = """\
adapter: scripted
script: scripts
artifacts: strict
services:
  backend: {directories: ["backend"]}
  database: {directories: ["database", "migrations"]}
checks:
  - {name: tests, command: "true"}
  - {name: migrations, kind: migration_up_down}
gates:
  profile: autonomous
  migrations: ["migrations/**"]
"""
REGISTRY = """\
artifact_types:
  database_schema: {producer: database-architect, consumers: ALL, format: sql, path: artifacts/database-schema.sql}
  api_contracts: {producer: backend-agent, consumers: ALL, format: openapi, path: artifacts/api-contracts.yml}
"""
SCHEMA = "CREATE TABLE customers (\n  id INTEGER PRIMARY KEY,\n  name TEXT NOT NULL\n);\n"
WIDER = SCHEMA.replace("NOT NULL\n", "NOT NULL,\n  phone_number TEXT\n")
CONTRACT = """\
openapi: 3.0.0
info: {title: Customers, version: "1"}
paths: {}
components:
  schemas:
    Customer:
      type: object
      properties:
        id: {type: integer}
        name: {type: string}
        phone_number: {type: string}
"""
FIRST = f"-- up\n{SCHEMA}-- down\nDROP TABLE customers;\n"
UP = "ALTER TABLE customers ADD COLUMN phone_number TEXT;\n"
MIGRATION = f"-- up\n{UP}-- down\nALTER TABLE customers DROP COLUMN phone_number;\n"
MIGRATED = "migrations/002_phone_number.sql"


def call(tool: str, **args: Any) -> dict[str, Any]:
    return {"tool": tool, "args": args}


def turns(task: str, *calls: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"when": {"task": task}, "do": [each]} for each in calls]


def write(path: str, content: str) -> dict[str, Any]:
    return call("Write", file_path=path, content=content)


def planned(key: str, title: str, service: str) -> dict[str, Any]:
    return {"key": key, "title": title, "description": title, "assigned_to": service}


SCRIPTS = {
    "architect": [
        *turns("Plan*", call("plan_tasks", tasks=[planned("contract", "Contract", "backend")])),
        *turns("Clarify*", call("change_plan", tasks=[planned("column", "Migrate the phone number", "database")])),
    ],
    "backend": turns(
        "Contract", write("artifacts/api-contracts.yml", CONTRACT), call("handoff", what_i_did="Wrote the contract")
    ),
    "database": turns(
        "Migrate*",
        write(MIGRATED, MIGRATION),
        write("artifacts/database-schema.sql", WIDER),
        call("handoff", what_i_did="Added the column, up and down"),
    ),
}


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    needs_validators()
    root = tmp_path / "eco"
    repos.small(root)
    files = {
        "multi-agent.yaml": CONFIG,
        ".agent-artifacts/registry.yml": REGISTRY,
        "artifacts/database-schema.sql": SCHEMA,
        "migrations/001_customers.sql": FIRST,
        **{f"scripts/{name}.yaml": yaml.safe_dump(script) for name, script in SCRIPTS.items()},
    }
    for name, text in files.items():
        repos.write(root, name, text)
    repos.commit_all(root, "customers without phones")
    yield root
    swarm("stop", cwd=root)


class Played:
    """The run to its end. The operator says yes to what waits, and kills the engine as each moment is seen."""

    def __init__(self, root: Path, kill_at: str = "") -> None:
        self.root, self.client = root, SwarmClient(root)
        self.client.ensure_engine()
        item = self.client.start_run("Customers with phones", {"speed": 0})
        answer = wait_until("the engine's answer", lambda: self.client.answer(item))
        assert answer.result == "applied", answer.reason
        self.run, self.kill_at, self.opened = answer.run, kill_at, list[Gate]()
        self.events: list[Event] = []
        self.reader = self.client.reader(self.run)
        self.view = wait_until("the end of the run", self._look, timeout_s=150)
        self.events += self.reader.poll(max_bytes=1 << 24)
        assert not self.kill_at, "it was never killed"

    def _look(self) -> RunView | None:
        self.events += self.reader.poll(max_bytes=1 << 24)
        if self.kill_at and self.is_at(self.kill_at):
            self.kill_at = ""
            kill_engine(self.client)
        if not self.client.engine().is_alive:
            self.client.ensure_engine()
        view = self.client.view(self.run)
        for gate in view.open_gates:
            if (gate.id, gate.evidence) not in [(one.id, one.evidence) for one in self.opened]:
                self.opened.append(gate)
                self.client.decide(self.run, gate.id, "approve", "", gate.evidence)
        return view if view.is_over else None

    def is_at(self, moment: str) -> bool:
        kind, _, task = moment.partition(" ")
        return any(event.kind == kind and (not task or event.task == task) for event in self.events)

    def count(self, kind: str) -> int:
        return sum(event.kind == kind for event in self.events)


@pytest.mark.parametrize(
    ("kill_at", "crash"),
    [
        ("", ""),
        ("finding.opened", ""),
        ("gate.opened task_003", ""),
        ("", "after_merge_before_record:2"),
        ("merge.completed task_003", ""),
    ],
    ids=["calm", "killed-when-found", "killed-at-the-gate", "killed-in-the-merge", "killed-after-the-merge"],
)
def test_what_does_not_agree_is_migrated_behind_a_gate_and_closed_with_the_real_commit(
    root: Path, kill_at: str, crash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if crash:
        monkeypatch.setenv("SWARM_CRASH_AT", crash)
    play = Played(root, kill_at)
    view = play.view

    # found by itself, with the place, once
    (finding,) = view.findings.values()
    assert (finding.raised_by, finding.category, finding.severity) == ("error-agent", "inconsistency", "HIGH")
    assert finding.location == "artifacts/api-contracts.yml:11"
    assert "artifacts/database-schema.sql:1" in finding.issue
    assert "'phone_number'" in finding.title
    # asked about by the rule, once, and answered with one task
    (firing,) = view.firings.values()
    assert (firing.rule, firing.fact.key) == ("error_agent.if_inconsistency_detected", f"finding:{finding.id}")
    clarified = view.tasks["task_002"]
    assert clarified.title.startswith("Clarify: ")
    assert (clarified.assigned_to, clarified.created_by) == ("architect", "matrix")
    assert list(view.tasks) == ["task_000", "task_001", "task_002", "task_003"], "nobody works on it twice"
    assert [(e.data["finding"], e.data["task"]) for e in play.events if e.kind == "finding.fix_started"] == [
        (finding.id, "task_003")
    ]
    # the migration is the operator's, and nothing else is; both ways really ran
    assert {gate.id for gate in play.opened} == {gate.id for gate in view.gates.values() if gate.by != "rule"}
    assert [(gate.place, gate.task, gate.aspects) for gate in play.opened[-1:]] == [
        ("merge", "task_003", ("migration",))
    ]
    gate = view.latest_gate("merge", "task_003")
    assert gate is not None
    assert ("migrations", True) in [(check.name, check.has_passed) for check in gate.checks]
    document = play.client.document(play.run, gate).decode()
    assert "✓ migrations" in document
    assert "2 migrations, up and down" in document
    # closed by the next comparison, with the commit of the merge, which is on the line and has landed
    merged = view.merges["task_003"].merged_as
    assert (finding.status, finding.resolution, finding.commit) == ("closed", "verified", merged)
    assert view.run.integration == repos.git(root, "rev-parse", "HEAD")
    repos.git(root, "merge-base", "--is-ancestor", merged, "HEAD")
    assert MIGRATED in repos.git(root, "show", "--stat=200", "-m", "--first-parent", merged)
    assert (view.run.landed, view.run.outcome) == (True, "clean")
    assert firing.settled
    assert [play.count(kind) for kind in ("finding.opened", "rule.fired", "finding.closed", "finding.fixed")] == [1] * 4
    assert [event.task for event in play.events if event.kind == "merge.completed"] == ["task_001", "task_003"]
    _is_in_the_papers(play, finding.id, merged)
    _is_told(play, finding.id, merged)
    assert migrated(root) == ["id", "name", "phone_number"]


def _is_in_the_papers(play: Played, finding: str, merged: str) -> None:
    """They follow the journal with a short delay."""
    directory = play.root / ".runs" / play.run

    def issues() -> tuple[error_report.Issue, ...]:
        return error_report.parse((directory / "error-reports.md").read_text()).issues

    status = f"Auto-fixed in commit {merged}"
    wait_until("the report of what became of it", lambda: [one.status for one in issues()] == [status])
    assert [one.id for one in issues()] == [finding]
    (action,) = recovery_actions.parse((directory / "recovery-actions.yml").read_text())
    assert (action.kind, action.task, action.status, action.commit) == ("fix", "task_003", "closed", merged)


def _is_told(play: Played, finding: str, merged: str) -> None:
    told = swarm("findings", "--all", cwd=play.root).stdout
    assert finding in told
    assert f"commit {merged[:12]}" in told
    decisions = swarm("decisions", cwd=play.root).stdout
    assert "if_inconsistency_detected" in decisions
    assert "task_002 (architect)" in decisions
    lineage = swarm("trace", MIGRATED, cwd=play.root).stdout
    assert "task_003" in lineage
    assert merged[:8] in lineage
    assert json.loads(swarm("decisions", "--json", cwd=play.root).stdout)["firings"][0]["settled"]
    assert swarm("replay", "--check", cwd=play.root).returncode == 0


def migrated(root: Path) -> list[str]:
    """The columns of customers after what is on the operator's branch ran on a database of our own."""
    base = sqlite3.connect(":memory:")
    for path in sorted((root / "migrations").glob("*.sql")):
        base.executescript(path.read_text().partition("-- down")[0])
    columns = [row[1] for row in base.execute("PRAGMA table_info(customers)")]
    base.close()
    return columns
