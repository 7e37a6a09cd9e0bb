"""Where a check is measured, and what it may look at besides its tree."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swarm_core.tools.jail.confines import Confines
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.spec import CheckSpec

from .measured import Measured


async def _nothing() -> Path | None:
    return None


@dataclass(frozen=True, slots=True)
class Around:
    """What a check may look at besides its tree.

    ``confines`` is what its processes are held to. ``base`` gives a checkout of what the work is compared with, made
    when it is asked for, or None; ``base_commit`` names it. ``messages`` are the messages of the commits in question,
    None if it is about none. ``journal`` is the run's journal. ``results`` are the statuses of the checks before this
    one. ``is_clean``: the tree holds exactly a commit, so that no directory in it is somebody's build or environment.
    ``remember`` keeps what was measured at the base.
    """

    confines: Confines = field(default_factory=Confines)
    base: Callable[[], Awaitable[Path | None]] = _nothing
    base_commit: str = ""
    messages: Sequence[str] | None = None
    journal: Path | None = None
    results: Mapping[str, str] = field(default_factory=dict)
    is_clean: bool = False
    remember: dict[tuple[str, str], Measured] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """Where one check is measured. ``scratch`` is its own directory, outside the tree."""

    spec: CheckSpec
    tree: Path
    scratch: Path
    clock: Clock
    around: Around = Around()
