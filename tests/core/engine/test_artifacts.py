"""Artifacts in a real run: judged in the commit, written by their producer alone, stale with what they depend on."""

from __future__ import annotations

import hashlib
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

pytestmark = pytest.mark.timeout(120)
CONFIG = """\
adapter: scripted
script: scripts
artifacts: {mode}
services:
  lead: {{directories: [design]}}
  store: {{directories: [store, artifacts]}}
"""
REGISTRY = """\
artifact_types:
  design: {producer: lead, consumers: [store], format: yaml, path: artifacts/design.yml}
  tables: {producer: store, consumers: ALL, format: yaml, path: artifacts/tables.yml}
"""
RULES = """\
{"artifact_validation": {
  "design.yml": {"required_fields": ["services"]},
  "tables.yml": {"required_fields": ["tables"], "depends_on": ["design.yml"]}
}}
"""
FIRST, SECOND, TABLES = "services: {a: 1}\n", "services: {a: 1, b: 2}\n", "tables: [customers]\n"


def call(tool: str, **args: Any) -> dict[str, Any]:
    return {"tool": tool, "args": args}


def write(path: str, content: str) -> dict[str, Any]:
    return call("Write", file_path=path, content=content)


COMMIT, DONE = call("commit", message="work"), call("handoff", what_i_did="it")


def turns(task: str, *calls: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"when": {"task": task}, "do": [one]} for one in calls]


class Played:
    """A finished run in which each service plays its turns."""

    def __init__(self, root: Path, *work: tuple[str, str, list[dict[str, Any]]], mode: str = "flag") -> None:
        repos.small(root)
        repos.write(root, "multi-agent.yaml", CONFIG.format(mode=mode))
        repos.write(root, ".agent-artifacts/registry.yml", REGISTRY)
        repos.write(root, ".agent-artifacts/validation.json", RULES)
        repos.git(root, "add", ".agent-artifacts")
        repos.git(root, "commit", "-qm", "registry")
        tasks: list[dict[str, Any]] = []
        scripts: dict[str, list[dict[str, Any]]] = {"lead": [], "store": []}
        for number, (service, title, calls) in enumerate(work):
            before = [f"t{number - 1}"] if number else []
            task = {"key": f"t{number}", "title": title, "description": title, "assigned_to": service}
            tasks.append({**task, "dependencies": before})
            scripts[service] += turns(title, *calls)
        plan = {"when": {"task": "task_000"}, "do": [call("plan_tasks", tasks=tasks)]}
        repos.write(root, "scripts/architect.yaml", yaml.safe_dump([plan]))
        for service, script in scripts.items():
            repos.write(root, f"scripts/{service}.yaml", yaml.safe_dump(script))
        self.root = root
        self.done = swarm("run", "Play", "--headless", "--yes", "--speed", "0", cwd=root)
        assert self.done.returncode == 0, self.done.stdout[-3000:] + self.done.stderr[-2000:]
        client = SwarmClient(root)
        run = client.latest()
        assert run is not None
        self.run, self.client = run, client
        self.events: list[Event] = client.reader(run).poll(max_bytes=1 << 24)
        self.view = RunView.of(self.events)

    def artifacts(self, task: str) -> list[tuple[str, str]]:
        """What became of which artifact in a task."""
        found = [e for e in self.events if e.kind.startswith("artifact.") and e.task == task and e.data.get("path")]
        return [(event.kind.removeprefix("artifact."), Path(event.data["path"]).stem) for event in found]

    def data(self, kind: str) -> list[dict[str, Any]]:
        return [dict(event.data) for event in self.events if event.kind == kind]

    def told(self, task: str) -> list[str]:
        import json

        instance = self.view.tasks[task].instance
        path = self.client.layout.run(self.run).transcript(instance, task)
        lines = [json.loads(text) for text in path.read_text().splitlines()]
        return [one["text"] for one in lines if one["line"] == "tool_result"]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "small"
    swarm("stop", cwd=tmp_path / "small")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("crash", ["", "after_merge_before_record:3"])
