"""One agent's worktree, as the engine sees it.

The engine compares and commits with an index of its own, at a commit it remembers itself: an agent that commits,
switches branches, marks files ``assume-unchanged`` or replaces ``.git`` changes nothing about what is measured. Where
the tree stands is one small file on the desk, replaced atomically, and the index that belongs to it is named by its
tree id, so a crash can leave the two neither mixed up nor half written. The branch in the hub is a mirror of it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import WorkspaceError

from . import files
from .admin import Registration
from .content import MAX_FILE_BYTES, dropped_by, is_leaf, markers, move, why_not
from .desk import Desk
from .facts import Change, Commit, Kind, Skipped, Tampering, Tree
from .git import Output
from .inspection import SecretFound, refuse_secret_files, refuse_secrets, tells_a_secret
from .message import compose

A = TypeVar("A")
B = TypeVar("B")
_KINDS: Mapping[str, Kind] = {"M": "modified", "D": "deleted", "T": "retyped"}


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a worktree stands: its commit and the tree its files are compared with.

    Between ``start_conflict`` and the commit that resolves it, ``onto`` is the second parent and ``tree`` holds both
    sides with markers in ``conflicts``. While ``is_settled`` is False the files are still being moved there.
    """

    tip: str
    tree: str
    onto: str = ""
    conflicts: tuple[str, ...] = ()
    is_settled: bool = True


