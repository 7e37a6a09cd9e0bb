"""A landing that stopped between two files is finished or undone, and never at the cost of somebody's edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import landings, repos

from swarm_core.vocabulary.errors import WorkspaceError
from swarm_core.workspace.checkout import Checkout
from swarm_core.workspace.hub import Hub
from swarm_core.workspace.landing import Landing, Plan, try_land

NEW_APP = "print('landed')\n" * 50


async def begun(repo: Path) -> Hub:
    """A landing whose branch has moved and whose files have not."""
    hub = await landings.ready(repo)
    repos.write(repo, "README.md", "uncommitted\n")
    attempt = await try_land(hub)
    assert attempt.commit is not None
    landing = Landing(hub, Plan(attempt.branch, attempt.user_tip, attempt.commit, attempt.integration, True))
    repos.git(repo, "fetch", "-q", str(hub.layout.hub), "refs/swarm/integration")
    await landing.begin()
    await landing.move_branch()
    return hub


def _nothing(repo: Path) -> None:
    """Killed before the first file."""


def _removed(repo: Path) -> None:
    (repo / "backend/app.py").unlink()


def _partly_written(repo: Path) -> None:
    repos.write(repo, "backend/app.py", NEW_APP[:100])


def _empty_so_far(repo: Path) -> None:
    repos.write(repo, "backend/deep/new.py", "")


def _some_done(repo: Path) -> None:
    repos.write(repo, "backend/app.py", NEW_APP)
    repos.write(repo, "backend/deep/new.py", "new\n" * 50)
    repos.write(repo, "tool", "#!/bin/sh\n").chmod(0o755)
    (repo / "backend/util.py").unlink()
    (repo / "current").unlink()
    (repo / "current").symlink_to("backend/deep/new.py")
    (repo / "run.sh").chmod(0o644)


@pytest.mark.parametrize("stopped", [_nothing, _removed, _partly_written, _empty_so_far, _some_done])
async def test_a_landing_stopped_between_two_files_is_finished(tmp_path: Path, stopped: Callable[[Path], None]) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await begun(repo)
    stopped(repo)

    hub = await Hub.open(hub.layout)
    attempt = await try_land(hub)
    done = await landings.landed(hub, attempt)

    assert (attempt.already, attempt.user_tip, attempt.commit) == (False, hub.base, done)
    assert repos.status(repo) == " M README.md\0"
    wanted = repos.files((await hub.add_tree("look-1", at=done)).path)
    assert {**repos.files(repo), "README.md": ""} == {**wanted, "README.md": ""}
    assert not (repo / ".git/index.lock").exists()


async def test_an_interrupted_landing_is_shown_as_it_was_decided(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    before = await try_land(hub)
    landing = Landing(hub, Plan(before.branch, before.user_tip, str(before.commit), before.integration, True))
    repos.git(repo, "fetch", "-q", str(hub.layout.hub), "refs/swarm/integration")
    await landing.begin()
    await landing.move_branch()

    assert await try_land(await Hub.open(hub.layout)) == before


async def test_a_file_edited_since_the_interruption_is_named_and_kept(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await begun(repo)
    repos.write(repo, "backend/app.py", "edited in the meantime\n")
    before = repos.files(repo)

    with pytest.raises(WorkspaceError, match=r"edited since: backend/app\.py"):
        await landings.landed(hub)
    assert repos.files(repo) == before
    assert not (repo / ".git/index.lock").exists()

    (repo / "backend/app.py").unlink()
    await landings.landed(hub)
    assert (repo / "backend/app.py").read_text() == NEW_APP


async def test_a_branch_that_went_on_after_an_interruption_is_explained_once(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await begun(repo)
    (repo / ".git/index.lock").unlink()
    repos.git(repo, "commit", "-q", "--allow-empty", "-m", "Went on")

    with pytest.raises(WorkspaceError, match="interrupted, and the branch moved on"):
        await landings.landed(hub)

    assert (await try_land(hub)).already


async def test_files_that_cannot_be_written_put_everything_back(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await Hub.open(repos.layout(repo))
    tree = (await hub.add_tree("backend-1")).path
    repos.write(tree, ".gitattributes", "*.broken filter=broken\n")
    repos.write(tree, "backend/app.py", NEW_APP)
    repos.write(tree, "backend/zz.broken", "x\n")
    (tree / "README.md").unlink()
    await landings.work(hub, "task_001", tree)
    repos.git(repo, "config", "filter.broken.smudge", "false")
    repos.git(repo, "config", "filter.broken.required", "true")
    repos.git(repo, "config", "filter.broken.clean", "cat")
    repos.write(repo, "frontend/page.html", "uncommitted\n")
    before = repos.fingerprint(repo)

    with pytest.raises(WorkspaceError, match="smudge filter broken failed"):
        await landings.landed(hub)

    assert repos.fingerprint(repo) == before
    repos.git(repo, "config", "filter.broken.smudge", "cat")
    await landings.landed(hub)
    assert repos.status(repo) == " M frontend/page.html\0"


async def test_a_branch_that_moves_at_the_last_moment_stops_the_landing(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    hub = await landings.ready(repo)
    attempt = await try_land(hub)
    plan = Plan(attempt.branch, "1" * 40, str(attempt.commit), attempt.integration, True)
    landing = Landing(hub, plan)

    with pytest.raises(WorkspaceError, match="could not be moved"):
        await landing.move_branch()
    assert repos.git(repo, "rev-parse", "main") == hub.base


async def test_our_own_stale_lock_is_taken_over_and_no_other(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    checkout = Checkout((await Hub.open(repos.layout(repo))).desk)
    await checkout.lock()
    await checkout.lock()
    assert (repo / ".git/index.lock").exists()
    await checkout.unlock()
    assert not (repo / ".git/index.lock").exists()

    repos.write(repo, ".git/index.lock", "")
    with pytest.raises(WorkspaceError, match="a git command is at work"):
        await checkout.lock()
    await checkout.unlock()
    assert (repo / ".git/index.lock").exists()


async def test_the_operators_git_waits_while_we_hold_the_lock(tmp_path: Path) -> None:
    repo = repos.small(tmp_path / "r")
    checkout = Checkout((await Hub.open(repos.layout(repo))).desk)
    repos.write(repo, "new.txt", "")
    await checkout.lock()

    repos.git(repo, "add", "new.txt", check=False)

    assert repos.status(repo) == "?? new.txt\0"
    await checkout.unlock()
