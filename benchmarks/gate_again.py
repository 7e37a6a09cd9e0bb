"""Claim: judging a gate again, and deciding what follows, costs what changed: with 1,000 artifacts and 10,000 events at
most twice of what it costs with 10 artifacts and 100 events.

A real repository with that many registered artifacts, a journal with that many events, and a task whose commit changes
one artifact. Its merge gate is judged by the engine's own hands; then the agent commits once more, again to one
artifact, and the gate is judged again: that is measured, in turn on the small and the large run. Counted are the
processes that are started, the artifacts that are judged, the bytes of artifacts that are read, the events that are
journaled, and processor time with that of the children.

Then the policy alone: one more event is applied and everything decided (``decide``, with the rules' ``fire`` and
``blocking``), on a run with as many facts, artifacts, findings and settled firings; what is open is the same in both.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.instant import Unsynced

from swarm_core.artifacts import aside
from swarm_core.definitions import load
from swarm_core.engine import artifacts as registrar
from swarm_core.engine.acts import Hands
from swarm_core.engine.models import ModelPool
from swarm_core.engine.runner import Runner
from swarm_core.journal.journal import Journal
from swarm_core.journal.projections import prepare
from swarm_core.policy import decide
from swarm_core.policy.effects import PrepareRun, StartInstance
from swarm_core.policy.matrix import blocking, fire
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.layout import CONFIG_FILE, RepoLayout
from swarm_core.vocabulary.rules import Matrix, Rule
from swarm_core.vocabulary.spec import ServiceSpec, SwarmSpec
from swarm_core.vocabulary.view import RunView
from swarm_core.workspace import blobs

RUN = "20261121-100000-gate-again"
SIZES = ((10, 100), (1_000, 10_000))  # artifacts, events
ROUNDS = 7
LOOKS = 300
GOAL = 2.0
TASK, INSTANCE = "task_001", "writer-1"
RULES = (
    Rule("coverage", metric="coverage", sign="<", limit=80.0, unit="%", do=("block_deployment",), notify=("ALL",)),
    Rule("security", condition="vulnerability_found", severity="CRITICAL", do=("block_deployment",)),
    Rule("tests", condition="tests_fail", do=("create_hotfix",)),
    Rule("style", condition="style_found", do=("add_to_backlog",)),
    Rule("conflict", condition="merge_conflict", execute="request_clarification"),
)


def artifact(number: int) -> str:
    return f"artifacts/a{number:04d}.yml"


def text(number: int, version: int) -> str:
    return f"number: {number}\nversion: '{version}'\nparts:\n" + "".join(f"  - part {n}\n" for n in range(40))


def history(artifacts: int, events: int) -> Iterator[Draft]:
    """As many events as are left: every artifact written and judged, checks, findings that were closed, calls."""
    yield Draft("matrix.adopted", Matrix(RULES).data())
    count = 1
    for number in range(artifacts):
        path = artifact(number)
        yield Draft("artifact.written", {"type": f"a{number:04d}", "path": path, "sha256": "0" * 64}, task="task_000")
        yield Draft("artifact.validated", {"path": path})
        yield Draft("check.passed", {"name": f"check-{number}", "kind": "command", "result": "pass", "commit": "c"})
        name, firing = f"W-{number:04d}", f"firing_{number + 1:03d}"
        found = Draft("finding.opened", {"finding": name, "category": "style", "severity": "LOW", "title": name})
        yield found
        yield Draft("rule.fired", {"firing": firing, "rule": "style", "fact": f"finding:{name}", "actions": []})
        yield Draft("rule.settled", {"firing": firing, "how": "all it asked for is done"})
        yield Draft("finding.closed", {"finding": name, "resolution": "backlog"})
        count += 7
    call = {"model": "scripted", "input_tokens": 900, "output_tokens": 60, "cost_usd": 0.001, "ms": 900}
    for _ in range(events - count):
        yield Draft("llm.call", call, task=TASK, agent=INSTANCE)


def told(view: RunView, draft: Draft) -> Draft:
    """A firing names the evidence of its fact, which is known when it happens."""
    if draft.kind != "rule.fired":
        return draft
    return Draft(draft.kind, {**draft.data, "evidence": view.facts[str(draft.data["fact"])].evidence}, task=draft.task)


# -- the gate


@dataclass(slots=True)
class Work:
    """What was done while it was counted."""

    processes: int = 0
    judged: int = 0
    read_bytes: int = 0
    events: int = 0
    cpu_s: float = 0.0


def processor_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@contextmanager
def counted(runner: Runner) -> Iterator[Work]:
    """Counts beside the product's own functions, which do what they always do."""
    work, before_s, before = Work(), processor_s(), runner.view.last_seq
    started, judge, contents = subprocess.Popen.__init__, aside.judge, blobs.contents

    def popen(self: Any, *given: Any, **more: Any) -> None:
        work.processes += 1
        started(self, *given, **more)

    async def judging(registry: Any, files: Any, **more: Any) -> Any:
        work.judged += len(files)
        return await judge(registry, files, **more)

    async def reading(desk: Any, oids: Any) -> dict[str, bytes]:
        found = await contents(desk, oids)
        work.read_bytes += sum(map(len, found.values()))
        return found

    subprocess.Popen.__init__ = popen  # type: ignore[method-assign]
    registrar.judge, registrar.contents = judging, reading  # type: ignore[attr-defined]
    try:
        yield work
    finally:
        subprocess.Popen.__init__ = started  # type: ignore[method-assign]
        registrar.judge, registrar.contents = judge, contents  # type: ignore[attr-defined]
        work.cpu_s, work.events = processor_s() - before_s, runner.view.last_seq - before


