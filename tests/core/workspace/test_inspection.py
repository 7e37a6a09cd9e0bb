"""A secret gets into no commit, no snapshot and no object of the hub; what was there before is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import repos

from swarm_core.vocabulary.secrets import BLOT, Secrets
from swarm_core.workspace.hub import Hub
from swarm_core.workspace.inspection import SecretFound, refuse_secrets

SECRET = "canary-93be-17c0"


async def opened(tmp_path: Path) -> tuple[Hub, Path]:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / "r")), secrets=Secrets([SECRET]))
    return hub, (await hub.add_tree("backend-1")).path


async def commit(hub: Hub, message: str = "Work") -> str:
    made = await hub.commit("backend-1", message, allowed=lambda path: True, trailers={}, author="backend-1")
    assert made is not None
    return made.oid


def objects(hub: Hub) -> bytes:
    return repos.git_bytes(hub.desk.hub, "cat-file", "--batch-all-objects", "--batch")


async def test_a_commit_with_a_secret_is_refused_with_its_place_and_without_it(tmp_path: Path) -> None:
    hub, tree = await opened(tmp_path)
    repos.write(tree, "backend/fine.txt", "fine\n")
    repos.write(tree, "backend/leak.txt", f"one\ntwo {SECRET}\n")
    repos.write(tree, "backend/also.txt", SECRET)
    (tree / "backend/link").symlink_to(SECRET)

    with pytest.raises(SecretFound, match=r"leak\.txt line 2") as refused:
        await commit(hub)

    assert refused.value.paths == ("backend/also.txt", "backend/leak.txt", "backend/link")
    assert SECRET not in str(refused.value)
    assert await hub.tip("backend-1") == hub.base
    assert SECRET.encode() not in objects(hub), "not even as an object that nothing names"


async def test_without_it_the_same_commit_is_made(tmp_path: Path) -> None:
    hub, tree = await opened(tmp_path)
    repos.write(tree, "leak.txt", SECRET)
    with pytest.raises(SecretFound):
        await commit(hub)
    repos.write(tree, "leak.txt", "os.environ['TOKEN']")

    made = await commit(hub, f"Take out {SECRET}")

    assert repos.git(hub.desk.hub, "log", "-1", "--format=%s", made) == f"Take out {BLOT}"
    assert SECRET.encode() not in objects(hub)


async def test_a_file_named_by_a_secret_is_refused(tmp_path: Path) -> None:
    hub, tree = await opened(tmp_path)
    repos.write(tree, f"backend/{SECRET}", "x")
    with pytest.raises(SecretFound, match="the name of a file"):
        await commit(hub)


async def test_what_the_repository_held_before_does_not_hold_up_work_on_it(tmp_path: Path) -> None:
    root = repos.small(tmp_path / "r")
    repos.write(root, "old.txt", f"key = {SECRET}\n")
    repos.commit_all(root, "long ago")
    hub = await Hub.open(repos.layout(root), secrets=Secrets([SECRET]))
    tree = (await hub.add_tree("backend-1")).path
    repos.write(tree, "old.txt", f"key = {SECRET}\nmore = 1\n")
    await commit(hub)
    repos.write(tree, "new.txt", f"key = {SECRET}\n")
    with pytest.raises(SecretFound, match=r"new\.txt line 1"):
        await commit(hub)


async def test_a_snapshot_leaves_it_out_and_keeps_it_beside(tmp_path: Path) -> None:
    hub, tree = await opened(tmp_path)
    repos.write(tree, "leak.txt", SECRET)
    repos.write(tree, "work.txt", "work")

    await hub.reset_tree("backend-1", hub.base)

    snapshot = repos.git(hub.desk.hub, "ls-tree", "-r", "--name-only", "refs/swarm/snap/backend-1")
    assert "work.txt" in snapshot
    assert "leak.txt" not in snapshot
    assert SECRET.encode() not in objects(hub)
    assert [path.read_text() for path in hub.desk.state.rglob("quarantine/*/*/leak.txt")] == [SECRET]


async def test_what_slips_into_the_tree_is_found_there(tmp_path: Path) -> None:
    """A file that changes between the look at it and its staging."""
    hub, tree = await opened(tmp_path)
    repos.write(tree, "late.txt", f"{SECRET}\n")
    repos.git(tree, "add", "late.txt")
    after = repos.git(tree, "write-tree")
    with pytest.raises(SecretFound, match=r"late\.txt line 1"):
        await refuse_secrets(hub.desk, await hub.desk.tree_oid(hub.base), after)
