"""Everything that outlives the engine: commits, branches, worktrees, documents, conversations and the inbox.

A commit is a dictionary from path to content; merging is done path by path. Nothing here fails or takes time: see
``hub`` for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm_core.engine.inbox import Verdict
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.inbox import InboxItem


@dataclass(frozen=True, slots=True)
class Node:
    """A commit. ``height`` is one more than its highest parent's."""

    id: str
    parents: tuple[str, ...]
    files: Mapping[str, str]
    trailers: Mapping[str, str]
    height: int


@dataclass(slots=True)
class Checkout:
    """An instance's worktree: its files, the commit it stands at, and what is being merged into it."""

    tip: str
    files: dict[str, str]
    merging: str = ""


@dataclass(slots=True)
class Talk:
    """An agent's conversation about a task, as its transcript keeps it."""

    iteration: int = 0
    turns: int = 0
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Merged:
    """What merging two commits gives."""

    files: Mapping[str, str]
    conflicts: list[str]


@dataclass(slots=True)
class World:
    """``plan`` are the tasks the architect will propose. ``merged`` is called with each task that enters the line,
    ``history`` gives the events that are durable.
    """

    plan: list[dict[str, Any]]
    nodes: dict[str, Node] = field(default_factory=dict)
    base: str = ""
    integration: str = ""
    user_tip: str = ""
    is_dirty: bool = False
    landings: int = 0
    checkouts: dict[str, Checkout] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    documents: dict[Path, bytes] = field(default_factory=dict)
    talks: dict[tuple[str, str], Talk] = field(default_factory=dict)
    inbox: dict[str, InboxItem] = field(default_factory=dict)
    answers: dict[str, list[Verdict]] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    merged: Callable[[str, str], None] = lambda task, commit: None
    history: Callable[[], Sequence[Event]] = lambda: ()

    def __post_init__(self) -> None:
        self.base = self.user_tip = self.commit((), {"README": "0"}, {})

    # -- commits

    def commit(self, parents: tuple[str, ...], files: Mapping[str, str], trailers: Mapping[str, str]) -> str:
        oid = f"c{len(self.nodes):05d}"
        height = 1 + max((self.nodes[parent].height for parent in parents), default=0)
        self.nodes[oid] = Node(oid, parents, dict(files), dict(trailers), height)
        return oid

    def ancestors(self, oid: str) -> set[str]:
        """``oid`` and everything it stands on."""
        found, open_ = {oid}, [oid]
        while open_:
            for parent in self.nodes[open_.pop()].parents:
                if parent not in found:
                    found.add(parent)
                    open_.append(parent)
        return found

    def merge_base(self, a: str, b: str) -> str:
        common = self.ancestors(a) & self.ancestors(b)
        return max(common, key=lambda oid: (self.nodes[oid].height, oid))

    def changed(self, base: str, tip: str) -> list[str]:
        """The paths that differ."""
        old, new = self.nodes[base].files, self.nodes[tip].files
        return sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))

    def merge_files(self, ours: str, theirs: str) -> Merged:
        """Path by path: what one side changed is taken, what both changed differently is a conflict."""
        base = self.nodes[self.merge_base(ours, theirs)].files
        left, right = self.nodes[ours].files, self.nodes[theirs].files
        files, conflicts = dict(left), []
        for path in sorted(right.keys() | base.keys()):
            if right.get(path) == base.get(path) or right.get(path) == left.get(path):
                continue
            if left.get(path) != base.get(path):
                conflicts.append(path)
            elif path in right:
                files[path] = right[path]
            else:
                files.pop(path, None)
        return Merged(files, conflicts)

    # -- the integration line and the operator's branch

    def line(self) -> list[Node]:
        """The merges of the integration line, newest first."""
        found, oid = [], self.integration
        while oid != self.base:
            found.append(self.nodes[oid])
            oid = self.nodes[oid].parents[0]
        return found

    def find_merge(self, commit: str, task: str) -> str | None:
        for node in self.line():
            if node.parents[1:] == (commit,) and node.trailers.get("Task-Id") == task:
                return node.id
        return None

    def move_line(self, files: Mapping[str, str], commit: str, trailers: Mapping[str, str]) -> str:
        """Put a merge of ``commit`` on the integration line."""
        self.integration = self.commit((self.integration, commit), files, trailers)
        self.merged(trailers.get("Task-Id", ""), commit)
        return self.integration

    def land(self) -> str:
        """Bring the integration line onto the operator's branch. Doing it again does nothing."""
        if self.integration in self.ancestors(self.user_tip):
            return self.user_tip
        self.landings += 1
        if self.user_tip in self.ancestors(self.integration):
            self.user_tip = self.integration
        else:
            files = self.merge_files(self.user_tip, self.integration).files
            self.user_tip = self.commit((self.user_tip, self.integration), files, {})
        return self.user_tip

    # -- requests

    def send(self, item: InboxItem) -> None:
        """A file in the inbox; one of the same name is replaced."""
        self.inbox[item.id] = item
        self.tell()

    def answer(self, item: InboxItem, verdict: Verdict) -> None:
        """Archive a request with its answer."""
        self.answers.setdefault(item.id, []).append(verdict)
        self.inbox.pop(item.id, None)
        self.tell()

    def tell(self) -> None:
        """Wake everybody who waits for something to happen."""
        self.news.set()
        self.news = asyncio.Event()
