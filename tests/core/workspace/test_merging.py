"""The integration line moves only forward, only by clean merges, one expected step at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support import repos

from swarm_core.vocabulary.errors import MergeConflict, WorkspaceError
from swarm_core.workspace.facts import Commit
from swarm_core.workspace.hub import Hub


async def opened(tmp_path: Path) -> Hub:
    return await Hub.open(repos.layout(repos.small(tmp_path / "r")))


async def commit(hub: Hub, instance: str) -> Commit:
    made = await hub.commit(instance, f"Work of {instance}", allowed=lambda path: True, trailers={}, author=instance)
    assert made is not None
    return made


async def change(hub: Hub, instance: str, path: str, content: str | bytes | None) -> str:
    """A commit on a tree at the base that writes (or with None removes) one file."""
    tree = await hub.add_tree(instance, at=hub.base)
    if content is None:
        (tree.path / path).unlink()
    else:
        repos.write(tree.path, path, content)
    return (await commit(hub, instance)).oid


async def merge(hub: Hub, oid: str, task: str = "task_001") -> str:
    return await hub.merge(oid, message=f"Merge {task}", trailers={"Task-Id": task}, expected=await hub.integration())


def parents(hub: Hub, oid: str) -> list[str]:
    return repos.git(hub.layout.hub, "show", "-s", "--format=%P", oid).split()


async def test_a_merge_has_both_sides_and_moves_the_line(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    one, two = await change(hub, "a-1", "a", "a"), await change(hub, "b-1", "b", "b")

    first = await merge(hub, one, "task_001")
    second = await merge(hub, two, "task_002")

    assert (parents(hub, first), parents(hub, second)) == ([hub.base, one], [first, two])
    assert await hub.integration() == second
    assert await hub.merge_base(second, one) == one
    assert (
        repos.git(hub.layout.hub, "show", "-s", "--format=%(trailers:key=Task-Id)", second).strip()
        == "Task-Id: task_002"
    )


async def test_merging_again_after_a_crash_finds_the_merge_that_was_made(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    one, two = await change(hub, "a-1", "a", "a"), await change(hub, "b-1", "b", "b")
    first = await merge(hub, one, "task_001")
    second = await merge(hub, two, "task_002")

    hub = await Hub.open(hub.layout)
    again = await hub.merge(one, message="Again", trailers={"Task-Id": "task_001"}, expected=hub.base)

    assert again == first
    assert await hub.integration() == second


async def test_a_line_that_moved_is_not_merged_onto(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    one, two = await change(hub, "a-1", "a", "a"), await change(hub, "b-1", "b", "b")

    done = await asyncio.gather(
        hub.merge(one, message="M", trailers={}, expected=hub.base),
        hub.merge(two, message="M", trailers={}, expected=hub.base),
        return_exceptions=True,
    )

    assert sorted(type(result).__name__ for result in done) == ["WorkspaceError", "str"]
    assert await hub.integration() in done


async def test_a_conflict_is_reported_with_its_paths_and_moves_nothing(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    one, two = await change(hub, "a-1", "backend/app.py", "A\n"), await change(hub, "b-1", "backend/app.py", "B\n")
    line = await merge(hub, one)

    with pytest.raises(MergeConflict, match=r"backend/app\.py") as caught:
        await merge(hub, two, "task_002")

    assert caught.value.paths == ("backend/app.py",)
    assert await hub.integration() == line


KINDS: dict[str, tuple[tuple[str, str | bytes | None], tuple[str, str | bytes | None], str]] = {
    "contents": (("README.md", "A\n"), ("README.md", "B\n"), "README.md"),
    "modify/delete": (("README.md", "A\n"), ("README.md", None), "README.md"),
    "add/add": (("new\nname", "A\n"), ("new\nname", "B\n"), "new\nname"),
    "binary": (("README.md", b"\0a"), ("README.md", b"\0b"), "README.md"),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_of_conflict_names_its_path(tmp_path: Path, kind: str) -> None:
    hub = await opened(tmp_path)
    ours, theirs, path = KINDS[kind]

    tried = await hub.try_merge(await change(hub, "a-1", *ours), await change(hub, "b-1", *theirs))

    assert not tried.is_clean
    assert tried.paths == [path]
    assert any(message.startswith("CONFLICT") for message in tried.messages)
    assert "\n" not in "".join(tried.messages)


async def test_a_file_against_a_directory_is_a_conflict(tmp_path: Path) -> None:
    hub = await opened(tmp_path)

    tried = await hub.try_merge(await change(hub, "a-1", "q", "f\n"), await change(hub, "b-1", "q/z", "d\n"))

    assert not tried.is_clean
    assert tried.paths


async def test_a_rename_against_an_edit_merges(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    tree = await hub.add_tree("a-1")
    (tree.path / "backend/app.py").rename(tree.path / "backend/main.py")
    renamed = (await commit(hub, "a-1")).oid
    edited = await change(hub, "b-1", "backend/app.py", repos.lines("app") + "one more\n")

    tried = await hub.try_merge(renamed, edited)

    assert (tried.is_clean, tried.paths) == (True, [])
    assert repos.git(hub.layout.hub, "show", f"{tried.tree}:backend/main.py").endswith("one more")


async def test_trying_touches_no_ref_and_no_tree(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    one, two = await change(hub, "a-1", "x", "A\n"), await change(hub, "b-1", "x", "B\n")
    before = repos.git(hub.layout.hub, "for-each-ref"), [repos.files(tree.path) for tree in await hub.trees()]

    await hub.try_merge(one, two)

    assert (repos.git(hub.layout.hub, "for-each-ref"), [repos.files(t.path) for t in await hub.trees()]) == before


async def test_a_merge_driver_an_agent_planted_never_runs(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    mark = tmp_path / "ran"
    one, two = await change(hub, "a-1", "README.md", "A\n"), await change(hub, "b-1", "README.md", "B\n")
    repos.git(hub.layout.trees / "a-1", "config", "merge.evil.driver", f"touch {mark}")
    repos.write(hub.layout.hub, "info/attributes", "* merge=evil\n")

    tried = await hub.try_merge(one, two)

    assert not tried.is_clean
    assert not mark.exists()


async def test_a_commit_is_never_dated_before_its_parents(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    future = "4000000000"
    tree = repos.git(repo, "rev-parse", "HEAD^{tree}")
    made = repos.git(
        repo, "hash-object", "-t", "commit", "-w", "--stdin",
        input=f"tree {tree}\nauthor A <a@b> {future} +0000\ncommitter A <a@b> {future} +0000\n\nFuture\n".encode(),
    )  # fmt: skip
    repos.git(repo, "reset", "-q", "--hard", made)
    hub = await Hub.open(repos.layout(repo))

    oid = await merge(hub, await change(hub, "a-1", "x", "x"))

    dates = repos.git(hub.layout.hub, "log", "--format=%ct", oid).split()
    assert set(dates) == {future}


# -- conflicts given back to an agent


async def conflicted(tmp_path: Path) -> tuple[Hub, str, str]:
    """``b-1`` changed what is already merged otherwise; returns its commit and the line's."""
    hub = await opened(tmp_path)
    line = await merge(hub, await change(hub, "a-1", "backend/app.py", "A\n" + repos.lines("app")))
    tip = await change(hub, "b-1", "backend/app.py", "B\n" + repos.lines("app"))
    return hub, tip, line


