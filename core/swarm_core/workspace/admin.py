"""A worktree's registration in the hub, made and mended without a git process.

``git worktree add`` builds its entry in full view, and every command that lists worktrees in that instant fails; here
an entry is built aside and appears by one rename, locked, so that nothing prunes it. What an agent can overwrite
(``.git`` in its tree, the entry, the hub's configuration) has one right content and is compared with it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from . import files

_UNWANTED = (
    "config.worktree",  # could name programs that run when a person types `git status` in the tree
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "rebase-merge",
    "rebase-apply",
    "sequencer",
    "index.lock",
)


class Registration:
    """The entry ``hub/worktrees/<instance>`` and the ``.git`` file that points to it."""

    def __init__(self, hub: Path, desk: Path, tree: Path, instance: str) -> None:
        self.hub, self.desk, self.tree, self.instance = hub, desk, tree, instance
        self.entry = hub / "worktrees" / instance
        self._link = os.fsencode(f"gitdir: {self.entry}\n")
        self._contents = {
            "HEAD": f"ref: refs/heads/agent/{instance}\n".encode(),
            "commondir": b"../..\n",
            "gitdir": os.fsencode(f"{tree}/.git\n"),
            "locked": b"in use by swarm-tui\n",
        }

    def exists(self) -> bool:
        return files.is_real_directory(self.entry) and files.is_real_directory(self.tree)

    def link(self) -> None:
        """Write the tree's ``.git`` file."""
        (self.tree / ".git").write_bytes(self._link)

    def register(self, index: Path) -> None:
        """Make the entry appear, whole, with a copy of ``index``."""
        aside = self.hub / "swarm-tmp" / self.instance
        files.delete(aside)
        aside.mkdir(parents=True)
        for name, content in self._contents.items():
            (aside / name).write_bytes(content)
        shutil.copy2(index, aside / "index")
        self.entry.parent.mkdir(exist_ok=True)  # git removes it with the last worktree
        aside.rename(self.entry)

    def refresh(self, index: Path) -> None:
        """Let the agent's own git see the commit and the index the engine just made."""
        for name in _UNWANTED:
            files.delete(self.entry / name)
        new = self.entry / "index.swarm"
        shutil.copy2(index, new)
        new.replace(self.entry / "index")
        (self.entry / "HEAD").write_bytes(self._contents["HEAD"])

    def mend(self, index: Path | None, place: Callable[[], Path]) -> list[tuple[str, Path | None]]:
        """Put right what is not as it was made; returns what it was and where the foreign thing was moved to.

        ``place`` gives a directory for things worth keeping; ``index`` is used if the entry has to be made anew.
        """
        found: list[tuple[str, Path | None]] = []
        dot_git = self.tree / ".git"
        if files.content(dot_git) != self._link:
            kept = None
            if files.exists(dot_git):
                kept = place() / "dot-git"
                dot_git.rename(kept)
            self.link()
            found.append((".git was replaced" if kept else ".git was removed", kept))
        if not files.is_real_directory(self.entry):
            if files.exists(self.entry):
                self.entry.rename(place() / "worktree-entry")
            if index is not None:
                self.register(index)
            found.append(("its entry in the hub was removed", None))
        for name, content in self._contents.items():
            if files.content(self.entry / name) != content:
                files.delete(self.entry / name)
                (self.entry / name).write_bytes(content)
                found.append((f"{name} of its entry in the hub was changed", None))
        if files.exists(self.entry / "config.worktree"):
            files.delete(self.entry / "config.worktree")
            found.append(("a configuration for its worktree was planted", None))
        return found + self._mend_hub()

    def _mend_hub(self) -> list[tuple[str, Path | None]]:
        found: list[tuple[str, Path | None]] = []
        wanted = {"config": (self.desk / "hub.config").read_bytes(), "config.worktree": b"[core]\n\tbare = true\n"}
        for name, content in wanted.items():
            if files.content(self.hub / name) != content:
                files.delete(self.hub / name)
                files.write_durably(self.hub / name, content)
                found.append((f"{name} of the hub was changed", None))
        return found
