"""Old runs as archives: a run that is over becomes one verified file, and its directories go.

The order is what makes a crash harmless: the archive is written and read back, the index says where it is, and only
then the run's directory leaves ``.runs`` by one rename. What a crash left of hub, logs or the renamed directory is
removed by the next archiving, as the index tells of it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import SwarmError, UsageError
from swarm_core.vocabulary.ids import SLUG
from swarm_core.vocabulary.layout import RepoLayout, RunLayout
from swarm_core.vocabulary.view import RunView
from swarm_core.workspace import files
from swarm_core.workspace.bundle import Origin, drop_keep_ref, unpack

from .archive import BUNDLE, JOURNAL, MANIFEST, SHALLOW, ArchiveDamaged, Manifest, extract
from .backup import back_up, backups_dir, seconds_between
from .history import ACTIVE, Past, fold, read
from .index import Document, index_entry, load_index, update_index

ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run and whether it may be archived: ``obstacle`` says what keeps it here, "" if nothing does."""

    run: str
    obstacle: str
    age_s: float
    size_bytes: int


def candidates(layout: RepoLayout, now: str, *, is_forced: bool = False) -> list[Candidate]:
    """All runs, oldest first."""
    found = []
    for journal in sorted(layout.runs.glob(f"*/{ACTIVE}")):
        run = layout.run(journal.parent.name)
        try:
            view = fold(run.dir).view
            obstacle = obstacle_of(view, is_forced=is_forced)
            age_s = seconds_between(view.last_ts, now)
        except SwarmError as error:
            obstacle, age_s = f"its journal cannot be read: {error.message}", 0.0
        found.append(Candidate(run.run, obstacle, age_s, _size(run.dir) + _size(run.state_dir)))
    return found


def obstacle_of(view: RunView, *, is_forced: bool) -> str:
    """Why a run stays: it is not over, an engine has not left it, or its work is on nobody's branch."""
    if not view.is_over:
        return f"it is {view.run.status.replace('_', ' ')}"
    if view.engine_pid:
        return "its engine has not tidied up yet: start one (swarm-tui attach) and let it finish"
    has_work = view.run.integration != view.run.base or any(task.commit for task in view.tasks.values())
    if has_work and not view.run.landed and not is_forced:
        return "its work was not landed (--force archives it all the same)"
    return ""


def chosen(
    found: Sequence[Candidate], runs: Sequence[str], keep: int | None, older_than: timedelta | None
) -> list[Candidate]:
    """The runs to archive: those named, else all that may be but for the newest ``keep`` and what is younger than
    ``older_than``. Raises UsageError for a named run that is not here or has to stay."""
    if runs:
        by_run = {candidate.run: candidate for candidate in found}
        for run in runs:
            if run not in by_run:
                raise UsageError(f"there is no run {run!r} here", hint=f"runs: {', '.join(by_run) or 'none'}")
            if by_run[run].obstacle:
                raise _has_to_stay(run, by_run[run].obstacle)
        return [by_run[run] for run in dict.fromkeys(runs)]
    old = list(found[: max(0, len(found) - keep)] if keep is not None else found)
    limit_s = older_than.total_seconds() if older_than is not None else 0.0
    return [candidate for candidate in old if not candidate.obstacle and candidate.age_s >= limit_s]


def _has_to_stay(run: str, obstacle: str) -> UsageError:
    return UsageError(f"{run} cannot be archived: {obstacle}", hint=f"swarm-tui status --run {run}")


async def archive(layout: RunLayout, clock: Clock, *, is_forced: bool = False) -> Path:
    """Back the run up, verify the archive, and remove the run. Returns the archive's path.

    Raises UsageError if the run has to stay, ArchiveDamaged if the archive does not hold what the run does; then
    nothing was removed.
    """
    past = await asyncio.to_thread(fold, layout.dir)
    if obstacle := obstacle_of(past.view, is_forced=is_forced):
        raise _has_to_stay(layout.run, obstacle)
    path = backups_dir(layout.repo) / f"{layout.run}-{past.seq}.tar.gz"
    if not path.exists():
        path = (await back_up(layout, clock)).path
    await verify(path, past)
    entry = {**index_entry(past.view), "run_id": layout.run, "status": ARCHIVED, "archived": str(path)}
    await asyncio.to_thread(update_index, layout.repo.runs, [entry], lambda: archived_entries(layout.repo))
    await remove(layout)
    return path


