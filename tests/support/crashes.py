"""Kill a step of the workspace after each change it makes to the disk, and see that the next start repairs it.

Run as a program: ``python -m tests.support.crashes SCENARIO DIRECTORY``. It forks for every attempt, so it must never
start a thread itself; a killed child leaves by ``os._exit``, so no ``finally`` tidies up after it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import git.cmd  # noqa: F401 - once, before the forks
from tests.support import landings, repos

from swarm_core.workspace import desk as desk_module
from swarm_core.workspace import git as git_module
from swarm_core.workspace.git import Output
from swarm_core.workspace.hub import Hub
from swarm_core.workspace.landing import try_land

_KILLED = 9
_LIMIT = 80
_CHANGING = {"update-ref", "fetch", "read-tree", "commit-tree", "checkout-index", "update-index", "merge-tree"}
Step = Callable[[Path, int], Coroutine[Any, Any, None]]


_armed = False


def arm() -> None:
    """From here on changes count."""
    global _armed
    _armed = True


def kill_after(changes: int) -> None:
    """Make this process die right after its n-th change to the disk."""
    left = changes

    def count() -> None:
        nonlocal left
        left -= _armed
        if left == 0:
            os._exit(_KILLED)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            count()
            return result

        return call

    run = git_module.git

    async def counted_git(*args: str, **kwargs: Any) -> Output:
        output = await run(*args, **kwargs)
        if _CHANGING.intersection(args):
            count()
        return output

    for name in ("rename", "replace", "unlink", "write_bytes", "hardlink_to"):
        setattr(Path, name, counted(getattr(Path, name)))
    shutil.copy2 = counted(shutil.copy2)
    setattr(desk_module, "git", counted_git)  # noqa: B010 - the name the desk imported


# -- scenarios: what is made once, the step that is killed, what must hold after the next start


async def opened(place: Path) -> Hub:
    hub = await Hub.open(repos.layout(place / "r"))
    arm()
    return hub


async def setup_open(place: Path) -> None:
    repos.small(place / "r")


async def step_open(place: Path, number: int) -> None:
    arm()
    await Hub.open(repos.layout(place / "r", f"run-{number}"))


async def after_open(place: Path, number: int) -> None:
    layout = repos.layout(place / "r", f"run-{number}")
    hub = await Hub.open(layout)
    assert await hub.integration() == hub.base == repos.git(place / "r", "rev-parse", f"refs/swarm/keep/run-{number}")
    assert (await hub.add_tree("a-1")).head == hub.base
    assert sorted(path.name for path in layout.state_dir.iterdir()) == ["desk.git", "hub.git", "trees"]
    assert repos.status(place / "r") == ""


async def setup_add(place: Path) -> None:
    await Hub.open(repos.layout(repos.small(place / "r")))


async def step_add(place: Path, number: int) -> None:
    hub = await opened(place)
    await hub.add_tree(f"a-{number}")


async def after_add(place: Path, number: int) -> None:
    hub = await Hub.open(repos.layout(place / "r"))
    tree = await hub.add_tree(f"a-{number}")
    assert repos.files(tree.path) == repos.files(place / "r")
    assert repos.git(tree.path, "status", "--porcelain") == ""
    assert await hub.changes(f"a-{number}") == []
    assert hub.take_tampering() == []


async def _commit(hub: Hub) -> str | None:
    made = await hub.commit("a-1", "Work", allowed=lambda path: True, trailers={}, author="a-1")
    return made.oid if made else None


def _edit(tree: Path) -> None:
    repos.write(tree, "backend/app.py", "changed\n")
    repos.write(tree, "deep/new.txt", "new\n")
    (tree / "backend/util.py").unlink()


async def setup_commit(place: Path) -> None:
    hub = await Hub.open(repos.layout(repos.small(place / "r")))
    _edit((await hub.add_tree("a-1")).path)


async def step_commit(place: Path, number: int) -> None:
    await _commit(await opened(place))


async def after_commit(place: Path, number: int) -> None:
    hub = await Hub.open(repos.layout(place / "r"))
    await hub.add_tree("a-1")
    await _commit(hub)
    tip = await hub.tip("a-1")
    assert await hub.changes("a-1") == []
    assert repos.git(hub.layout.hub, "rev-parse", "refs/heads/agent/a-1", f"{tip}^").split() == [tip, hub.base]
    assert repos.git(hub.layout.trees / "a-1", "status", "--porcelain") == ""
    assert repos.git(hub.layout.hub, "diff", "--name-only", hub.base, tip).split() == [
        "backend/app.py", "backend/util.py", "deep/new.txt",
    ]  # fmt: skip
    await hub.reset_tree("a-1", hub.base)
    _edit(hub.layout.trees / "a-1")


def kept(hub: Hub) -> bool:
    """Does any snapshot have the uncommitted work?"""
    log = repos.git(hub.layout.hub, "rev-list", "refs/swarm/snap/a-1").split()
    return any(repos.git(hub.layout.hub, "show", f"{oid}:deep/new.txt", check=False) == "new" for oid in log)


async def step_reset(place: Path, number: int) -> None:
    hub = await opened(place)
    await hub.reset_tree("a-1", hub.base)


async def after_reset(place: Path, number: int) -> None:
    hub = await Hub.open(repos.layout(place / "r"))
    tree = (await hub.add_tree("a-1")).path
    await hub.reset_tree("a-1", hub.base)
    assert repos.files(tree) == repos.files(place / "r")
    assert await hub.changes("a-1") == []
    assert kept(hub)
    repos.git(hub.layout.hub, "update-ref", "-d", "refs/swarm/snap/a-1")
    _edit(tree)


async def step_remove(place: Path, number: int) -> None:
    await (await opened(place)).remove_tree("a-1")


async def after_remove(place: Path, number: int) -> None:
    hub = await Hub.open(repos.layout(place / "r"))
    await hub.remove_tree("a-1")
    assert kept(hub)
    assert await hub.trees() == []
    assert len(repos.git(hub.layout.hub, "worktree", "list").splitlines()) == 1
    repos.git(hub.layout.hub, "update-ref", "-d", "refs/swarm/snap/a-1")
    _edit((await hub.add_tree("a-1")).path)


async def setup_conflict(place: Path) -> None:
    hub = await Hub.open(repos.layout(repos.small(place / "r")))
    for name, text in (("a-1", "A\n"), ("b-1", "B\n")):
        repos.write((await hub.add_tree(name, at=hub.base)).path, "backend/app.py", text)
    await landings.work(hub, "task_002", hub.layout.trees / "b-1")
    await _commit(hub)


async def step_conflict(place: Path, number: int) -> None:
    hub = await opened(place)
    await hub.start_conflict("a-1", await hub.integration())


async def after_conflict(place: Path, number: int) -> None:
    hub = await Hub.open(repos.layout(place / "r"))
    tree, line = await hub.add_tree("a-1"), await hub.integration()
    assert await hub.start_conflict("a-1", line) == ["backend/app.py"]
    assert (tree.path / "backend/app.py").read_text().startswith("<<<<<<< agent/a-1\nA\n")
    repos.write(tree.path, "backend/app.py", "both\n")
    merge = await _commit(hub)
    assert merge is not None
    assert repos.git(hub.layout.hub, "show", "-s", "--format=%P", merge).split() == [tree.head, line]
    await hub.reset_tree("a-1", tree.head)


async def setup_merge(place: Path) -> None:
    hub = await Hub.open(repos.layout(repos.small(place / "r")))
    _edit((await hub.add_tree("a-1")).path)
    await _commit(hub)


async def step_merge(place: Path, number: int) -> None:
    hub = await opened(place)
    tip = await hub.tip("a-1")
    await hub.merge(tip, message="Merge", trailers={"Task-Id": "task_001"}, expected=hub.base)


async def after_merge(place: Path, number: int) -> None:
    hub = await Hub.open(repos.layout(place / "r"))
    tip = await hub.tip("a-1")
    merged = await hub.merge(tip, message="Merge", trailers={"Task-Id": "task_001"}, expected=hub.base)
    assert merged == await hub.integration()
    assert repos.git(hub.layout.hub, "show", "-s", "--format=%P", merged).split() == [hub.base, tip]
    repos.git(hub.layout.hub, "update-ref", "refs/swarm/integration", hub.base)


async def setup_land(place: Path) -> None:
    repo = repos.small(place / "r")
    await landings.ready(repo)
    repos.write(repo, "README.md", "the operator's, uncommitted\n")


async def setup_landmerge(place: Path) -> None:
    await setup_land(place)
    repos.write(place / "r", "frontend/page.html", "the operator's\n")
    repos.git(place / "r", "commit", "-q", "-m", "Mine", "frontend/page.html")


async def step_land(place: Path, number: int) -> None:
    hub = await Hub.open(repos.layout(place / "r"))
    attempt = await try_land(hub)
    arm()
    await landings.landed(hub, attempt)


async def after_land(place: Path, number: int) -> None:
    repo = place / "r"
    hub = await Hub.open(repos.layout(repo))
    done = await landings.landed(hub)
    assert repos.git(repo, "rev-parse", "main") == done
    assert repos.status(repo) == " M README.md\0", repos.status(repo)
    assert repos.files(repo)["README.md"] != repos.files(hub.layout.trees / "backend-1")["README.md"]
    assert repos.git(repo, "log", "--format=%H", f"--grep=Run-Id: {repos.RUN}", "--merges", "main").count("\n") <= 0
    assert [path.name for path in (repo / ".git").glob("index*")] == ["index"]
    assert not list(hub.desk.dir.glob("landing*"))
    assert (await try_land(hub)).already
    undo = (
        repos.git(repo, "rev-parse", "main^1")
        if repos.git(repo, "log", "--grep=Mine", "-1", "--format=%H")
        else hub.base
    )
    repos.git(repo, "reset", "-q", "--keep", undo)
    repos.git(repo, "update-ref", "-d", f"refs/swarm/landed/{repos.RUN}")


SCENARIOS: dict[str, tuple[Callable[[Path], Coroutine[Any, Any, None]], Step, Step]] = {
    "open": (setup_open, step_open, after_open),
    "add": (setup_add, step_add, after_add),
    "commit": (setup_commit, step_commit, after_commit),
    "reset": (setup_commit, step_reset, after_reset),
    "remove": (setup_commit, step_remove, after_remove),
    "conflict": (setup_conflict, step_conflict, after_conflict),
    "merge": (setup_merge, step_merge, after_merge),
    "land": (setup_land, step_land, after_land),
    "landmerge": (setup_landmerge, step_land, after_land),
}


def in_child(work: Callable[..., Coroutine[Any, Any, None]], *args: Any, kill_at: int = 0) -> int:
    """Run ``work`` in a forked process and return its exit status."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        if kill_at:
            kill_after(kill_at)
        try:
            asyncio.run(work(*args))
        except BaseException:  # noqa: BLE001 - whatever it was, the parent must hear of it
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(scenario: str, place: Path) -> int:
    setup, step, after = SCENARIOS[scenario]
    if in_child(setup, place):
        return 1
    stride = 4 if scenario == "landmerge" else 1  # most of its changes are those of "land"
    for number in range(1, _LIMIT, stride):
        status = in_child(step, place, number, kill_at=number)
        if in_child(after, place, number):
            sys.stdout.write(f"not repaired after a kill at change {number}\n")
            return 1
        if status == 0:
            sys.stdout.write(f"{number - 1} crash points\n")
            return 0
        if status != _KILLED:
            return 1
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
