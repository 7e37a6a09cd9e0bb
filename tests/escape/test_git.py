"""Nothing an agent plants for git runs when the engine, which is not confined, looks at its tree or commits it."""

# ruff: noqa: E501 - what is planted is one line
from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import repos
from tests.support.escape import Prison, build, prison

OWNED = "touch {marker}; echo x > {marker}"
PLANTED = {
    "a repository with a file system monitor": (
        "rm -rf .git; python3 -c \"import os; os.path.exists('.git') and os.rename('.git', 'old')\"; git init -q . ; mkdir -p .git;"
        " printf '[core]\\nrepositoryformatversion = 0\\nfsmonitor = <run>\\nhooksPath = <hooks>\\n' > .git/config;"
        " echo 'ref: refs/heads/main' > .git/HEAD; mkdir -p .git/refs .git/objects"
    ),
    "a file that points at a repository of its own": (
        "mkdir -p mine/refs mine/objects; echo 'ref: refs/heads/main' > mine/HEAD;"
        " printf '[core]\\nrepositoryformatversion = 0\\nfsmonitor = <run>\\n' > mine/config;"
        " rm -f .git; echo 'gitdir: <tree>/mine' > .git"
    ),
    "attributes with a filter": (
        "echo '* filter=x diff=x merge=x' > .gitattributes; mkdir -p .git/info; echo '* filter=x' > .git/info/attributes"
    ),
    "a submodule": (
        "mkdir -p sub/.git/refs sub/.git/objects; echo 'ref: refs/heads/main' > sub/.git/HEAD;"
        " printf '[core]\\nrepositoryformatversion = 0\\nfsmonitor = <run>\\n' > sub/.git/config; echo x > sub/x;"
        " printf '[submodule \"sub\"]\\n path = sub\\n url = ./sub\\n update = !<run>\\n' > .gitmodules"
    ),
    "hooks everywhere": (
        "for d in .git/hooks hooks .githooks <hub>/hooks; do mkdir -p $d; for h in pre-commit post-commit post-checkout"
        " reference-transaction post-index-change pre-merge-commit; do cp run.sh $d/$h; done; done"
    ),
    "variables and the configuration of a person": (
        "printf '[core]\\nfsmonitor = <run>\\n' > $HOME/.gitconfig; mkdir -p $HOME/.config/git; cp $HOME/.gitconfig"
        " $HOME/.config/git/config; export GIT_CONFIG_GLOBAL=$HOME/.gitconfig GIT_DIR=<tree>/mine"
    ),
    "names that look like git's": "mkdir -p .GIT 'g~1' '.git ' backend/.git; echo x > .GIT/config; echo x > backend/.git/HEAD",
}  # fmt: skip


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


async def agent(top: Path, kind: str) -> Prison:
    """An agent that owns the whole tree: here nothing but the engine's care keeps ``.git`` harmless."""
    return await prison(await build(top), kind, directories=("/",))


@pytest.mark.parametrize("name", PLANTED)
async def test_the_engine_runs_nothing_that_was_planted(top: Path, kind: str, name: str) -> None:
    cell = await agent(top, kind)
    marker = top / "state" / "owned"
    try:
        await cell.call("Write", file_path="run.sh", content=f"#!/bin/sh\n{OWNED.format(marker=marker)}\nexit 1\n")
        await cell.bash("chmod +x run.sh")
        script = PLANTED[name].replace("<run>", f"{cell.tree}/run.sh").replace("<hooks>", f"{cell.tree}/hooks")
        await cell.call("Write", file_path="plant.sh", content=f"{script}\n")
        await cell.bash("bash plant.sh")
        await cell.toolbox.close()
        await cell.hub.changes("backend-1")
        commit = await cell.hub.commit("backend-1", "work", allowed=lambda path: True, trailers={}, author="backend-1")
        assert commit is not None
        await cell.hub.diff(cell.hub.base, commit.oid)
        await cell.hub.merge(commit.oid, message="m", trailers={}, expected=await cell.hub.integration())
        await cell.hub.reset_tree("backend-1", await cell.hub.integration())
        await cell.hub.remove_tree("backend-1")
        assert not marker.exists(), "what an agent planted was run without confinement"
        assert not any(repos.git(cell.top / "repo", "status", "--porcelain", "--", "backend").splitlines())
    finally:
        cell.close()


async def test_in_a_box_git_s_own_entry_cannot_be_replaced(top: Path, kind: str) -> None:
    if kind != "bubblewrap":
        pytest.skip("Landlock cannot except an entry of a writable directory: the engine mends it instead")
    cell = await agent(top, kind)
    try:
        before = (cell.tree / ".git").read_text()
        await cell.call("Write", file_path="p.sh", content="rm -f .git; mv .git x; mv -f p.sh .git; echo x > .git\n")
        await cell.bash("bash p.sh")
        assert (cell.tree / ".git").read_text() == before
    finally:
        await cell.toolbox.close()
        cell.close()


async def test_git_is_for_reading_and_reads(cell: Prison) -> None:
    assert "parts" in (await cell.bash("git log --oneline && git show --stat HEAD && git status --short")).text
    assert (await cell.bash("git commit -m x")).denied is not None
    hidden = await cell.bash(
        "python3 -c \"import subprocess; subprocess.run(['git', 'commit', '--allow-empty', '-mx'])\""
    )
    assert "Read-only" in hidden.text or "Permission denied" in hidden.text or "insufficient permission" in hidden.text
