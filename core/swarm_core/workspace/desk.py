"""The hub of a run, and the desk: the engine's own way into it.

The hub is a private repository that borrows the operator's objects and shares nothing else with his: agents' worktrees
are linked worktrees of it. An agent can write whatever its git writes, the hub's configuration included, so the
engine does not read that. It works through the desk, a second git directory with a configuration, ignore rules and
indexes of its own whose ``objects``, ``refs``, ``packed-refs`` and ``logs`` are links to the hub's::

    state_dir/
    ├── hub.git/            what agents see; hooks off, gc off, no remote
    ├── desk.git/           what the engine uses
    │   ├── run.json            base, base_ref: written once
    │   └── trees/<instance>/   where each worktree stands (see ``tree``)
    ├── trees/<instance>/   the worktrees
    ├── quarantine/<instance>/<n>/
    └── .trash/
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.entities import Stat
from swarm_core.vocabulary.errors import RepositoryError, WorkspaceError
from swarm_core.vocabulary.layout import RunLayout
from swarm_core.vocabulary.secrets import NO_SECRETS, Secrets

from . import files
from .git import Output, git
from .hardening import NO_PERSONAL_CONFIG
from .message import person

INTEGRATION = "refs/swarm/integration"
ENGINE = "swarm-tui <swarm-tui@swarm-tui.invalid>"

# What a checkout means in the operator's repository, it should mean in the agents' worktrees.
_COPIED = ("core.autocrlf", "core.eol", "core.filemode", "core.ignorecase", "core.precomposeunicode", "core.symlinks")
_HUB_SETTINGS = """\
[core]
	repositoryformatversion = 1
	hooksPath = /dev/null
	fsmonitor = false
	logAllRefUpdates = always
{copied}[extensions]
	worktreeConfig = true
{format}[gc]
	auto = 0
	pruneExpire = never
	worktreePruneExpire = never
	reflogExpire = never
	reflogExpireUnreachable = never
[maintenance]
	auto = false
[merge]
	conflictStyle = zdiff3
[user]
	name = agent
	email = agent@swarm-tui.invalid
"""
_DESK_SETTINGS = """\
[core]
	repositoryformatversion = 1
	bare = true
	logAllRefUpdates = always
	attributesFile = /dev/null
	protectHFS = true
	protectNTFS = true
{copied}[extensions]
{format}[diff]
	renameLimit = 1000
[user]
	name = swarm-tui
	email = swarm-tui@swarm-tui.invalid
