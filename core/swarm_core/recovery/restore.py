"""Restoring: a new repository in which a run stands where it stood after one of its events, ready to go on.

What is restored is what the journal says at that event: a byte-identical prefix of it, the commits it names, each
worktree at its agent's last commit and each conversation cut at the same place. Files that no event up to there names
stay in the archive: a person who looks through the evidence shall find nothing that has not happened yet.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm_core.journal.journal import Journal
from swarm_core.journal.projections import prepare
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.entities import PLANNING_TASK
from swarm_core.vocabulary.errors import RepositoryError, SwarmError, UsageError
from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.ids import SLUG
from swarm_core.vocabulary.layout import CONFIG_FILE, RepoLayout, RunLayout
from swarm_core.workspace import files
from swarm_core.workspace.bundle import SNAPSHOTS, Origin, Stand, make_hub, make_repository, move_branch, unpack

from .archive import BUNDLE, JOURNAL, MAX_BYTES, RUN, SHALLOW, ArchiveDamaged, Manifest, extract
from .backup import LEFT_OUT, seconds_between
from .history import OID, Past, read
from .rewind import rewound

RESTORED = "restore.done"
_NEXT = "take another archive"
_EVIDENCE_DIRS = ("gates", "checks")
_PLAN = re.compile(r"plan(-.+)?\.json")
_RECEIPT = "_receipt.json"


@dataclass(frozen=True, slots=True)
class Restored:
    """A run that was restored. ``seconds`` is how long it took; ``left_out`` events of the archive, over ``left_out_s``
    seconds, came after ``seq`` and are not in it."""

    root: Path
    run: str
    seq: int
    last_seq: int
    head: str
    seconds: float
    left_out_s: float
    is_over: bool

    @property
    def left_out(self) -> int:
        return self.last_seq - self.seq


async def restore(
    archive: Path, into: Path, clock: Clock, *, at: int | None = None, max_bytes: int = MAX_BYTES
) -> Restored:
    """Make ``into`` a repository with the archive's run as it was after event ``at``, by default its last.

    ``into`` must be empty or not exist. Nothing is left behind by a restore that fails. Raises ArchiveDamaged for an
    archive that is not whole, UsageError for an event that is not in it, RepositoryError if ``into`` cannot be used.
    """
    started_s = clock.monotonic_s()
    root = Path(os.path.realpath(into))
    was_there = _require_empty(root)
    try:
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=root.parent) as name:
            staging = Path(name)
            manifest = await asyncio.to_thread(_extract, archive, staging / "files", max_bytes)
            past, end = await asyncio.to_thread(_cut, archive, manifest, staging / "files", at)
            layout = RepoLayout(root).run(manifest.run)
            if layout.state_dir.exists():
                raise RepositoryError(
                    f"{layout.state_dir} still holds this run of a repository that was at {root}",
                    hint="restore into another directory, or remove that one if its work is not needed",
                )
            root.mkdir(exist_ok=True)
            try:
                await _build(layout, manifest, past, staging, clock)
                await _record(layout, archive, manifest, past, clock)
            except BaseException:
                await asyncio.to_thread(_undo, layout, was_there)
                raise
    except OSError as error:
        raise RepositoryError(
            f"nothing was restored: {error.filename or into}: {error.strerror}", hint="check permissions and space"
        ) from error
    left_out_s = max(0.0, seconds_between(past.view.last_ts, end.view.last_ts))
    seconds = clock.monotonic_s() - started_s
    return Restored(root, manifest.run, past.seq, end.seq, past.head, seconds, left_out_s, past.view.is_over)


def _require_empty(root: Path) -> bool:
    """Whether ``root`` is there already, empty. Raises RepositoryError."""
    if not root.parent.is_dir():
        raise RepositoryError(f"there is no directory {root.parent}", hint="make it first")
    if not os.path.lexists(root):
        return False
    if not root.is_dir() or any(root.iterdir()):
        raise RepositoryError(f"{root} is not an empty directory", hint="name a new directory with --into")
    return True


def _extract(archive: Path, to: Path, max_bytes: int) -> Manifest:
    to.mkdir()
    try:
        return extract(archive, to, max_bytes=max_bytes)
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {archive}", hint="swarm-tui backup makes one") from error
    except IsADirectoryError as error:
        raise UsageError(f"{archive} is a directory", hint="name the .tar.gz file") from error


def _cut(archive: Path, manifest: Manifest, place: Path, at: int | None) -> tuple[Past, Past]:
    """Hold the whole journal against its chain and cut it after ``at``. Returns the past there and at the end."""
    journal = place / JOURNAL
    if at is not None and not 1 <= at <= manifest.seq:
        raise UsageError(f"there is no event {at} in {archive}", hint=f"its events are 1 to {manifest.seq}")
    wanted, size, total = at or manifest.seq, 0, 0
    past = Past(journal)
    try:
        end = past
        for end, line in read(journal.parent):
            total += len(line) + 1
            if end.seq <= wanted:
                past.take(line)
                size = total
            if end.view.run.id and end.view.run.id != manifest.run:
                raise ArchiveDamaged(f"{archive} holds events of another run", hint=_NEXT)
    except ArchiveDamaged:
        raise
    except (SwarmError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArchiveDamaged(f"{archive}: its journal is damaged: {error}", hint=_NEXT) from error
    if (end.seq, end.head, total) != (manifest.seq, manifest.head, journal.stat().st_size):
        raise ArchiveDamaged(f"{archive}: its journal is not the one its manifest names", hint=_NEXT)
    os.truncate(journal, size)
    _require_plain(archive, manifest, past)
    return past, end


def _require_plain(archive: Path, manifest: Manifest, past: Past) -> None:
    """What becomes names of files, branches and commits must be nothing else."""
    run = past.view.run
    names = [*past.view.instances, *(ref.removeprefix(SNAPSHOTS) for ref in _snapshots(manifest))]
    oids = [oid for oid in (*past.places.values(), run.base, run.integration, past.landed) if oid]
    is_plain = all(SLUG.fullmatch(name) for name in names) and all(OID.fullmatch(oid) for oid in oids)
    if not is_plain or (run.base and (run.base, run.base_ref) != (manifest.base, manifest.base_ref)):
        raise ArchiveDamaged(f"{archive}: its journal names impossible branches or commits", hint=_NEXT)


def _snapshots(manifest: Manifest) -> dict[str, str]:
    return {ref: oid for ref, oid in manifest.refs.items() if ref.startswith(SNAPSHOTS) and OID.fullmatch(oid)}


# -- making it


async def _build(layout: RunLayout, manifest: Manifest, past: Past, staging: Path, clock: Clock) -> None:
    place, view, root = staging / "files", past.view, layout.repo.root
    shallow = await asyncio.to_thread(_read, place / SHALLOW)
    origin = Origin(staging / "scratch.git", manifest.base, manifest.base_ref, shallow)
    commits = {oid for oid in (*past.commits, manifest.base, *past.places.values()) if oid}
    refs = await unpack(place / BUNDLE, origin, commits)
    await make_repository(root, origin)
    await asyncio.to_thread(_place_files, layout, past, place / RUN)
    if view.run.base:
        gone = {i.id for i in view.instances.values() if i.status == "retired"}
        is_last = past.seq == manifest.seq
        stand = Stand(
            integration=view.run.integration,
            commits=commits,
            branches={name: oid for name, oid in past.places.items() if name in gone},
            trees={
                name: oid
                for name, oid in past.places.items()
                if name not in gone and view.instances[name].status != "starting"
            },
            # A snapshot is not an event: which ones there were before the last event is not known.
            snapshots={ref: oid for ref, oid in _snapshots(manifest).items() if is_last and refs.get(ref) == oid},
        )
        await make_hub(layout, origin, stand, clock)
    if view.run.landed and view.run.base_ref and (landed := past.landed):
        await move_branch(root, view.run.base_ref, landed, origin.scratch)
    (place / JOURNAL).rename(layout.journal)  # the last step: only now there is a run


def _place_files(layout: RunLayout, past: Past, source: Path) -> None:
    """The run's directory as it was at that event, without the journal."""
    root = layout.repo.root
    for path in (layout.repo.runs, layout.repo.control, layout.dir):
        if path.is_symlink() or (path.exists() and (not path.is_dir() or path == layout.dir)):
            raise ArchiveDamaged(f"the repository in the archive has its own {path.relative_to(root)}", hint=_NEXT)
    prepare(layout.repo)
    layout.dir.mkdir()
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        name = file.relative_to(source)
        content = _content(name, file, past)
        if content is not None:
            target = layout.dir / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    for task, plan in past.view.plans.items():  # a later round may have replaced the file, never the event
        document = layout.plan.name if task == PLANNING_TASK else f"plan-{task}.json"
        if document in past.documents and "/" not in document:
            text = json.dumps({"run": layout.run, **plan}, indent=2, ensure_ascii=False) + "\n"
            (layout.dir / document).write_text(text)
    if (layout.dir / CONFIG_FILE).is_file() and not os.path.lexists(layout.repo.config):
        shutil.copyfile(layout.dir / CONFIG_FILE, layout.repo.config)  # it was never committed


