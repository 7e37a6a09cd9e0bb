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
    assert int(re.findall(r"Ran (\d+) tests", done.stderr)[0]) >= 10


def test_every_merged_task_has_its_commits_with_trailers(state: SwarmClient, finished: Path) -> None:
    run = state.runs()[-1]
    view = state.view(run)
    log = git(finished, "log", "--format=%(trailers:key=Run-Id,valueonly)|%(trailers:key=Task-Id,valueonly)|"
              "%(trailers:key=Agent,valueonly)%x00", "main").split("\0")  # fmt: skip
    marks = {tuple(part.strip() for part in entry.split("|")) for entry in log if entry.strip()}

    workers = [task for task in view.tasks.values() if task.id != "task_000"]
    assert len(workers) == 4
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
    done = {e.task: e.seq for e in events if e.kind == "task.done"}
    claimed = {e.task: e.seq for e in events if e.kind == "task.claimed"}
    for task_view in state.view(run).tasks.values():
        for dependency in task_view.dependencies:
            assert done[dependency] < claimed[task_view.id]


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
    assert {instance["id"] for instance in status["instances"]} == WORKERS | {"architect-1"}
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
