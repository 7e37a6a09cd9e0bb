"""The index and ``run_meta``: made from folds, never a run twice, and rebuilt when damaged."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from tests.support import repos, runs

from swarm_core.recovery.index import (
    DAMAGED,
    INDEX,
    index_entry,
    load_index,
    merge_index,
    rebuild_index,
    run_meta,
    update_index,
)


async def test_an_entry_and_the_meta_say_what_the_fold_says(tmp_path: Path) -> None:
    layout = await runs.finished(tmp_path / "r")
    view = runs.view(layout)
    assert index_entry(view) == {
        "run_id": layout.run, "canonical_key": "local-add-a-login", "title": "Add a login", "status": "completed",
        "outcome": "clean", "landed": True, "updated_at": view.last_ts, "last_seq": 18, "archived": "",
    }  # fmt: skip
    assert run_meta(view) == {
        "run_id": layout.run, "aliases": ["local-add-a-login"], "title": "Add a login", "goal": "Add a login",
        "base_ref": "refs/heads/main", "base": view.run.base, "created_at": view.run.created_at, "supersedes": None,
        "related_runs": [], "iterations": 1, "spec_sha256": "5e" * 32,
    }  # fmt: skip


def entry(run: str, seq: int, archived: str = "") -> dict[str, object]:
    return {"run_id": run, "last_seq": seq, "archived": archived}


def test_an_entry_replaces_the_older_one_of_its_run_and_never_the_newer() -> None:
    index = merge_index({}, [entry("b", 1), entry("a", 5)])
    assert index == {"version": 1, "runs": [entry("a", 5), entry("b", 1)]}
    index = merge_index(index, [entry("b", 2), entry("a", 4)])
    assert index["runs"] == [entry("a", 5), entry("b", 2)]
    index = merge_index(index, [entry("a", 5, "a.tar.gz")])
    assert merge_index(index, [entry("a", 5)])["runs"][0]["archived"] == "a.tar.gz"
    assert merge_index(index, [entry("a", 6)])["runs"][0]["archived"] == ""  # it lives again


def test_foreign_entries_are_dropped_and_unknown_fields_kept() -> None:
    index = merge_index({"runs": [3, {"no": "id"}, {**entry("a", 1), "pr_number": 7}]}, [])
    assert index["runs"] == [{**entry("a", 1), "pr_number": 7}]


async def test_a_damaged_index_is_kept_aside_and_made_anew(tmp_path: Path) -> None:
    layout = await runs.half_done(tmp_path / "r")
    await runs.half_done(tmp_path / "r", "20261122-000000-broken")
    broken = layout.repo.run("20261122-000000-broken").journal
    broken.write_bytes(broken.read_bytes().replace(b"Log in", b"Log on"))
    runs_dir = layout.repo.runs
    for damaged in (b"{", b"[]", b'{"runs": 3}', b"\xff"):
        (runs_dir / INDEX).write_bytes(damaged)
        index = load_index(runs_dir, lambda: [entry("20261101-000000-gone", 9, "gone.tar.gz")])
        assert [(run["run_id"], run.get("status")) for run in index["runs"]] == [
            ("20261101-000000-gone", None),
            (layout.run, "running"),
            ("20261122-000000-broken", "damaged"),
        ]
        assert (runs_dir / DAMAGED).read_bytes() == damaged
        assert not (runs_dir / INDEX).exists()


async def test_a_rebuilt_index_is_the_one_that_was_kept(tmp_path: Path) -> None:
    layout = await runs.finished(tmp_path / "r")
    kept = update_index(layout.repo.runs, [index_entry(runs.view(layout))])
    assert rebuild_index(layout.repo.runs) == kept == json.loads((layout.repo.runs / INDEX).read_bytes())


def test_two_writers_lose_nothing_of_each_other(tmp_path: Path) -> None:
    repos.write(tmp_path, INDEX, '{"version": 1, "runs": []}')

    def write(name: str) -> None:
        for number in range(10):
            update_index(tmp_path, [entry(f"{name}-{number}", 1)])

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load_index(tmp_path)["runs"]) == 20