async def test_a_conflict_is_put_into_the_tree_with_zdiff3_markers(tmp_path: Path) -> None:
    hub, _, line = await conflicted(tmp_path)

    assert await hub.start_conflict("b-1", line) == ["backend/app.py"]

    text = (hub.layout.trees / "b-1/backend/app.py").read_text()
    ancestor = f"||||||| {hub.base[:7]}"
    markers = ["<<<<<<< agent/b-1", "B", ancestor, "=======", "A", ">>>>>>> refs/swarm/integration"]
    assert text.splitlines() == markers + repos.lines("app").splitlines()
    assert await hub.changes("b-1") == []


async def test_a_commit_with_markers_left_is_refused_by_name(tmp_path: Path) -> None:
    hub, tip, line = await conflicted(tmp_path)
    await hub.start_conflict("b-1", line)
    file = hub.layout.trees / "b-1/backend/app.py"

    for left in (file.read_text(), "B\n=======\nA\n", "<<<<<<< mine\n"):
        file.write_text(left)
        with pytest.raises(WorkspaceError, match=r"conflict markers are left in backend/app\.py"):
            await commit(hub, "b-1")
    assert await hub.tip("b-1") == tip


async def test_a_resolved_conflict_is_a_real_merge_and_then_merges_clean(tmp_path: Path) -> None:
    hub, tip, line = await conflicted(tmp_path)
    await hub.start_conflict("b-1", line)
    repos.write(hub.layout.trees / "b-1", "backend/app.py", "A and B\n" + repos.lines("app"))

    made = await hub.commit("b-1", "Resolve", allowed=lambda path: False, trailers={}, author="b-1")

    assert made is not None
    assert parents(hub, made.oid) == [tip, line]
    assert made.paths == ("backend/app.py",)
    merged = await merge(hub, made.oid, "task_002")
    assert repos.git(hub.layout.hub, "show", f"{merged}:backend/app.py").startswith("A and B\n")
    assert await hub.changes("b-1") == []


