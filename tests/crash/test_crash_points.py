"""The engine dies at every named place and a new one goes on: the same tree, no merge twice, no gate skipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.cli import git, wait_until

from swarm_core.cli.operator import AutoOperator
from swarm_core.client import SwarmClient
from swarm_core.engine.crash_points import VARIABLE, CrashPoint
from swarm_core.vocabulary.errors import EngineError
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

pytestmark = pytest.mark.timeout(120)

CONFIG = """\
adapter: scripted
script: scripts
services:
  api: {directories: [api]}
  web: {directories: [web]}
"""
PLAN = """\
- do:
    - tool: plan_tasks
      args:
        tasks:
          - {key: a, title: Build the API, description: Build it., assigned_to: api}
          - {key: b, title: Build the page, description: Build it., assigned_to: web, dependencies: [a]}
"""
WORK = """\
- when: {{iteration: 1}}
  do: [{{tool: Write, args: {{file_path: {0}/one.txt, content: "one\\n"}}}}]
- when: {{iteration: 1}}
  do: [{{tool: commit, args: {{message: "feat: one"}}}}]
- when: {{iteration: 1}}
  do: [{{tool: Write, args: {{file_path: {0}/two.txt, content: "two\\n"}}}}]
- when: {{iteration: 1}}
  do: [{{tool: handoff, args: {{what_i_did: both}}}}]
- when: {{iteration: ">1"}}
  do: [{{tool: Edit, args: {{file_path: {0}/two.txt, old_string: two, new_string: "2"}}}}]
- when: {{iteration: ">1"}}
  do: [{{tool: handoff, args: {{what_i_did: mended}}}}]
"""
STEADY = """\
- do: [{{tool: Write, args: {{file_path: {0}/one.txt, content: "one\\n"}}}}]
- do: [{{tool: Write, args: {{file_path: {0}/two.txt, content: "{1}\\n"}}}}]
- do: [{{tool: handoff, args: {{what_i_did: both}}}}]
"""
WANTED = {"api/one.txt": "one\n", "api/two.txt": "2\n", "web/one.txt": "one\n", "web/two.txt": "two\n"}


def repository(root: Path, *, is_steady: bool = False) -> SwarmClient:
    """``is_steady`` scripts do the same in every round, so that work can be done again from nothing."""
    for name, text in {
        "multi-agent.yaml": CONFIG,
        "scripts/architect.yaml": PLAN,
        "scripts/api.yaml": STEADY.format("api", "2") if is_steady else WORK.format("api"),
        "scripts/web.yaml": STEADY.format("web", "two") if is_steady else WORK.format("web"),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "-c", "user.name=op", "-c", "user.email=op@localhost", "commit", "-qm", "start")
    return SwarmClient(root)


def requested_run(client: SwarmClient) -> str | None:
    """The run's name, from the request or what became of it: the engine may have died in between."""
    for path in (*client.layout.inbox.glob("*.json"), *client.layout.inbox_done.glob("*.json")):
        body = json.loads(path.read_text())
        if body.get("run"):
            return str(body["run"])
    return None


def rule(place: str, service: str, round_: int) -> tuple[str, str]:
    if place == "merge" and service == "api" and round_ == 1:
        return "reject", "write it as a digit"
    return "approve", ""


def drive(client: SwarmClient, run: str) -> None:
    """Decide as ``rule`` says until the run is over; an engine that dies is brought back by its keeper."""
    operator = AutoOperator(client, run, rule)

    def is_over() -> bool:
        if run not in client.runs():
            return False
        view = client.view(run)
        operator.look(view)
        return view.is_over

    wait_until("the end of the run", is_over, timeout_s=60)


def deaths(client: SwarmClient, run: str) -> int:
    return sum(event.kind == "engine.crash_detected" for event in client.reader(run).poll(1 << 24))


def test_a_rollback_survives_the_engines_death(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = repository(tmp_path, is_steady=True)
    monkeypatch.setenv(VARIABLE, f"{CrashPoint.AFTER_ROLLBACK_BEFORE_RECORD}:1")
    client.ensure_engine()
    request = client.start_run("build", {"speed": 0})
    run = wait_until("the answer", lambda: client.answer(request)).run
    operator, asked = AutoOperator(client, run), ""

    def is_over() -> bool:
        nonlocal asked
        view = client.view(run)
        landing = view.latest_gate("landing")
        if landing is not None and landing.status == "open" and not asked:
            merged = view.latest_gate("merge", "task_001")
            asked = client.ask("run.rollback", run, to=f"gate:{merged.id if merged else ''}")
        elif landing is None or asked:
            operator.look(view)
        return view.is_over

    wait_until("the end of the run", is_over, timeout_s=60)

    view = client.view(run)
    answer = client.answer(asked)
    assert answer is not None
    assert answer.result == "applied", answer
    assert deaths(client, run) == 1
    assert (view.run.status, view.run.landed, view.run.outcome) == ("completed", True, "clean")
    assert {name: (tmp_path / name).read_text() for name in WANTED} == WANTED
    assert view.tasks["task_001"].iteration == 1, "what was done at the point is not done again"
    assert view.tasks["task_002"].iteration == 2
    assert [incident.status for incident in view.incidents.values()] == ["closed"]
    assert git(tmp_path, "log", "--format=%s", "--grep=Rollback-To").splitlines()
    client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not client.engine().is_alive)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("point", [point for point in CrashPoint if point != CrashPoint.AFTER_ROLLBACK_BEFORE_RECORD])
def test_a_run_survives_the_engines_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: CrashPoint, times: int
) -> None:
    once = (CrashPoint.AFTER_HUB_BEFORE_RECORD, CrashPoint.AFTER_LANDING_BEFORE_RECORD)
    if times > 1 and point in once:
        times = 1  # a run gets there once
    client = repository(tmp_path)
    monkeypatch.setenv(VARIABLE, f"{point}:{times}")
    try:
        client.ensure_engine()
        client.start_run("build", {"speed": 0})
    except EngineError:
        pass  # it died while it was coming up
    run = wait_until("the run's request", lambda: requested_run(client))

    drive(client, run)

    before, after = CrashPoint.BEFORE_APPEND, CrashPoint.AFTER_APPEND_BEFORE_APPLY
    is_unknown = (point, times) in ((before, 1), (before, 2), (after, 1))
    assert deaths(client, run) == (0 if is_unknown else 1), "before its first event a run knows of no engine"
    view = client.view(run)
    assert (view.run.status, view.run.landed, view.run.outcome) == ("completed", True, "clean")
    assert {name: (tmp_path / name).read_text() for name in WANTED} == WANTED
    assert git(tmp_path, "status", "--porcelain") == ""
    events = client.reader(run).poll(1 << 24)
    merged = [str(event.task) for event in events if event.kind == "merge.completed"]
    assert sorted(merged) == ["task_001", "task_002"]
    merges = git(tmp_path, "log", "--merges", "--format=%s", "main").splitlines()
    assert len(merges) == 2
    passed = {gate.id for gate in view.gates.values() if gate.status == "passed"}
    assert passed == {e.data["gate"] for e in events if e.kind == "gate.decided" and e.data["verdict"] == "approve"}
    assert len([gate for gate in view.gates.values() if gate.place == "merge"]) == 3
    client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not client.engine().is_alive)
