"""Where a file comes from: who wrote it, from what, under which decisions and with which evidence. From the journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from swarm_core.vocabulary.entities import Gate, Task
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.findings import Finding
from swarm_core.vocabulary.view import RunView

WRITES = ("artifact.written", "commit.created")
VERDICTS = ("artifact.validated", "artifact.rejected", "artifact.stale", "artifact.sealed", "artifact.superseded")


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    has_passed: bool
    evidence: str
    seq: int


@dataclass
class Write:
    """One version of the file. ``commit`` is the agent's, ``merged_as`` the commit that brought it to everybody."""

    seq: int
    at: str
    kind: str
    task: str
    agent: str
    sha256: str = ""
    commit: str = ""
    message: str = ""
    verdicts: list[str] = field(default_factory=list)
    merged_as: str = ""


@dataclass(frozen=True, slots=True)
class Lineage:
    """All that the journal says of one file. ``tasks`` wrote it; ``sources`` are the tasks they built on."""

    path: str
    type: str
    writes: tuple[Write, ...]
    tasks: tuple[Task, ...]
    sources: tuple[Task, ...]
    gates: tuple[Gate, ...]
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    read_by: tuple[str, ...]


def lineage(events: Iterable[Event], wanted: str) -> tuple[RunView, Lineage]:
    """The lineage of a path, or of an artifact by its type. Without a write it is empty.

    Raises IllegalTransition if the journal does not fit together.
    """
    view, writes, checks = RunView(), list[tuple[str, Write]](), list[tuple[str, Check]]()
    names = {wanted.strip().removeprefix("./"), wanted}
    kind = ""
    for event in events:
        view.apply(event)
        data = event.data
        if event.kind == "artifact.written" and (data.get("path") in names or data.get("type") in names):
            names.add(str(data.get("path", "")))
            kind = str(data.get("type", ""))
            writes.append((event.task or "", _write(event, sha256=str(data.get("sha256", "")))))
        elif event.kind == "commit.created" and not names.isdisjoint(data.get("paths", ())):
            made = _write(event, commit=str(data.get("commit", "")), message=str(data.get("message", "")))
            writes.append((event.task or "", made))
        elif event.kind in VERDICTS and data.get("path") in names and writes:
            reason = str(data.get("reason", ""))
            said = event.kind.removeprefix("artifact.")
            writes[-1][1].verdicts.append(f"{said}: {reason}" if reason else said)
        elif event.kind in ("check.passed", "check.failed"):
            evidence = str(data.get("evidence", ""))
            check = Check(str(data.get("name", "")), event.kind == "check.passed", evidence, event.seq)
            checks.append((event.task or "", check))
        elif event.kind == "merge.completed":
            for task, write in writes:
                if task == event.task and not write.merged_as:
                    write.merged_as = str(data.get("integration", ""))
    return view, _collect(view, names, wanted, kind, writes, checks)


def _write(event: Event, *, sha256: str = "", commit: str = "", message: str = "") -> Write:
    return Write(event.seq, event.ts, event.kind, event.task or "", event.agent or event.actor, sha256, commit, message)


def _collect(
    view: RunView,
    names: set[str],
    wanted: str,
    kind: str,
    writes: list[tuple[str, Write]],
    checks: list[tuple[str, Check]],
) -> Lineage:
    writers = dict.fromkeys(task for task, _ in writes if task in view.tasks)
    tasks = [view.tasks[name] for name in writers]
    sources = dict.fromkeys(name for task in tasks for name in task.dependencies)
    readers = (name for writer in writers for name in view.index.dependents.get(writer, ()))
    places = [name for name in names if name]
    decided = (gate for gate in view.gates.values() if gate.task in writers or gate.place in ("plan", "landing"))
    return Lineage(
        next((name for name in view.artifacts if name in names), wanted),
        kind,
        tuple(write for _, write in writes),
        tuple(tasks),
        tuple(view.tasks[name] for name in sources if name in view.tasks),
        tuple(decided),
        tuple(check for task, check in checks if task in writers),
        tuple(one for one in view.findings.values() if any(one.location.startswith(place) for place in places)),
        tuple(dict.fromkeys(readers)),
    )
