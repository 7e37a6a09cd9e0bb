"""A worktree's registration: whole or absent, and put right when somebody changed it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from pathlib import Path

import pytest
from tests.support import repos

from swarm_core.workspace.hub import Hub

PLANT = "#!/bin/sh\ntouch '{mark}'\ncat\n"


async def test_git_lists_one_locked_worktree_an_instance(tmp_path: Path) -> None:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / "r")))
    await asyncio.gather(hub.add_tree("backend-1"), hub.add_tree("frontend-1"))

    listed = repos.git(hub.layout.hub, "worktree", "list", "--porcelain").split("\n\n")[1:]

    assert [entry.splitlines()[2:4] for entry in sorted(listed)] == [
        ["branch refs/heads/agent/backend-1", "locked in use by swarm-tui"],
        ["branch refs/heads/agent/frontend-1", "locked in use by swarm-tui"],
    ]


async def test_thirty_trees_at_once_never_break_a_command_that_lists_them(tmp_path: Path) -> None:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / "r")))
    failures: list[str] = []
    rounds = 0
    done = threading.Event()

    def list_worktrees() -> None:
        nonlocal rounds
        while not done.is_set():
            command = ["git", "-C", str(hub.layout.hub), "worktree", "list"]
            listed = subprocess.run(command, capture_output=True, text=True, check=False)
            rounds += 1
            if listed.returncode or "error" in listed.stderr:
                failures.append(listed.stderr)

    lister = threading.Thread(target=list_worktrees)
    lister.start()
    try:
        trees = await asyncio.gather(*(hub.add_tree(f"agent-{number}") for number in range(30)))
    finally:
        done.set()
        lister.join()

    assert failures == []
    assert rounds > 1
    assert len({tree.path for tree in trees}) == 30 == len(await hub.trees())


async def test_pruning_by_somebody_never_takes_a_registration(tmp_path: Path) -> None:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / "r")))
    tree = await hub.add_tree("backend-1")
    aside = tree.path.rename(tmp_path / "aside")

    repos.git(hub.layout.hub, "worktree", "prune", "--expire=now")
    aside.rename(tree.path)

    assert await hub.changes("backend-1") == []
    assert hub.take_tampering() == []


async def test_a_replaced_git_directory_is_found_restored_and_kept(tmp_path: Path) -> None:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / "r")))
    tree = await hub.add_tree("backend-1")
    mark = tmp_path / "ran"
    (tree.path / ".git").unlink()
    repos.git(tree.path, "init", "-q")
    program = repos.write(tree.path, "backend/program", PLANT.format(mark=mark))
    program.chmod(0o755)
    for key in ("core.fsmonitor", "filter.x.clean", "diff.x.textconv", "diff.external", "core.editor", "core.pager"):
        repos.git(tree.path, "config", key, str(program))

    changes = await hub.changes("backend-1")

    assert not mark.exists()
    assert [change.path for change in changes] == ["backend/program"]
    (found,) = hub.take_tampering()
    assert (found.instance, found.what) == ("backend-1", ".git was replaced")
    assert found.kept_at is not None
    assert str(program) not in repos.git(tree.path, "config", "--list")
    assert (found.kept_at / "config").is_file()
    assert hub.take_tampering() == []


@pytest.mark.parametrize("kind", ["link", "pipe", "missing"])
async def test_a_git_file_of_any_other_kind_is_restored(tmp_path: Path, kind: str) -> None:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / "r")))
    tree = await hub.add_tree("backend-1")
    (tree.path / ".git").unlink()
    if kind == "link":
        (tree.path / ".git").symlink_to(tmp_path / "r/.git")
    elif kind == "pipe":
        os.mkfifo(tree.path / ".git")

    assert await hub.changes("backend-1") == []
    assert repos.git(tree.path, "rev-parse", "HEAD") == hub.base
    assert len(hub.take_tampering()) == 1
    assert repos.status(tmp_path / "r") == ""


async def test_what_an_agent_configures_through_its_tree_never_runs_and_is_undone(tmp_path: Path) -> None:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / "r")))
    tree = await hub.add_tree("backend-1")
    mark = tmp_path / "ran"
    program = repos.write(tmp_path, "program", PLANT.format(mark=mark))
    program.chmod(0o755)
    for hook in ("pre-commit", "post-commit", "reference-transaction", "post-index-change", "post-checkout"):
        (hub.layout.hub / "hooks").mkdir(exist_ok=True)
        (hub.layout.hub / "hooks" / hook).symlink_to(program)
    repos.git(tree.path, "config", "core.hooksPath", str(hub.layout.hub / "hooks"))
    for key in (
        "core.fsmonitor",
        "filter.x.clean",
        "filter.x.smudge",
        "merge.x.driver",
        "diff.x.command",
        "gpg.program",
    ):
        repos.git(tree.path, "config", key, str(program))
    repos.git(tree.path, "config", "--worktree", "core.fsmonitor", str(program))
    mark.unlink(missing_ok=True)
    repos.write(tree.path, ".gitattributes", "* filter=x merge=x diff=x\n")
    repos.write(tree.path, "backend/app.py", "changed\n")

    made = await hub.commit("backend-1", "Change", allowed=lambda path: True, trailers={}, author="b")
    assert made is not None
    await hub.merge(made.oid, message="Merge", trailers={}, expected=hub.base)
    await hub.diff(hub.base, made.oid)
    await hub.reset_tree("backend-1", hub.base)
    repos.git(tree.path, "status")  # a person who looks into the tree

    assert not mark.exists()
    assert {found.what for found in hub.take_tampering()} == {
        "config of the hub was changed",
        "a configuration for its worktree was planted",
    }


async def test_a_removed_or_redirected_entry_is_made_again(tmp_path: Path) -> None:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / "r")))
    tree = await hub.add_tree("backend-1")
    repos.write(tree.path, "new.txt", "work")
    repos.git(tree.path, "checkout", "-q", "-b", "surprise")
    assert [change.path for change in await hub.changes("backend-1")] == ["new.txt"]
    assert repos.git(tree.path, "symbolic-ref", "HEAD") == tree.branch

    repos.git(hub.layout.hub, "worktree", "remove", "--force", "--force", str(tree.path))
    assert not tree.path.exists()
    await hub.add_tree("backend-1")

    assert repos.git(tree.path, "status", "--porcelain") == ""
