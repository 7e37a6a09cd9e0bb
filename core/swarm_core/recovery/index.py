"""``.runs/index.json`` and ``run_meta.json``: which runs there are and how they ended, for whoever looks from outside.

Both are made from folds and can be deleted at any time. An entry is replaced by a newer one of the same run, never
added twice; directories are never renamed, so ``run_id`` finds a run's evidence for good.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from swarm_core.journal.projections import replace_durably
from swarm_core.vocabulary.errors import SwarmError
from swarm_core.vocabulary.ids import slug
from swarm_core.vocabulary.view import RunView

from .history import ACTIVE, fold

INDEX = "index.json"
DAMAGED = "index.json.damaged"
VERSION = 1
Document = dict[str, Any]
Archived = Callable[[], Iterable[Mapping[str, Any]]]


def index_entry(view: RunView) -> Document:
    """A run in one line. Runs for the same goal share ``canonical_key``; ``archived`` is the archive's path or ""."""
    run = view.run
    return {
        "run_id": run.id,
        "canonical_key": _canonical_key(view),
        "title": run.title,
        "status": run.status,
        "outcome": run.outcome,
        "landed": run.landed,
        "updated_at": view.last_ts,
        "last_seq": view.last_seq,
        "archived": "",
    }


def run_meta(view: RunView) -> Document:
    """What a run is: its identity, which never changes, and where it came from. ``iterations`` is the highest number of
    rounds that a task of it took."""
    run = view.run
    related = run.options.get("related_runs", ())
    return {
        "run_id": run.id,
        "aliases": [_canonical_key(view)],
        "title": run.title,
        "goal": run.goal,
        "base_ref": run.base_ref,
        "base": run.base,
        "created_at": run.created_at,
        "supersedes": run.options.get("supersedes"),
        "related_runs": list(related) if isinstance(related, (list, tuple)) else [],
        "iterations": max((task.iteration for task in view.tasks.values()), default=0),
        "spec_sha256": run.spec_sha256,
    }


def _canonical_key(view: RunView) -> str:
    return f"local-{slug(view.run.goal)}"


def merge_index(old: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]) -> Document:
    """``old`` with each entry put in the place of the same run's; oldest run first.

    An entry that is behind the one that is there changes nothing: a slow writer undoes no other's work.
    """
    by_run: dict[str, Document] = {}
    for entry in (*_entries(old), *entries):
        before = by_run.get(entry["run_id"])
        if before is None or _rank(entry) >= _rank(before):
            by_run[entry["run_id"]] = dict(entry)
    return {"version": VERSION, "runs": [by_run[run] for run in sorted(by_run)]}


def _rank(entry: Mapping[str, Any]) -> tuple[int, bool]:
    return int(entry.get("last_seq", 0)), bool(entry.get("archived"))


def _entries(document: Mapping[str, Any]) -> list[Document]:
    runs = document.get("runs")
    return (
        [e for e in runs if isinstance(e, dict) and isinstance(e.get("run_id"), str)] if isinstance(runs, list) else []
    )


def rebuild_index(runs_dir: Path) -> Document:
    """The index of the journals that are there. A run whose journal is damaged is listed as ``damaged``."""
    entries = []
    for journal in sorted(runs_dir.glob(f"*/{ACTIVE}")):
        run = journal.parent.name
        try:
            entries.append({**index_entry(fold(journal.parent).view), "run_id": run})
        except (SwarmError, OSError, KeyError, TypeError, ValueError) as error:
            nothing = index_entry(RunView())
            entries.append({**nothing, "run_id": run, "status": "damaged", "outcome": str(error).splitlines()[0]})
    return merge_index({}, entries)


def load_index(runs_dir: Path, archived: Archived = tuple) -> Document:
    """The index as it is. A damaged one is kept as ``index.json.damaged`` and made anew from the journals, and from
    ``archived``, asked for the entries of runs that only their archives tell of. Raises OSError."""
    path = runs_dir / INDEX
    try:
        document = json.loads(path.read_bytes())
        if isinstance(document, dict) and isinstance(document.get("runs"), list):
            return merge_index(document, ())
    except FileNotFoundError:
        return merge_index(rebuild_index(runs_dir), archived())
    except (ValueError, TypeError, RecursionError):
        pass
    path.replace(path.with_name(DAMAGED))
    return merge_index(rebuild_index(runs_dir), archived())


def update_index(runs_dir: Path, entries: Iterable[Mapping[str, Any]], archived: Archived = tuple) -> Document:
    """Read, merge and replace ``index.json`` under a lock, so that two programs lose nothing of each other's.

    Raises OSError.
    """
    runs_dir.mkdir(parents=True, exist_ok=True)
    fd = os.open(runs_dir / ".index.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        document = merge_index(load_index(runs_dir, archived), entries)
        replace_durably(runs_dir / INDEX, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
        return document
    finally:
        os.close(fd)