def _content(name: Path, file: Path, past: Past) -> bytes | None:
    """What a file of the run's directory held at that event; None if it was not there."""
    if len(name.parts) == 1 and (name.name in LEFT_OUT or _PLAN.fullmatch(name.name)):
        return None
    if name.name.endswith(_RECEIPT):
        content = file.read_bytes()
        return content if past.documents.get(name.as_posix()) == hashlib.sha256(content).hexdigest() else None
    if name.parts[0] in _EVIDENCE_DIRS and name.as_posix() not in past.evidence:
        return None
    if name.parts[0] == "transcripts":
        work = past.works.get((name.parts[1], name.stem)) if len(name.parts) == 3 else None
        return (rewound(file.read_bytes(), work) or None) if work else None
    return file.read_bytes()


async def _record(layout: RunLayout, archive: Path, manifest: Manifest, past: Past, clock: Clock) -> None:
    journal = await Journal.open(layout.journal, layout.run, clock)
    try:
        data: Mapping[str, Any] = {
            "from": archive.name,
            "seq": past.seq,
            "head": past.head,
            "at": manifest.created_at,
        }
        await journal.append(Draft(RESTORED, data, actor=OPERATOR))
    finally:
        await journal.close()


def _undo(layout: RunLayout, was_there: bool) -> None:
    root = layout.repo.root
    files.delete(layout.state_dir)
    for path in root.iterdir() if root.is_dir() else ():
        files.delete(path)
    for empty in (layout.repo.state_dir, *(() if was_there else (root,))):
        try:
            empty.rmdir()
        except OSError:
            continue


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
