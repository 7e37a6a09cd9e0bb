"""Archiving removes a run only when a verified file holds all of it, and never one that is needed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.support import repos, runs

from swarm_core.recovery import retention
from swarm_core.recovery.archive import ArchiveDamaged
from swarm_core.recovery.backup import back_up, backups_dir
from swarm_core.recovery.index import load_index
from swarm_core.recovery.restore import restore
from swarm_core.recovery.retention import Candidate, archive, archived_entries, candidates, chosen, sweep
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import UsageError
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import RepoLayout, RunLayout

CLOCK = SystemClock()
RUNS = [f"2026112{day}-000000-a-run" for day in range(1, 5)]


def lies_about(layout: RunLayout) -> list[str]:
    """What is left of a run outside the backups' directory."""
    keep = repos.git(layout.repo.root, "for-each-ref", f"refs/swarm/keep/{layout.run}")
    places = (layout.dir, layout.logs, layout.state_dir, layout.repo.control / "trash")
    return [str(path) for path in places if path.exists()] + keep.splitlines()


async def test_an_archived_run_is_one_file_from_which_it_comes_back(tmp_path: Path) -> None:
    layout = await runs.finished(tmp_path / "r")
    lines, before = runs.raw_lines(layout), repos.fingerprint(layout.repo.root, with_content=False)
    assert len(lies_about(layout)) == 4

    path = await archive(layout, CLOCK)

    assert lies_about(layout) == []
    assert repos.fingerprint(layout.repo.root, with_content=False) == before
    (entry,) = load_index(layout.repo.runs)["runs"]
    assert (entry["run_id"], entry["status"], entry["outcome"], entry["archived"]) == (
        layout.run, "archived", "clean", str(path),
    )  # fmt: skip
    done = await restore(path, tmp_path / "new", CLOCK)
    assert runs.raw_lines(RepoLayout(done.root).run(layout.run))[:-1] == lines


@pytest.mark.parametrize("state", ["running", "engine", "unlanded"])
async def test_a_run_that_is_needed_stays(tmp_path: Path, state: str) -> None:
    if state == "running":
        layout = await runs.half_done(tmp_path / "r")
    else:
        layout = await runs.finished(tmp_path / "r", landed=state != "unlanded")
    if state == "engine":
        await runs.record(layout, Draft("engine.started", {"pid": 1, "version": "0"}))
    before = repos.files(layout.repo.root), repos.files(layout.repo.state_dir)

    with pytest.raises(UsageError, match="cannot be archived") as caught:
        await archive(layout, CLOCK)

    assert caught.value.hint
    assert (repos.files(layout.repo.root), repos.files(layout.repo.state_dir)) == before
    (candidate,) = candidates(layout.repo, CLOCK.now())
    assert candidate.obstacle
    assert chosen([candidate], [], 0, None) == []
    if state == "unlanded":
        await archive(layout, CLOCK, is_forced=True)
        assert lies_about(layout) == []
    else:
        with pytest.raises(UsageError):
            await archive(layout, CLOCK, is_forced=True)


async def test_an_archive_that_does_not_hold_the_run_removes_nothing(tmp_path: Path) -> None:
    layout = await runs.finished(tmp_path / "r")
    made = await back_up(layout, CLOCK)
    data = bytearray(made.path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    made.path.write_bytes(data)

    with pytest.raises(ArchiveDamaged):
        await archive(layout, CLOCK)

    assert len(lies_about(layout)) == 4
    assert [path.name for path in backups_dir(layout.repo).iterdir()] == [made.path.name]


async def test_another_history_under_the_same_name_removes_nothing(tmp_path: Path) -> None:
    layout = await runs.finished(tmp_path / "r")
    other = await runs.finished(tmp_path / "other")
    backups_dir(layout.repo).mkdir(parents=True)
    await back_up(other, CLOCK, backups_dir(layout.repo) / f"{layout.run}-18.tar.gz")

    with pytest.raises(ArchiveDamaged, match="another history"):
        await archive(layout, CLOCK)

    assert len(lies_about(layout)) == 4


@pytest.mark.parametrize("step", ["remove", "drop_keep_ref"])
async def test_an_interrupted_removal_is_finished_later(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = await runs.finished(tmp_path / "r")

    async def die(layout: RunLayout) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(retention, step, die)
        with pytest.raises(KeyboardInterrupt):
            await archive(layout, CLOCK)
    assert lies_about(layout)

    finished = await sweep(layout.repo)
    if step == "remove":  # the run's directory is still there: it is held against its archive again
        assert finished == []
        await archive(layout, CLOCK)
    else:
        assert finished == [layout.run]
    assert lies_about(layout) == []
    assert await sweep(layout.repo) == []


async def test_a_lost_index_is_made_again_from_the_archives(tmp_path: Path) -> None:
    layout = await runs.finished(tmp_path / "r")
    await archive(layout, CLOCK)
    kept = load_index(layout.repo.runs)
    (layout.repo.runs / "index.json").unlink()

    assert load_index(layout.repo.runs, lambda: archived_entries(layout.repo)) == kept


def some(*ages_d: float) -> list[Candidate]:
    return [Candidate(run, "", age * 86_400, 1) for run, age in zip(RUNS, ages_d, strict=True)]


def test_the_newest_and_the_young_are_left() -> None:
    found = some(40, 31, 29, 1)

    def names(keep: int | None, older: timedelta | None) -> list[str]:
        return [candidate.run for candidate in chosen(found, [], keep, older)]

    assert names(1, None) == RUNS[:3]
    assert names(9, None) == []
    assert names(None, timedelta(days=30)) == RUNS[:2]
    assert names(3, timedelta(days=30)) == RUNS[:1]


def test_a_run_that_is_named_must_be_there_and_free() -> None:
    found = [*some(1, 1, 1, 1)[:3], Candidate(RUNS[3], "it is running", 0, 1)]
    assert [candidate.run for candidate in chosen(found, [RUNS[1], RUNS[1]], None, None)] == [RUNS[1]]
    with pytest.raises(UsageError, match="no run 'x'"):
        chosen(found, ["x"], None, None)
    with pytest.raises(UsageError, match="it is running"):
        chosen(found, [RUNS[3]], None, None)
