"""Where a file comes from: who wrote each version, from what, decided how, on which evidence, and who read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .history import History
from .past import Decision, Issue, Reads, Ruling, Version, Work

MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Source:
    """Something a version was made from. ``version`` is None if it was there before the run; what that version was
    made from follows one deeper, unless it ``was_told`` above, or ``goes_on`` further back than is followed."""

    depth: int
    path: str
    sha256: str
    version: Version | None
    was_told: bool = False
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """A task that read the file: as an artifact of a SHA-256, or by a tool (then that is empty). ``wrote`` are the
    paths and numbers of the versions it made from it."""

    task: str
    seq: int
    sha256: str = ""
    wrote: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Lineage:
    """All that a run's journal says of one file. ``landed`` is the commit that brought the run's work home."""

    run: str
    path: str
    key: str
    versions: tuple[Version, ...]
    readers: tuple[Reader, ...]
    rulings: tuple[Ruling, ...]
    issues: tuple[Issue, ...]
    landing: Decision | None
    landed: str
    work: Mapping[str, Work]
    plans: Mapping[str, Decision]
    history: History

    @property
    def is_empty(self) -> bool:
        """Whether the journal does not know the file at all."""
        return not (self.versions or self.readers or self.rulings or self.issues)

    def sources(self, inputs: Reads, *, of: Version) -> Iterator[Source]:
        """What ``inputs`` of a version were, and what each of those was made from, by exact hashes."""
        told = {(of.path, of.sha256)}
        stack = [(1, path, sha256) for path, sha256 in reversed(inputs)]
        while stack:
            depth, path, sha256 = stack.pop()
            found = self.history.with_sha256(path, sha256)
            was_told, has_sources = (path, sha256) in told, bool(found and found.inputs)
            goes_on = has_sources and not was_told and depth >= MAX_DEPTH
            yield Source(depth, path, sha256, found, was_told=was_told and has_sources, goes_on=goes_on)
            if found is None or was_told or goes_on:
                continue
            told.add((path, sha256))
            stack += [(depth + 1, *read) for read in reversed(found.inputs)]

    def built_on(self, version: Version) -> list[Work]:
        """The tasks whose work the version's task began with."""
        mine = self.work.get(version.task)
        return [self.work[name] for name in mine.dependencies if name in self.work] if mine else []

    def causes(self, task: str) -> list[str]:
        """The findings and rules for which a task was created."""
        made = {task, self.work[task].planned_in if task in self.work else ""} - {""}
        issues = [f"finding {one.id}" for one in self.issues if task in one.tasks]
        return issues + [f"{one.id} {one.rule}".strip() for one in self.rulings if not made.isdisjoint(one.tasks)]

    def planned_at(self, work: Work) -> Decision | None:
        """The gate that the plan with this task passed."""
        return self.plans.get(work.planned_in)


def trace(history: History, path: str, key: str = "") -> Lineage:
    """The lineage of one path; it may be empty."""
    versions = history.versions(path)
    writers = {version.task for version in versions} - {""}
    planners = {history.work[task].planned_in for task in writers if task in history.work} - {""}
    rulings = _rulings(history, path, writers, planners)
    raised = {ruling.finding for ruling in rulings}
    issues = [one for one in history.rules.issues.values() if one.id in raised or _concerns(one, path, writers)]
    return Lineage(
        history.run,
        path,
        key or (versions[-1].key if versions else ""),
        tuple(versions),
        tuple(_readers(history, path, writers)),
        tuple(rulings),
        tuple(issues),
        history.landing,
        history.landed,
        history.work,
        history.plans,
        history,
    )


def _concerns(issue: Issue, path: str, writers: set[str]) -> bool:
    """Whether a finding is about the file, about the whole work that wrote it, or is why it was written."""
    is_of_the_work = issue.about in writers and not issue.location and not issue.paths
    return issue.is_about(path) or is_of_the_work or not writers.isdisjoint(issue.tasks)


def _rulings(history: History, path: str, writers: set[str], planners: set[str]) -> list[Ruling]:
    """Those about the file, about the tasks that wrote it, and those whose tasks wrote it or planned who does."""
    makers, found = writers | planners, history.rules.rulings.values()
    return [one for one in found if path in one.paths or one.task in writers or not makers.isdisjoint(one.tasks)]


def _readers(history: History, path: str, writers: set[str]) -> Iterator[Reader]:
    """Each task once: with the content it was given, or that it opened the file."""
    wrote: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for versions in history.written.values():
        for version in versions:
            for read, sha256 in version.inputs:
                if read == path:
                    wrote.setdefault((version.task, sha256), []).append((version.path, version.number))
    given = {(task, sha256): seq for seq, task, read, sha256 in reversed(history.given) if read == path}
    readers = [Reader(task, seq, sha256, tuple(wrote.get((task, sha256), ()))) for (task, sha256), seq in given.items()]
    known = {task for task, _ in given}
    opened = history.opened.get(path, {}).items()
    readers += [Reader(task, seq) for task, seq in opened if task not in known and task not in writers]
    yield from sorted(readers, key=lambda reader: reader.seq)


# -- as JSON


def document(found: Lineage) -> dict[str, Any]:
    """A lineage as plain data: what each version was made from is followed back inside it."""
    return {
        "run": found.run,
        "path": found.path,
        "type": found.key,
        "versions": [_version(found, version) for version in found.versions],
        "read_by": [asdict(reader) for reader in found.readers],
        "rules": [asdict(ruling) for ruling in found.rulings],
        "findings": [asdict(issue) for issue in found.issues],
        "landing": asdict(found.landing) if found.landing is not None else None,
        "landed": found.landed,
    }


def _version(found: Lineage, version: Version) -> dict[str, Any]:
    work = found.work.get(version.task, Work(version.task))
    planned = found.planned_at(work)
    return {
        **asdict(version),
        "status": version.status,
        "work": asdict(work),
        "planned_at": {"gate": planned.gate, "verdict": planned.verdict, "by": planned.by} if planned else None,
        "sources": [_source(source) for source in found.sources(version.inputs, of=version)],
        "holds_with": [_source(source) for source in found.sources(version.holds_with, of=version)],
    }


def _source(source: Source) -> dict[str, Any]:
    made = source.version
    about = {"version": made.number, "task": made.task, "agent": made.agent, "commit": made.commit} if made else None
    return {"depth": source.depth, "path": source.path, "sha256": source.sha256, "written": about}
