"""Making a backup: one file with a run's evidence and its commits, also while an engine works on the run.

The journal is read first, up to its last complete line; everything it speaks of was on the disk before it. What is
read after it may be newer, and restoring leaves out what the journal does not know. Nothing is written into the run.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import swarm_core
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import JournalCorrupt, JournalError, UsageError
from swarm_core.vocabulary.layout import RepoLayout, RunLayout
from swarm_core.workspace.bundle import operator_head, write_bundle

from .archive import BUNDLE, JOURNAL, RUN, SHALLOW, VERSION, ArchiveWriter, is_member
from .history import ACTIVE, SEGMENTS, Past, lines, read
from .index import index_entry

LEFT_OUT = (ACTIVE, "snapshot.json")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made. ``age_s`` is the time from its last event to the moment it was ready, ``added`` how many
    events the journal gained in the meantime: those are not in it."""

    path: Path
    run: str
    seq: int
    size_bytes: int
    seconds: float
    age_s: float
    added: int


def backups_dir(layout: RepoLayout) -> Path:
    """Where backups lie by default: outside the repository."""
    return layout.state_dir / "backups"


async def back_up(layout: RunLayout, clock: Clock, to: Path | None = None) -> Backup:
    """Write a backup of the run, to ``to`` or ``<backups>/<run>-<seq>.tar.gz``, whole or not at all.

    Raises UsageError if the file is there already, JournalCorrupt if the journal is damaged, WorkspaceError if a commit
    it names is gone.
    """
    started_s = clock.monotonic_s()
    if to is not None and (os.path.lexists(to) or not to.parent.is_dir()):
        raise _in_the_way(to)
    home = to.parent if to is not None else backups_dir(layout.repo)
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=home) as name:
            staging = Path(name)
            past = await asyncio.to_thread(_copy_journal, layout, staging / ACTIVE)
            path = to or home / f"{layout.run}-{past.seq}.tar.gz"
            if os.path.lexists(path):
                raise _in_the_way(path)
            await _write(layout, past, staging, clock.now())
            await asyncio.to_thread(_publish, staging / "new.tar.gz", path)
    except OSError as error:
        raise JournalError(
            f"no backup was written: {error.filename or home}: {error.strerror}", hint="check permissions and space"
        ) from error
    added = max(0, await asyncio.to_thread(_count, layout.dir) - past.seq)
    age_s = max(0.0, seconds_between(past.view.last_ts, clock.now()))
    seconds = clock.monotonic_s() - started_s
    return Backup(path, layout.run, past.seq, path.stat().st_size, seconds, age_s, added)


def _copy_journal(layout: RunLayout, to: Path) -> Past:
    """The journal as one file, held against its chain."""
    past = None
    with open(to, "wb") as file:
        for past, line in read(layout.dir):  # noqa: B007 -- the last past is the answer
            file.write(line + b"\n")
    if past is None:
        raise JournalCorrupt(f"{layout.journal} holds no event", hint="there is nothing to save in this run yet")
    return past


async def _write(layout: RunLayout, past: Past, staging: Path, now: str) -> None:
    run = past.view.run
    base, base_ref = (run.base, run.base_ref) if run.base else await operator_head(layout)
    bundle = staging / "hub.bundle"
    bundled = await write_bundle(layout, {*past.commits, base}, bundle, staging / "scratch.git")
    manifest = {
        "v": VERSION,
        "run": layout.run,
        "seq": past.seq,
        "head": past.head,
        "last_ts": past.view.last_ts,
        "created_at": now,
        "version": swarm_core.__version__,
        "base": base,
        "base_ref": base_ref,
        "refs": dict(bundled.refs),
        "entry": {**index_entry(past.view), "run_id": layout.run},
    }

    def write() -> None:
        with open(staging / "new.tar.gz", "wb") as file:
            archive = ArchiveWriter(file)
            archive.add_file(JOURNAL, staging / ACTIVE)
            for name, path in _evidence(layout.dir):
                archive.add_bytes(f"{RUN}{name}", path.read_bytes())
            archive.add_file(BUNDLE, bundle)
            if bundled.shallow:
                archive.add_bytes(SHALLOW, bundled.shallow)
            archive.close(manifest)
            file.flush()
            os.fsync(file.fileno())

    await asyncio.to_thread(write)


def _evidence(run_dir: Path) -> Iterator[tuple[str, Path]]:
    """The run's plain files but for the journal, caches and what is being written; by name."""
    found = []
    for top, directories, names in os.walk(run_dir):
        where = Path(top).relative_to(run_dir)
        if where == Path():
            directories[:] = [name for name in directories if name != SEGMENTS]
            names = [name for name in names if name not in LEFT_OUT]
        found += [where / name for name in names if not name.endswith(".tmp")]
    for relative in sorted(found):
        path = run_dir / relative
        if path.is_file() and not path.is_symlink() and is_member(f"{RUN}{relative.as_posix()}"):
            yield relative.as_posix(), path


def _publish(written: Path, path: Path) -> None:
    """Let the finished file appear under its name, never over another."""
    try:
        os.link(written, path)
    except FileExistsError:
        raise _in_the_way(path) from None
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise _in_the_way(path) from None
        written.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _in_the_way(path: Path) -> UsageError:
    if not path.parent.is_dir():
        return UsageError(f"there is no directory {path.parent}", hint="make it, or name another file with --to")
    return UsageError(
        f"{path} is already there; a backup never overwrites", hint="it may be this very backup: look, or use --to FILE"
    )


def _count(run_dir: Path) -> int:
    return sum(1 for _ in lines(run_dir))


def seconds_between(earlier: str, later: str) -> float:
    """From one ISO time to another; 0 where one of them is none."""
    try:
        return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
