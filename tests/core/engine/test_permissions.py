"""A call that a rule asks about waits for the operator, end to end: a real engine, its journal, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import git, kill_engine, wait_until

from swarm_core.cli.operator import AutoOperator
from swarm_core.client import SwarmClient
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem

CONFIG = """\
adapter: scripted
script: scripts
permissions:
  ask: ["Bash(touch:*)"]
  deny: ["Bash(rm:*)"]
services:
  api: {directories: [api], timeout: 20s}
"""
PLAN = """\
- do:
    - tool: plan_tasks
      args:
        tasks:
          - {key: a, title: Build the API, description: Build it., assigned_to: api}
"""
WORK = """\
- do:
    - {tool: Bash, args: {command: "mkdir -p api && echo ran >> api/count.txt && touch api/one"}}
- do:
    - {tool: Bash, args: {command: "touch api/two"}}
- do:
    - {tool: Bash, args: {command: "rm api/one"}}
- do:
    - {tool: handoff, args: {what_i_did: "made files"}}
"""


class Swarm:
    def __init__(self, root: Path) -> None:
        self.root = root
        files = {"multi-agent.yaml": CONFIG, "scripts/architect.yaml": PLAN, "scripts/api.yaml": WORK}
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "-c", "user.name=op", "-c", "user.email=op@localhost", "commit", "-qm", "start")
        self.client = SwarmClient(root)
        self.client.ensure_engine()
        request = self.client.start_run("build", {"speed": 0})
        answer = wait_until("the run", lambda: self.client.answer(request))
        assert answer.result == "applied", answer
        self.run = answer.run
        self.operator = AutoOperator(self.client, self.run, lambda place, service, round_: ("approve", ""))

    def waiting(self) -> Gate | None:
        """The permission gate that is open; other gates are approved."""
        view = self.client.view(self.run)
        gates = [gate for gate in view.open_gates if gate.place == "permission"]
        self.operator._decided |= {(gate.id, gate.evidence, gate.opened_seq) for gate in gates}
        self.operator.look(view)
        return gates[0] if gates else None

    def decide(self, gate: Gate, verdict: str = "approve", scope: str = "", note: str = "") -> Any:
        item = self.client.decide(self.run, gate.id, verdict, note, gate.evidence, scope)
        return wait_until("the answer", lambda: self.client.answer(item))

    def is_over(self) -> bool:
        self.waiting()
        return self.client.view(self.run).is_over

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        reader = self.client.reader(self.run)
        events = [event for event in reader.poll(1 << 24) if event.kind == kind]
        reader.close()
        return [dict(event.data) for event in events]

    def results(self) -> list[str]:
        """What the tools told the agent, in order."""
        path = self.client.layout.run(self.run).transcript("api-1", "task_001")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [line["text"] for line in lines if line["line"] == "tool_result"]

    def landed(self, name: str) -> str:
        path = self.root / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Swarm]:
    found = Swarm(tmp_path)
    yield found
    found.client.send(InboxItem(ulid(), "engine.stop"))
    wait_until("the engine's end", lambda: not found.client.engine().is_alive)


def killed(swarm: Swarm) -> None:
    kill_engine(swarm.client)
    swarm.client.ensure_engine()


def test_an_asked_call_waits_survives_a_crash_and_is_made_once(swarm: Swarm) -> None:
    gate = wait_until("the gate", swarm.waiting)
    view = swarm.client.view(swarm.run)
    assert view.instances["api-1"].status == "waiting"
    document = swarm.client.document(swarm.run, gate).decode()
    for text in ("touch api/one", "Bash(touch:*) of multi-agent.yaml:4", "service api", "\n  Bash(touch:*)\n"):
        assert text in document
    assert [used["name"] for used in swarm.kinds("tool.used")] == ["plan_tasks"]

    killed(swarm)
    again = wait_until("the same gate", swarm.waiting)
    assert (again.id, again.evidence) == (gate.id, gate.evidence)
    assert len(swarm.kinds("permission.requested")) == 1

    assert swarm.decide(again, scope="once").result == "applied"

    def another() -> Gate | None:
        found = swarm.waiting()
        return found if found is not None and found.id != gate.id else None

    second = wait_until("the next gate", another)
    assert "touch api/two" in swarm.client.document(swarm.run, second).decode()
    assert swarm.decide(second, "reject", note="one file is enough").result == "applied"
    wait_until("the end", swarm.is_over)

    first, refused, denied = swarm.results()[:3]
    assert "no output" in first
    assert "the operator said no to this call: one file is enough" in refused
    assert "denied by the rule Bash(rm:*) of multi-agent.yaml:5" in denied
    assert swarm.landed("api/count.txt") == "ran\n"
    assert (swarm.root / "api/one").exists()
    assert not (swarm.root / "api/two").exists()


def test_always_is_kept_in_a_file_of_the_operator_and_asks_no_more(swarm: Swarm) -> None:
    gate = wait_until("the gate", swarm.waiting)
    assert swarm.decide(gate, scope="always").result == "applied"
    wait_until("the end", swarm.is_over)
    assert len(swarm.kinds("permission.requested")) == 1
    kept = swarm.client.layout.permissions_file.read_text()
    assert 'rule: "Bash(touch:*)"' in kept
    assert 'service: "api"' in kept
    assert (swarm.root / "api/two").exists()


def test_a_crash_between_the_answer_and_the_call_asks_nobody_again(swarm: Swarm) -> None:
    gate = wait_until("the gate", swarm.waiting)
    swarm.client.send(InboxItem(ulid(), "run.halt", swarm.run, data={"mode": "stop"}))
    wait_until("the halt", lambda: swarm.client.view(swarm.run).is_held)
    assert swarm.decide(gate, scope="session").result == "applied"
    killed(swarm)
    swarm.client.ask("run.resume", swarm.run)
    wait_until("the end", swarm.is_over)
    assert len(swarm.kinds("permission.requested")) == 1
    assert swarm.landed("api/count.txt") == "ran\n"


def test_who_approves_everything_gives_no_leave(swarm: Swarm) -> None:
    everything = AutoOperator(swarm.client, swarm.run)

    def is_over() -> bool:
        view = swarm.client.view(swarm.run)
        everything.look(view)
        return view.is_over

    wait_until("the end", is_over)
    assert sum("nobody is there to be asked" in text for text in swarm.results()) == 2
