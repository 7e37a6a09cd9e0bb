"""A run's journal as one sequence of lines, whatever files it lies in, and what is true after each of them.

The journal is the closed segments ``events/<first seq>.jsonl`` in the order of their names, then ``events.jsonl``.
A run that has no segments is the same thing with none of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from swarm_core.journal.lines import Chain, decode
from swarm_core.vocabulary.errors import JournalCorrupt, JournalError
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.view import RunView

ACTIVE = "events.jsonl"
SEGMENTS = "events"
OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_OID_FIELDS = ("commit", "base", "integration", "onto")


def lines(run_dir: Path) -> Iterator[bytes]:
    """Every complete line of the journal, without its newline, oldest first; also while an engine is writing.

    The active file is opened before the segments are listed: if the engine closes it in between, what was opened is
    still read, once. What is added after that moment is not seen. Raises JournalError if a file cannot be read.
    """
    try:
        active: int | None = _open(run_dir / ACTIVE)
    except FileNotFoundError:
        active = None
    except OSError as error:
        raise JournalError(f"{run_dir / ACTIVE} cannot be read: {error.strerror}") from error
    size = os.fstat(active).st_size if active is not None else 0
    first = _first_seq(active) if active is not None else None
    try:
        for segment in sorted((run_dir / SEGMENTS).glob("*.jsonl")):
            if first is None or not segment.stem.isdigit() or int(segment.stem) < first:
                try:
                    fd = _open(segment)
                except OSError as error:
                    raise JournalError(f"{segment} cannot be read: {error.strerror}") from error
                yield from _complete(fd, os.fstat(fd).st_size)
        if active is not None:
            fd, active = active, None
            yield from _complete(fd, size)
    finally:
        if active is not None:
            os.close(active)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def _first_seq(fd: int) -> int | None:
    """The number of the first event of an open file; None if it has no whole one."""
    data = b""
    while b"\n" not in data and (more := os.pread(fd, 1 << 16, len(data))):
        data += more
    line, end, _ = data.partition(b"\n")
    try:
        return decode(line)[0].seq if end else None
    except ValueError:
        return None


def _complete(fd: int, size: int) -> Iterator[bytes]:
    with os.fdopen(fd, "rb") as file:
        left = size
        for line in file:
            left -= len(line)
            if left < 0 or not line.endswith(b"\n"):
                return
            yield line[:-1]


@dataclass(frozen=True, slots=True)
class Work:
    """How far one instance came with one task, as the journal tells it.

    ``calls`` are its model calls, ``opened_calls`` those made before the present iteration, ``commit_calls`` those made
    before its last commit of this iteration. ``is_settled`` says that everything it did is in a commit.
    """

    iteration: int = 1
    calls: int = 0
    opened_calls: int = 0
    commit: str = ""
    commit_calls: int = 0
    is_settled: bool = False


class Past:
    """The fold of the lines taken so far, with what the fold itself does not keep.

    ``commits`` are all commits the events name, ``places`` the commit each instance's tree stood at, ``works`` how far
    each came, ``evidence`` the files that events name, ``documents`` the plans and receipts with the hash of
    what they said last, ``landed`` the commit that landed.
    """

    def __init__(self, path: Path) -> None:
        self.chain = Chain(path)
        self.view = RunView()
        self.commits: set[str] = set()
        self.places: dict[str, str] = {}
        self.works: dict[tuple[str, str], Work] = {}
        self.evidence: set[str] = set()
        self.documents: dict[str, str] = {}
        self.landed = ""

    @property
    def seq(self) -> int:
        return self.chain.seq

    @property
    def head(self) -> str:
        """What the next line's ``prev`` must be."""
        return self.chain.prev

    def take(self, line: bytes) -> Event:
        """Raises JournalCorrupt for a line that does not follow, IllegalTransition for one that does not fit."""
        event = self.chain.take(line)
        self.view.apply(event)
        self._note_commits(event)
        self._note_work(event)
        if event.kind == "run.completed" and event.data.get("landed"):
            self.landed = str(event.data.get("commit", ""))
        is_paper = event.kind == "receipt.sealed" or event.data.get("type") == "plan"
        if is_paper and event.kind in ("artifact.written", "receipt.sealed"):
            self.documents[str(event.data.get("path", ""))] = str(event.data.get("sha256", ""))
        for name in (event.data.get("document"), event.data.get("evidence")):
            if isinstance(name, str) and "/" in name:
                self.evidence.add(name)
        return event

    def _note_commits(self, event: Event) -> None:
        found = (event.data.get(name) for name in _OID_FIELDS)
        self.commits.update(oid for oid in found if isinstance(oid, str) and OID.fullmatch(oid))

    def _note_work(self, event: Event) -> None:
        agent, task = event.agent, event.task
        if agent is None:
            return
        if event.kind == "agent.starting":
            self.places[agent] = self.view.run.integration
        if task is None or task not in self.view.tasks:
            return
        now = self.view.tasks[task]
        work = self.works.get((agent, task), Work())
        match event.kind:
            case "task.claimed":
                self.places[agent] = now.commit or now.base
                if work.iteration != now.iteration:
                    work = Work(now.iteration, work.calls, work.calls)
            case "llm.call":
                work = replace(work, calls=work.calls + 1)
            case "commit.created":
                self.places[agent] = now.commit
                work = replace(work, commit=now.commit, commit_calls=work.calls)
            case "handoff.recorded" | "task.submitted":
                work = replace(work, is_settled=True)
            case _:
                return
        self.works[agent, task] = work


def read(run_dir: Path) -> Iterator[tuple[Past, bytes]]:
    """Each line with the past up to it. A last line that a crash or a running write left unusable is left out.

    Raises JournalCorrupt for damage anywhere else.
    """
    past, waiting = Past(run_dir / ACTIVE), None
    for line in lines(run_dir):
        if waiting is not None:
            past.take(waiting)
            yield past, waiting
        waiting = line
    if waiting is None:
        return
    try:
        decode(waiting)
    except ValueError:
        return
    past.take(waiting)
    yield past, waiting


def fold(run_dir: Path) -> Past:
    """The whole journal. Raises JournalCorrupt if there is no event in it."""
    past = None
    for past, _ in read(run_dir):  # noqa: B007 -- the last one is the answer
        pass
    if past is None:
        raise JournalCorrupt(f"{run_dir / ACTIVE} holds no event", hint="there is nothing to save in this run yet")
    return past
