"""The hub: a run's private repository, its worktrees and its integration line. The face of this room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from swarm_core.vocabulary.clock import Clock, SystemClock
from swarm_core.vocabulary.errors import WorkspaceError
from swarm_core.vocabulary.ids import SLUG
from swarm_core.vocabulary.layout import RunLayout
from swarm_core.vocabulary.secrets import NO_SECRETS, Secrets

from . import files, merging
from .check_tree import CheckTree
from .desk import INTEGRATION, Desk
from .facts import Change, Commit, Diff, MergeTry, Tampering, Tree
from .message import compose
from .tree import AgentTree

MAX_PATCH_BYTES = 2 << 20


class Hub:
    """One run's hub. Made by ``open``; all methods may be called concurrently.

    Every method raises WorkspaceError (GitFailed for what git itself refused) and nothing else of its own. Commits
    and refs are on the disk, synced, when a method returns.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.layout = desk.layout
        self._trees: dict[str, AgentTree] = {}
        self._tampering: list[Tampering] = []
        self._line = asyncio.Lock()
        self.landing = asyncio.Lock()

    @classmethod
    async def open(
        cls,
        layout: RunLayout,
        base: str | None = None,
        *,
        clock: Clock | None = None,
        secrets: Secrets = NO_SECRETS,
    ) -> Hub:
        """Adopt the run's hub, or build it on ``base`` (a branch or commit; HEAD if None).

        A crash at any point is repaired by calling it again. The only write to the operator's repository is
        ``refs/swarm/keep/<run>``, which keeps the borrowed objects alive. Raises RepositoryError if ``base`` is no
        commit, WorkspaceError if the hub on disk is damaged.
        """
        if not SLUG.fullmatch(layout.run):
            raise WorkspaceError(f"{layout.run!r} cannot name a run", hint="lower-case letters, digits and dashes")
        hub = cls(Desk(layout, clock or SystemClock(), secrets))
        await hub.desk.open(base)
        known = {path.name for path in (hub.desk.dir / "trees").iterdir() if (path / "stand.json").is_file()}
        for home in (layout.trees, hub.desk.hub / "worktrees"):
            for path in home.iterdir() if home.is_dir() else ():
                if path.name not in known:  # a worktree that was being made or removed: nothing worked in it
                    hub.desk.trash(path)
        return hub

    @property
    def base(self) -> str:
        """The commit the run started at."""
        return self.desk.base

    @property
    def base_ref(self) -> str:
        """The branch the run started on, ``refs/heads/main``; "" when HEAD was detached."""
        return self.desk.base_ref

    def take_tampering(self) -> list[Tampering]:
        """What was found changed behind the engine's back since the last call; all of it has been put right."""
        found, self._tampering = self._tampering, []
        return found

    # -- worktrees

    def _tree(self, instance: str) -> AgentTree:
        if not SLUG.fullmatch(instance):
            raise WorkspaceError(f"{instance!r} cannot name an instance", hint="lower-case letters, digits and dashes")
        if instance not in self._trees:
            self._trees[instance] = AgentTree(self.desk, instance, self._tampering.append)
        return self._trees[instance]

    async def add_tree(self, instance: str, at: str | None = None) -> Tree:
        """A worktree of its own for ``instance``, on branch ``agent/<instance>``, at ``at`` or the integration line.

        A tree that is already there is adopted as it is, with the work in it. Registered by one rename, locked.
        """
        tree = self._tree(instance)
        if tree.is_there():
            return await tree.add(at or INTEGRATION)
        lost = tree.stand()  # its directory was deleted: its commits were not
        start = at or (lost.tip if lost else INTEGRATION)
        return await tree.add(await self.desk.commit_oid(start))

    async def trees(self) -> list[Tree]:
        """The worktrees that exist, by instance."""
        names = sorted(path.name for path in (self.desk.dir / "trees").iterdir())
        return [tree.fact() for name in names if (tree := self._tree(name)).is_there()]

    async def reset_tree(self, instance: str, at: str) -> Tree:
        """Move a tree and its branch to ``at`` for the next task. Ignored files stay.

        What was not committed is put into ``refs/swarm/snap/<instance>`` before anything is overwritten.
        """
        return await self._tree(instance).reset(await self.desk.commit_oid(at))

    async def remove_tree(self, instance: str) -> str | None:
        """Remove a worktree; its branch stays. Returns the snapshot's commit if there was uncommitted work."""
        return await self._tree(instance).remove()

    async def tip(self, instance: str) -> str:
        """The commit the tree stands at: the last one the engine made or moved it to."""
        return self._tree(instance).fact().head

    async def changes(self, instance: str) -> list[Change]:
        """What differs in the tree from its tip, tracked and untracked, ignored files left out.

        During a merge (``start_conflict``) it is what the agent changed since the merge was put there.
        """
        return await self._tree(instance).changes()

    async def commit(
        self,
        instance: str,
        message: str,
        *,
        allowed: Callable[[str], bool],
        trailers: Mapping[str, str],
        author: str,
    ) -> Commit | None:
        """Commit every change whose path is ``allowed``; None if there is nothing to commit.

        ``author`` is a name or ``Name <address>``. Files over 8 MiB, repositories inside the tree and things that are
        neither file nor link are left out and named in ``skipped``. After ``start_conflict`` the commit is a merge,
        made even if nothing else changed; it is refused, with the files' names, while conflict markers are left.
        Raises SecretFound if it would hold one of ``secrets`` that the same file did not hold before.
        """
        return await self._tree(instance).commit(message, allowed=allowed, trailers=trailers, author=author)

    async def quarantine(self, instance: str, paths: Iterable[str]) -> list[str]:
        """Take changes out of a tree: what lies there is moved to ``quarantine/<instance>/<n>/`` in the run's state
        directory and the tip's version is put back. Returns what was moved or put back; paths without a change are
        ignored.
        """
        return await self._tree(instance).quarantine(paths)

    # -- comparing

    async def diff(self, base: str, tip: str, *, max_bytes: int = MAX_PATCH_BYTES) -> Diff:
        """The patch from ``base`` to ``tip`` with renames; ends with a line that says so where it was cut."""
        flags = ("-r", "-p", "-M", "--no-ext-diff", "--no-textconv", "--no-color", "--full-index")
        base, tip = _id(base), _id(tip)
        patch = await self.desk.git("diff-tree", *flags, base, tip, "--", limit_bytes=max_bytes)
        stat, paths = await self.desk.numstat(base, tip, renames=True)
        text = patch.stdout
        if patch.is_cut:
            where = f"git -C {self.desk.hub} diff {base} {tip}"
            text = text[: text.rfind(b"\n") + 1] + f"\n--- cut here after {max_bytes} bytes; whole: {where}\n".encode()
        return Diff(text, stat, paths, is_cut=patch.is_cut)

    async def merge_base(self, a: str, b: str) -> str:
        """The best common ancestor of two commits; "" if they have none."""
        return (await self.desk.git("merge-base", _id(a), _id(b), ok=(0, 1))).text

    async def log(self, base: str, tip: str) -> list[str]:
        """The commits from ``base`` to ``tip`` as ``abbreviated-id summary``, newest first."""
        return (await self.desk.git("log", "--format=%h %s", f"{base}..{tip}", "--")).text.splitlines()

    async def trailers(self, commit: str) -> dict[str, str]:
        """The trailers of a commit's message."""
        told = await self.desk.git("log", "-1", "--format=%(trailers:only,unfold)", commit, "--")
        pairs = (line.partition(": ") for line in told.text.splitlines())
        return {key: value.strip() for key, colon, value in pairs if colon}

    async def changed_paths(self, before: str, after: str) -> list[str]:
        """The paths whose content is another in commit ``after``; a rename counts as its two paths."""
        return (await self.desk.numstat(_id(before), _id(after)))[1]

    async def changed_content(self, before: str, after: str, path: str, *, max_bytes: int) -> bytes | None:
        """A file's bytes in commit ``after``, one more than ``max_bytes`` at most; None if unchanged or gone."""
        told = await self.desk.git("diff-tree", "-r", "--no-renames", "-z", _id(before), _id(after), "--", path)
        fields = told.stdout.split(b"\0")[0].split()
        if len(fields) < 5 or fields[4] == b"D":
            return None
        blob = fields[3].decode("ascii")
        return (await self.desk.git("cat-file", "blob", blob, limit_bytes=max_bytes + 1)).stdout

    async def name_branch(self, name: str, commit: str) -> None:
        """Let the branch ``name`` of the hub be at a commit, wherever it was."""
        await self.desk.git("update-ref", "-m", "swarm-tui: named", f"refs/heads/{name}", _id(commit))

    # -- merging

    async def integration(self) -> str:
        """The commit of the integration line, ``refs/swarm/integration``; it starts at ``base``."""
        return await self.desk.ref(INTEGRATION)

    async def try_merge(self, ours: str, theirs: str) -> MergeTry:
        """What merging two commits would give; touches no checkout and no ref."""
        return await merging.try_merge(self.desk, await self.desk.commit_oid(ours), await self.desk.commit_oid(theirs))

    async def merge(self, task_commit: str, *, message: str, trailers: Mapping[str, str], expected: str) -> str:
        """Merge a task's commit into the integration line, which must be at ``expected``. Returns the merge commit.

        A merge of the same commit and task that the line already has is returned instead of made again, so that the
        call can be repeated after a crash. Raises MergeConflict with the paths, WorkspaceError if the line moved.
        """
        async with self._line:
            oid = await self.desk.commit_oid(task_commit)
            return await merging.merge(self.desk, oid, message=message, trailers=trailers, expected=expected)

    async def merged(self, ours: str, theirs: str, tree: str) -> str:
        """A commit of the ``tree`` that merging ``theirs`` into ``ours`` gives, for measuring it: on no line, the same
        for the same two."""
        if await self.desk.tree_oid(await self.desk.commit_oid(theirs)) == tree:
            return await self.desk.commit_oid(theirs)
        parents = [await self.desk.commit_oid(ours), await self.desk.commit_oid(theirs)]
        return await self.desk.commit(tree, parents, "Merged to be measured\n", is_repeatable=True)

    async def find_merge(self, task_commit: str, task: str) -> str | None:
        """The merge of a task's commit that the integration line already has."""
        return await merging.find_merge(self.desk, await self.desk.commit_oid(task_commit), task)

    async def messages(self, base: str, tip: str) -> list[str]:
        """The messages of the commits from ``base`` to ``tip``, newest first, merges left out."""
        told = await self.desk.git("log", "-z", "--no-merges", "--format=%B", f"{_id(base)}..{_id(tip)}", "--")
        return [message.strip("\n") for message in told.fields if message.strip()]

    def check_tree(self, name: str) -> CheckTree:
        """A directory to measure commits in; see ``CheckTree``."""
        return CheckTree(self.desk, name)

    async def take_back(self, to: str, *, message: str, trailers: Mapping[str, str]) -> str:
        """Give the integration line the tree it had at commit ``to``, by one more commit. Returns its tip.

        A line that already has that tree stays as it is, so that the call can be repeated after a crash.
        """
        async with self._line:
            now, tree = await self.integration(), await self.desk.tree_oid(await self.desk.commit_oid(to))
            if await self.desk.tree_oid(now) == tree:
                return now
            oid = await self.desk.commit(tree, [now], compose(message, trailers))
            await self.desk.move_ref(INTEGRATION, oid, now, "rollback")
            return oid

    async def start_conflict(self, instance: str, onto: str) -> list[str]:
        """Merge ``onto`` into the instance's tip and put the outcome, zdiff3 markers included, into its tree.

        The next ``commit`` has ``onto`` as its second parent. Uncommitted work goes into the snapshot ref first.
        Returns the conflicted paths; some (deleted on one side, binary) have no markers in them. A merge with ``onto``
        that is already in the tree is left as it is.
        """
        tree = self._tree(instance)
        tip, other = tree.fact().head, await self.desk.commit_oid(onto)
        if (already := await tree.conflicts_with(other)) is not None:
            return already
        names = [await self._label(tree.branch, tip), await self._label(INTEGRATION, other)]
        tried = await merging.try_merge(self.desk, *names)
        await tree.place_conflict(tip, other, tried.tree, tried.paths)
        return tried.paths

    async def _label(self, ref: str, oid: str) -> str:
        """A readable name for a marker line, as long as it means the right commit."""
        return ref.removeprefix("refs/heads/") if await self.desk.ref(ref) == oid else oid

    # -- the end

    async def cleanup(self) -> None:
        """Remove all worktrees, snapshotting uncommitted work; the hub stays as evidence.

        The ref that keeps the base alive in the operator's repository goes only if a landed or unlanded ref there
        holds the same objects.
        """
        for name in sorted(path.name for path in (self.desk.dir / "trees").iterdir()):
            await self._tree(name).remove()
        run = self.layout.run
        for ref in (f"refs/swarm/landed/{run}", f"refs/swarm/unlanded/{run}"):
            if await self.desk.user_oid(ref):
                held = await self.desk.user("merge-base", "--is-ancestor", self.base, ref, ok=(0, 1))
                if held.code == 0 and await self.desk.user_oid(self.desk.keep_ref):
                    await self.desk.user("update-ref", "-d", self.desk.keep_ref)
        await self.close()

    async def close(self) -> None:
        """Let go of the hub; nothing of it lives in this process but what was moved aside for deletion."""
        await asyncio.to_thread(files.delete, self.desk.state / ".trash")


def _id(name: str) -> str:
    """``name`` if git cannot take it for an option."""
    if not name or name.startswith("-"):
        raise WorkspaceError(f"{name!r} is not a commit")
    return name
