"""A real run with a critic: the loop, the papers beside it, the messages, and where each file comes from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import repos
from tests.support.cli import swarm

from swarm_core.client import SwarmClient
from swarm_core.documents import error_report, open_questions, worklist
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView

pytestmark = pytest.mark.timeout(180)
CONFIG = """\
adapter: scripted
script: scripts
services:
  backend:
    directories: ["backend"]
  frontend:
    directories: ["frontend"]
  code-critic:
    access_level: global_read
    directories: ["/"]
critics: {backend: code-critic}
checks:
  - {name: tests, command: "test ! -e frontend/broken"}
"""


def call(tool: str, **args: Any) -> dict[str, Any]:
    return {"tool": tool, "args": args}


def turns(*calls: dict[str, Any], **when: Any) -> list[dict[str, Any]]:
    return [{"when": when, "do": [each]} for each in calls]


NIT = {"title": "No limit", "severity": "HIGH", "location": "backend/a.py:1", "issue": "## Endless", "fix": "Bound it"}
PAGE = {"title": "Wrong label", "severity": "HIGH", "location": "frontend/page.html:1", "issue": "Says Hwllo"}
SCRIPTS: dict[str, list[dict[str, Any]]] = {
    "architect": turns(
        call(
            "plan_tasks",
            tasks=[{"key": "a", "title": "Write it", "description": "All.", "assigned_to": "backend"}],
        ),
        task="task_000",
    ),
    "backend": [
        *turns(
            call("question", question="Which limit?", default="10", risk_if_wrong="slow"),
            call("update_status", section="AC-001", state="done"),
            call("Write", file_path="backend/a.py", content="while True: pass\n"),
            call("handoff", what_i_did="wrote it, all tests pass"),
            task="task_001",
            iteration=1,
        ),
        *turns(
            call("Write", file_path="backend/a.py", content="for _ in range(10): pass\n"),
            call("handoff", what_i_did="bounded it"),
            task="task_001",
            iteration=2,
        ),
    ],
    "code-critic": [
        *turns(call("finding", **NIT), call("finding", **PAGE), call("handoff", what_i_did="read"), task="task_002"),
        *turns(call("handoff", what_i_did="nothing left"), task="task_0*"),
    ],
    "frontend": turns(
        call("Write", file_path="frontend/page.html", content="Hello\n"),
        call("handoff", what_i_did="Says Hello"),
        task="task_0*",
    ),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, shared: the tests only look at it, or at a copy."""
    root = tmp_path_factory.mktemp("findings") / "small"
    repos.small(root)
    repos.write(root, "multi-agent.yaml", CONFIG)
    for name, script in SCRIPTS.items():
        repos.write(root, f"scripts/{name}.yaml", yaml.safe_dump(script))
    done = swarm("run", "Do it", "--headless", "--yes", "--speed", "0", cwd=root)
    swarm("stop", cwd=root)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    return root


def events(root: Path) -> list[Event]:
    client = SwarmClient(root)
    run = client.latest()
    assert run is not None
    return client.reader(run).poll(max_bytes=1 << 24)


def test_the_author_works_until_the_critic_finds_nothing_and_then_comes_the_gate(root: Path) -> None:
    told = events(root)
    view = RunView.of(told)
    finding = next(one for one in view.findings.values() if one.title == "No limit")
    assert (finding.status, finding.resolution, finding.category) == ("closed", "verified", "critique")
    commits = [str(e.data["commit"]) for e in told if e.kind == "commit.created" and e.task == "task_001"]
    assert finding.commit == commits[-1] != commits[0]
    assert view.tasks["task_001"].iteration == 2
    assert repos.git(root, "show", "HEAD:backend/a.py") == "for _ in range(10): pass"
    first_gate = next(e.seq for e in told if e.kind == "gate.opened" and e.task == "task_001")
    assert first_gate > next(e.seq for e in told if e.kind == "finding.closed")


def test_what_lies_elsewhere_goes_to_its_owner_and_is_closed_with_the_commit_of_the_merge(root: Path) -> None:
    told = events(root)
    view = RunView.of(told)
    finding = next(one for one in view.findings.values() if one.title == "Wrong label")
    assert (finding.category, finding.owner, view.tasks[finding.task].assigned_to) == ("", "frontend", "frontend")
    assert (finding.status, finding.resolution) == ("closed", "verified")
    assert repos.git(root, "cat-file", "-t", finding.commit) == "commit"
    assert finding.commit == view.merges[finding.task].merged_as
    closed = next(e for e in told if e.kind == "finding.closed" and e.data["finding"] == finding.id)
    assert view.instances[closed.actor].service == "code-critic"


