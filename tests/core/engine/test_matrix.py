"""A merged change of the matrix is taken over, a broken one changes nothing, and a hotfix has its branch."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import repos

from swarm_core.engine.matrix import adoption, name_branch
from swarm_core.vocabulary.entities import Run, Task
from swarm_core.vocabulary.rules import MATRIX_FILE
from swarm_core.vocabulary.view import RunView
from swarm_core.workspace.hub import Hub

GOOD = "decision_rules:\n  qa:\n    if_coverage_below_90: {action: request_more_tests}\n"


async def committed(hub: Hub, path: str, text: str) -> str:
    tree = await hub.add_tree("a-1")
    repos.write(tree.path, path, text)
    made = await hub.commit("a-1", "change", allowed=lambda name: True, trailers={}, author="a-1")
    assert made is not None
    return made.oid


@pytest.mark.parametrize(
    ("path", "text", "kinds"),
    [
        (MATRIX_FILE, GOOD, ["matrix.adopted"]),
        (MATRIX_FILE, GOOD.replace("request_more_tests", "dance"), ["run.note"]),
        (MATRIX_FILE, "\x00\x01", ["run.note"]),
        ("artifacts/other.yml", GOOD, []),
    ],
)
async def test_what_a_merge_says_about_the_rules(tmp_path: Path, path: str, text: str, kinds: list[str]) -> None:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / "repo")))
    view = RunView()
    view.run = Run("r", integration=hub.base)
    drafts = await adoption(hub, view, await committed(hub, path, text))
    await hub.close()

    assert [draft.kind for draft in drafts] == kinds
    if kinds == ["run.note"]:
        assert f"{MATRIX_FILE}:" in drafts[0].data["text"]


async def test_a_hotfix_has_its_branch_in_the_hub(tmp_path: Path) -> None:
    hub = await Hub.open(repos.layout(repos.small(tmp_path / "repo")))
    commit = await committed(hub, "app.py", "mended\n")
    for _ in range(2):  # again after a crash
        await name_branch(hub, Task("task_002", "Hotfix", commit=commit, branch="fix/login"))
    assert await hub.desk.ref("refs/heads/fix/login") == commit
    await hub.close()
