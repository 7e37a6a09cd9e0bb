"""What the workspace tells the rest of the engine, as plain data. Paths are repository-relative."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from swarm_core.vocabulary.entities import Stat

Kind = Literal["added", "modified", "deleted", "retyped"]


@dataclass(frozen=True, slots=True)
class Tree:
    """An instance's worktree. ``branch`` is a full ref of the hub; ``head`` is the commit it stands at."""

    instance: str
    path: Path
    branch: str
    head: str


@dataclass(frozen=True, slots=True)
class Change:
    """A path that differs from the commit the tree stands at.

    A path that ends in ``/`` is a repository somebody made inside the tree; it is never looked into.
    """

    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Skipped:
    """A change that was left out of a commit, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that was made. ``stat`` and ``paths`` are what it adds to the line of work it will be merged into."""

    oid: str
    message: str
    stat: Stat
    paths: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """A patch for people. ``is_cut`` says that ``text`` is not the whole patch; ``stat`` and ``paths`` always are."""

    text: bytes
    stat: Stat
    paths: list[str]
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class MergeTry:
    """What merging two commits would give: the merged ``tree`` (with conflict markers if it is not clean)."""

    is_clean: bool
    tree: str
    paths: list[str]
    messages: list[str]


@dataclass(frozen=True, slots=True)
class Tampering:
    """Something of git's own that was changed behind the engine's back and has been put right.

    ``kept_at`` is where the foreign thing lies now, if it was worth keeping.
    """

    instance: str
    what: str
    kept_at: Path | None = None