async def verify(path: Path, past: Past) -> None:
    """Read an archive back: every file, the whole chain up to the same event, and git's word that all commits are
    there. Raises ArchiveDamaged or WorkspaceError."""
    with tempfile.TemporaryDirectory(prefix=".verify-", dir=path.parent) as name:
        place = Path(name) / "files"
        manifest = await asyncio.to_thread(_read_back, path, place)
        if (manifest.seq, manifest.head) != (past.seq, past.head):
            raise ArchiveDamaged(f"{path} holds another history", hint="move it away and archive again")
        shallow = place / SHALLOW
        origin = Origin(
            Path(name) / "scratch.git",
            manifest.base,
            manifest.base_ref,
            shallow.read_bytes() if shallow.exists() else b"",
        )
        await unpack(place / BUNDLE, origin, {*past.commits, manifest.base})


def _read_back(path: Path, place: Path) -> Manifest:
    place.mkdir()
    manifest = extract(path, place)
    past = None
    for past, _ in read((place / JOURNAL).parent):  # noqa: B007 -- the last one is the answer
        pass
    if past is None or (past.seq, past.head) != (manifest.seq, manifest.head):
        raise ArchiveDamaged(f"{path}: its journal is not the one its manifest names", hint="make another backup")
    return manifest


async def remove(layout: RunLayout) -> None:
    """Take a run's directory, logs, hub and worktrees away; the archive has them. May be called again after a crash."""
    trash = layout.repo.control / "trash"

    def move() -> None:
        trash.mkdir(parents=True, exist_ok=True)
        if layout.dir.exists():
            layout.dir.rename(trash / layout.run)  # one step: no reader finds half a run

    await asyncio.to_thread(files.delete, trash / layout.run)
    await asyncio.to_thread(move)
    await drop_keep_ref(layout)
    for path in (layout.logs, layout.state_dir, trash):
        await asyncio.to_thread(files.delete, path)


async def sweep(layout: RepoLayout) -> list[str]:
    """Finish removals that a crash interrupted; the runs it concerned."""
    if not layout.runs.is_dir():
        return []
    document = await asyncio.to_thread(load_index, layout.runs, lambda: archived_entries(layout))
    finished = []
    for entry in document["runs"]:
        run, path = str(entry["run_id"]), str(entry.get("archived") or "")
        if not path or not SLUG.fullmatch(run) or not Path(path).is_file():
            continue
        left = layout.run(run)
        if left.dir.exists():
            continue  # it is archived again, and compared with its archive
        if any(place.exists() for place in (left.logs, left.state_dir, layout.control / "trash" / run)):
            await remove(left)
            finished.append(run)
    return finished


def archived_entries(layout: RepoLayout) -> list[Document]:
    """The index entries of runs that are only in the backups' directory: they outlive the index itself."""
    return [{**entry, "status": ARCHIVED} for entry in _only_archived(layout)]


def _only_archived(layout: RepoLayout) -> Iterator[dict[str, Any]]:
    for path in sorted(backups_dir(layout).glob("*.tar.gz")):
        run = path.name.removesuffix(".tar.gz").rpartition("-")[0]
        if not SLUG.fullmatch(run) or layout.run(run).dir.exists():
            continue
        try:
            with tempfile.TemporaryDirectory(prefix=".index-", dir=path.parent) as name:
                manifest = extract(path, Path(name))
                assert (Path(name) / MANIFEST).is_file()
        except (SwarmError, OSError):
            continue
        if manifest.run == run:
            yield {**manifest.entry, "run_id": run, "archived": str(path)}


def _size(path: Path) -> int:
    return sum(p.lstat().st_size for p in path.rglob("*") if not p.is_dir()) if path.is_dir() else 0
