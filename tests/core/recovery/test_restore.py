"""A restored run is the original's past: same fold, same commits, nothing that had not happened yet."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import repos, runs

from swarm_core.journal.journal import verify
from swarm_core.recovery.archive import ArchiveDamaged
from swarm_core.recovery.backup import back_up
from swarm_core.recovery.restore import restore
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import RepositoryError, SwarmError, UsageError, WorkspaceError
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import RepoLayout, RunLayout
from swarm_core.workspace.hub import Hub

CLOCK = SystemClock()


async def saved(tmp_path: Path) -> tuple[RunLayout, Path]:
    """A run in the middle, and its backup; the original stays for comparison."""
    layout = await runs.half_done(tmp_path / "r")
    return layout, (await back_up(layout, CLOCK, tmp_path / "b.tar.gz")).path


def left(tmp_path: Path) -> set[str]:
    """What lies beside the backup and in the state directory."""
    state = RepoLayout(tmp_path / "new").state_dir
    return {path.name for path in tmp_path.iterdir()} | {f"state {p.name}" for p in state.parent.glob("new-*")}


async def test_every_event_restores_to_the_same_fold(tmp_path: Path) -> None:
    layout, archive = await saved(tmp_path)
    lines = runs.raw_lines(layout)
    for seq in range(1, len(lines) + 1):
        done = await restore(archive, tmp_path / f"at-{seq}", CLOCK, at=seq)
        made = RepoLayout(done.root).run(layout.run)
        assert runs.raw_lines(made)[:seq] == lines[:seq]
        assert runs.facts(runs.view(made, seq)) == runs.facts(runs.view(layout, seq))
        assert verify(made.journal) == seq + 1
        told = json.loads(runs.raw_lines(made)[seq])
        assert told["kind"] == "restore.done"
        assert told["data"] == {"from": "b.tar.gz", "seq": seq, "head": told["prev"], "at": told["data"]["at"]}
        assert (done.seq, done.left_out) == (seq, len(lines) - seq)


async def test_the_repository_and_the_hub_stand_where_the_journal_says(tmp_path: Path) -> None:
    layout, archive = await saved(tmp_path)
    view, head = runs.view(layout), repos.git(layout.repo.root, "rev-parse", "HEAD")
    commit = view.tasks[runs.TASK].commit
    runs.forget(layout)  # another machine

    done = await restore(archive, tmp_path / "new", CLOCK)

    made = RepoLayout(done.root).run(layout.run)
    assert repos.git(done.root, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert repos.git(done.root, "rev-parse", "HEAD") == head == view.run.base
    assert repos.status(done.root) == "?? multi-agent.yaml\0"  # it was never committed
    hub = await Hub.open(made)
    assert await hub.integration() == view.run.integration
    assert await hub.tip(runs.AGENT) == commit
    assert await hub.changes(runs.AGENT) == []
    assert (made.trees / runs.AGENT / "backend/login.py").read_text() == "committed\n"
    assert not (made.trees / runs.AGENT / "backend/more.py").exists()
    assert repos.git(made.hub, "for-each-ref", "--format=%(refname)").split() == [
        f"refs/heads/agent/{runs.AGENT}", "refs/swarm/base", "refs/swarm/integration",
    ]  # fmt: skip
    assert repos.git(made.hub, "fsck", "--full", "--no-dangling") == ""
    assert repos.git(done.root, "fsck", "--full", "--no-dangling") == ""


async def test_evidence_and_conversation_are_those_of_the_event(tmp_path: Path) -> None:
    layout, archive = await saved(tmp_path)
    transcript = f"transcripts/{runs.AGENT}/{runs.TASK}.jsonl"
    whole = (layout.dir / transcript).read_bytes()

    late = RepoLayout((await restore(archive, tmp_path / "late", CLOCK)).root).run(layout.run)
    early = RepoLayout((await restore(archive, tmp_path / "early", CLOCK, at=10)).root).run(layout.run)

    assert sorted(repos.files(late.dir)) == ["checks/tests-13.txt", "events.jsonl", "multi-agent.yaml", transcript]
    assert sorted(repos.files(early.dir)) == ["events.jsonl", "multi-agent.yaml"]
    # the file written after the commit is not in the tree, so the agent does not remember writing it
    assert (late.dir / transcript).read_bytes() == b"".join(whole.splitlines(keepends=True)[:4])


async def test_a_run_that_landed_has_landed(tmp_path: Path) -> None:
    layout = await runs.finished(tmp_path / "r")
    archive = (await back_up(layout, CLOCK, tmp_path / "b")).path
    commit = runs.view(layout).tasks[runs.TASK].commit

    done = await restore(archive, tmp_path / "new", CLOCK)

    assert done.is_over
    assert repos.git(done.root, "rev-parse", "main") == commit
    assert (done.root / "backend/login.py").read_text() == "committed\n"
    assert repos.status(done.root) == "?? multi-agent.yaml\0"


async def test_a_detached_head_and_a_shallow_clone_come_back_as_such(tmp_path: Path) -> None:
    repos.dirty(tmp_path / "far")
    repos.git(tmp_path, "clone", "-q", "--depth=2", f"file://{tmp_path / 'far'}", "r")
    repos.git(tmp_path / "r", "checkout", "-q", "--detach")
    layout = await runs.half_done(tmp_path / "r")
    archive = (await back_up(layout, CLOCK, tmp_path / "b")).path
    head = repos.git(tmp_path / "r", "rev-parse", "HEAD")
    runs.forget(layout)
    shutil.rmtree(tmp_path / "far")

    done = await restore(archive, tmp_path / "new", CLOCK)

    assert (done.root / ".git/HEAD").read_text().strip() == head
    assert len(repos.git(done.root, "log", "--format=%h").split()) == 2
    assert repos.git(done.root, "fsck") == ""


async def test_what_was_not_committed_comes_back_only_as_the_snapshot_it_was(tmp_path: Path) -> None:
    layout = await runs.finished(tmp_path / "r")  # its engine removed the tree, with a snapshot of the rest
    archive = (await back_up(layout, CLOCK, tmp_path / "b")).path
    snap = f"refs/swarm/snap/{runs.AGENT}"

    late = RepoLayout((await restore(archive, tmp_path / "late", CLOCK)).root).run(layout.run)
    early = RepoLayout((await restore(archive, tmp_path / "early", CLOCK, at=15)).root).run(layout.run)

    assert repos.git(late.hub, "show", f"{snap}:backend/more.py") == "not committed"
    assert repos.git(early.hub, "for-each-ref", snap) == ""


# -- what is refused, and leaves nothing behind


async def test_an_event_that_is_not_there_is_named(tmp_path: Path) -> None:
    _, archive = await saved(tmp_path)
    before = left(tmp_path)
    for seq in (0, -1, 16):
        with pytest.raises(UsageError, match=f"no event {seq}") as caught:
            await restore(archive, tmp_path / "new", CLOCK, at=seq)
        assert "1 to 15" in caught.value.hint
    assert left(tmp_path) == before


async def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    _, archive = await saved(tmp_path)
    repos.write(tmp_path / "new", "mine.txt", "mine")
    before = left(tmp_path)
    for into in (tmp_path / "new", tmp_path / "new/mine.txt"):
        with pytest.raises(RepositoryError, match="not an empty directory"):
            await restore(archive, into, CLOCK)
    with pytest.raises(RepositoryError, match="no directory"):
        await restore(archive, tmp_path / "no/such", CLOCK)
    with pytest.raises(UsageError, match="no file"):
        await restore(tmp_path / "nothing", tmp_path / "other", CLOCK)
    assert left(tmp_path) == before
    assert repos.files(tmp_path / "new").keys() == {"mine.txt"}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
async def test_a_damaged_archive_leaves_nothing_behind(tmp_path: Path, share: float) -> None:
    _, archive = await saved(tmp_path)
    data = bytearray(archive.read_bytes())
    data[int(len(data) * share)] ^= 0xFF
    archive.write_bytes(data)
    (tmp_path / "new").mkdir()
    before = left(tmp_path)

    with pytest.raises(ArchiveDamaged) as caught:
        await restore(archive, tmp_path / "new", CLOCK)

    assert caught.value.hint
    assert left(tmp_path) == before
    assert list((tmp_path / "new").iterdir()) == []


async def test_another_runs_state_at_the_same_place_is_not_touched(tmp_path: Path) -> None:
    _, archive = await saved(tmp_path)
    done = await restore(archive, tmp_path / "new", CLOCK)
    state = RepoLayout(done.root).run(done.run).state_dir
    shutil.rmtree(done.root)
    before = repos.files(state)

    with pytest.raises(RepositoryError, match="still holds this run"):
        await restore(archive, tmp_path / "new", CLOCK)

    assert repos.files(state) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", [".runs", ".multi-agent"])
async def test_a_repository_that_brings_a_link_for_our_directories_is_refused(tmp_path: Path, name: str) -> None:
    """Following it would write outside of the new repository."""
    root = repos.small(tmp_path / "r")
    (tmp_path / "outside").mkdir()
    (root / name).symlink_to(tmp_path / "outside")
    repos.git(root, "add", "-f", name)
    repos.commit_all(root, "A link")
    (root / name).unlink()
    repos.git(root, "update-index", "--assume-unchanged", name)
    layout = await runs.half_done(root)
    archive = (await back_up(layout, CLOCK, tmp_path / "b")).path
    before = left(tmp_path)

    with pytest.raises(ArchiveDamaged, match=name):
        await restore(archive, tmp_path / "new", CLOCK)

    assert left(tmp_path) == before
    assert list((tmp_path / "outside").iterdir()) == []


def lied(tmp_path: Path, archive: Path, lie: Callable[[dict[str, object]], None]) -> Path:
    """The same archive with another manifest."""
    from swarm_core.recovery.archive import MANIFEST, ArchiveWriter, extract

    place = tmp_path / "forged"
    place.mkdir()
    names = sorted(extract(archive, place).files)
    manifest = json.loads((place / MANIFEST).read_bytes())
    lie(manifest)
    with open(tmp_path / "lie", "wb") as file:
        writer = ArchiveWriter(file)
        for name in names:
            writer.add_file(name, place / name)
        writer.close(manifest)
    shutil.rmtree(place)
    return tmp_path / "lie"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seq", 14), ("seq", 99), ("head", "0" * 64), ("run", "another-run"), ("base", "ab" * 20),
        ("base_ref", "refs/heads/../../x"), ("base_ref", "refs/heads/-x"),
        ("refs", {"refs/swarm/snap/../x": "ab" * 20}),
    ],
)  # fmt: skip
async def test_a_manifest_that_lies_is_refused(tmp_path: Path, field: str, value: object) -> None:
    _, archive = await saved(tmp_path)
    forged = lied(tmp_path, archive, lambda manifest: manifest.update({field: value}))
    before = left(tmp_path)

    with pytest.raises((ArchiveDamaged, WorkspaceError)) as caught:
        await restore(forged, tmp_path / "new", CLOCK)

    assert caught.value.hint
    assert left(tmp_path) == before


async def test_a_branch_that_git_would_not_have_is_refused(tmp_path: Path) -> None:
    """The run has not begun, so only the manifest names the branch."""
    layout, archive = await saved(tmp_path)
    for name in ("refs/heads/../../x", "refs/heads/-x", "refs/heads/a\nb", "HEAD", "refs/heads/@{-1}"):
        forged = lied(tmp_path, archive, lambda manifest, name=name: manifest.update(base_ref=name))  # type: ignore[misc]
        before = left(tmp_path)
        with pytest.raises(SwarmError):
            await restore(forged, tmp_path / "new", CLOCK, at=1)
        assert left(tmp_path) == before
        forged.unlink()
    assert not (layout.repo.root.parent / "x").exists()


async def test_plans_and_receipts_are_those_of_the_event(tmp_path: Path) -> None:
    layout = await runs.half_done(tmp_path / "r")
    documents = {}
    for number in (1, 2):
        tasks = [{"id": "task_009", "title": f"round {number}"}]
        plan = json.dumps({"run": layout.run, "tasks": tasks, "reassign": [], "cancel": []}, indent=2) + "\n"
        receipt = f'{{"round": {number}}}\n'
        documents[number] = (plan, receipt)
        repos.write(layout.dir, "plan-task_001.json", plan)
        repos.write(layout.dir, "plan/plan_receipt.json", receipt)
        facts = [hashlib.sha256(text.encode()).hexdigest() for text in (plan, receipt)]
        written = {"type": "plan", "path": "plan-task_001.json", "sha256": facts[0], "tasks": tasks}
        sealed = {"path": "plan/plan_receipt.json", "sha256": facts[1], "status": "VERIFIED"}
        begun = Draft("phase.started" if number == 1 else "phase.reopened", {}, phase="plan")
        phase = [begun, Draft("phase.work_done", phase="plan"), Draft("receipt.sealed", sealed, phase="plan")]
        await runs.record(layout, Draft("artifact.written", written, task=runs.TASK), *phase)
    archive = (await back_up(layout, CLOCK, tmp_path / "b")).path

    late = RepoLayout((await restore(archive, tmp_path / "late", CLOCK)).root).run(layout.run).dir
    first = RepoLayout((await restore(archive, tmp_path / "first", CLOCK, at=19)).root).run(layout.run).dir
    none = RepoLayout((await restore(archive, tmp_path / "none", CLOCK, at=15)).root).run(layout.run).dir

    assert ((late / "plan-task_001.json").read_text(), (late / "plan/plan_receipt.json").read_text()) == documents[2]
    assert (first / "plan-task_001.json").read_text() == documents[1][0]
    assert not (first / "plan/plan_receipt.json").exists()  # what the second round wrote is not what was sealed
    assert [name for name in repos.files(none) if name.startswith("plan")] == []
