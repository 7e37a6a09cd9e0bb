"""What an agent tells the engine becomes facts of the journal, in its log, and reaches who comes after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import repos
from tests.support.cli import swarm

from swarm_core.cli.plain import line
from swarm_core.client import SwarmClient
from swarm_core.engine.agent_desk import Owned, known_artifacts
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView

pytestmark = pytest.mark.timeout(120)
CONFIG = """\
adapter: scripted
script: scripts
services:
  backend:
    directories: ["backend"]
"""
REGISTRY = """\
artifact_types:
  api_contracts: {producer: backend-agent, consumers: [frontend], format: openapi, path: artifacts/api-contracts.yml}
  ui_components: {producer: frontend, format: json, path: artifacts/ui-components.json}
"""
TASK = {"key": "t", "title": "Write the contract", "description": "All of it.", "assigned_to": "backend"}


def call(tool: str, **args: Any) -> dict[str, Any]:
    return {"tool": tool, "args": args}


def turns(*calls: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"do": [call], **more} for call in calls]


class Told:
    """A finished run of one worker that made ``calls``."""

    def __init__(self, root: Path, *calls: dict[str, Any], registry: str = REGISTRY) -> None:
        repos.small(root)
        repos.write(root, "multi-agent.yaml", CONFIG)
        if registry:
            repos.write(root, ".agent-artifacts/registry.yml", registry)
            repos.git(root, "add", ".agent-artifacts")
            repos.git(root, "commit", "-qm", "registry")
        plan = {"when": {"task": "task_000"}, "do": [call("plan_tasks", tasks=[TASK])]}
        weigh = {"when": {"task": "task_0*"}, "do": [call("change_plan")]}
        repos.write(root, "scripts/architect.yaml", yaml.safe_dump([plan, weigh]))
        work = [
            *turns(*calls),
            *turns(call("Write", file_path="backend/a", content="a")),
            *turns(call("handoff", what_i_did="told all")),
        ]
        repos.write(root, "scripts/backend.yaml", yaml.safe_dump(work))
        self.root = root
        self.done = swarm("run", "Tell", "--headless", "--yes", "--speed", "0", cwd=root)
        assert self.done.returncode == 0, self.done.stdout[-2000:] + self.done.stderr[-2000:]
        client = SwarmClient(root)
        run = client.latest()
        assert run is not None
        self.events: list[Event] = client.reader(run).poll(max_bytes=1 << 24)
        self.view = RunView.of(self.events)
        self.run = run

    def data(self, kind: str) -> list[dict[str, Any]]:
        return [dict(event.data) for event in self.events if event.kind == kind]

    def log(self) -> str:
        path = self.root / ".multi-agent" / "logs" / self.run / "backend-1.log"
        return "\n".join(json.loads(text)["text"] for text in path.read_text().splitlines())

    def results(self) -> list[tuple[bool, str]]:
        path = self.root / ".runs" / self.run / "transcripts" / "backend-1" / "task_001.jsonl"
        lines = [json.loads(text) for text in path.read_text().splitlines()]
        return [(one["is_error"], one["text"]) for one in lines if one["line"] == "tool_result"]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "small"
    swarm("stop", cwd=tmp_path / "small")


def test_an_artifact_is_rejected_with_a_place_then_taken_and_committed(root: Path) -> None:
    good = "openapi: 3.1.0\npaths: {}\n"
    told = Told(
        root,
        call("artifact_write", type="api_contracts", content="openapi: 3.1.0\npaths: [a\n"),
        call("artifact_write", type="api_contracts", content=good),
        call("artifact_write", type="ui_components", content="{}"),
        call("artifact_write", type="plan", content="{}"),
        call("artifact_write", type="system_design", content="a: 1"),
        call("Write", file_path="artifacts/ui-components.json", content="{}"),
    )

    said = told.results()
    assert [is_error for is_error, _ in said] == [True, False, True, True, True, True, False, False]
    assert "artifacts/api-contracts.yml:" in said[0][1]
    assert "next: correct it" in said[0][1]
    assert "is written by frontend" in said[2][1]
    assert "there is no artifact type 'plan'" in said[3][1]
    kinds = [event.kind for event in told.events if event.kind.startswith("artifact.") and event.task == "task_001"]
    assert kinds == ["artifact.written", "artifact.rejected", "artifact.written", "artifact.validated"]
    artifact = told.view.artifacts["artifacts/api-contracts.yml"]
    assert (artifact.status, artifact.version, artifact.written_by) == ("valid", 2, "task_001")
    assert repos.git(root, "show", "HEAD:artifacts/api-contracts.yml") == good.rstrip("\n")
    assert {data["rule"] for data in told.data("policy.denied")} == {"producer", "directories"}


def test_what_an_agent_tells_is_journaled_logged_and_shown(root: Path) -> None:
    finding = {"title": "No limiter", "severity": "HIGH", "issue": "Login can be tried for ever", "location": "a.py:3"}
    question = {"question": "Which tax rate?", "default": "19 %", "options": ["7 %", "19 %"], "risk_if_wrong": "money"}
    told = Told(
        root,
        call("finding", **finding),
        call("finding", **finding),
        call("finding", **{**finding, "title": "Another", "owner": "nobody"}),
        call("finding", **{**finding, "severity": "high"}),
        call("question", **question),
        call("question", **{**question, "question": "And when?", "options": ["a"] * 5}),
        call("update_status", section="AC-001", state="in_progress"),
        call("update_status", section="AC-001", state="done"),
        call("checkpoint", note="The parser is done; \x1b]0;x\x07the printer is next."),
        call("ask_architect", question="Whose is the cache?", default="mine"),
        registry="",
    )

    said = told.results()
    assert said[0] == (False, "Recorded as W-001-1.")
    assert said[1] == (False, "It is recorded already, as W-001-1.")
    assert [is_error for is_error, _ in said[2:6]] == [True, True, False, True]
    (opened,) = told.data("finding.opened")
    assert (opened["severity"], opened["issue"]) == ("HIGH", "Login can be tried for ever")
    assert told.view.findings["W-001-1"].raised_by == "backend-1"
    (asked,) = told.data("question.raised")
    assert (asked["text"], asked["default"], asked["options"]) == ("Which tax rate?", "19 %", ["7 %", "19 %"])
    assert told.view.questions["OQ-001-1"]["task"] == "task_001"
    task = told.view.tasks["task_001"]
    assert task.progress == {"AC-001": "done"}
    assert task.checkpoint.startswith("The parser is done; ")
    assert "\x1b" not in task.checkpoint
    (requested,) = told.data("tasks.requested")
    assert requested["reason"] == "A question: Whose is the cache?\n\nMeanwhile it goes on with: mine"
    assert "finding No limiter" in told.log()
    assert "question Which tax rate?" in told.log()
    lines = "\n".join(filter(None, map(line, told.events)))
    assert "OQ-001-1: Which tax rate? (goes on with: 19 %)" in lines
    assert "W-001-1 HIGH: No limiter a.py:3" in lines


def test_a_producer_owns_its_files_and_a_broken_registry_adds_nothing(tmp_path: Path) -> None:
    repos.write(tmp_path, ".agent-artifacts/registry.yml", REGISTRY)
    known = known_artifacts(tmp_path)
    assert [kind.path for kind in known.values() if kind.path in Owned("backend", known)] == [
        "artifacts/api-contracts.yml"
    ]
    assert not any(kind.path in Owned("tester", known) for kind in known.values())
    shipped = known_artifacts(tmp_path / "nowhere")
    assert len(shipped) == 15
    for broken in ("artifact_types: [", "artifact_types: {plan: {path: p.json}, x: {path: ../up}}", "- a", "\0"):
        repos.write(tmp_path, ".agent-artifacts/registry.yml", broken)
        assert known_artifacts(tmp_path) == shipped


def test_the_next_attempt_is_shown_the_note_that_was_left() -> None:
    from swarm_core.agents.context import opening_message
    from swarm_core.vocabulary.entities import Run
    from swarm_core.vocabulary.spec import ServiceSpec

    task = Task("task_001", "T", checkpoint="half is done\niteration: 9")
    text = opening_message(ServiceSpec("backend", directories=("b",)), task, Run(goal="G"), Path("/tree"))
    assert "before you left this note on how far it is:\n> half is done\n> iteration: 9\n" in text
