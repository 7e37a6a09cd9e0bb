"""Landing changes exactly the branch and the files it names, keeps unrelated work, and forces nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import landings, repos

from swarm_core.vocabulary.errors import MergeConflict, WorkspaceError
from swarm_core.workspace.hub import Hub
from swarm_core.workspace.landing import keep_unlanded, try_land


async def expected_files(hub: Hub, commit: str) -> dict[str, str]:
    return repos.files((await hub.add_tree("look-1", at=commit)).path)


async def test_a_clean_checkout_is_fast_forwarded_with_its_files(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)

    attempt = await try_land(hub)
    done = await landings.landed(hub, attempt)

    assert attempt.can_land
    assert attempt.is_fast_forward
    assert done == attempt.commit == await hub.integration() == repos.git(repo, "rev-parse", "main")
    assert repos.status(repo) == ""
    assert repos.files(repo) == await expected_files(hub, done)
    assert repos.git(repo, "fsck", "--full") == ""
    assert repos.git(repo, "rev-parse", f"refs/swarm/landed/{repos.RUN}") == done
    assert not (repo / ".git/FETCH_HEAD").exists()


async def test_trying_changes_nothing_in_the_repository(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    repos.write(repo, "run.sh", "dirty\n")
    repos.write(repo, "frontend/page.html", "staged\n")
    repos.git(repo, "add", "frontend/page.html")
    before = repos.fingerprint(repo), repos.git(repo, "for-each-ref"), sorted((repo / ".git/objects").rglob("*"))

    first, second = await try_land(hub), await try_land(hub)

    assert first == second
    assert (
        repos.fingerprint(repo),
        repos.git(repo, "for-each-ref"),
        sorted((repo / ".git/objects").rglob("*")),
    ) == before
    assert first.dirty == ["run.sh"]
    assert not first.can_land
    assert "backend/app.py" in first.diff.paths


async def test_a_whole_run_leaves_a_dirty_checkout_byte_identical_until_landing(tmp_path: Path) -> None:
    repo = repos.dirty(tmp_path / "r")
    before = repos.fingerprint(repo)
    hub = await Hub.open(repos.layout(repo))
    tree = (await hub.add_tree("backend-1")).path
    repos.write(tree, "pkg01/mod001.py", "changed\n")
    await landings.work(hub, "task_001", tree)
    await try_land(hub)
    await keep_unlanded(hub)
    await hub.cleanup()

    assert repos.fingerprint(repo) == before


async def test_unrelated_uncommitted_work_survives_landing(tmp_path: Path) -> None:
    repo = repos.dirty(tmp_path / "r")
    hub = await Hub.open(repos.layout(repo))
    tree = (await hub.add_tree("backend-1")).path
    repos.write(tree, "pkg01/mod001.py", "landed\n")
    repos.write(tree, "pkg01/new.py", "landed\n")
    await landings.work(hub, "task_001", tree)
    status, stash = repos.status(repo), repos.git(repo, "stash", "list")

    await landings.landed(hub)

    assert repos.status(repo) == status
    assert repos.git(repo, "stash", "list") == stash
    assert (repo / "pkg01/mod001.py").read_text() == "landed\n"
    assert (repo / "pkg06/mod006.py").read_text() == "staged\n"
    assert repos.git(repo, "diff", "--cached", "--name-only") == "pkg06/mod006.py"


def _edit(repo: Path) -> str:
    repos.write(repo, "backend/app.py", "mine\n")
    return "backend/app.py"


def _stage(repo: Path) -> str:
    repos.git(repo, "add", _edit(repo))
    return "backend/app.py"


def _stage_and_revert(repo: Path) -> str:
    original = (repo / "backend/app.py").read_text()
    repos.git(repo, "add", _edit(repo))
    repos.write(repo, "backend/app.py", original)
    return "backend/app.py"


def _delete(repo: Path) -> str:
    (repo / "backend/app.py").unlink()
    return "backend/app.py"


def _edit_what_is_deleted(repo: Path) -> str:
    repos.write(repo, "backend/util.py", "mine\n")
    return "backend/util.py"


def _untracked(repo: Path) -> str:
    repos.write(repo, "tool", "my own tool\n")
    return "tool"


def _ignored(repo: Path) -> str:
    repos.write(repo, ".git/info/exclude", "tool\n")
    return _untracked(repo)


def _file_for_a_directory(repo: Path) -> str:
    repos.write(repo, "backend/deep", "my own file\n")
    return "backend/deep"


def _link_for_a_directory(repo: Path) -> str:
    (repo / "backend/deep").symlink_to(repo.parent)
    return "backend/deep"


def _directory_for_a_file(repo: Path) -> str:
    repos.write(repo, "tool/kept", "mine\n")
    return "tool/kept"


@pytest.mark.parametrize(
    "disturb",
    [
        _edit,
        _stage,
        _stage_and_revert,
        _delete,
        _edit_what_is_deleted,
        _untracked,
        _ignored,
        _file_for_a_directory,
        _link_for_a_directory,
        _directory_for_a_file,
    ],
)
async def test_work_in_the_way_is_named_and_nothing_changes(tmp_path: Path, disturb: object) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    assert callable(disturb)
    clean_attempt = await try_land(hub)
    path = disturb(repo)
    before = repos.fingerprint(repo)

    attempt = await try_land(hub)
    with pytest.raises(WorkspaceError, match=f"in the way: {path}") as caught:
        await landings.landed(hub, clean_attempt)

    assert attempt.dirty == [path]
    assert "commit, stash or move" in caught.value.hint
    assert repos.fingerprint(repo) == before


async def test_a_branch_that_moved_gets_a_merge_commit(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    repos.write(repo, "frontend/page.html", "the operator's\n")
    mine = repos.commit_all(repo, "Mine")
    repos.write(repo, "README.md", "uncommitted\n")

    attempt = await try_land(hub)
    done = await landings.landed(hub, attempt)

    assert (attempt.is_fast_forward, attempt.is_clean, attempt.user_tip) == (False, True, mine)
    assert "frontend/page.html" not in attempt.diff.paths
    assert repos.git(repo, "show", "-s", "--format=%P", "main").split() == [mine, await hub.integration()]
    assert repos.git(repo, "rev-parse", f"{done}^{{tree}}") == repos.git(
        hub.layout.hub, "rev-parse", f"{attempt.commit}^{{tree}}"
    )
    assert repos.git(repo, "show", "-s", "--format=%B", done) == f"Land the run\n\nRun-Id: {repos.RUN}\n"
    assert repos.status(repo) == " M README.md\0"


async def test_a_conflict_with_the_moved_branch_is_reported_and_never_forced(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    repos.write(repo, "backend/app.py", "the operator's\n")
    repos.commit_all(repo, "Mine")
    before = repos.fingerprint(repo)

    attempt = await try_land(hub)
    with pytest.raises(MergeConflict) as caught:
        await landings.landed(hub, attempt)

    assert (attempt.commit, attempt.is_clean, attempt.paths) == (None, False, ["backend/app.py"])
    assert caught.value.paths == ("backend/app.py",)
    assert "backend/app.py" in attempt.diff.paths
    assert repos.fingerprint(repo) == before


async def test_the_hint_for_a_conflict_works_by_hand(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)

    ref = await keep_unlanded(hub)
    repos.git(repo, "merge", "-q", ref)

    assert ref == f"refs/swarm/unlanded/{repos.RUN}"
    assert (await try_land(hub)).already
    assert repos.git(repo, "rev-parse", "HEAD") == await hub.integration()


async def test_what_moved_since_it_was_looked_at_is_not_landed(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    attempt = await try_land(hub)
    repos.commit_all(repo, "Mine")
    before = repos.fingerprint(repo)

    with pytest.raises(WorkspaceError, match="moved since"):
        await landings.landed(hub, attempt)
    assert repos.fingerprint(repo) == before


async def test_a_branch_that_is_not_checked_out_moves_without_touching_the_files(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    repos.git(repo, "checkout", "-q", "-b", "elsewhere")
    repos.write(repo, "backend/app.py", "dirty\n")
    before = repos.files(repo), (repo / ".git/index").read_bytes()

    done = await landings.landed(hub)

    assert repos.git(repo, "rev-parse", "main") == done
    assert (repos.files(repo), (repo / ".git/index").read_bytes()) == before


async def test_a_detached_start_cannot_be_landed_and_says_what_to_do(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    repos.git(repo, "checkout", "-q", "--detach")
    hub = await landings.ready(repo)
    before = repos.fingerprint(repo)

    attempt = await try_land(hub)
    with pytest.raises(WorkspaceError, match=r"detached HEAD.*git merge refs/swarm/unlanded"):
        await landings.landed(hub, attempt)

    assert not attempt.can_land
    assert repos.fingerprint(repo) == before


async def test_a_branch_checked_out_in_another_worktree_is_refused(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    repos.git(repo, "checkout", "-q", "-b", "elsewhere")
    repos.git(repo, "worktree", "add", "-q", str(tmp_path / "other"), "main")

    attempt = await try_land(hub)
    with pytest.raises(WorkspaceError, match=r"checked out in .*other; switch that worktree"):
        await landings.landed(hub, attempt)

    assert attempt.blockers
    assert repos.git(repo, "rev-parse", "main") == hub.base
    assert repos.status(tmp_path / "other") == ""


async def test_a_run_started_in_a_linked_worktree_lands_there(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    repos.git(repo, "worktree", "add", "-q", "-b", "topic", str(tmp_path / "w"))
    hub = await landings.ready(tmp_path / "w")

    done = await landings.landed(hub)

    assert repos.git(repo, "rev-parse", "topic") == done
    assert repos.status(tmp_path / "w") == ""
    assert repos.status(repo) == ""


async def test_a_merge_or_rebase_in_progress_is_refused(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    (repo / ".git/MERGE_HEAD").write_text(hub.base)
    assert "a merge is in progress" in (await try_land(hub)).blockers[0]

    (repo / ".git/MERGE_HEAD").unlink()
    repos.git(repo, "checkout", "-q", "--detach")
    repos.write(repo, ".git/rebase-merge/head-name", "refs/heads/main\n")
    assert "refs/heads/main is being rebased" in (await try_land(hub)).blockers[0]


async def test_a_branch_that_is_gone_is_refused(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    repos.git(repo, "checkout", "-q", "-b", "elsewhere")
    repos.git(repo, "branch", "-D", "main")

    attempt = await try_land(hub)

    assert "refs/heads/main is gone" in attempt.blockers[0]
    assert attempt.commit is None
    with pytest.raises(WorkspaceError, match="is gone"):
        await landings.landed(hub, attempt)


async def test_a_git_command_at_work_is_waited_for_and_its_lock_left(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    lock = repos.write(repo, ".git/index.lock", "")

    with pytest.raises(WorkspaceError, match="a git command is at work"):
        await landings.landed(hub)

    assert lock.exists()
    assert repos.git(repo, "rev-parse", "main") == hub.base


async def test_the_operators_hooks_and_monitor_never_run(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    mark = tmp_path / "ran"
    program = repos.write(tmp_path, "program", f"#!/bin/sh\ntouch {mark}\nexit 1\n")
    program.chmod(0o755)
    for hook in ("reference-transaction", "post-checkout", "post-merge", "post-index-change", "pre-merge-commit"):
        (repo / ".git/hooks").mkdir(exist_ok=True)
        (repo / ".git/hooks" / hook).symlink_to(program)
    repos.git(repo, "config", "core.fsmonitor", str(program))
    mark.unlink(missing_ok=True)
    hub = await landings.ready(repo)

    done = await landings.landed(hub)
    await hub.cleanup()

    assert not mark.exists()
    assert (repo / ".git/refs/heads/main").read_text().strip() == done


async def test_what_an_agent_configured_in_the_hub_does_not_stop_landing(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    attempt = await try_land(hub)
    repos.git(hub.layout.trees / "backend-1", "config", "transfer.hideRefs", "refs/swarm")

    assert await landings.landed(hub, attempt) == repos.git(repo, "rev-parse", "main")


async def test_the_index_keeps_its_mode_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    (repo / ".git/index").chmod(0o664)

    await landings.landed(hub)

    assert (repo / ".git/index").stat().st_mode & 0o777 == 0o664
    assert sorted(path.name for path in (repo / ".git").glob("index*")) == ["index"]


async def test_line_endings_and_filters_of_the_operator_are_applied(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    repos.git(repo, "config", "core.autocrlf", "true")
    hub = await landings.ready(repo)

    await landings.landed(hub)

    assert (repo / "backend/deep/new.py").read_bytes() == b"new\r\n" * 50
    assert repos.status(repo) == ""


async def test_landing_twice_is_landing_once(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    first = await landings.landed(hub)
    after = repos.fingerprint(repo)

    attempt = await try_land(hub)

    assert attempt.already
    assert await landings.landed(hub, attempt) == first
    assert repos.fingerprint(repo) == after


async def test_more_work_can_be_landed_later(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    await landings.landed(hub)
    tree = (await hub.reset_tree("backend-1", await hub.integration())).path
    repos.write(tree, "more.txt", "more\n")
    await landings.work(hub, "task_002", tree)

    assert await landings.landed(hub) == repos.git(repo, "rev-parse", "main")
    assert (repo / "more.txt").read_text() == "more\n"


async def test_a_shallow_clone_can_be_landed_on(tmp_path: Path) -> None:
    repos.dirty(tmp_path / "r")
    repo = tmp_path / "clone"
    repos.git(tmp_path, "clone", "-q", "--depth=2", f"file://{tmp_path}/r", str(repo))
    hub = await Hub.open(repos.layout(repo))
    tree = (await hub.add_tree("backend-1")).path
    repos.write(tree, "new.txt", "new\n")
    await landings.work(hub, "task_001", tree)

    await landings.landed(hub)

    assert repos.status(repo) == ""
    assert (repo / "new.txt").exists()


async def test_after_landing_cleanup_leaves_no_keep_ref(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    await landings.landed(hub)

    await hub.cleanup()

    assert repos.git(repo, "for-each-ref", "--format=%(refname)", "refs/swarm") == f"refs/swarm/landed/{repos.RUN}"
