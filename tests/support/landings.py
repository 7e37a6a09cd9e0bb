"""A run whose work is merged and waits to be landed."""

from __future__ import annotations

from pathlib import Path

from tests.support import repos

from swarm_core.workspace.hub import Hub
from swarm_core.workspace.landing import LandTry, land, try_land

TRAILERS = {"Run-Id": repos.RUN}


async def work(hub: Hub, task: str, tree: Path) -> str:
    """Commit what lies in an instance's tree and merge it."""
    made = await hub.commit(
        tree.name, f"Work of {task}", allowed=lambda path: True, trailers={"Task-Id": task}, author=tree.name
    )
    assert made is not None
    return await hub.merge(
        made.oid, message=f"Merge {task}", trailers={"Task-Id": task}, expected=await hub.integration()
    )


async def ready(repo: Path) -> Hub:
    """On ``repos.small``: edits, an added program, a new directory, a deletion, a link and a binary, all merged."""
    hub = await Hub.open(repos.layout(repo))
    tree = (await hub.add_tree("backend-1")).path
    repos.write(tree, "backend/app.py", "print('landed')\n" * 50)
    repos.write(tree, "backend/deep/new.py", "new\n" * 50)
    repos.write(tree, "tool", "#!/bin/sh\n").chmod(0o755)
    repos.write(tree, "odd\n-name", b"\0\xff" * 50)
    (tree / "backend/util.py").unlink()
    (tree / "current").unlink()
    (tree / "current").symlink_to("backend/deep/new.py")
    (tree / "run.sh").chmod(0o644)
    await work(hub, "task_001", tree)
    return hub


async def landed(hub: Hub, attempt: LandTry | None = None) -> str:
    attempt = attempt or await try_land(hub)
    return await land(hub, attempt, message="Land the run", trailers=TRAILERS)
