"""A backup is whole, borrows from nobody, and leaves the run as it found it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from tests.support import repos, runs

from swarm_core.recovery.archive import extract
from swarm_core.recovery.backup import back_up, backups_dir
from swarm_core.recovery.history import fold
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import JournalCorrupt, SwarmError, UsageError, WorkspaceError
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import RunLayout

CLOCK = SystemClock()


def everything(layout: RunLayout) -> dict[str, object]:
    """Every file of the run, its hub and the operator's repository."""
    root, state = layout.repo.root, layout.state_dir
    return {"run": repos.files(layout.dir), "state": repos.files(state), **repos.fingerprint(root)}


async def test_a_backup_changes_nothing_of_the_run(tmp_path: Path) -> None:
    layout = await runs.half_done(tmp_path / "r")
    before = everything(layout)

    made = await back_up(layout, CLOCK)

    assert everything(layout) == before
    assert made.path == backups_dir(layout.repo) / f"{layout.run}-{made.seq}.tar.gz"
    assert (made.seq, made.added) == (15, 0)
    assert [path.name for path in made.path.parent.iterdir()] == [made.path.name]


async def test_it_holds_the_evidence_and_every_commit_without_the_repository(tmp_path: Path) -> None:
    layout = await runs.half_done(tmp_path / "r")
    commits, journal = fold(layout.dir).commits, layout.journal.read_bytes()
    made = await back_up(layout, CLOCK, tmp_path / "b.tar.gz")
    runs.forget(layout)

    place = tmp_path / "out"
    place.mkdir()
    manifest = extract(made.path, place)

    assert (place / "run/events.jsonl").read_bytes() == journal
    assert sorted(manifest.files) == [
        "git/hub.bundle",
        "run/checks/tests-13.txt",
        "run/checks/tests-99.txt",
        "run/events.jsonl",
        "run/multi-agent.yaml",
        f"run/transcripts/{runs.AGENT}/{runs.TASK}.jsonl",
    ]
    repos.git(place, "init", "-q", "--bare", "x")
    repos.git(place / "x", "bundle", "unbundle", str(place / "git/hub.bundle"))
    for commit in commits:
        assert repos.git(place / "x", "rev-list", "--objects", "--quiet", commit) == ""


async def test_a_journal_in_segments_is_saved_as_one(tmp_path: Path) -> None:
    layout = await runs.half_done(tmp_path / "r")
    journal = layout.journal.read_bytes()
    runs.into_segments(layout, 1, 5, 9)

    made = await back_up(layout, CLOCK, tmp_path / "b.tar.gz")

    with tarfile.open(made.path) as tar:
        names = tar.getnames()
        member = tar.extractfile("run/events.jsonl")
        assert member is not None
        assert member.read() == journal
    assert not [name for name in names if name.startswith("run/events/")]
    assert not [name for name in names if name.startswith("/") or ".." in name or str(tmp_path) in name]


async def test_nothing_is_overwritten(tmp_path: Path) -> None:
    layout = await runs.half_done(tmp_path / "r")
    await back_up(layout, CLOCK)
    with pytest.raises(UsageError, match="already there") as again:
        await back_up(layout, CLOCK)
    assert "--to" in again.value.hint
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="already there"):
        await back_up(layout, CLOCK, tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"
    with pytest.raises(UsageError, match="no directory"):
        await back_up(layout, CLOCK, tmp_path / "no" / "b")


async def test_a_run_that_has_not_begun_can_be_saved(tmp_path: Path) -> None:
    layout = repos.layout(repos.small(tmp_path / "r"))
    with pytest.raises(JournalCorrupt, match="no event"):
        await back_up(layout, CLOCK)
    await runs.record(layout, Draft("run.created", {"title": "T", "goal": "G"}))

    made = await back_up(layout, CLOCK)

    with tarfile.open(made.path) as tar:
        member = tar.extractfile("manifest.json")
        assert member is not None
        manifest = json.load(member)
    assert (manifest["base"], manifest["base_ref"]) == (
        repos.git(layout.repo.root, "rev-parse", "HEAD"),
        "refs/heads/main",
    )


@pytest.mark.parametrize("damage", ["journal", "commit"])
async def test_what_is_not_whole_makes_no_backup(tmp_path: Path, damage: str) -> None:
    layout = await runs.half_done(tmp_path / "r")
    commit = runs.view(layout).tasks[runs.TASK].commit
    if damage == "journal":
        layout.journal.write_bytes(layout.journal.read_bytes().replace(b"Log in", b"Log on"))
    else:
        (layout.hub / "objects" / commit[:2] / commit[2:]).unlink()

    kind: type[SwarmError] = JournalCorrupt if damage == "journal" else WorkspaceError
    with pytest.raises(kind, match="events" if damage == "journal" else commit[:12]):
        await back_up(layout, CLOCK)
    assert list(backups_dir(layout.repo).iterdir()) == []
