"""The operator's checkout at landing: what is in the way, and moving it from one commit to another.

``git read-tree -m -u`` keeps unrelated uncommitted work and refuses what it would overwrite, except for ignored files,
which it replaces silently; those are found here. It works on a copy of the index while this module holds
``index.lock`` with its own mark in it, so the operator's git and ours never meet, the index is replaced in one rename,
and a lock that a crash left behind is known to be ours.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import WorkspaceError

from . import files
from .desk import Desk
from .git import Output
from .preflight import operation_in_progress

_MARK = b"swarm-tui is landing a run\n"
_GITLINK = "160000"


@dataclass(frozen=True, slots=True)
class Entry:
    """A path on both sides of a landing; a mode of ``000000`` says that the side does not have it."""

    path: str
    old_mode: str
    new_mode: str
    old: str
    new: str

    @property
    def had(self) -> bool:
        return self.old_mode != "000000"

    @property
    def has(self) -> bool:
        return self.new_mode != "000000"


class Checkout:
    """The operator's repository and the worktree the run was started in."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.root = desk, desk.root
        self._scratch = desk.dir / "landing.index"

    # -- questions

    async def index_file(self) -> Path:
        return await self.desk.user_git_dir() / "index"

    async def has_checked_out(self, branch: str) -> bool:
        return (await self.desk.user("symbolic-ref", "--quiet", "HEAD", ok=(0, 1))).text == branch

    async def blockers(self, branch: str, tip: str) -> list[str]:
        """Why nothing can be landed on ``branch``, which is at ``tip``, as sentences with the next step."""
        run = self.desk.layout.run
        by_hand = f"keep the work and merge it by hand: git merge refs/swarm/unlanded/{run}"
        if not branch:
            return [f"the run started on a detached HEAD, so there is no branch to land on; {by_hand}"]
        if not tip:
            return [f"the branch {branch} is gone; create it again, or {by_hand}"]
        found = []
        git_dir = await self.desk.user_git_dir()
        if await self.has_checked_out(branch):
            if operation := operation_in_progress(git_dir):
                found.append(f"{operation} is in progress in {self.root}; finish or abort it first")
        elif place := await self._elsewhere(branch):
            found.append(f"{branch} is checked out in {place}; switch that worktree to another branch first")
        for place in await self._rebasing(git_dir, branch):
            found.append(f"{branch} is being rebased ({place}); finish or abort that first")
        return found

    async def _elsewhere(self, branch: str) -> str:
        listed = (await self.desk.user("worktree", "list", "--porcelain", "-z")).fields
        place = ""
        for field in listed:
            if field.startswith("worktree "):
                place = field.removeprefix("worktree ")
            elif field == f"branch {branch}":
                return clean_line(place)
        return ""

    async def _rebasing(self, git_dir: Path, branch: str) -> list[str]:
        common = await self.desk.user_common_dir()
        homes = {git_dir, common, *(common / "worktrees").glob("*")}
        marks = [home / kind / "head-name" for home in sorted(homes) for kind in ("rebase-merge", "rebase-apply")]
        return [str(mark.parent) for mark in marks if mark.is_file() and mark.read_text().strip() == branch]

    async def entries(self, old: str, new: str) -> list[Entry]:
        """What differs between two commits, read in the hub, which knows both."""
        fields = iter((await self.desk.git("diff-tree", "-r", "-z", "--raw", "--no-renames", old, new, "--")).fields)
        found = []
        for head, path in zip(fields, fields, strict=True):
            old_mode, new_mode, old_oid, new_oid, _ = head.removeprefix(":").split(" ")
            found.append(Entry(path, old_mode, new_mode, old_oid, new_oid))
        return found

    async def in_the_way(self, old: str, new: str) -> list[str]:
        """Paths with uncommitted work of the operator that going from ``old`` to ``new`` would touch.

        Changes nothing: the index is read from a copy.
        """
        entries = await self.entries(old, new)
        await self._copy_index()
        touched = {entry.path for entry in entries}
        dirty = touched & await self._dirty(old)
        known = set((await self._index_git("ls-files", "-z")).fields)
        return sorted(dirty | self._untracked_in_the_way(entries, known))

    async def _dirty(self, commit: str) -> set[str]:
        """Paths that differ from ``commit`` in the copied index, or from the index in the files."""
        flags = ("-z", "--name-only", "--no-renames", "--ignore-submodules=all")
        await self._index_git("update-index", "-q", "--ignore-submodules", "--refresh", ok=(0, 1))
        staged = await self._index_git("diff-index", "--cached", *flags, commit, "--")
        unstaged = await self._index_git("diff-files", *flags)
        return {*staged.fields, *unstaged.fields}

    def _untracked_in_the_way(self, entries: list[Entry], known: set[str]) -> set[str]:
        """Files git does not know (ignored ones too) where a file, or a directory for one, has to go."""
        going = {entry.path for entry in entries if entry.had and not entry.has}
        found = set()
        for entry in entries:
            if not entry.has or entry.path in known:
                continue
            blocker = files.obstacle(self.root, entry.path)
            if blocker is not None:
                if blocker not in going:
                    found.add(blocker)
                continue
            place = self.root / entry.path
            if files.is_real_directory(place):
                inside = [
                    os.path.relpath(Path(top, name), self.root) for top, _, names in os.walk(place) for name in names
                ]
                found.update(path for path in inside if path not in going)
            elif files.exists(place):
                found.add(entry.path)
        return found

    # -- the copy of the index

    async def _copy_index(self) -> None:
        index = await self.index_file()
        self.drop_copy()
        if index.exists():
            shutil.copy2(index, self._scratch)  # with its time: git judges by it which files it must read again

    def drop_copy(self) -> None:
        for leftover in (self._scratch, self._scratch.with_name(self._scratch.name + ".lock")):
            leftover.unlink(missing_ok=True)

    async def _index_git(self, *args: str, input: bytes | None = None, ok: tuple[int, ...] = (0,)) -> Output:
        env = {"GIT_INDEX_FILE": str(self._scratch)}
        return await self.desk.user("-c", "core.splitIndex=false", *args, env=env, input=input, ok=ok)

    # -- the lock

    async def lock(self) -> None:
        """Take the operator's ``index.lock``, or the one a crashed landing left. Raises WorkspaceError if it is his."""
        lock = await self._lock_file()
        try:
            _appear(lock)
        except FileExistsError:
            if lock.read_bytes() != _MARK:
                raise WorkspaceError(
                    f"a git command is at work in {self.root} ({lock} exists)",
                    hint="land again when it is done; if none is running, remove that file first",
                ) from None

    async def unlock(self) -> None:
        lock = await self._lock_file()
        if lock.is_file() and lock.read_bytes() == _MARK:
            lock.unlink()

    async def _lock_file(self) -> Path:
        index = await self.index_file()
        return index.with_name(index.name + ".lock")

    # -- moving the files

    async def prepare(self, old: str, new: str) -> None:
        """Copy the index and make sure the files can be moved. Raises WorkspaceError naming what is in the way."""
        in_the_way = await self.in_the_way(old, new)
        if not in_the_way:
            trial = await self._index_git("read-tree", "-m", "-u", "--dry-run", old, new, ok=(0, 128))
            in_the_way = [trial.stderr.strip()] if trial.code else []
        if in_the_way:
            raise WorkspaceError(
                "uncommitted changes are in the way: " + ", ".join(clean_line(path) for path in in_the_way),
                hint="commit, stash or move them, then land again",
            )

    async def move_files(self, old: str, new: str) -> None:
        """Bring the files from ``old`` to ``new``; the operator's index is not touched yet."""
        await self._index_git("read-tree", "-m", "-u", old, new)

    async def publish(self) -> None:
        """Replace the operator's index by the copy that goes with the moved files."""
        index = await self.index_file()
        new = index.with_name("index.swarm-tui")
        shutil.copy2(self._scratch, new)
        new.chmod(stat.S_IMODE(index.stat().st_mode) if index.exists() else 0o644)
        new.replace(index)

    async def is_published(self, old: str, new: str) -> bool:
        """Does the operator's index already have ``new`` wherever ``old`` and ``new`` differ?"""
        await self._copy_index()
        touched = {entry.path for entry in await self.entries(old, new)}
        staged = await self._index_git("diff-index", "--cached", "-z", "--name-only", "--no-renames", new, "--")
        return not touched.intersection(staged.fields)

    async def put_back(self, old: str, new: str) -> None:
        """Undo a half-done ``move_files``: every touched path is again as ``old`` has it.

        Raises WorkspaceError, and changes nothing, if a touched file holds what neither commit has: somebody edited it
        since.
        """
        entries = [entry for entry in await self.entries(old, new) if _GITLINK not in (entry.old_mode, entry.new_mode)]
        await self._copy_index()
        foreign, moved = [], []
        for entry in entries:
            if await self._holds(entry.path, entry.old_mode, entry.old):
                continue
            if await self._is_ours(entry):
                moved.append(entry)
            else:
                foreign.append(clean_line(entry.path))
        if foreign:
            raise WorkspaceError(
                f"a landing was interrupted and these files were edited since: {', '.join(foreign)}",
                hint="move these files away, then land again",
            )
        for entry in moved:
            if not entry.had and files.obstacle(self.root, entry.path) is None:
                (self.root / entry.path).unlink(missing_ok=True)
                files.remove_empty_parents(self.root, entry.path)
        back = b"".join(os.fsencode(entry.path) + b"\0" for entry in moved if entry.had)
        await self._index_git("checkout-index", "-f", "-u", "-z", "--stdin", input=back)

    async def _holds(self, path: str, mode: str, oid: str) -> bool:
        """Is the file at ``path`` what the entry says, through the operator's filters?"""
        place = self.root / path
        if files.obstacle(self.root, path) is not None or not files.exists(place):
            return mode == "000000"
        found = place.lstat().st_mode
        if stat.S_ISDIR(found):
            return mode == "000000"
        if stat.S_ISLNK(found):
            target = os.readlink(place)  # noqa: PTH115 - Path.readlink() would turn ./a into a
            return mode == "120000" and oid == await self._hash(os.fsencode(target))
        if not stat.S_ISREG(found) or mode not in ("100644", "100755"):
            return False
        if bool(found & 0o100) != (mode == "100755") and await self._modes_matter():
            return False
        return (await self.desk.user("hash-object", "--", path)).text == oid

    async def _hash(self, content: bytes) -> str:
        return (await self.desk.user("hash-object", "--stdin", input=content)).text

    async def _modes_matter(self) -> bool:
        return (await self.desk.user("config", "--get", "core.fileMode", ok=(0, 1))).text != "false"

    async def _is_ours(self, entry: Entry) -> bool:
        """Was the file at the entry's path left by a half-done move: new, partly written, or already removed?"""
        if await self._holds(entry.path, entry.new_mode, entry.new):
            return True
        place = self.root / entry.path
        if not files.exists(place):
            return True  # git removes a file before it writes the new one
        if not entry.has or not stat.S_ISREG(place.lstat().st_mode):
            return False
        whole = await self.desk.user("cat-file", "--filters", f"--path={entry.path}", entry.new)
        return whole.stdout.startswith(place.read_bytes())


def _appear(lock: Path) -> None:
    """Create ``lock`` with the mark in it, so that a crash cannot leave one that nobody owns."""
    marked = lock.with_name("index.swarm-tui.lock")
    marked.write_bytes(_MARK)
    try:
        lock.hardlink_to(marked)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        with open(lock, "xb") as file:
            file.write(_MARK)
    finally:
        marked.unlink()
