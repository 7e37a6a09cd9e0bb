"""A run carried out by a crew that only says what it did: the engine's loop, journal and requests are real, git is not.

``Crew`` is a ``Performer``. The test decides what an agent's work is, and moves the clock by hand.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from swarm_core.engine.runner import Runner
from swarm_core.journal.disk import Disk
from swarm_core.journal.journal import Journal
from swarm_core.policy import Act
from swarm_core.policy.effects import (
    EvaluateGate,
    KeepUnlanded,
    Land,
    MergeTask,
    PrepareRun,
    RetireInstance,
    RollBack,
    RunAgent,
    SealPhase,
    StartInstance,
)
from swarm_core.vocabulary.clock import Clock, SystemClock
from swarm_core.vocabulary.events import OPERATOR, Draft, Event
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.layout import RepoLayout
from swarm_core.vocabulary.spec import SwarmSpec

DEADLINE_S = 5.0
DOCUMENT = b"what was measured\n"
EVIDENCE = hashlib.sha256(DOCUMENT).hexdigest()
Work = Callable[["Crew", RunAgent], Awaitable[None]]


class HandClock:
    """Stands still until ``advance``; who sleeps wakes when its time has come."""

    def __init__(self) -> None:
        self.passed_s = 0.0
        self.slept: list[float] = []
        self._moved = asyncio.Event()

    def now(self) -> str:
        moment = datetime(2026, 11, 21, 10, 0, tzinfo=UTC) + timedelta(seconds=self.passed_s)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def monotonic_s(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        until_s = self.passed_s + seconds
        self.slept.append(seconds)
        while self.passed_s < until_s:
            await self._moved.wait()

    def advance(self, seconds: float) -> None:
        self.passed_s += seconds
        self._moved.set()
        self._moved = asyncio.Event()


async def eventually(condition: Callable[[], Any], what: str = "") -> None:
    """Return when ``condition`` holds; fails after some seconds."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + DEADLINE_S
    while not condition():
        assert loop.time() < deadline_s, f"waited in vain for {what or 'what the test expects'}"
        await asyncio.sleep(0.002)


async def hands_in(crew: Crew, act: RunAgent) -> None:
    """An agent that is done at once."""
    await crew.submit(act)


class Crew:
    """``work`` is what an agent does; ``yes`` approves every gate that opens. ``acts`` are those that were begun."""

    def __init__(self, runner: Runner, tasks: Sequence[dict[str, Any]], work: Work = hands_in) -> None:
        self.runner, self.tasks, self.work = runner, tasks, work
        self.acts: list[Act] = []
        self.trouble: dict[type, Exception] = {}
        self.yes = True
        self.blockers: list[str] = []
        self.checks: list[dict[str, Any]] = []
        self.is_closed = False

    async def perform(self, act: Act) -> None:
        self.acts.append(act)
        if (error := self.trouble.get(type(act))) is not None:
            raise error
        record = self.runner.record
        match act:
            case PrepareRun():
                await record(Draft("run.started", {"base": "b0", "base_ref": "refs/heads/main", "integration": "b0"}))
            case StartInstance(instance):
                if instance not in self.runner.view.instances:
                    data = {"service": instance.rpartition("-")[0], "worktree": f"/trees/{instance}"}
                    await record(Draft("agent.starting", data, agent=instance))
                await record(Draft("agent.ready", agent=instance))
            case RunAgent(task) if self.runner.view.tasks[task].is_planning:
                plan: dict[str, Any] = {
                    "type": "plan",
                    "path": "plan.json",
                    "tasks": self.tasks if task == "task_000" else [],
                }
                await record(Draft("artifact.written", plan, task=task, agent=act.instance))
                await self.submit(act, files=0)
            case RunAgent():
                await self.work(self, act)
            case EvaluateGate(gate):
                await self._open(gate)
            case MergeTask(task, commit):
                await record(Draft("merge.checking", {"commit": commit}, task=task))
                await record(Draft("merge.completed", {"commit": commit, "integration": f"i-{task}"}, task=task))
            case SealPhase(phase):
                await record(Draft("receipt.sealed", {"path": f"{phase}.json"}, phase=phase))
            case RetireInstance(instance):
                await record(Draft("agent.retired", agent=instance))
            case RollBack(seq):
                await record(Draft("rollback.done", {"to_seq": seq, "tasks": {}, "integration": "b0"}))
                incidents = [i.id for i in self.runner.view.incidents.values() if i.status == "recovering"]
                await record(Draft("recovery.completed", {"incident": "".join(incidents)}))
            case Land() | KeepUnlanded():
                await record(Draft("run.completed", {"landed": isinstance(act, Land), "outcome": "clean"}))

    def give_up(self, act: Act, error: Exception) -> list[Draft]:
        match act:
            case RunAgent(task) | MergeTask(task):
                return [Draft("task.failed", {"reason": str(error), "kind": "engine"}, task=task)]
            case _:
                return [Draft("run.failed", {"reason": str(error)})]

    async def close(self) -> None:
        self.is_closed = True

    async def submit(self, act: RunAgent, files: int = 1, command: str = "") -> None:
        commit = f"c-{act.task}-{act.attempt}" if files else ""
        data = {"attempt": act.attempt, "commit": commit, "files": files, "command": command}
        await self.runner.record(Draft("task.submitted", data, task=act.task, agent=act.instance))

    async def _open(self, gate: str) -> None:
        place = self.runner.layout.dir / "gates" / f"{gate}.patch"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(DOCUMENT)
        data = {"gate": gate, "document": f"gates/{gate}.patch", "evidence": EVIDENCE}
        await self.runner.record(
            Draft("gate.opened", {**data, "blockers": list(self.blockers), "checks": list(self.checks)})
        )
        if self.yes:
            await self.decide(gate, "approve")

    async def decide(self, gate: str, verdict: str, note: str = "") -> None:
        data = {"gate": gate, "verdict": verdict, "note": note}
        await self.runner.record(Draft("gate.decided", data, actor=OPERATOR))

    def began(self, kind: type) -> list[Any]:
        """The acts of one kind, in the order in which they were begun."""
        return [act for act in self.acts if isinstance(act, kind)]