async def test_a_marker_line_that_was_there_before_is_no_conflict(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    heading = "Title\n=======\n"
    line = await merge(hub, await change(hub, "a-1", "README.md", heading + "A\n"))
    await change(hub, "b-1", "README.md", heading + "B\n")
    await hub.start_conflict("b-1", line)
    repos.write(hub.layout.trees / "b-1", "README.md", heading + "A and B\n")

    assert (await commit(hub, "b-1")).paths == ("README.md",)


async def test_a_conflict_without_markers_is_committed_as_the_agent_leaves_it(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    line = await merge(hub, await change(hub, "a-1", "README.md", None))
    tip = await change(hub, "b-1", "README.md", "kept\n")
    assert await hub.start_conflict("b-1", line) == ["README.md"]

    made = await commit(hub, "b-1")

    assert parents(hub, made.oid) == [tip, line]
    assert repos.git(hub.layout.hub, "show", f"{made.oid}:README.md") == "kept"


async def test_during_a_conflict_only_the_agents_own_changes_count(tmp_path: Path) -> None:
    hub, _, line = await conflicted(tmp_path)
    await hub.start_conflict("b-1", line)
    tree = hub.layout.trees / "b-1"
    repos.write(tree, "backend/app.py", "resolved\n")
    repos.write(tree, "frontend/page.html", "out of scope\n")

    assert [c.path for c in await hub.changes("b-1")] == ["backend/app.py", "frontend/page.html"]
    await hub.quarantine("b-1", ["frontend/page.html"])
    made = await commit(hub, "b-1")

    assert made.paths == ("backend/app.py",)


async def test_a_started_conflict_survives_a_restart_with_the_work_in_it(tmp_path: Path) -> None:
    hub, tip, line = await conflicted(tmp_path)
    await hub.start_conflict("b-1", line)
    repos.write(hub.layout.trees / "b-1", "backend/app.py", "resolved\n")

    hub = await Hub.open(hub.layout)
    await hub.add_tree("b-1")
    assert await hub.start_conflict("b-1", line) == ["backend/app.py"]
    made = await commit(hub, "b-1")

    assert parents(hub, made.oid) == [tip, line]
    assert repos.git(hub.layout.hub, "show", f"{made.oid}:backend/app.py") == "resolved"


async def test_uncommitted_work_is_snapshotted_before_a_conflict_is_placed(tmp_path: Path) -> None:
    hub, _, line = await conflicted(tmp_path)
    repos.write(hub.layout.trees / "b-1", "unfinished.txt", "u\n")

    await hub.start_conflict("b-1", line)

    assert repos.git(hub.layout.hub, "show", "refs/swarm/snap/b-1:unfinished.txt") == "u"


async def test_a_clean_merge_can_be_placed_too(tmp_path: Path) -> None:
    hub = await opened(tmp_path)
    line = await merge(hub, await change(hub, "a-1", "a", "a"))
    tip = await change(hub, "b-1", "b", "b")

    assert await hub.start_conflict("b-1", line) == []
    assert (hub.layout.trees / "b-1/a").read_text() == "a"
    assert parents(hub, (await commit(hub, "b-1")).oid) == [tip, line]
