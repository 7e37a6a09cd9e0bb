"""A check tree holds exactly a commit, whatever ran in it before, and nothing that runs there reaches the engine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.support import repos

from swarm_core.workspace.check_tree import CheckTree
from swarm_core.workspace.hub import Hub


@pytest.fixture
async def hub(tmp_path: Path) -> Hub:
    return await Hub.open(repos.layout(repos.small(tmp_path / "small")))


async def work(hub: Hub, instance: str, **files: str) -> str:
    """A commit of these files on a branch of its own."""
    tree = await hub.add_tree(instance, hub.base)
    for name, text in files.items():
        repos.write(tree.path, name.replace("__", "/"), text)
    made = await hub.commit(instance, "feat: work", allowed=lambda path: True, trailers={}, author=instance)
    assert made is not None
    return made.oid


def held(tree: CheckTree) -> dict[str, str]:
    return repos.files(tree.path)


async def test_it_moves_from_commit_to_commit(hub: Hub, tmp_path: Path) -> None:
    one, two = await work(hub, "a-1", a="1\n", d__b="2\n"), await work(hub, "b-1", a="3\n")
    tree = hub.check_tree("x")
    fresh = hub.check_tree("y")
    for commit in (one, two, hub.base, one):
        await tree.place(commit)
        await fresh.remove()
        await fresh.place(commit)
        assert held(tree) == held(fresh)
    assert (tree.path / "d/b").read_text() == "2\n"


async def test_nothing_that_ran_there_is_left(hub: Hub) -> None:
    one = await work(hub, "a-1", d__b="2\n", keep="k\n")
    tree = hub.check_tree("x")
    await tree.place(one)
    before = held(tree)
    place = tree.path
    repos.write(place, "new.log", "ignored by the repository's own rules\n")
    repos.write(place, "build/deep/x", "ignored\n")
    repos.write(place, "d/.git/config", "[core]\n\tfsmonitor = touch /tmp/x\n")
    repos.write(place, "nested/.git/HEAD", "ref: refs/heads/main\n")
    repos.write(place, "nested/file", "n\n")
    (place / "empty/dir").mkdir(parents=True)
    stamp = (place / "keep").stat()
    (place / "keep").write_text("K\n")
    os.utime(place / "keep", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # same size, same time
    (place / "README.md").unlink()
    (place / "README.md").symlink_to("/etc/passwd")
    (place / "backend/app.py").chmod(0o755)
    (place / "d").chmod(0o500)

    await tree.place(one)

    assert held(tree) == before
    assert sorted(path.name for path in place.iterdir()) == sorted({name.split("/")[0] for name in before} | {".git"})


async def test_a_directory_swapped_for_a_link_leads_nobody_outside(hub: Hub, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "app.py").write_text("mine\n")
    tree = hub.check_tree("x")
    await tree.place(hub.base)
    before = held(tree)
    for path in (tree.path / "backend").iterdir():
        path.unlink()
    (tree.path / "backend").rmdir()
    (tree.path / "backend").symlink_to(outside)

    await tree.place(hub.base)

    assert held(tree) == before
    assert (outside / "app.py").read_text() == "mine\n"
    assert [path.name for path in outside.iterdir()] == ["app.py"]


async def test_a_tree_that_was_deleted_or_an_index_that_is_damaged_is_made_anew(hub: Hub) -> None:
    tree = hub.check_tree("x")
    await tree.place(hub.base)
    before = held(tree)
    (hub.desk.dir / "checking/x.index").write_bytes(b"no index")
    await tree.place(hub.base)
    assert held(tree) == before
    shutil.rmtree(tree.path)
    await tree.place(hub.base)
    assert held(tree) == before


async def test_git_works_there_and_reaches_no_ref_of_the_hub(hub: Hub) -> None:
    one = await work(hub, "a-1", a="1\n")
    tree = hub.check_tree("x")
    await tree.place(one)
    refs = repos.git(hub.desk.hub, "for-each-ref")

    assert repos.git(tree.path, "status", "--porcelain") == ""
    assert repos.git(tree.path, "log", "--format=%s").splitlines() == ["feat: work", "Start"]
    repos.git(tree.path, "commit", "-q", "--allow-empty", "-m", "mine")
    repos.git(tree.path, "update-ref", "refs/swarm/integration", "HEAD")

    assert repos.git(hub.desk.hub, "for-each-ref") == refs


async def test_what_did_not_change_is_not_written_again(hub: Hub) -> None:
    one, two = await work(hub, "a-1", a="1\n"), await work(hub, "b-1", a="2\n")
    tree = hub.check_tree("x")
    await tree.place(one)
    untouched, changed = (tree.path / "README.md").stat(), (tree.path / "a").stat()
    await tree.place(two)

    assert (tree.path / "README.md").stat() == untouched
    assert (tree.path / "a").stat().st_ino != changed.st_ino or (tree.path / "a").read_text() == "2\n"


async def test_the_merged_commit_is_the_same_for_the_same_two(hub: Hub) -> None:
    one, two = await work(hub, "a-1", a="1\n"), await work(hub, "b-1", b="2\n")
    tried = await hub.try_merge(one, two)
    merged = await hub.merged(one, two, tried.tree)

    assert await hub.merged(one, two, tried.tree) == merged
    alone = await hub.try_merge(hub.base, two)
    assert await hub.merged(hub.base, two, alone.tree) == two
    tree = hub.check_tree("x")
    await tree.place(merged)
    assert [(tree.path / name).read_text() for name in "ab"] == ["1\n", "2\n"]
    assert await hub.integration() == hub.base