class Bench:
    """One run at its merge gate."""

    def __init__(self, root: Path, artifacts: int, events: int) -> None:
        self.root, self.artifacts, self.events = root, artifacts, events
        self.versions = itertools.count(2)

    async def open(self) -> Bench:
        write_repository(self.root, self.artifacts)
        layout = RepoLayout(self.root).run(RUN)
        prepare(layout.repo)
        layout.dir.mkdir(parents=True)
        registrar.keep_registry(self.root, layout.dir)
        spec, clock = load(self.root / CONFIG_FILE), SystemClock()
        journal = await Journal.open(layout.journal, RUN, clock, Unsynced())
        self.runner = runner = Runner(layout, journal, spec, clock)
        self.hands = Hands(runner, ModelPool(spec, self.root, clock, "gate"))
        await runner.record(Draft("run.created", {"title": "T", "goal": "G", "options": {"speed": 0}}))
        await self.hands.perform(PrepareRun())
        for name, kind in (("task_000", "plan"), (TASK, "work")):
            await runner.record(
                Draft("task.created", {"title": name, "assigned_to": "writer", "kind": kind}, task=name)
            )
        await self.hands.perform(StartInstance(INSTANCE))
        await (await self.hands.hub()).add_tree(INSTANCE)
        left = self.events - runner.view.last_seq
        for draft in history(self.artifacts, left):
            await runner.record(told(runner.view, draft))
        await runner.record(Draft("task.ready", task=TASK))
        claim = {"attempt": 1, "base": runner.view.run.integration}
        await runner.record(Draft("task.claimed", claim, task=TASK, agent=INSTANCE))
        await self.commit()
        await runner.record(Draft("task.submitted", {"attempt": 1, "commit": self.tip, "files": 1}, task=TASK))
        gate = {"gate": "gate_001", "place": "merge", "title": TASK, "round": 1}
        await runner.record(Draft("gate.evaluating", gate, task=TASK))
        await self.judge()
        return self

    async def commit(self) -> None:
        """The agent changes one artifact and commits."""
        hub, number = await self.hands.hub(), next(self.versions)
        tree = self.runner.layout.trees / INSTANCE
        (tree / artifact(3)).write_text(text(3, number))
        made = await hub.commit(INSTANCE, f"version {number}", allowed=lambda path: True, trailers={}, author=INSTANCE)
        if made is None:
            raise SystemExit("nothing was committed")
        self.tip = made.oid
        if self.runner.view.tasks[TASK].status == "verifying":
            data = {"commit": self.tip, "message": "more", "files": 1}
            await self.runner.record(Draft("commit.created", data, task=TASK, agent=INSTANCE))

    async def judge(self) -> None:
        await self.hands.judging.evaluate(self.runner.view.gates["gate_001"])
        gate = self.runner.view.gates["gate_001"]
        if gate.status != "open" or [check.name for check in gate.checks if check.has_passed] != ["artifacts"]:
            raise SystemExit(f"the gate is {gate.status}: {gate.checks}")

    async def again(self) -> Work:
        """What it takes when the evidence of the open gate moved."""
        await self.commit()
        moved = {"gate": "gate_001", "reason": "there is another commit"}
        await self.runner.record(Draft("gate.invalidated", moved, task=TASK))
        gc.collect()
        with counted(self.runner) as work:
            await self.judge()
        return work

    async def close(self) -> None:
        await self.hands.close()
        await self.runner.journal.close()


