"""Gates as a person meets them: checks decide, a migration waits for a person, phases are sealed in order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.cli import git, swarm, wait_until

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

pytestmark = pytest.mark.timeout(180)

CONFIGURATION = """\
version: 1
adapter: scripted
checks:
  - {name: tests, command: "true"}
services:
  backend: {directories: [src/backend]}
  database: {directories: [migrations]}
gates:
  profile: autonomous
  migrations: ["migrations/**"]
  reviewers: {merge: [architect, operator]}
  phases:
    - {key: one, gate: G1, checks: [tasks-done, tests]}
"""


@pytest.fixture
def client(tmp_path: Path) -> SwarmClient:
    root = tmp_path / "repo"
    (root / "src" / "backend").mkdir(parents=True)
    (root / "multi-agent.yaml").write_text(CONFIGURATION)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "begin")
    return SwarmClient(root)


def test_checks_decide_and_a_migration_waits_for_a_person(client: SwarmClient) -> None:
    client.ensure_engine()
    item = client.start_run("Build it", {"speed": 0})
    answer = wait_until("the engine's answer", lambda: client.answer(item))
    assert answer.result == "applied", answer.reason
    run = answer.run
    try:

        def waiting() -> list[Gate]:
            return client.view(run).open_gates

        (gate,) = wait_until("the migration's gate", waiting)
        assert (gate.place, gate.aspects) == ("merge", ("migration",))
        assert gate.holds == ("a migration is yours to decide: it changes migrations/REHEARSAL-database.md",)
        document = client.document(run, gate).decode()
        assert document.startswith("Reviewed by architect: approve")

        wait_until("the other merge", lambda: client.view(run).tasks["task_001"].status == "done")
        ruled = [g for g in client.view(run).gates.values() if g.by == "rule"]
        assert {g.place for g in ruled} == {"plan", "merge"}
        assert all(g.has_clean_evidence for g in ruled)

        late = swarm("decide", gate.id, "later", "--until", "task_001", cwd=client.layout.root)
        assert (late.returncode, late.stdout) == (0, f"{gate.id}: defer accepted\n"), late.stderr
        none = swarm("decide", gate.id, "perhaps", cwd=client.layout.root)
        assert (none.returncode, "is no verdict" in none.stderr) == (2, True)
        silent = swarm("decide", gate.id, "request_changes", cwd=client.layout.root)
        assert (silent.returncode, "needs a reason" in silent.stderr) == (8, True)
        forced = swarm("decide", gate.id, "force-pr", "--note", "read by hand", cwd=client.layout.root)
        assert forced.returncode == 0, forced.stderr

        (landing,) = wait_until("the landing, because something was forced", waiting)
        assert landing.holds == (f"forced before: {gate.id}",)
        view = client.view(run)
        phase = view.latest_gate("phase", "one")
        assert phase is not None
        assert (phase.status, phase.by) == ("passed", "rule")
        assert [check.name for check in phase.checks] == ["tests", "tasks-done"]
        receipt = json.loads((client.layout.run(run).dir / view.phases["one"].receipt).read_text())
        assert receipt["counts"]["merges"] == 2
        assert swarm("approve", landing.id, cwd=client.layout.root).returncode == 0
        wait_until("the end", lambda: client.view(run).is_over)
        assert (client.view(run).run.landed, client.view(run).run.outcome) == (True, "with_issues")
    finally:
        client.send(InboxItem(ulid(), "engine.stop"))
        wait_until("the engine's end", lambda: not client.engine().is_alive)
