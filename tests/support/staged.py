"""A run of the whole engine that plays scripts, decided by hand or to its end by ``--yes``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.support import repos
from tests.support.cli import background, swarm, wait_until

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView

Call = dict[str, Any]
RUN = ("run", "Play", "--headless", "--speed", "0")
HEAD = "adapter: scripted\nscript: scripts\n"


def call(tool: str, **args: Any) -> Call:
    return {"tool": tool, "args": args}


def write(path: str, content: str) -> Call:
    return call("Write", file_path=path, content=content)


def handoff(what: str = "Did it.") -> Call:
    return call("handoff", what_i_did=what)


def work(service: str, *rounds: Sequence[Call], after: Sequence[str] = ()) -> dict[str, Any]:
    """A task of ``service`` named after it, and what it does in each round."""
    return {"service": service, "rounds": rounds, "after": list(after)}


@dataclass
class Staged:
    """A repository in which a run is played. What is asked is read anew from the journal."""

    root: Path
    client: SwarmClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = SwarmClient(self.root)

    @property
    def run(self) -> str:
        run = self.client.latest()
        assert run is not None
        return run

    @property
    def directory(self) -> Path:
        return self.root / ".runs" / self.run

    def events(self, *kinds: str) -> list[Event]:
        if self.client.latest() is None:
            return []
        found = self.client.reader(self.run).poll(max_bytes=1 << 24)
        return [event for event in found if not kinds or event.kind in kinds]

    @property
    def view(self) -> RunView:
        return RunView.of(self.events())

    def evidence(self, check: str) -> str:
        """The text of the last evidence of a check on what a task would bring about."""
        measured = [event for event in self.events() if event.data.get("name") == check and event.task]
        kept = [str(event.data["evidence"]) for event in measured]
        return (self.directory / kept[-1]).read_text()

    def told(self, instance: str, task: str) -> list[str]:
        """What an agent's tools answered, in order."""
        path = self.client.layout.run(self.run).transcript(instance, task)
        lines = [json.loads(text) for text in path.read_text().splitlines()]
        return [str(one["text"]) for one in lines if one["line"] == "tool_result"]

    def finish(self, *, code: int = 0) -> Staged:
        """Play to the end; everything that may be approved is. ``code`` is the exit code: 30 if it does not land."""
        done = swarm(*RUN, "--yes", cwd=self.root)
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-2000:]
        return self

    @contextmanager
    def under_way(self) -> Iterator[Staged]:
        with background(*RUN, cwd=self.root):
            yield self
        self.stop()

    def gate(self, place: str, *, service: str = "", beside: Sequence[str] = ()) -> Gate:
        """The gate of a place that waits, once it does."""

        def waiting() -> Gate | None:
            if self.client.latest() is None:
                return None
            view = self.client.view(self.run)
            fitting = (g for g in view.open_gates if g.place == place and g.id not in beside)
            return next((g for g in fitting if not service or view.tasks[g.task].assigned_to == service), None)

        return wait_until(f"a {place} gate", waiting)

    def decide(self, verdict: str, gate: Gate, *more: str) -> str:
        """Decide as a person would, and insist that it is taken."""
        done = swarm(verdict, gate.id, *more, cwd=self.root)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, verdict: str, gate: Gate, *more: str) -> str:
        """Decide, insist that it is not taken, and return why."""
        done = swarm(verdict, gate.id, *more, cwd=self.root)
        assert (done.returncode, done.stdout) == (8, ""), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def stop(self) -> None:
        if self.client.engine().is_alive:
            swarm("stop", cwd=self.root)
            wait_until("the engine's end", lambda: not self.client.engine().is_alive)


def stage(root: Path, config: str, *tasks: Mapping[str, Any], files: Mapping[str, str] | None = None) -> Staged:
    """A committed repository with ``files``, whose run has these tasks. ``config`` is what follows the adapter."""
    repos.small(root)
    for path, text in {"multi-agent.yaml": HEAD + config, **(files or {})}.items():
        repos.write(root, path, text)
    planned, scripts = [], dict[str, list[dict[str, Any]]]()
    for one in tasks:
        service = str(one["service"])
        planned.append({"key": service, "title": f"{service} works", "description": "It.", "assigned_to": service,
                        "dependencies": one["after"]})  # fmt: skip
        for number, calls in enumerate(one["rounds"], 1):
            when = {"task": f"{service} works", "iteration": number}
            scripts.setdefault(service, []).extend({"when": when, "do": [each]} for each in calls)
    plan = {"when": {"task": "task_000"}, "do": [call("plan_tasks", tasks=planned)]}
    repos.write(root, "scripts/architect.yaml", json.dumps([plan]))
    for service, turns in scripts.items():
        repos.write(root, f"scripts/{service}.yaml", yaml.safe_dump(turns))
    repos.commit_all(root, "Begin")
    return Staged(root)