def test_the_papers_say_what_the_journal_says(root: Path) -> None:
    view, run = RunView.of(events(root)), SwarmClient(root).latest()
    directory = root / ".runs" / str(run)
    assert worklist.parse((directory / "build/code_critique.md").read_text()) == worklist.worklist(view)
    report = error_report.parse((directory / "error-reports.md").read_text())
    assert report.issues == error_report.report(view).issues
    assert any("in commit" in issue.status for issue in report.issues)
    (question,) = open_questions.parse((directory / "open_questions.md").read_text())
    assert (question.id, question.status, question.default) == ("OQ-BUILD-001", "DEFAULTED", "10")
    assert json.loads((directory / "build/ac_status.json").read_text())["acs"]["AC-001"]["impl_status"] == "done"


def test_a_message_points_to_what_it_is_about_and_nobody_needs_it(root: Path, tmp_path: Path) -> None:
    files = list((root / ".multi-agent/messages/backend").glob("*.json"))
    told = [json.loads(file.read_text()) for file in sorted(files)]
    assignment = next(one for one in told if one["kind"] == "task_assignment")
    assert assignment["task"]["id"] == "task_001"
    assert set(assignment["task"]) >= {"id", "title", "status", "assigned_to", "created_by", "dependencies", "priority"}
    assert {"notify", "operator_note"} <= {one["kind"] for one in told}
    by_seq = {event.seq for event in events(root)}
    assert all(
        one["event_seq"] in by_seq and one["id"] == file.stem for one, file in zip(told, sorted(files), strict=True)
    )

    copy = tmp_path / "small"
    shutil.copytree(root, copy, symlinks=True)
    shutil.rmtree(copy / ".multi-agent" / "messages")
    assert swarm("replay", "--check", cwd=copy).returncode == 0
    assert swarm("findings", "--all", cwd=copy).stdout == swarm("findings", "--all", cwd=root).stdout


def test_an_edited_receipt_is_found_with_the_place(root: Path, tmp_path: Path) -> None:
    good = swarm("replay", "--check", cwd=root)
    assert good.returncode == 0, good.stdout
    assert "build_receipt.json is what was sealed" in good.stdout
    copy = tmp_path / "small"
    shutil.copytree(root, copy, symlinks=True)
    path = next((copy / ".runs").glob("*/build/build_receipt.json"))
    body = json.loads(path.read_text())
    body["counts"]["tasks"]["done"] += 1
    path.write_text(json.dumps(body, indent=2) + "\n")

    found = swarm("replay", "--check", cwd=copy)
    assert found.returncode == 1
    assert "receipt.mismatch" in found.stdout
    assert "counts.tasks.done" in found.stdout
    assert "receipt.mismatch" in swarm("doctor", cwd=copy).stdout


def test_the_lineage_of_a_file_is_told_from_the_journal_alone(root: Path) -> None:
    told = swarm("trace", "backend/a.py", cwd=root)
    assert told.returncode == 0, told.stderr
    assert "backend-1 in task_001" in told.stdout
    assert "merged as" in told.stdout
    assert "approve by operator · evidence " in told.stdout
    assert "✓ tests · checks/tests-" in told.stdout
    assert "closed (verified) · No limit · backend/a.py:1" in told.stdout
    assert "Wrong label" not in told.stdout
    assert swarm("trace", "a.py", cwd=root / "backend").stdout == told.stdout
    lost = swarm("trace", "backend/never.py", cwd=root)
    assert (lost.returncode, "nobody wrote" in lost.stderr) == (2, True)
    assert swarm("lineage", "backend/a.py", cwd=root).returncode == 2


def test_findings_and_questions_are_listed_and_shown(root: Path) -> None:
    assert "No limit" in swarm("findings", "--all", cwd=root).stdout
    found = json.loads(swarm("findings", "--json", cwd=root).stdout)
    shown = swarm("finding", "show", found[0]["id"], cwd=root)
    assert found[0]["title"] in shown.stdout
    assert "OQ-BUILD-001" in swarm("questions", cwd=root).stdout
    assert swarm("finding", "show", "W-9", cwd=root).returncode == 2