class Run:
    """A runner at work in a directory; ``said`` is what it told the operator."""

    def __init__(self, runner: Runner, crew: Crew, said: list[str]) -> None:
        self.runner, self.crew, self.said = runner, crew, said
        self.driving: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        root: Path,
        spec: SwarmSpec,
        *tasks: dict[str, Any],
        work: Work = hands_in,
        clock: Clock | None = None,
        disk: Disk | None = None,
        name: str = "r1",
        created: dict[str, Any] | None = None,
    ) -> Run:
        layout, clock, said = RepoLayout(root).run(name), clock or SystemClock(), list[str]()
        layout.dir.mkdir(parents=True, exist_ok=True)
        journal = await Journal.open(layout.journal, name, clock, disk)
        runner = Runner(layout, journal, spec, clock, said.append, random=Random(7))
        crew = Crew(runner, tasks, work)
        runner.performer = crew
        if not runner.view.last_seq:
            await runner.record(Draft("run.created", {"title": "T", "goal": "G", **(created or {})}))
        return cls(runner, crew, said)

    def drive(self) -> Run:
        self.driving = asyncio.create_task(self.runner.drive())
        return self

    async def until(self, kind: str, count: int = 1) -> None:
        """Go on until so many events of a kind were journaled and folded."""

        def is_there() -> bool:
            found = self.events(kind)
            return len(found) >= count and self.runner.view.last_seq >= found[count - 1].seq

        await eventually(lambda: is_there() or self._is_broken(), f"{count} {kind}")

    async def end(self) -> None:
        assert self.driving is not None
        async with asyncio.timeout(DEADLINE_S):
            await self.driving

    async def stop(self) -> None:
        if self.driving is not None:
            self.driving.cancel()
            await asyncio.wait({self.driving}, timeout=2)
            for job in self.runner.jobs.values():  # of a test that failed: an agent that does not want to leave
                job.cancel()
            await asyncio.gather(self.driving, return_exceptions=True)
        await self.runner.journal.close()

    def events(self, *kinds: str) -> list[Event]:
        """What is on disk, of these kinds, or all of it."""
        from swarm_core.journal.tail import JournalReader

        reader = JournalReader(self.runner.layout.journal)
        try:
            found = reader.poll(1 << 24)
        finally:
            reader.close()
        return [event for event in found if not kinds or event.kind in kinds]

    def ask(self, kind: str, *, id: str = "", **data: Any) -> InboxItem:
        return InboxItem(id or ulid(), kind, self.runner.layout.run, data=data)

    def _is_broken(self) -> bool:
        if self.driving is not None and self.driving.done():
            self.driving.result()
        return False
