"""Directories to measure commits in: what lies there is exactly a commit, whatever ran there before.

Moving one from commit to commit costs what changed between them. It is no worktree of the hub: its ``.git`` is a
repository of its own that borrows the hub's objects, made anew each time, so that what runs there can look at history
and reach no ref and no index of the engine's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from pathlib import Path

from swarm_core.vocabulary.errors import WorkspaceError

from . import files
from .desk import Desk


class CheckTree:
    """One such directory. Its owner lets nothing run there while ``place`` is under way."""

    def __init__(self, desk: Desk, name: str) -> None:
        self.desk = desk
        self.path = desk.state / "checking" / name
        self._index = desk.dir / "checking" / f"{name}.index"

    async def place(self, commit: str) -> Path:
        """Let the directory hold ``commit`` and nothing else. Raises WorkspaceError."""
        oid = await self.desk.commit_oid(commit)
        tree = await self.desk.tree_oid(oid)
        if self._index.exists() and files.is_real_directory(self.path):
            try:
                await asyncio.to_thread(_open_up, self.path)
                await self._sweep()
                await self._check_out(tree)
            except (WorkspaceError, OSError):
                await self._anew(tree)
        else:
            await self._anew(tree)
        await asyncio.to_thread(self._make_repository, oid)
        return self.path

    async def _anew(self, tree: str) -> None:
        await self.remove()
        self.path.mkdir(parents=True)
        self._index.parent.mkdir(exist_ok=True)
        await self._check_out(tree)

    async def remove(self) -> None:
        self._index.unlink(missing_ok=True)
        if files.exists(self.path):
            await asyncio.to_thread(files.delete, self.desk.trash(self.path))

    async def _check_out(self, tree: str) -> None:
        self._index.with_name(self._index.name + ".lock").unlink(missing_ok=True)
        await self.desk.git("read-tree", "--reset", "-u", tree, tree=self.path, index=self._index)

    async def _sweep(self) -> None:
        """Remove everything that the index does not know, ignored files too."""
        flags = ("-z", "--others", "--directory")
        strange = (await self.desk.git("ls-files", *flags, tree=self.path, index=self._index)).fields
        await asyncio.to_thread(self._delete, strange)

    def _delete(self, strange: list[str]) -> None:
        for path in strange:
            path = path.removesuffix("/")
            if path and files.obstacle(self.path, path) is None:
                files.delete(self.path / path)

    def _make_repository(self, commit: str) -> None:
        home = self.path / ".git"
        for place in ("objects/info", "refs/heads"):
            (home / place).mkdir(parents=True)
        is_sha1 = len(commit) == 40
        extensions = "" if is_sha1 else "[extensions]\n\tobjectFormat = sha256\n"
        version = 0 if is_sha1 else 1
        (home / "config").write_text(f"[core]\n\trepositoryformatversion = {version}\n\tbare = false\n{extensions}")
        (home / "HEAD").write_text(f"{commit}\n")
        (home / "objects/info/alternates").write_bytes(os.fsencode(self.desk.hub / "objects") + b"\n")
        shutil.copy2(self._index, home / "index")


def _open_up(root: Path) -> None:
    """Take away every ``.git``, which git would not look behind, and let every directory be entered."""
    for top, directories, names in os.walk(root, followlinks=False):
        for name in [name for name in (*directories, *names) if name.lower() == ".git"]:
            files.delete(Path(top, name))
        directories[:] = [name for name in directories if name.lower() != ".git"]
        for name in directories:
            place = Path(top, name)
            found = place.lstat()
            if stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) & 0o700 != 0o700:
                place.chmod(0o755)