"""


class Desk:
    """Runs git on the hub for the engine. ``base`` and ``base_ref`` are known after ``open``."""

    def __init__(self, layout: RunLayout, clock: Clock, secrets: Secrets = NO_SECRETS) -> None:
        self.layout, self.clock, self.secrets = layout, clock, secrets
        self.root = layout.repo.root
        self.hub = layout.hub
        self.state = layout.state_dir
        self.dir = layout.state_dir / "desk.git"
        self.keep_ref = f"refs/swarm/keep/{layout.run}"
        self.base = ""
        self.base_ref = ""
        self._trees: dict[str, str] = {}
        self._git_dir: Path | None = None
        self._common_dir: Path | None = None

    # -- opening

    async def open(self, base: str | None) -> None:
        """Adopt the hub of this run or build it. Raises WorkspaceError if what is on the disk is not whole."""
        await asyncio.to_thread(self._heal)
        record = files.read_json(self.dir / "run.json")
        if record is None or not (self.hub / "HEAD").is_file():
            if self.hub.exists():
                raise WorkspaceError(
                    f"{self.dir} is gone, but the hub of run {self.layout.run} is not",
                    hint=f"look at {self.hub}; its work is in refs/swarm/integration and refs/heads/agent/*",
                )
            await self._build(base)
            record = files.read_json(self.dir / "run.json") or {}
        self.base, self.base_ref = str(record["base"]), str(record["base_ref"])
        if base is not None and len(base) >= 40 and base != self.base:
            raise WorkspaceError(f"run {self.layout.run} started at {self.base}, not at {base}")
        if not await self.ref(INTEGRATION):
            raise WorkspaceError(
                f"{self.hub} has lost {INTEGRATION} or its commit",
                hint=f"{self.hub}/logs/{INTEGRATION} names its last values",
            )
        if not await self.user_oid(self.keep_ref):
            await self.user("update-ref", self.keep_ref, self.base)

    async def _build(self, base: str | None) -> None:
        oid = await self._resolve_base(base)
        base_ref = await self._base_ref(base, oid)
        # The ref that keeps the borrowed objects alive exists before anything borrows them.
        await self.user("update-ref", "-m", "swarm-tui: base of a run", self.keep_ref, oid)
        settings = {"copied": await self._copied_settings(), "format": await self._object_format()}
        common = await self.user_common_dir()
        objects, shallow, exclude = common / "objects", common / "shallow", common / "info/exclude"

        def build() -> None:
            new = self.state / f".new-{os.getpid()}"
            hub, desk = new / self.hub.name, new / self.dir.name
            for made in (hub / "objects/info", hub / "objects/pack", hub / "worktrees", hub / "logs", desk / "trees"):
                made.mkdir(parents=True)
            for repository, text in ((hub, _HUB_SETTINGS), (desk, _DESK_SETTINGS)):
                (repository / "info").mkdir()
                files.write_synced(repository / "config", text.format(**settings).encode())
                files.write_synced(repository / "HEAD", b"ref: refs/heads/none\n")
                if exclude.is_file():
                    shutil.copyfile(exclude, repository / "info/exclude")
                if shallow.is_file():
                    shutil.copyfile(shallow, repository / "shallow")
            files.write_synced(hub / "config.worktree", b"[core]\n\tbare = true\n")
            files.write_synced(desk / "hub.config", (hub / "config").read_bytes())
            files.write_synced(hub / "objects/info/alternates", _alternate(objects))
            for ref in (INTEGRATION, "refs/swarm/base"):
                files.write_synced(hub / ref, f"{oid}\n".encode())
            (hub / "refs/heads").mkdir()
            for name in ("objects", "refs", "packed-refs", "logs"):
                (desk / name).symlink_to(Path("..") / self.hub.name / name)
            run = {"v": 1, "run": self.layout.run, "root": str(self.root), "base": oid, "base_ref": base_ref}
            files.write_synced(desk / "run.json", json.dumps(run).encode())
            desk.rename(self.dir)
            hub.rename(self.hub)  # the last step: a desk without a hub is a crash and is built anew
            files.sync_directory(self.state)
            new.rmdir()

        await asyncio.to_thread(build)

    def _heal(self) -> None:
        """Remove what a killed process left half made; only ever in this run's own directory."""
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        for leftover in self.state.glob(".new-*"):
            files.delete(leftover)
        if not (self.hub / "HEAD").is_file() and self.dir.exists():
            self.trash(self.dir)
        if self.hub.is_dir():
            for lock in (*self.hub.glob("*.lock"), *(self.hub / "refs").rglob("*.lock")):
                lock.unlink(missing_ok=True)
            files.delete(self.hub / "swarm-tmp")
        files.delete(self.state / ".trash")

    async def _resolve_base(self, base: str | None) -> str:
        name = base or "HEAD"
        found = await self.user("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", ok=(0, 1))
        if not found.stdout:
            raise RepositoryError(
                f"{clean_line(name)} is not a commit of {self.root}", hint="name a branch or a commit that exists"
            )
        return found.text

    async def _base_ref(self, base: str | None, oid: str) -> str:
        """The branch the work will be landed on: the one ``base`` names, else the one that is checked out there."""
        if base is not None:
            named = await self.user("rev-parse", "--verify", "--quiet", "--symbolic-full-name", base, ok=(0, 1, 128))
            if named.text.startswith("refs/heads/"):
                return named.text
            if await self.user_oid("HEAD") != oid:
                return ""
        return (await self.user("symbolic-ref", "--quiet", "HEAD", ok=(0, 1))).text

    async def _copied_settings(self) -> str:
        names = "|".join(key.removeprefix("core.") for key in _COPIED)
        found = await self.user("config", "-z", "--get-regexp", rf"^core\.({names})$", ok=(0, 1))
        copied = dict(field.partition("\n")[::2] for field in found.fields)  # the last of several counts
        excludes = (await self.user("config", "--type=path", "--get", "core.excludesFile", ok=(0, 1))).text
        if excludes:
            copied["core.excludesfile"] = excludes
        return "".join(f"\t{key.removeprefix('core.')} = {_quoted(value)}\n" for key, value in copied.items())

    async def _object_format(self) -> str:
        name = (await self.user("rev-parse", "--show-object-format")).text
        return "" if name == "sha1" else f"\tobjectFormat = {_quoted(name)}\n"

    # -- git

    async def git(
        self,
        *args: str,
        tree: Path | None = None,
        index: Path | None = None,
        env: Mapping[str, str] | None = None,
        input: bytes | None = None,
        ok: Collection[int] = (0,),
        limit_bytes: int | None = None,
    ) -> Output:
        """Run git on the hub's objects and refs, with the engine's configuration only.

        ``tree`` is the work tree and ``index`` the index file, where a command needs them.
        """
        where = [f"--git-dir={self.dir}"]
        if tree is not None:
            where.append(f"--work-tree={tree}")
        more = {**NO_PERSONAL_CONFIG, **(env or {})}
        if index is not None:
            more["GIT_INDEX_FILE"] = str(index)
        return await git(*where, *args, dir=tree or self.dir, env=more, input=input, ok=ok, limit_bytes=limit_bytes)

    async def user(
        self, *args: str, env: Mapping[str, str] | None = None, input: bytes | None = None, ok: Collection[int] = (0,)
    ) -> Output:
        """Run git in the operator's repository, with his configuration except for what could run programs."""
        return await git(*args, dir=self.root, env=env, input=input, ok=ok)

    async def user_git_dir(self) -> Path:
        """The git directory of the worktree the run was started in."""
        if self._git_dir is None:
            self._git_dir = Path((await self.user("rev-parse", "--absolute-git-dir")).text)
        return self._git_dir

    async def user_common_dir(self) -> Path:
        """The git directory that all worktrees of the operator share."""
        if self._common_dir is None:
            found = await self.user("rev-parse", "--path-format=absolute", "--git-common-dir")
            self._common_dir = Path(found.text)
        return self._common_dir

    async def user_oid(self, name: str) -> str:
        """The commit a name means in the operator's repository, or "" if it means none."""
        found = await self.user("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", ok=(0, 1, 128))
        return found.text if not found.code else ""

    async def ref(self, name: str) -> str:
        """The commit a ref of the hub points to, or "" if there is no such ref."""
        if (oid := os.fsdecode(files.content(self.hub / name) or b"").strip()) in self._trees:
            return oid  # a commit that is known needs no git to be looked up
        return (await self.git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", ok=(0, 1))).text

    async def commit_oid(self, name: str) -> str:
        """The full id of a commit in the hub. Raises WorkspaceError if there is none."""
        if name in self._trees:
            return name
        found = await self.git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", ok=(0, 1, 128)
        )
        if found.code or not found.stdout:
            raise WorkspaceError(f"{clean_line(name)} is not a commit in {self.hub}")
        return found.text

    async def tree_oid(self, commit: str) -> str:
        """The tree of a commit. A commit that this process made, or asked about by its full id, is remembered."""
        if (known := self._trees.get(commit)) is not None:
            return known
        tree = (await self.git("rev-parse", "--verify", f"{commit}^{{tree}}")).text
        if len(commit) == len(tree) and not set(commit).difference("0123456789abcdef"):
            self._trees[commit] = tree
        return tree

    async def move_ref(self, name: str, new: str, old: str, why: str) -> None:
        """Compare and swap: ``old`` is the expected value, "" for a ref that must not exist yet.

        Raises WorkspaceError if the ref is somewhere else.
        """
        expected = old or "0" * len(new)
        moved = await self.git("update-ref", "-m", f"swarm-tui: {why}", name, new, expected, ok=(0, 1, 128))
        if moved.code:
            now = await self.ref(name) or "nothing"
            raise WorkspaceError(f"{name} is at {now}, not at {old or 'nothing'} as expected: {moved.stderr[-200:]}")

    async def commit(
        self, tree: str, parents: Sequence[str], message: str, author: str = ENGINE, *, is_repeatable: bool = False
    ) -> str:
        """Write a commit object: no hook, no signature, no prompt.

        Its date is never before its parents' dates: git's walks over history assume that and turn slow otherwise.
        With ``is_repeatable`` it is exactly the newest parent's date, so that the same input gives the same id.
        """
        now = 0 if is_repeatable else int(datetime.fromisoformat(self.clock.now()).timestamp())
        dates = (await self.git("log", "--no-walk", "--format=%ct", *parents, "--")).text.split()
        stamp = f"{max([now, *map(int, dates)])} +0000"
        name, address = person(author)
        engine_name, engine_address = person(ENGINE)
        env = {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": address,
            "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_NAME": engine_name,
            "GIT_COMMITTER_EMAIL": engine_address,
            "GIT_COMMITTER_DATE": stamp,
        }
        ancestry = [part for parent in parents for part in ("-p", parent)]
        text = message.encode(errors="replace")
        oid = (await self.git("commit-tree", tree, *ancestry, "-F", "-", env=env, input=text)).text
        self._trees[oid] = tree
        return oid

    async def numstat(self, old: str, new: str, *, renames: bool = False) -> tuple[Stat, list[str]]:
        """Size and paths of a change between two commits or trees; a rename counts as its two paths."""
        flags = ("-M",) if renames else ("--no-renames",)
        fields = iter((await self.git("diff-tree", "-r", "-z", "--numstat", *flags, old, new, "--")).fields)
        paths: list[str] = []
        count = insertions = deletions = 0
        for field in fields:
            plus, minus, path = field.split("\t", 2)
            paths += [path] if path else [next(fields), next(fields)]
            count += 1
            insertions += int(plus) if plus != "-" else 0
            deletions += int(minus) if minus != "-" else 0
        return Stat(count, insertions, deletions), paths

    # -- places

    def trash(self, path: Path) -> Path:
        """Move ``path`` out of the way at once; what lies there is deleted later."""
        place = self.state / ".trash" / f"{path.name}-{time.time_ns()}"
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
        return place

    def quarantine(self, instance: str) -> Path:
        """A new numbered directory for what is taken away from an instance."""
        home = self.state / "quarantine" / instance
        home.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(p.name) for p in home.iterdir() if p.name.isdigit()), default=0)
        place = home / f"{number:03d}"
        place.mkdir()
        return place


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _alternate(objects: Path) -> bytes:
    """A line of ``info/alternates``; a name that git would read as something else is quoted as in C."""
    raw = os.fsencode(objects)
    if raw.startswith((b'"', b"#")) or b"\n" in raw:
        octal = b"".join(bytes([c]) if 32 < c < 127 and c not in b'"\\' else b"\\%03o" % c for c in raw)
        raw = b'"' + octal + b'"'
    return raw + b"\n"
