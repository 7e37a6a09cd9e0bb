"""Worktrees come, move and go without losing anybody's work."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import repos

from swarm_core.vocabulary.errors import WorkspaceError
from swarm_core.workspace.hub import Hub
from swarm_core.workspace.landing import keep_unlanded


async def opened(tmp_path: Path) -> Hub:
    return await Hub.open(repos.layout(repos.small(tmp_path / "r")))


async def commit(hub: Hub, instance: str, message: str = "Work") -> str:
    made = await hub.commit(instance, message, allowed=lambda path: True, trailers={}, author=instance)
    assert made is not None
    return made.oid


async def test_a_tree_holds_the_base_exactly(tmp_path: Path) -> None:
    hub = await opened(tmp_path)

    tree = await hub.add_tree("backend-1")

    assert repos.files(tree.path) == repos.files(tmp_path / "r")
    assert (tree.branch, tree.head) == ("refs/heads/agent/backend-1", hub.base)
    assert tree.path == hub.layout.trees / "backend-1"
    assert repos.git(tree.path, "status", "--porcelain") == ""
    assert await hub.tip("backend-1") == hub.base


async def test_a_new_tree_starts_at_the_integration_line(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    tree = await hub.add_tree("backend-1")
    repos.write(tree.path, "new.txt", "x")
    merged = await hub.merge(await commit(hub, "backend-1"), message="M", trailers={}, expected=hub.base)

    assert (await hub.add_tree("frontend-1")).head == merged
    assert (await hub.add_tree("frontend-2", at=hub.base)).head == hub.base


async def test_a_tree_with_work_in_it_is_adopted_after_a_restart(tmp_path: Path) -> None:
    first = await opened(tmp_path)
    tree = await first.add_tree("backend-1")
    repos.write(tree.path, "backend/app.py", "half done\n")
    repos.write(tree.path, "new.txt", "x")

    hub = await Hub.open(first.layout)
    again = await hub.add_tree("backend-1", at=await hub.integration())

    assert again == tree
    assert [(c.path, c.kind) for c in await hub.changes("backend-1")] == [
        ("backend/app.py", "modified"),
        ("new.txt", "added"),
    ]
    assert hub.take_tampering() == []


async def test_a_deleted_tree_comes_back_at_its_last_commit(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    tree = await hub.add_tree("backend-1")
    repos.write(tree.path, "new.txt", "x")
    tip = await commit(hub, "backend-1")
    repos.git(tmp_path, "init", "-q", "unused")
    tree.path.rename(tmp_path / "stolen")

    with pytest.raises(WorkspaceError, match="has no worktree"):
        await hub.changes("backend-1")
    again = await hub.add_tree("backend-1")

    assert again.head == tip
    assert (again.path / "new.txt").read_text() == "x"


@pytest.mark.parametrize("instance", ["../x", "A", "a/b", "", "a.lock", "-a"])
async def test_a_name_that_could_climb_is_no_instance(tmp_path: Path, instance: str) -> None:
    with pytest.raises(WorkspaceError, match="cannot name an instance"):
        await (await opened(tmp_path)).add_tree(instance)


async def test_a_tree_cannot_start_at_something_else_than_a_commit(tmp_path: Path) -> None:
    hub = await opened(tmp_path)

    for at in ("nothing", "--all", "0" * 40):
        with pytest.raises(WorkspaceError, match="is not a commit"):
            await hub.add_tree("backend-1", at=at)
    assert await hub.trees() == []


async def test_resetting_moves_files_branch_and_index(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    tree = await hub.add_tree("backend-1")
    repos.write(tree.path, "new.txt", "x")
    (tree.path / "backend/app.py").unlink()
    tip = await commit(hub, "backend-1")

    moved = await hub.reset_tree("backend-1", hub.base)

    assert moved.head == hub.base == repos.git(hub.layout.hub, "rev-parse", tree.branch)
    assert repos.files(tree.path) == repos.files(tmp_path / "r")
    assert repos.git(tree.path, "status", "--porcelain") == ""
    assert (await hub.reset_tree("backend-1", tip)).head == tip
    assert await hub.changes("backend-1") == []


async def test_resetting_keeps_uncommitted_work_in_a_snapshot(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    tree = await hub.add_tree("backend-1")
    repos.write(tree.path, "backend/app.py", "changed\n")
    repos.write(tree.path, "deep/new.txt", "new\n")
    repos.write(tree.path, "build/cache", "ignored")
    (tree.path / "run.sh").unlink()

    await hub.reset_tree("backend-1", hub.base)

    assert await hub.changes("backend-1") == []
    assert not (tree.path / "deep").exists()
    assert (tree.path / "build/cache").exists()
    snapshot = "refs/swarm/snap/backend-1"
    assert repos.git(hub.layout.hub, "show", f"{snapshot}:deep/new.txt") == "new"
    assert repos.git(hub.layout.hub, "diff", "--name-status", hub.base, snapshot).split() == [
        "M", "backend/app.py", "A", "deep/new.txt", "D", "run.sh",
    ]  # fmt: skip


async def test_removing_a_clean_tree_leaves_its_branch_and_no_snapshot(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    tree = await hub.add_tree("backend-1")
    repos.write(tree.path, "new.txt", "x")
    tip = await commit(hub, "backend-1")

    assert await hub.remove_tree("backend-1") is None

    assert not tree.path.exists()
    assert await hub.trees() == []
    assert repos.git(hub.layout.hub, "for-each-ref", "--format=%(refname)", "refs/swarm/snap") == ""
    assert repos.git(hub.layout.hub, "rev-parse", tree.branch) == tip
    assert len(repos.git(hub.layout.hub, "worktree", "list").splitlines()) == 1
    assert await hub.remove_tree("backend-1") is None


async def test_removing_keeps_everything_that_no_commit_holds(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    tree = await hub.add_tree("backend-1")
    repos.write(tree.path, "agents-own.txt", "committed by the agent itself\n")
    stray = repos.commit_all(tree.path, "Its own commit")
    repos.write(tree.path, "untracked.txt", "u\n")
    repos.write(tree.path, "huge.bin", bytes(9 << 20))
    repos.git(tree.path, "init", "-q", "inner")
    repos.write(tree.path, "inner/file", "inner\n")

    snapshot = await hub.remove_tree("backend-1")

    assert snapshot is not None
    assert repos.git(hub.layout.hub, "show", f"{snapshot}:untracked.txt") == "u"
    assert stray in repos.git(hub.layout.hub, "rev-list", snapshot).split()
    (place,) = (hub.layout.state_dir / "quarantine/backend-1").iterdir()
    assert (place / "huge.bin").stat().st_size == 9 << 20
    assert (place / "inner/file").read_text() == "inner\n"
    assert not tree.path.exists()


async def test_a_commit_of_the_agents_own_is_kept_even_if_its_files_are_gone(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    tree = await hub.add_tree("backend-1")
    idea = repos.write(tree.path, "idea.txt", "an idea\n")
    stray = repos.commit_all(tree.path, "An idea")
    idea.unlink()

    await hub.reset_tree("backend-1", hub.base)

    assert stray in repos.git(hub.layout.hub, "rev-list", "refs/swarm/snap/backend-1").split()


async def test_a_second_snapshot_keeps_the_first_reachable(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    for content in ("one", "two"):
        tree = await hub.add_tree("backend-1")
        repos.write(tree.path, "x", content)
        await hub.remove_tree("backend-1")

    log = repos.git(hub.layout.hub, "rev-list", "refs/swarm/snap/backend-1").split()

    assert {repos.git(hub.layout.hub, "show", f"{oid}:x") for oid in log[:2]} == {"one", "two"}


async def test_removing_follows_no_link_out_of_the_tree(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    tree = await hub.add_tree("backend-1")
    kept = repos.write(tmp_path, "out/kept.txt", "kept")
    (tree.path / "out").symlink_to(tmp_path / "out")
    (tree.path / "backend").rename(tmp_path / "moved")
    (tree.path / "backend").symlink_to(tmp_path / "moved")

    await hub.reset_tree("backend-1", hub.base)
    (tree.path / "out").symlink_to(tmp_path / "out")
    await hub.remove_tree("backend-1")

    assert kept.read_text() == "kept"
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == ["app.py", "util.py"]


async def test_a_diff_is_whole_named_and_binary_safe(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    tree = await hub.add_tree("backend-1")
    (tree.path / "backend/app.py").rename(tree.path / "backend/main.py")
    repos.write(tree.path, "blob.bin", bytes(range(256)))
    repos.write(tree.path, "latin.txt", "caf\xe9\n".encode("latin-1"))
    tip = await commit(hub, "backend-1")

    diff = await hub.diff(hub.base, tip)

    assert b"rename from backend/app.py" in diff.text
    assert b"Binary files /dev/null and b/blob.bin differ" in diff.text
    assert b"+caf\xe9\n" in diff.text
    assert diff.paths == ["backend/app.py", "backend/main.py", "blob.bin", "latin.txt"]
    assert (diff.stat.files, diff.stat.insertions, diff.is_cut) == (3, 1, False)


async def test_a_diff_over_the_limit_says_where_it_was_cut(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    tree = await hub.add_tree("backend-1")
    repos.write(tree.path, "long.txt", repos.lines("long", 5000))
    tip = await commit(hub, "backend-1")

    diff = await hub.diff(hub.base, tip, max_bytes=1000)

    assert diff.is_cut
    assert len(diff.text) < 1500
    assert diff.text.splitlines()[-1].startswith(b"--- cut here after 1000 bytes")
    assert diff.stat.insertions == 5000


async def test_an_option_is_no_commit(tmp_path: Path) -> None:
    hub = await opened(tmp_path)

    with pytest.raises(WorkspaceError, match="is not a commit"):
        await hub.diff(hub.base, f"--output={tmp_path}/written")
    with pytest.raises(WorkspaceError, match="is not a commit"):
        await hub.merge_base("--all", hub.base)
    assert not (tmp_path / "written").exists()


async def test_cleanup_leaves_no_worktree_and_the_hub_as_evidence(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    for name in ("backend-1", "frontend-1"):
        tree = await hub.add_tree(name)
    repos.write(tree.path, "unfinished.txt", "u")
    keep = f"refs/swarm/keep/{repos.RUN}"

    await hub.cleanup()

    assert list(hub.layout.trees.iterdir()) == []
    assert repos.git(hub.layout.hub, "show", "refs/swarm/snap/frontend-1:unfinished.txt") == "u"
    assert repos.git(tmp_path / "r", "for-each-ref", "--format=%(refname)", "refs/swarm") == keep
    await hub.cleanup()


async def test_cleanup_drops_the_keep_ref_once_another_ref_holds_the_objects(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    tree = await hub.add_tree("backend-1")
    repos.write(tree.path, "x", "x")
    await hub.merge(await commit(hub, "backend-1"), message="M", trailers={}, expected=hub.base)

    ref = await keep_unlanded(hub)
    await hub.cleanup()

    assert repos.git(tmp_path / "r", "for-each-ref", "--format=%(refname)", "refs/swarm") == ref
    assert repos.git(tmp_path / "r", "rev-parse", ref) == await hub.integration()
