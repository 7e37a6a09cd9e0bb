"""The swarm steers itself: too little coverage on the merged tree becomes tasks, and those make the landing pass.

Real engine, git, worktrees and measurement; only the model is a script.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.cli import git, kill_engine, swarm, wait_until

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.view import RunView

pytestmark = pytest.mark.timeout(180)

CONFIG = """\
adapter: scripted
script: scripts
checks:
  - {name: coverage, kind: coverage, command: "python3 -B measure.py > {report}", required: false}
services:
  backend: {directories: ["backend"]}
  testing: {directories: ["tests"]}
"""
MATRIX = """\
decision_rules:
  testing_agent:
    if_coverage_below_80:
      action: request_more_tests
      notify: [testing-agent, qa-agent]
"""
MEASURE = '''\
"""How many of the lines that can run are run by the tests."""
import importlib, pathlib, sys, trace

sys.path.insert(0, ".")
tracer = trace.Trace(count=1, trace=0)


def run(stem):
    for name, test in vars(importlib.import_module(f"tests.{stem}")).items():
        if name.startswith("test_"):
            test()


for path in sorted(pathlib.Path("tests").glob("test_*.py")):
    tracer.runfunc(run, path.stem)
for path in sorted(pathlib.Path("backend").glob("*.py")):
    lines = set(trace._find_executable_linenos(str(path)))
    counts = tracer.results().counts
    seen = {line for name, line in counts if pathlib.Path(name).resolve() == path.resolve()}
    print(f"SF:{path}", *(f"DA:{line},{int(line in seen)}" for line in sorted(lines)), "end_of_record", sep="\\n")
'''
APP = "def fare(km):\n    if km > 100:\n        km = km - 10\n        km = km * 2\n        return km\n    return km\n"
TEST = "from backend.app import fare\n\n\ndef test_near():\n    assert fare(1) == 1\n"
MORE = "from backend.app import fare\n\n\ndef test_far():\n    assert fare(110) == 200\n"


def write(path: str, content: str) -> dict[str, Any]:
    return {"tool": "Write", "args": {"file_path": path, "content": content}}


def handoff(text: str) -> dict[str, Any]:
    return {"tool": "handoff", "args": {"what_i_did": text}}


def planned(key: str, title: str, service: str, *dependencies: str) -> dict[str, Any]:
    about = {"key": key, "title": title, "description": title, "assigned_to": service}
    return {**about, "dependencies": list(dependencies)}


def repository(root: Path) -> Path:
    plan = [planned("app", "Fares", "backend"), planned("tests", "Test fares", "testing", "app")]
    scripts = {
        "architect": [{"do": [{"tool": "plan_tasks", "args": {"tasks": plan}}]}],
        "backend": [{"do": [write("backend/app.py", APP)]}, {"do": [handoff("fares")]}],
        "testing": [
            {"when": {"task": "Test fares"}, "do": [write("tests/test_near.py", TEST)]},
            {"when": {"task": "More tests*"}, "do": [write("tests/test_far.py", MORE)]},
            {"do": [handoff("tested")]},
        ],
    }
    files = {"multi-agent.yaml": CONFIG, "artifacts/decision-matrix.yml": MATRIX, "measure.py": MEASURE}
    files |= {f"scripts/{name}.yaml": yaml.safe_dump(turns, sort_keys=False) for name, turns in scripts.items()}
    files |= {"backend/__init__.py": "", "tests/__init__.py": ""}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(root, "init", "-q", "-b", "main")
    git(root, "-c", "user.name=o", "-c", "user.email=o@example.org", "add", "-A")
    git(root, "-c", "user.name=o", "-c", "user.email=o@example.org", "commit", "-qm", "begin")
    git(root, "config", "user.name", "o")
    git(root, "config", "user.email", "o@example.org")
    return root


def carry_out(client: SwarmClient, run: str, kill_at: tuple[str, ...] = ()) -> RunView:
    """Approve whatever waits until the run is over; kill the engine when each kind in ``kill_at`` was seen."""
    decided: set[tuple[str, int]] = set()
    seen: set[str] = set()
    kills, reader = list(kill_at), client.reader(run)

    def is_over() -> RunView | None:
        seen.update(event.kind for event in reader.poll())
        if kills and kills[0] in seen:
            kills.pop(0)
            kill_engine(client)
        if not client.engine().is_alive:
            client.ensure_engine()
        view = client.view(run)
        for gate in view.open_gates:
            if (gate.id, gate.opened_seq) not in decided:
                decided.add((gate.id, gate.opened_seq))
                client.decide(run, gate.id, "approve", "", gate.evidence)
        return view if view.is_over else None

    view = wait_until("the end of the run", is_over, timeout_s=120)
    reader.close()
    assert not kills, f"never killed at {kills}"
    client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not client.engine().is_alive)
    return view


def started(root: Path) -> tuple[SwarmClient, str]:
    client = SwarmClient(root)
    client.ensure_engine()
    item = client.start_run("Fares", {"speed": 0})
    answer = wait_until("the engine's answer", lambda: client.answer(item))
    assert answer.result == "applied", answer.reason
    return client, answer.run


@pytest.mark.parametrize("kill_at", [(), ("rule.fired", "action.done")], ids=["calm", "killed"])
def test_too_little_coverage_becomes_a_task_and_the_landing_passes_when_it_is_done(
    tmp_path: Path, kill_at: tuple[str, ...]
) -> None:
    client, run = started(repository(tmp_path / "repo"))
    view = carry_out(client, run, kill_at)

    assert (view.run.status, view.run.landed, view.run.outcome) == ("completed", True, "clean")
    (firing,) = view.firings.values()
    assert firing.rule == "testing_agent.if_coverage_below_80"
    assert firing.fact.value is not None
    assert firing.fact.value < 80
    assert firing.settled
    more = [task for task in view.tasks.values() if task.created_by == "matrix"]
    assert [(task.assigned_to, task.status) for task in more] == [("testing", "done")]
    assert "backend/app.py" in more[0].description, "the task names the files that are not covered"
    coverage = next(fact for fact in view.facts.values() if fact.name == "coverage" and fact.tree == "merged")
    assert coverage.value is not None
    assert coverage.value >= 80
    root = client.layout.root
    assert (root / "tests/test_far.py").exists()
    events = client.reader(run).poll(max_bytes=1 << 24)
    kinds = [event.kind for event in events]
    assert kinds.count("rule.fired") == kinds.count("decision.made") == 1
    assert [event.data["action"] for event in events if event.kind == "action.done"] == ["request_more_tests", "notify"]

    told = swarm("decisions", cwd=root)
    assert told.returncode == 0
    assert "if_coverage_below_80" in told.stdout
    assert "nobody here is called qa-agent" in told.stdout
    document = json.loads(swarm("decisions", run, "--json", cwd=root).stdout)
    assert document["firings"][0]["evidence"] == firing.evidence
    assert swarm("replay", "--check", cwd=root).returncode == 0


def test_the_rules_can_be_tried_before_anything_runs(tmp_path: Path) -> None:
    root = repository(tmp_path / "repo")

    fires = swarm("matrix", "test", "coverage=79.9", cwd=root)
    assert fires.returncode == 0
    assert "request_more_tests, tells testing" in fires.stdout
    assert "no rule would fire" in swarm("matrix", "test", "coverage=80", cwd=root).stdout
    (root / "artifacts/decision-matrix.yml").write_text(MATRIX.replace("80", "85"))
    assert "request_more_tests" in swarm("matrix", "test", "coverage=80", cwd=root).stdout
    (root / "artifacts/decision-matrix.yml").write_text(MATRIX.replace("request_more_tests", "request_more_test"))
    wrong = swarm("matrix", "list", cwd=root)
    assert wrong.returncode == 4
    assert "artifacts/decision-matrix.yml:4" in wrong.stderr
    assert "did you mean 'request_more_tests'" in wrong.stderr
    (root / "artifacts/decision-matrix.yml").unlink()
    assert swarm("matrix", "test", "coverage", cwd=root).returncode == 2
    shipped = swarm("matrix", "test", "vulnerability=critical", "tests=fail", "error=critical", cwd=root).stdout
    order = [shipped.index(name) for name in ("if_critical_error", "severity_critical", "if_tests_fail")]
    assert order == sorted(order)


BLOCKING = """\
adapter: scripted
script: scripts
checks:
  - {name: tests, command: "test ! -e backend/broken"}