class AgentTree:
    """The operations on one worktree; each takes its lock, so they never overlap."""

    def __init__(self, desk: Desk, instance: str, report: Callable[[Tampering], None]) -> None:
        self.desk, self.instance, self._report = desk, instance, report
        self.path = desk.layout.trees / instance
        self.branch = f"refs/heads/agent/{instance}"
        self.snapshot_ref = f"refs/swarm/snap/{instance}"
        self.registration = Registration(desk.hub, desk.dir, self.path, instance)
        self._home = desk.dir / "trees" / instance
        self._lock = asyncio.Lock()

    # -- where it stands

    def stand(self) -> Stand | None:
        file = self._home / "stand.json"
        data = files.read_json(file)
        if data is None:
            if file.exists():
                raise WorkspaceError(
                    f"{file} is damaged", hint=f"save what is in {self.path}, then remove {self._home}"
                )
            return None
        return Stand(
            data["tip"], data["tree"], data["onto"], tuple(data["conflicts"]), is_settled=bool(data["is_settled"])
        )

    def is_there(self) -> bool:
        return files.is_real_directory(self.path) and self.stand() is not None

    def fact(self) -> Tree:
        return Tree(self.instance, self.path, self.branch, self._need().tip)

    def _need(self) -> Stand:
        stand = self.stand()
        if stand is None or not files.is_real_directory(self.path):
            raise WorkspaceError(
                f"{self.instance} has no worktree at {self.path}", hint="add it again: its commits are in the hub"
            )
        return stand

    async def _record(self, stand: Stand) -> None:
        await asyncio.to_thread(files.write_json, self._home / "stand.json", asdict(stand))

    async def _ready(self) -> Stand:
        """Mend what was tampered with, finish a move that a crash interrupted, and say where the tree stands."""
        stand = self._need()
        index = await self._index(stand)
        found = self.registration.mend(index, lambda: self.desk.quarantine(self.instance))
        for what, kept in found:
            self._report(Tampering(self.instance, what, kept))
        if not stand.is_settled:
            there = await self._scan(stand)
            branch = await self.desk.ref(self.branch)
            await self._snapshot(stand, there, branch)  # whatever wrote here since the crash is kept
            stand = await self._settle(stand, there)
        return stand

    async def _index(self, stand: Stand) -> Path:
        """The engine's index for ``stand``, remade if a crash left another one."""
        wanted = self._home / f"index-{stand.tree}"
        for lock in self._home.glob("*.lock"):
            lock.unlink()
        if not wanted.exists():
            others = sorted(self._home.glob("index*"))
            scratch = self._home / "index.new"
            if others and others[0] != scratch:
                others[0].replace(scratch)  # its knowledge of unchanged files is kept
            done = await self.desk.git("read-tree", "-m", stand.tree, index=scratch, ok=(0, 128))
            if done.code:
                scratch.unlink(missing_ok=True)
                await self.desk.git("read-tree", stand.tree, index=scratch)
            self._adopt(scratch, stand)
        return wanted

    def _adopt(self, index: Path, stand: Stand) -> Path:
        wanted = self._home / f"index-{stand.tree}"
        index.replace(wanted)
        for other in self._home.glob("index*"):
            if other != wanted:
                other.unlink()
        return wanted

    # -- making it, moving it, taking it away

    async def add(self, at: str) -> Tree:
        """Check out ``at`` on the instance's branch, or adopt the tree if it is already there."""
        async with self._lock:
            if self.is_there():
                await self._ready()
                return self.fact()
            for leftover in (self.registration.entry, self.path, self._home):
                if files.exists(leftover):
                    self.desk.trash(leftover)
            tree = await self.desk.tree_oid(at)
            await self._mirror(at, "", "start")
            self._home.mkdir(parents=True)
            self.path.mkdir(parents=True)
            self.registration.link()
            scratch = self._home / "index.new"
            await self.desk.git("read-tree", "--reset", "-u", tree, tree=self.path, index=scratch)
            stand = Stand(at, tree)
            self.registration.register(self._adopt(scratch, stand))
            await self._record(stand)
            return self.fact()

    async def reset(self, at: str) -> Tree:
        """Move files and branch to ``at``. What was not committed goes into the snapshot ref first."""
        async with self._lock:
            stand = await self._ready()
            there, branch = await _all(self._scan(stand), self.desk.ref(self.branch))
            await self._snapshot(stand, there, branch)
            await self._settle(Stand(at, await self.desk.tree_oid(at), is_settled=False), there)
            return self.fact()

    async def conflicts_with(self, onto: str) -> list[str] | None:
        """The conflicted paths of the merge with ``onto`` that is in the tree; None if there is no such merge."""
        async with self._lock:
            stand = await self._ready()
            return list(stand.conflicts) if stand.onto == onto else None

    async def place_conflict(self, tip: str, onto: str, tree: str, conflicts: Iterable[str]) -> None:
        """Put a merge's outcome, markers included, into the tree and remember its second parent."""
        async with self._lock:
            stand = await self._ready()
            if stand.tip != tip:
                raise WorkspaceError(f"the worktree of {self.instance} moved from {tip} to {stand.tip} meanwhile")
            there = await self._scan(stand)
            await self._snapshot(stand, there, await self.desk.ref(self.branch))
            await self._settle(Stand(tip, tree, onto, tuple(conflicts), is_settled=False), there)

    async def remove(self) -> str | None:
        """Take the worktree away. Returns the snapshot's commit if there was anything that no commit holds."""
        async with self._lock:
            snapshot = None
            if self.is_there():
                stand = await self._ready()
                there, branch = await _all(self._scan(stand), self.desk.ref(self.branch))
                snapshot = await self._snapshot(stand, there, branch)
            gone = [self.desk.trash(p) for p in (self.registration.entry, self.path, self._home) if files.exists(p)]
        for path in gone:
            await asyncio.to_thread(files.delete, path)
        return snapshot

    async def _settle(self, stand: Stand, there: Iterable[Change]) -> Stand:
        """Make files, index and branch agree with ``stand``. A crash in between is finished by the next call.

        ``there`` is what the snapshot was made of: everything that is overwritten or removed here is in a commit or
        in the snapshot, and an untracked file that appeared since is neither.
        """
        before = self.stand() or stand
        index = await self._index(before)
        await self._record(replace(stand, is_settled=False))
        scratch = self._home / "index.new"
        shutil.copy2(index, scratch)
        await asyncio.to_thread(self._delete, [change.path for change in there if change.kind == "added"])
        await _all(
            self.desk.git("read-tree", "--reset", "-u", stand.tree, tree=self.path, index=scratch),
            self._mirror(stand.tip, before.tip, "move"),
        )
        self.registration.refresh(self._adopt(scratch, stand))
        await self._record(settled := replace(stand, is_settled=True))
        return settled

    def _delete(self, paths: list[str]) -> None:
        for path in paths:
            if files.obstacle(self.path, path) is None:
                files.delete(self.path / path)
                files.remove_empty_parents(self.path, path)

    async def _snapshot(self, stand: Stand, there: Iterable[Change], stray: str) -> str | None:
        """Keep what no commit of ours holds: changed and untracked files, and commits the agent made itself.

        ``there`` is what differs from ``stand`` now, ``stray`` what the branch in the hub says.

        What a snapshot cannot hold (huge files, repositories inside the tree, secrets) is moved into quarantine.
        """
        changes, place = [], None
        for change in there:
            if why_not(self.path, change.path) or await tells_a_secret(self.desk, self.path, stand.tree, change.path):
                place = place or self.desk.quarantine(self.instance)
                move(self.path, change.path, place)
            else:
                changes.append(change.path)
        if not changes and stray in ("", stand.tip):
            return None
        tree, scratch = await self._staged(stand, changes)
        scratch.unlink()
        before = await self.desk.ref(self.snapshot_ref)
        parents = dict.fromkeys(oid for oid in (stand.tip, before, stray) if oid)
        commit = await self.desk.commit(tree, [*parents], f"Uncommitted work of {self.instance}\n")
        await self.desk.move_ref(self.snapshot_ref, commit, before, "snapshot")
        return commit

    async def _mirror(self, commit: str, expected: str, why: str) -> None:
        """Let the branch say where the tree stands; if an agent moved it, its reflog keeps where to."""
        try:
            await self.desk.move_ref(self.branch, commit, expected, why)
        except WorkspaceError:
            if (now := await self.desk.ref(self.branch)) != commit:
                await self.desk.move_ref(self.branch, commit, now, why)

    # -- what changed

    async def changes(self) -> list[Change]:
        """Every path that differs from where the tree stands, tracked or untracked, by path; no rename guessing."""
        async with self._lock:
            return await self._scan(await self._ready())

    async def _scan(self, stand: Stand) -> list[Change]:
        index = await self._index(stand)
        # Asking a submodule would run a git there, with what an agent configured.
        flags = ("-z", "--name-status", "--no-renames", "--ignore-submodules=all", "--no-ext-diff", "--no-textconv")
        mine = {"GIT_OPTIONAL_LOCKS": "1"}  # the index is the engine's own: what was found unchanged is remembered
        tracked, untracked = await _all(
            self.desk.git("diff", *flags, tree=self.path, index=index, env=mine), self._untracked(index)
        )
        differing = tracked.fields
        pairs = zip(*[iter(differing)] * 2, strict=True)
        changes = [Change(path, _KINDS.get(letter, "modified")) for letter, path in pairs]
        changes += [Change(path, "added") for path in untracked]
        return sorted(changes, key=lambda change: change.path)

    async def _untracked(self, index: Path) -> list[str]:
        return (await self._tree_git("ls-files", "-z", "--others", "--exclude-standard", index=index)).fields

    async def _tree_git(self, *args: str, index: Path, ok: tuple[int, ...] = (0,)) -> Output:
        return await self.desk.git(*args, tree=self.path, index=index, ok=ok)

    # -- committing

    async def commit(
        self, message: str, *, allowed: Callable[[str], bool], trailers: Mapping[str, str], author: str
    ) -> Commit | None:
        """Commit the changes whose path is ``allowed``; see ``Hub.commit``."""
        async with self._lock:
            stand = await self._ready()
            self._refuse_unresolved(stand, await self._marker_counts(stand))
            changes = await self._scan(stand)
            mine = [change for change in changes if allowed(change.path) or change.path in stand.conflicts]
            kept = {change.path for change in changes if change.kind == "deleted"}.difference(c.path for c in mine)
            wanted, skipped = [], []
            for change in mine:
                reason = why_not(self.path, change.path) or dropped_by(change.path, kept)
                if reason:
                    skipped.append(Skipped(change.path, reason))
                else:
                    wanted.append(change.path)
            await refuse_secret_files(self.desk, self.path, stand.tree, wanted)
            tree, scratch = await self._staged(stand, wanted)
            if tree == stand.tree and not stand.onto:
                scratch.unlink()
                return None
            try:
                await refuse_secrets(self.desk, stand.tree, tree)
            except SecretFound:
                scratch.unlink()
                raise
            text = compose(self.desk.secrets.redact(message), trailers)
            parents = [stand.tip, stand.onto] if stand.onto else [stand.tip]
            oid = await self.desk.commit(tree, parents, text, author)
            await self._mirror(oid, stand.tip, "commit")
            after = Stand(oid, tree)
            self.registration.refresh(self._adopt(scratch, after))
            await self._record(after)  # last: before it, the same commit is made again
            stat, paths = await self.desk.numstat(parents[-1], oid)
            if missing := set(wanted).difference(paths):
                missing &= set(await self._untracked(self._home / f"index-{tree}"))
                skipped += [Skipped(path, "git refuses the name") for path in sorted(missing)]
            return Commit(oid, text, stat, tuple(paths), tuple(skipped))

    async def _staged(self, stand: Stand, paths: list[str]) -> tuple[str, Path]:
        """The tree of ``stand`` with the files' present content at ``paths``, and the index that holds it."""
        scratch = self._home / "index.new"
        shutil.copy2(await self._index(stand), scratch)
        # A deletion is named as such: git will not look at a path whose directory became a link or a file.
        gone = [path for path in paths if files.obstacle(self.path, path) or not is_leaf(self.path / path)]
        for flags, some in (
            (("--force-remove",), gone),
            (("--add", "--remove", "--replace"), sorted(set(paths).difference(gone))),
        ):
            if some:
                listed = b"".join(os.fsencode(path) + b"\0" for path in some)
                command = ("update-index", *flags, "-z", "--stdin")
                await self.desk.git(*command, tree=self.path, index=scratch, input=listed)
        return (await self.desk.git("write-tree", index=scratch)).text, scratch

    async def _marker_counts(self, stand: Stand) -> dict[str, list[int]]:
        """For each conflicted path how many lines of each kind of marker its two sides have by themselves."""
        counts: dict[str, list[int]] = {}
        for path in stand.conflicts:
            sides = []
            for side in (stand.tip, stand.onto):
                found = await self.desk.git("cat-file", "blob", f"{side}:{path}", ok=(0, 128))
                sides.append(markers(found.stdout if found.code == 0 else b""))
            counts[path] = [max(pair) for pair in zip(*sides, strict=True)]
        return counts

    def _refuse_unresolved(self, stand: Stand, counts: Mapping[str, list[int]]) -> None:
        left = []
        for path, known in counts.items():
            file = self.path / path
            if files.obstacle(self.path, path) or file.is_symlink() or not file.is_file():
                continue
            content = file.read_bytes() if file.stat().st_size <= MAX_FILE_BYTES else b""
            if any(now > before for now, before in zip(markers(content), known, strict=True)):
                left.append(clean_line(path))
        if left:
            raise WorkspaceError(
                f"conflict markers are left in {', '.join(left)} (worktree of {self.instance})",
                hint="edit these files until no line starts with <<<<<<<, |||||||, ======= or >>>>>>>",
            )

    # -- taking changes away

    async def quarantine(self, paths: Iterable[str]) -> list[str]:
        """Move changes out of the tree and put back what its commit has there; see ``Hub.quarantine``."""
        async with self._lock:
            stand = await self._ready()
            index = await self._index(stand)
            changed = {change.path: change for change in await self._scan(stand)}
            wanted = [changed[path] for path in dict.fromkeys(paths) if path in changed]
            if not wanted:
                return []
            place = self.desk.quarantine(self.instance)
            moved = []
            for change in wanted:
                if (blocker := files.obstacle(self.path, change.path)) is not None:
                    move(self.path, blocker, place)
                    moved.append(blocker)
                move(self.path, change.path, place)
                moved.append(change.path)
            back = b"".join(os.fsencode(change.path) + b"\0" for change in wanted if change.kind != "added")
            await self.desk.git("checkout-index", "-f", "-z", "--stdin", tree=self.path, index=index, input=back)
            return moved


async def _all(one: Coroutine[Any, Any, A], other: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Both at once. Raises only when neither is under way any more: nothing may touch a tree that was given back."""
    tasks = asyncio.create_task(one), asyncio.create_task(other)
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
    failed = [error for task in tasks if (error := task.exception()) is not None]
    if failed:
        raise failed[0]
    return tasks[0].result(), tasks[1].result()