def test_the_life_of_two_artifacts_of_which_one_stands_on_the_other(
    root: Path, crash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the engine dies between the merge that outdates an artifact and its record."""
    if crash:
        monkeypatch.setenv("SWARM_CRASH_AT", crash)
    wrong = write("artifacts/design.yml", "services: [1\n")
    played = Played(
        root,
        (
            "lead",
            "one",
            [wrong, COMMIT, write("artifacts/design.yml", FIRST), COMMIT, DONE],
        ),
        ("store", "two", [write("artifacts/tables.yml", TABLES), COMMIT, DONE]),
        ("lead", "three", [write("artifacts/design.yml", SECOND), COMMIT, DONE]),
        ("store", "four", [write("store/read.txt", "looked at it again\n"), DONE]),
    )
    assert played.artifacts("task_001") == [
        ("written", "design"),
        ("rejected", "design"),
        ("written", "design"),
        ("validated", "design"),
    ]
    assert "artifacts/design.yml:2:1: is not valid YAML" in played.told("task_001")[1]
    assert played.artifacts("task_002") == [("written", "tables"), ("validated", "tables")]
    (read,) = [e for e in played.events if e.kind == "artifact.read" and e.task == "task_002"]
    assert read.data["reads"] == [["artifacts/design.yml", sha256(FIRST)]]
    assert played.artifacts("task_003") == [("written", "design"), ("validated", "design"), ("stale", "tables")]
    (stale,) = played.data("artifact.stale")
    assert stale["reason"] == "artifacts/design.yml changed in task_003"
    merged = next(e for e in played.events if e.kind == "merge.completed" and e.task == "task_003")
    assert next(e for e in played.events if e.kind == "artifact.stale").seq == merged.seq + 1
    assert played.artifacts("task_004") == [("validated", "tables")]

    tables, design = played.view.artifacts["artifacts/tables.yml"], played.view.artifacts["artifacts/design.yml"]
    assert (tables.status, tables.version, tables.sha256) == ("sealed", 1, sha256(TABLES))
    assert tables.inputs == (("artifacts/design.yml", sha256(SECOND)),)
    assert (design.status, design.version) == ("sealed", 3)
    assert bool(played.data("engine.crash_detected")) == bool(crash)
    assert {(check["name"], check["exit_code"]) for check in played.data("check.passed")} == {("artifacts", 0)}

    def said(*arguments: str) -> str:
        done = swarm(*arguments, cwd=root)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = said("artifact", "ls")
    assert "  design  sealed  artifacts/design.yml  lead   v3 " in listed
    shown = said("artifact", "show", "design")
    assert "v1 invalid" in shown
    assert "is not valid YAML" in shown
    assert f"v3 sealed {sha256(SECOND)[:12]}" in shown
    diff = said("artifact", "diff", "design", "2", "3")
    assert "-services: {a: 1}\n+services: {a: 1, b: 2}\n" in diff
    lineage = said("trace", "artifacts/tables.yml")
    assert lineage == said("artifact", "lineage", "tables")
    rows = {line[2:13].strip(): line[13:] for line in lineage.splitlines() if line[2:13].strip()}
    assert rows["written by"].startswith("store-1 in task_002: two · ")
    assert rows["from"].startswith(f"artifacts/design.yml v2 {sha256(FIRST)[:12]} · lead-1 in task_001 · gate_")
    assert rows["holds with"].startswith(f"artifacts/design.yml v3 {sha256(SECOND)[:12]} · lead-1 in task_003 · gate_")
    assert " merge · approve by operator · evidence " in rows["decided"]
    assert "✓ artifacts · checks/artifacts-" in lineage
    assert "stale       artifacts/design.yml changed in task_003" in lineage
    assert "valid       it holds, says task_004" in lineage
    assert rows["read by"] == "task_003 three · lead-1 · wrote artifacts/design.yml v3"
    for spelling in ("tables", "tables.yml", "./artifacts/tables.yml", str(root / "artifacts/tables.yml")):
        assert said("trace", spelling) == lineage


def test_nobody_but_its_producer_writes_an_artifact_by_any_tool(root: Path) -> None:
    forged = call("Bash", command="mkdir -p artifacts && echo 'services: {}' > artifacts/design.yml")
    played = Played(
        root,
        ("lead", "one", [write("artifacts/design.yml", FIRST), COMMIT, DONE]),
        ("store", "two", [forged, COMMIT, write("store/a.txt", "a\n"), DONE]),
    )
    (denied,) = [data for data in played.data("policy.denied") if data["rule"] == "artifact_owner"]
    assert denied["target"] == "artifacts/design.yml"
    assert (
        "is lead's artifact: only its producer writes it. Your change of it was taken out."
        in played.told("task_002")[1]
    )
    assert (root / "artifacts/design.yml").read_text() == FIRST
    assert played.view.artifacts["artifacts/design.yml"].version == 1


def test_an_invalid_artifact_is_a_failed_check_of_the_merge_gate(root: Path) -> None:
    played = Played(root, ("lead", "one", [write("artifacts/design.yml", "other: 1\n"), COMMIT, DONE]))
    (opened,) = [data for data in played.data("gate.opened") if any(c["name"] == "artifacts" for c in data["checks"])]
    assert [c["passed"] for c in opened["checks"]] == [False]
    assert "FAILED: artifacts" in opened["summary"]
    (failed,) = played.data("check.failed")
    evidence = played.client.layout.run(played.run).dir / failed["evidence"]
    assert "artifacts/design.yml:1:1: the field 'services' is missing" in evidence.read_text()
    assert played.view.artifacts["artifacts/design.yml"].status == "invalid"


def test_what_is_missing_below_an_artifact_makes_it_invalid(root: Path) -> None:
    played = Played(root, ("store", "one", [write("artifacts/tables.yml", TABLES), COMMIT, DONE]))
    artifact = played.view.artifacts["artifacts/tables.yml"]
    assert artifact.status == "invalid"
    assert "depends on artifacts/design.yml, which does not exist" in artifact.reason


@pytest.mark.parametrize("mode", ["flag", "strict", "off"])
def test_an_unregistered_file_is_told_of_taken_out_or_left_alone(root: Path, mode: str) -> None:
    played = Played(
        root, ("store", "one", [write("artifacts/other.txt", "x\n"), write("store/a", "a"), COMMIT, DONE]), mode=mode
    )
    said = played.told("task_001")[2]
    is_there = (root / "artifacts/other.txt").exists()
    assert is_there == (mode != "strict")
    assert ("other.txt is not a registered artifact" in said) == (mode == "flag")
    assert ("other.txt is not registered: add it to .agent-artifacts/registry.yml" in said) == (mode == "strict")


def test_a_link_in_an_artifacts_place_is_refused(root: Path) -> None:
    link = call(
        "Bash", command="mkdir -p store && echo 'tables: []' > store/t.yml && ln -s ../store/t.yml artifacts/tables.yml"
    )
    played = Played(root, ("store", "one", [write("artifacts/x.txt", "x"), link, COMMIT, DONE]))
    artifact = played.view.artifacts["artifacts/tables.yml"]
    assert artifact.status == "invalid"
    assert "is a link, not a file" in artifact.reason


@pytest.mark.parametrize("point", ["after_commit_before_record:2", "before_append:30", "before_append:33"])
def test_an_engine_that_dies_on_the_way_judges_each_version_once(
    root: Path, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARM_CRASH_AT", point)
    played = Played(
        root,
        ("lead", "one", [write("artifacts/design.yml", FIRST), COMMIT, DONE]),
        ("store", "two", [write("artifacts/tables.yml", TABLES), COMMIT, DONE]),
    )
    assert played.data("engine.crash_detected")
    for name in ("design", "tables"):
        artifact = played.view.artifacts[f"artifacts/{name}.yml"]
        assert (artifact.status, artifact.version) == ("sealed", 1)
    assert len(played.data("artifact.validated")) == 2


def test_a_broken_registry_stops_a_run_before_it_begins(root: Path) -> None:
    repos.small(root)
    repos.write(root, "multi-agent.yaml", CONFIG.format(mode="flag").replace("script: scripts", "script: rehearsal"))
    repos.write(root, ".agent-artifacts/registry.yml", REGISTRY.replace("producer: store, ", ""))
    done = swarm("run", "Play", "--headless", "--yes", cwd=root)
    assert done.returncode != 0
    assert "registry.yml:3: artifact_types.tables: producer missing" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert list((root / ".runs").glob("*/multi-agent.yaml")) == []
