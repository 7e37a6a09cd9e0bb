"""The demonstration as a newcomer runs it: no key, no network, no terminal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.cli import background, git, swarm, wait_until

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.layout import RepoLayout

pytestmark = pytest.mark.timeout(180)
CONTRACT = "artifacts/api-contracts.yml"
LATER = {"architect-1", "architect-2", "database-2"}
WORKERS = {"database-1", "backend-1", "frontend-1", "testing-1"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which the demonstration has run to its end."""
    home = tmp_path_factory.mktemp("demo-home")
    directory = tmp_path_factory.mktemp("demo") / "eco route"  # a space in the path, as on many desks
    done = swarm(
        "demo",
        "--speed",
        "0",
        "--dir",
        str(directory),
        cwd=home,
        HOME=str(home),
        XDG_STATE_HOME=str(home / "state"),
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    (home / "output.txt").write_text(done.stdout)
    return directory


@pytest.fixture
def state(finished: Path, monkeypatch: pytest.MonkeyPatch) -> SwarmClient:
    homes = sorted(finished.parents[1].glob("demo-home*"))
    monkeypatch.setenv("XDG_STATE_HOME", str(homes[-1] / "state"))
    return SwarmClient(finished)


def test_the_product_passes_its_own_tests(finished: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "discover", "-s", "tests", "-t", "."],
        cwd=finished,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert int(re.findall(r"Ran (\d+) tests", done.stderr)[0]) >= 32
    assert "skipped" not in done.stderr
    schema = (finished / "database/schema.sql").read_text()
    assert "phone_number" in schema


def test_every_merged_task_has_its_commits_with_trailers(state: SwarmClient, finished: Path) -> None:
    run = state.runs()[-1]
    view = state.view(run)
    log = git(finished, "log", "--format=%(trailers:key=Run-Id,valueonly)|%(trailers:key=Task-Id,valueonly)|"
              "%(trailers:key=Agent,valueonly)%x00", "main").split("\0")  # fmt: skip
    marks = {tuple(part.strip() for part in entry.split("|")) for entry in log if entry.strip()}

    workers = [task for task in view.tasks.values() if task.is_work]
    assert len(workers) == 5
    for task in workers:
        assert task.status == "done"
        assert (run, task.id, task.instance) in marks


def test_the_story_holds_what_it_promises(state: SwarmClient) -> None:
    run = state.runs()[-1]
    events = state.reader(run).poll(max_bytes=1 << 24)
    kinds = [event.kind for event in events]

    assert "policy.denied" in kinds
    rejected = [e for e in events if e.kind == "gate.decided" and e.data["verdict"] == "reject"]
    assert len(rejected) == 1
    task = rejected[0].task
    assert any(e.kind == "task.reopened" and e.task == task for e in events)
    assert any(e.kind == "task.done" and e.task == task and e.seq > rejected[0].seq for e in events)
    denied = [e for e in events if e.kind == "policy.denied"]
    assert {e.agent for e in denied} == {"frontend-1"}, "two refusals belong to the story, and nothing else is refused"
    assert len(denied) == 2
    done = {e.task: e.seq for e in events if e.kind == "task.done"}
    claimed = {e.task: e.seq for e in events if e.kind == "task.claimed"}
    for task_view in state.view(run).tasks.values():
        for dependency in task_view.dependencies:
            assert done[dependency] < claimed[task_view.id]


def test_a_contract_is_refused_with_its_place_and_corrected(state: SwarmClient) -> None:
    events = state.reader(state.runs()[-1]).poll(max_bytes=1 << 24)
    told = [(e.kind, e.data.get("reason", "")) for e in events if e.data.get("path") == CONTRACT]

    assert told[1] == ("artifact.rejected", f"{CONTRACT}:1:1: the field 'components.securitySchemes' is missing")
    assert [kind for kind, _ in told[2:4]] == ["artifact.written", "artifact.validated"]
    artifacts = state.view(state.runs()[-1]).artifacts
    assert {artifacts[path].status for path in (CONTRACT, "database/schema.sql")} == {"sealed"}


def test_the_phone_number_is_found_decided_migrated_and_closed(state: SwarmClient, finished: Path) -> None:
    run = state.runs()[-1]
    view = state.view(run)
    (finding,) = view.findings.values()
    (firing,) = view.firings.values()
    task = view.tasks[finding.task]

    assert (finding.status, finding.resolution) == ("closed", "verified")
    assert (firing.rule, firing.fact.key) == ("error_agent.if_inconsistency_detected", f"finding:{finding.id}")
    assert (task.assigned_to, task.title) == ("database", "Add customers.phone_number to the schema")
    gate = view.latest_gate("merge", task.id)
    assert gate is not None
    assert (gate.verdict, gate.aspects) == ("approve", ("migration",))
    assert {check.name: check.has_passed for check in gate.checks}.items() >= {"migrations": True}.items()
    document = (state.layout.run(run).dir / gate.document).read_text()
    assert "3 migrations, up and down" in document
    assert finding.commit == view.merges[task.id].merged_as
    assert "migrations/003_phone_number.sql" in git(finished, "show", "--stat=200", "-m", finding.commit)


def test_the_end_tells_the_story_and_its_commands_work(state: SwarmClient, finished: Path) -> None:
    (finding,) = state.view(state.runs()[-1]).findings.values()
    output = (sorted(finished.parents[1].glob("demo-home*"))[-1] / "output.txt").read_text()
    story, _, commands = output.rpartition("what the swarm saw and mended by itself:")[2].partition("look closer:")

    assert f"refused  {CONTRACT}:1:1: the field 'components.securitySchemes' is missing" in story
    assert finding.id in story
    assert "if_inconsistency_detected" in story
    assert f"by the commit {finding.commit[:12]}, merged after its gate: closed (verified)" in story
    named = re.findall(r"^  swarm-tui (.+?)  ", commands, re.MULTILINE)
    assert named == ["decisions", f"trace {CONTRACT}", "findings --all"]
    for command in named:
        done = swarm(*command.split(), cwd=finished)
        assert done.returncode == 0, done.stderr
        assert "phone_number" in done.stdout


def test_no_worktree_is_left_and_the_checkout_is_clean(state: SwarmClient, finished: Path) -> None:
    layout = state.layout.run(state.runs()[-1])
    listed = git(finished, f"--git-dir={layout.hub}", "worktree", "list", "--porcelain")

    assert listed.count("worktree ") <= 1
    assert list(layout.trees.glob("*")) == []
    assert git(finished, "status", "--porcelain") == ""
    assert git(finished, "symbolic-ref", "--short", "HEAD") == "main"


def test_doctor_finds_a_changed_byte_in_the_journal(
    state: SwarmClient, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = swarm("doctor", cwd=finished)
    assert well.returncode == 0, well.stdout
    assert "chain intact" in well.stdout
    assert "equals the fold" in well.stdout
    journal = state.layout.run(state.runs()[-1]).journal
    whole = journal.read_bytes()
    middle = whole.index(b"task.created")
    journal.write_bytes(whole[:middle] + b"t4sk" + whole[middle + 4 :])
    try:
        done = swarm("doctor", cwd=finished)
        assert done.returncode == 1
        assert "✗" in done.stdout
        assert journal.name in done.stdout
    finally:
        journal.write_bytes(whole)


def test_status_and_events_tell_the_whole_story(state: SwarmClient, finished: Path) -> None:
    status = json.loads(swarm("status", "--json", cwd=finished).stdout)
    log = swarm("events", cwd=finished).stdout

    assert status["run"]["landed"] is True
    assert {instance["id"] for instance in status["instances"]} == WORKERS | LATER
    assert status["usage"]["tokens" if "tokens" in status["usage"] else "input_tokens"] > 0
    assert "landed" in log
    assert "policy.denied" in log


def test_each_running_instance_has_its_own_worktree(tmp_path: Path) -> None:
    directory = tmp_path / "ecoroute"
    with background("demo", "--speed", "0.2", "--dir", str(directory), cwd=tmp_path):
        client = SwarmClient(directory)
        run = wait_until("a run", client.latest)

        def two_at_work() -> str | None:
            working = {
                i.id for i in client.view(run).instances.values() if i.status in ("busy", "waiting") and i.id in WORKERS
            }
            if len(working) < 2:
                return None
            listed = swarm("worktree", "ls", cwd=directory).stdout
            hub = RepoLayout(directory).run(run).hub
            in_hub = git(directory, f"--git-dir={hub}", "worktree", "list")
            return listed if all(name in listed and name in in_hub for name in working) else None

        assert len(wait_until("two instances at work at once", two_at_work).splitlines()) >= 2
    assert swarm("stop", cwd=directory).returncode == 0