services:
  backend: {directories: ["backend"]}
  testing: {directories: ["tests"]}
"""


def other(root: Path, config: str, **scripts: list[dict[str, Any]]) -> Path:
    """A repository with the shipped rules, this configuration and these scripts."""
    repository(root)
    (root / "artifacts/decision-matrix.yml").unlink()
    (root / "multi-agent.yaml").write_text(config)
    for name, turns in scripts.items():
        (root / f"scripts/{name}.yaml").write_text(yaml.safe_dump(turns, sort_keys=False))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "the shipped rules")
    return root


def landing(view: RunView) -> Gate | None:
    gate = view.latest_gate("landing")
    return gate if gate is not None and gate.status == "open" else None


def test_failing_tests_block_the_landing_until_the_operator_takes_it_on_himself(tmp_path: Path) -> None:
    backend = [{"do": [write("backend/broken", "x\n")]}, {"do": [handoff("done")]}]
    plan = [{"do": [{"tool": "plan_tasks", "args": {"tasks": [planned("a", "Break it", "backend")]}}]}]
    client, run = started(other(tmp_path / "repo", BLOCKING, architect=plan, backend=backend))
    decided: set[int] = set()

    def at_the_landing() -> Gate | None:
        view = client.view(run)
        for gate in view.open_gates:
            if gate.place != "landing" and gate.opened_seq not in decided:
                decided.add(gate.opened_seq)
                client.decide(run, gate.id, "approve", "", gate.evidence)
        return landing(view)

    gate = wait_until("the landing", at_the_landing)
    assert "testing_agent.if_tests_fail" in gate.blockers[0]
    refused = swarm("approve", gate.id, cwd=client.layout.root)
    assert refused.returncode == 8
    firing = next(f.id for f in client.view(run).firings.values() if f.actions == ("block_deployment",))
    for name in list(client.view(run).open_firings):
        waived = swarm("decisions", "waive", name, "--note", "it is meant to be there", cwd=client.layout.root)
        assert waived.returncode == 0, waived.stderr
    wait_until("a landing without a block", lambda: (g := landing(client.view(run))) and not g.blockers and g)
    view = carry_out(client, run)

    assert (view.run.landed, view.run.outcome) == (True, "with_issues")
    assert view.firings[firing].settled == "waived by the operator: it is meant to be there"
    assert view.findings[view.firings[firing].finding].resolution == "accepted"


def test_a_critical_error_halts_the_run_and_it_goes_on_as_the_operator_chooses(tmp_path: Path) -> None:
    about: dict[str, Any] = {
        "title": "app.py is empty",
        "severity": "CRITICAL",
        "location": "backend/app.py",
        "issue": "it is empty",
    }
    backend: list[dict[str, Any]] = [
        {"when": {"task": "Break it"}, "do": [write("backend/app.py", "# nothing\n")]},
        {"when": {"task": "Break it"}, "do": [{"tool": "finding", "args": about}]},
        {"when": {"task": "Mend*"}, "do": [write("backend/app.py", APP)]},
        {"do": [handoff("done")]},
    ]
    architect: list[dict[str, Any]] = [
        {
            "when": {"task": "task_000"},
            "do": [{"tool": "plan_tasks", "args": {"tasks": [planned("a", "Break it", "backend")]}}],
        },
        {"do": [{"tool": "handoff", "args": {"what_i_did": "It has no code", "recommendation": "fix: write it"}}]},
    ]
    client, run = started(other(tmp_path / "repo", BLOCKING, architect=architect, backend=backend))

    def recovery() -> Gate | None:
        view = client.view(run)
        for gate in view.open_gates:
            if gate.place == "plan":
                client.decide(run, gate.id, "approve", "", gate.evidence)
        return next((gate for gate in view.open_gates if gate.place == "recovery"), None)

    gate = wait_until("the recovery gate", recovery)
    view = client.view(run)
    assert (view.run.status, view.incidents["incident_001"].status) == ("halted", "contained")
    assert "It has no code" in client.document(run, gate).decode()
    unknown = swarm("approve", gate.id, "--note", "reassign task_999 to backend", cwd=client.layout.root)
    assert unknown.returncode == 8
    assert "task_999 is not under way" in unknown.stderr
    assert swarm("approve", gate.id, "--note", "fix write the fares", cwd=client.layout.root).returncode == 0
    view = carry_out(client, run)

    assert view.run.landed
    mended = next(task for task in view.tasks.values() if task.title.startswith("Mend"))
    assert (mended.status, mended.priority) == ("done", "critical")
    assert view.incidents["incident_001"].status == "closed"
    assert (client.layout.root / "backend/app.py").read_text() == APP