def write_repository(root: Path, artifacts: int) -> None:
    config = "adapter: scripted\nscript: scripts\nservices:\n  writer: {directories: [src]}\n"
    types = "".join(
        f"  a{n:04d}: {{producer: writer, consumers: [reader], format: yaml, path: {artifact(n)}}}\n"
        for n in range(artifacts)
    )
    files = {CONFIG_FILE: config, ".agent-artifacts/registry.yml": f"artifact_types:\n{types}", "src/a.txt": "a\n"}
    files["scripts/writer.yaml"] = files["scripts/architect.yaml"] = "[]\n"
    files |= {artifact(number): text(number, 1) for number in range(artifacts)}
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "start"]):
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True)


async def gates(place: Path) -> list[Work]:
    """The typical re-evaluation of each size; measured in turn."""
    benches = [await Bench(place / str(size[1]), *size).open() for size in SIZES]
    rounds: list[list[Work]] = [[], []]
    for _ in range(ROUNDS):
        for bench, works in zip(benches, rounds, strict=True):
            works.append(await bench.again())
    for bench in benches:
        await bench.close()
    return [min(works, key=lambda work: work.cpu_s) for works in rounds]


# -- the policy


def state(artifacts: int, events: int) -> RunView:
    """A run of that size in which one task runs, one check fails and one finding is open."""
    view = RunView()
    drafts = [
        Draft("run.created", {"title": "T"}),
        Draft("run.started", {"base": "b"}),
        Draft("phase.started", phase="plan"),
    ]
    drafts += [Draft("task.created", {"title": "P", "assigned_to": "architect", "kind": "plan"}, task="task_000")]
    drafts += [Draft("task.created", {"title": "W", "assigned_to": "writer"}, task=TASK)]
    drafts += [Draft("agent.starting", {"service": "writer"}, agent=INSTANCE), Draft("agent.ready", agent=INSTANCE)]
    for draft in (*drafts, *history(artifacts, events - len(drafts) - 4)):
        happens(view, draft)
    happens(view, Draft("task.ready", task=TASK))
    happens(view, Draft("task.claimed", {"attempt": 1}, task=TASK, agent=INSTANCE))
    happens(view, Draft("check.failed", {"name": "tests", "result": "fail", "commit": "d"}))
    happens(view, Draft("finding.opened", {"finding": "W-open", "category": "security", "severity": "HIGH"}))
    return view


def happens(view: RunView, draft: Draft) -> None:
    draft = told(view, draft)
    at = "2026-11-21T10:00:00.000Z"
    view.apply(
        Event(view.last_seq + 1, at, RUN, draft.kind, draft.data, task=draft.task, agent=draft.agent, phase=draft.phase)
    )


def look(view: RunView, spec: SwarmSpec, number: int) -> float:
    """Processor seconds of one event and of all that is decided after it."""
    data = {"name": "check-1", "kind": "command", "result": "pass", "commit": f"c{number}"}
    started = time.thread_time()
    happens(view, Draft("check.passed", data))
    decide(view, spec)
    list(fire(view))
    blocking(view)
    return time.thread_time() - started


def policies() -> list[float]:
    spec = SwarmSpec({"architect": ServiceSpec("architect"), "writer": ServiceSpec("writer", directories=("src",))})
    views = [state(*size) for size in SIZES]
    gc.collect()
    gc.disable()  # what it finds is as old as the run, and it comes to whoever is next
    spent: list[list[float]] = [[], []]
    for number in range(LOOKS):
        for view, seconds in zip(views, spent, strict=True):
            seconds.append(look(view, spec, number))
    gc.enable()
    return [statistics.median(seconds) for seconds in spent]


def main() -> int:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:
        os.environ["XDG_STATE_HOME"] = f"{place}/state"
        small, large = asyncio.run(gates(Path(place).resolve()))
    before, after = policies()
    print(f"{'':22}" + "".join(f"{artifacts:>7,} artifacts, {events:>6,} events" for artifacts, events in SIZES))
    is_well = True
    for name, one, other in (
        ("processes started", small.processes, large.processes),
        ("artifacts judged", small.judged, large.judged),
        ("bytes read", small.read_bytes, large.read_bytes),
        ("events journaled", small.events, large.events),
        ("gate, CPU ms", small.cpu_s * 1e3, large.cpu_s * 1e3),
        ("decide, CPU ms", before * 1e3, after * 1e3),
    ):
        ratio = other / one
        is_well &= ratio <= GOAL
        print(f"{name:<22}{one:>31,.3g}{other:>31,.3g}   {ratio:5.2f}x · goal <= {GOAL:g}x")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
