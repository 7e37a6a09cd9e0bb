"""The hub is built once, adopted ever after, and shares nothing with the operator but his objects."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support import repos

from swarm_core.vocabulary.errors import RepositoryError, WorkspaceError
from swarm_core.workspace.desk import _alternate
from swarm_core.workspace.hub import Hub


async def test_opening_writes_one_ref_into_the_repository_and_nothing_else(tmp_path: Path) -> None:
    repo = repos.dirty(tmp_path / "r")
    before = repos.fingerprint(repo)

    hub = await Hub.open(repos.layout(repo))

    assert repos.fingerprint(repo) == before
    assert repos.git(repo, "for-each-ref", "--format=%(refname)", "refs/swarm") == f"refs/swarm/keep/{repos.RUN}"
    assert hub.base == repos.git(repo, "rev-parse", "HEAD") == await hub.integration()
    assert hub.base_ref == "refs/heads/main"


async def test_the_hub_is_adopted_where_the_run_left_it(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    first = await Hub.open(repos.layout(repo))
    repos.write(repo, "later.txt", "")
    repos.commit_all(repo, "Later")
    repos.git(repo, "checkout", "-q", "-b", "elsewhere")

    again = await Hub.open(repos.layout(repo))

    assert (again.base, again.base_ref) == (first.base, "refs/heads/main")


async def test_a_base_can_be_a_branch_or_a_commit(tmp_path: Path) -> None:
    repo = repos.dirty(tmp_path / "r")
    topic, head = repos.git(repo, "rev-parse", "topic"), repos.git(repo, "rev-parse", "HEAD")

    by_name = await Hub.open(repos.layout(repo, "run-1"), "topic")
    by_old_id = await Hub.open(repos.layout(repo, "run-2"), topic)
    by_head_id = await Hub.open(repos.layout(repo, "run-3"), head)

    assert (by_name.base, by_name.base_ref) == (topic, "refs/heads/topic")
    assert (by_old_id.base, by_old_id.base_ref) == (topic, "")
    assert (by_head_id.base, by_head_id.base_ref) == (head, "refs/heads/main")


async def test_a_detached_head_has_no_base_ref(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    repos.git(repo, "checkout", "-q", "--detach")

    assert (await Hub.open(repos.layout(repo))).base_ref == ""


@pytest.mark.parametrize("base", ["no-such-branch", "--help", "HEAD:README.md"])
async def test_a_base_that_is_no_commit_is_refused(tmp_path: Path, base: str) -> None:
    repo = repos.small(tmp_path / "r")

    with pytest.raises(RepositoryError, match="is not a commit"):
        await Hub.open(repos.layout(repo), base)


async def test_another_base_than_the_one_the_run_started_at_is_refused(tmp_path: Path) -> None:
    repo = repos.dirty(tmp_path / "r")
    await Hub.open(repos.layout(repo))

    with pytest.raises(WorkspaceError, match="started at"):
        await Hub.open(repos.layout(repo), repos.git(repo, "rev-parse", "topic"))


@pytest.mark.parametrize("run", ["../x", "Run", "a/b", "", "-x"])
async def test_a_name_that_could_climb_is_no_run(tmp_path: Path, run: str) -> None:
    with pytest.raises(WorkspaceError, match="cannot name a run"):
        await Hub.open(repos.layout(repos.small(tmp_path / "r"), run))


async def test_a_lost_desk_is_reported_and_the_hub_kept(tmp_path: Path) -> None:
    layout = repos.layout(repos.small(tmp_path / "r"))
    hub = await Hub.open(layout)
    shutil.rmtree(hub.desk.dir)

    with pytest.raises(WorkspaceError, match="is gone, but the hub"):
        await Hub.open(layout)
    assert (layout.hub / "refs/swarm/integration").exists()


async def test_borrowed_objects_survive_the_operators_gc(tmp_path: Path) -> None:
    repo = repos.dirty(tmp_path / "r")
    hub = await Hub.open(repos.layout(repo), "topic~1")
    repos.git(repo, "branch", "-D", "topic")
    repos.git(repo, "reset", "-q", "--hard", "HEAD~9")
    repos.git(repo, "reflog", "expire", "--expire=now", "--all")
    repos.git(repo, "gc", "-q", "--prune=now")

    assert (await hub.add_tree("backend-1")).head == hub.base


async def test_a_keep_ref_that_was_deleted_is_written_again(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await Hub.open(repos.layout(repo))
    repos.git(repo, "update-ref", "-d", f"refs/swarm/keep/{repos.RUN}")

    await Hub.open(repos.layout(repo))

    assert repos.git(repo, "rev-parse", f"refs/swarm/keep/{repos.RUN}") == hub.base


async def test_a_shallow_clone_works_from_start_to_diff(tmp_path: Path) -> None:
    repos.dirty(tmp_path / "r")
    repos.git(tmp_path, "clone", "-q", "--depth=2", f"file://{tmp_path}/r", "clone")
    hub = await Hub.open(repos.layout(tmp_path / "clone"))

    tree = await hub.add_tree("backend-1")

    assert len(repos.git(tree.path, "log", "--format=%H").splitlines()) == 2


async def test_a_sha256_repository_works(tmp_path: Path) -> None:
    repos.git(tmp_path, "init", "-q", "--object-format=sha256", "r")
    repos.write(tmp_path / "r", "a", "a")
    repos.commit_all(tmp_path / "r", "Start")
    hub = await Hub.open(repos.layout(tmp_path / "r"))

    tree = await hub.add_tree("backend-1")
    repos.write(tree.path, "b", "b")
    made = await hub.commit("backend-1", "Add b", allowed=lambda path: True, trailers={}, author="b")

    assert made is not None
    assert len(made.oid) == 64


async def test_ignore_rules_and_line_endings_are_the_operators(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    repos.write(repo, ".git/info/exclude", "secret.txt\n")
    repos.write(tmp_path, "excludes", "personal.txt\n")
    repos.git(repo, "config", "core.excludesFile", str(tmp_path / "excludes"))
    repos.git(repo, "config", "core.autocrlf", "true")
    hub = await Hub.open(repos.layout(repo))
    tree = await hub.add_tree("backend-1")

    for name in ("secret.txt", "personal.txt", "x.log"):
        repos.write(tree.path, name, "")

    assert (tree.path / "README.md").read_bytes() == b"# Small\r\n"
    assert await hub.changes("backend-1") == []


async def test_leftovers_of_a_killed_engine_are_removed_and_locks_broken(tmp_path: Path) -> None:
    layout = repos.layout(repos.small(tmp_path / "r"))
    await Hub.open(layout)
    leftovers = [
        repos.write(layout.state_dir, ".new-1/hub.git/HEAD", ""),
        repos.write(layout.hub, "refs/swarm/integration.lock", ""),
        repos.write(layout.hub, "swarm-tmp/x/HEAD", ""),
        repos.write(layout.state_dir, ".trash/x-1/file", ""),
        repos.write(layout.trees, "half-made/file", ""),
    ]

    hub = await Hub.open(layout)

    assert [path for path in leftovers if path.exists()] == []
    assert await hub.trees() == []


@pytest.mark.parametrize("name", ['"quoted"', "#hash", "new\nline"])
async def test_an_oddly_named_repository_can_be_borrowed_from(tmp_path: Path, name: str) -> None:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / name)))

    assert (await hub.add_tree("backend-1")).head == hub.base


def test_an_alternate_that_git_would_misread_is_quoted() -> None:
    assert _alternate(Path("/plain path")) == b"/plain path\n"
    assert _alternate(Path("#a\n")) == b'"#a\\012"\n'
