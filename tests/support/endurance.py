"""Small real repositories whose runs play scripts, and engines that things happen to."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.cli import git, kill_engine, wait_until

from swarm_core.cli.operator import AutoOperator
from swarm_core.client import SwarmClient
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.view import RunView

DEFAULT_SERVICES = ("api", "web")
LOOSE = ("run_id", "seq", "evidence_sha", "tokens", "cost_usd", "started_at", "completed_at")


def repository(root: Path, services: Iterable[str] = DEFAULT_SERVICES, *, pause_s: float = 0.0) -> SwarmClient:
    """A repository with one commit; in its runs each service writes two files of its own and commits twice."""
    services = tuple(services)
    config = "adapter: scripted\nscript: scripts\nservices:\n"
    config += "".join(f"  {key}: {{directories: [{key}]}}\n" for key in services)
    tasks = "".join(
        f"          - {{key: {key}, title: Write {key}, description: Write it., assigned_to: {key}}}\n"
        for key in services
    )
    plan = f"- do:\n    - tool: plan_tasks\n      args:\n        tasks:\n{tasks}"
    files = {"multi-agent.yaml": config, "scripts/architect.yaml": plan, "README.md": "# Endurance\n"}
    for key in services:
        files[f"scripts/{key}.yaml"] = "".join(
            f"- do: [{call}]\n  pause: {pause_s}\n"
            for call in (
                f'{{tool: Write, args: {{file_path: {key}/one.txt, content: "one\\n"}}}}',
                "{tool: commit, args: {message: 'feat: one'}}",
                f'{{tool: Write, args: {{file_path: {key}/two.txt, content: "two\\n"}}}}',
                "{tool: commit, args: {message: 'feat: two'}}",
                "{tool: handoff, args: {what_i_did: both}}",
            )
        )
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "-c", "user.name=op", "-c", "user.email=op@localhost", "commit", "-qm", "start")
    return SwarmClient(root)


def begin(client: SwarmClient, goal: str = "build", *, speed: float = 0) -> str:
    """A run under way, by its name."""
    client.ensure_engine()
    item = client.start_run(goal, {"speed": speed})
    answer = wait_until("the engine's answer", lambda: client.answer(item))
    assert answer.result == "applied", answer.reason
    return answer.run


def drive(
    client: SwarmClient, run: str, each: Callable[[RunView], None] = lambda view: None, *, timeout_s: float = 80.0
) -> RunView:
    """Approve everything until the run is over; bring the engine back whenever it is gone."""
    operator = AutoOperator(client, run)

    def ended() -> RunView | None:
        view = client.view(run)
        operator.look(view)
        each(view)
        if view.is_over:
            return view
        if not client.engine().is_alive:
            client.ensure_engine()
        return None

    return wait_until("the end of the run", ended, timeout_s=timeout_s)


def gate_opens(client: SwarmClient, run: str) -> RunView:
    """Wait until nothing is under way but a decision: then no agent works and nothing is written."""

    def waits() -> RunView | None:
        view = client.view(run)
        return view if view.open_gates and not view.index.count("running") else None

    return wait_until("a gate", waits)


def approve(client: SwarmClient, run: str) -> str:
    """Approve the oldest open gate. Returns the request."""
    gate = client.view(run).open_gates[0]
    return client.decide(run, gate.id, "approve", "", gate.evidence)


def kill(client: SwarmClient) -> None:
    """kill -9 of the engine and of its keeper, and wait for the death."""
    kill_engine(client)


def kill_engine_alone(client: SwarmClient) -> None:
    """kill -9 of the engine: its keeper may bring another one."""
    pid = client.engine().pid
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    wait_until("the engine's death", lambda: (now := client.engine()).pid != pid or not now.is_alive)


def end(client: SwarmClient) -> None:
    """Ask the engine to stop and wait until it has."""
    if client.engine().is_alive:
        client.send(InboxItem(ulid(), "engine.stop"))
        wait_until("the engine's end", lambda: not client.engine().is_alive)


def message(client: SwarmClient, text: str, timeout_s: float = 20.0) -> str:
    """Wait until the engine's status says ``text``; the whole message."""

    def said() -> str:
        now = client.engine().message
        return now if text in now else ""

    return wait_until(f"{text!r} in the status", said, timeout_s)


def events(client: SwarmClient, run: str) -> list[Event]:
    """The whole journal of a run."""
    reader, out = client.reader(run), list[Event]()
    while found := reader.poll(1 << 22):
        out += found
    reader.close()
    return out


def landed_tree(client: SwarmClient) -> str:
    return git(client.layout.root, "rev-parse", "main^{tree}")


def receipts(client: SwarmClient, run: str) -> dict[str, Any]:
    """The run's receipts without what differs between two runs that did the same."""
    out = {}
    for path in sorted(client.layout.run(run).dir.glob("*/*_receipt.json")):
        body = {key: value for key, value in json.loads(path.read_text()).items() if key not in LOOSE}
        body["gates"] = sorted((gate["verdict"], gate["by"], gate["note"]) for gate in body["gates"])
        out[path.name] = body
    return out


def merged_once(found: Iterable[Event]) -> list[str]:
    """The merged tasks; fails if one was merged twice."""
    merged = [event.task or "" for event in found if event.kind == "merge.completed"]
    assert len(merged) == len(set(merged)), merged
    return sorted(merged)


def no_gate_skipped(view: RunView, found: Iterable[Event]) -> None:
    """Every gate that was passed was passed by a decision in the journal."""
    decided = {e.data["gate"] for e in found if e.kind == "gate.decided" and e.data["verdict"] == "approve"}
    assert {gate.id for gate in view.gates.values() if gate.status == "passed"} == decided


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
