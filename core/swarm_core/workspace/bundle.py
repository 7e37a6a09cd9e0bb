"""A run's commits as one file, and a repository and hub made from such a file on any machine.

A bundle is written from a scratch git directory that shares the hub's objects and has refs of its own: nothing is
written into the hub or the operator's repository, and what an agent may have configured in the hub is not read. It
holds whole histories, the operator's part included, and so borrows from nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import WorkspaceError
from swarm_core.vocabulary.ids import SLUG
from swarm_core.vocabulary.layout import RunLayout

from .desk import INTEGRATION
from .git import Output, git
from .hardening import NO_PERSONAL_CONFIG
from .hub import Hub

SEEN = "refs/swarm/seen/"
SNAPSHOTS = "refs/swarm/snap/"
AGENTS = "refs/heads/agent/"
_RESTORED = "refs/swarm/restored/"
_SHA256_CHARS = 64


@dataclass(frozen=True, slots=True)
class Bundled:
    """The refs in a bundle, and the list of commits whose parents are left out (a shallow clone's)."""

    refs: Mapping[str, str]
    shallow: bytes = b""


async def operator_head(layout: RunLayout) -> tuple[str, str]:
    """Commit and branch that are checked out in the operator's repository; the branch is "" when HEAD is detached."""
    oid = (await git("rev-parse", "--verify", "HEAD^{commit}", dir=layout.repo.root)).text
    return oid, (await git("symbolic-ref", "--quiet", "HEAD", dir=layout.repo.root, ok=(0, 1))).text


async def write_bundle(layout: RunLayout, commits: Collection[str], to: Path, scratch: Path) -> Bundled:
    """Write everything that ``commits``, and the run's branches and snapshots as they are now, consist of.

    ``scratch`` is a directory to be made and left to the caller to remove. Each commit is there as
    ``refs/swarm/seen/<commit>``. Raises WorkspaceError naming commits that are nowhere any more.
    """
    hub = layout.hub
    common = await git("rev-parse", "--path-format=absolute", "--git-common-dir", dir=layout.repo.root)
    lender = hub if (hub / "objects").is_dir() else Path(common.text)
    shallow = await asyncio.to_thread(_read, lender / "shallow")
    await asyncio.to_thread(_make, scratch, _is_sha256(commits), shallow, lender / "objects")
    branches = await _branches(layout)
    known = await _commits_of(scratch, {*commits, *branches.values()})
    if missing := sorted(set(commits) - known):
        raise WorkspaceError(
            f"{len(missing)} commits that the journal of {layout.run} names are gone, {missing[0][:12]} among them",
            hint=f"git -C {layout.repo.root} fsck; swarm-tui doctor",
        )
    refs = {f"{SEEN}{oid}": oid for oid in commits}
    refs |= {ref: oid for ref, oid in branches.items() if oid in known}
    packed = "".join(f"{oid} {ref}\n" for ref, oid in sorted(refs.items()))
    await asyncio.to_thread((scratch / "packed-refs").write_text, packed)
    await _in(scratch, "bundle", "create", "--quiet", str(to), "--all")
    return Bundled(refs, shallow)


async def _branches(layout: RunLayout) -> dict[str, str]:
    """The hub's branches and snapshots whose names are ours."""
    desk = layout.state_dir / "desk.git"
    if not (desk / "HEAD").is_file():
        return {}
    listed = await _in(desk, "for-each-ref", "--format=%(objectname) %(refname)", AGENTS, SNAPSHOTS, INTEGRATION)
    pairs = (line.partition(" ")[::2] for line in listed.text.splitlines())
    return {ref: oid for oid, ref in pairs if ref == INTEGRATION or SLUG.fullmatch(ref.rpartition("/")[2])}


async def _commits_of(git_dir: Path, oids: Collection[str]) -> set[str]:
    """Those of ``oids`` that are commits in ``git_dir``."""
    asked = "".join(f"{oid}\n" for oid in sorted(oids)).encode()
    told = await _in(git_dir, "cat-file", "--batch-check=%(objectname) %(objecttype)", input=asked)
    return {oid for oid, kind in (line.split(" ", 1) for line in told.text.splitlines()) if kind == "commit"}


@dataclass(frozen=True, slots=True)
class Origin:
    """What a repository is made from: the unpacked bundle, the run's base and the branch it lay on ("" for none)."""

    scratch: Path
    base: str
    base_ref: str
    shallow: bytes = field(default=b"", repr=False)


async def unpack(bundle: Path, origin: Origin, needed: Collection[str]) -> dict[str, str]:
    """Unpack ``bundle`` into a new bare repository at ``origin.scratch`` and return its refs.

    Raises WorkspaceError if git does not take it or if a commit of ``needed`` is not in it.
    """
    await asyncio.to_thread(_make, origin.scratch, _is_sha256([origin.base]), origin.shallow, None)
    told = await _in(origin.scratch, "bundle", "unbundle", str(bundle))
    pairs = (line.partition(" ")[::2] for line in told.text.splitlines())
    refs = {ref: oid for oid, ref in pairs}
    if missing := set(needed) - await _commits_of(origin.scratch, {*needed, *refs.values()}):
        raise WorkspaceError(f"commit {min(missing)[:12]} is not in {bundle.name}", hint="take another backup")
    packed = "".join(f"{oid} {SEEN}{oid}\n" for oid in sorted({*needed, *refs.values()}))
    await asyncio.to_thread((origin.scratch / "packed-refs").write_text, packed)
    return refs


async def make_repository(root: Path, origin: Origin) -> None:
    """Make ``root`` a repository whose checked-out branch is the base branch at the base. Its history comes along."""
    name = origin.base_ref.removeprefix("refs/heads/")
    if origin.base_ref:
        valid = await git("check-ref-format", "--branch", name, dir=root, ok=(0, 1, 128))
        if valid.code or name == origin.base_ref or valid.text != name:
            raise WorkspaceError(f"{clean_line(origin.base_ref)} cannot be a branch", hint="take another backup")
    kind = "sha256" if _is_sha256([origin.base]) else "sha1"
    await git("init", "--quiet", "--template=", f"--object-format={kind}", dir=root)
    if origin.shallow:
        await asyncio.to_thread((root / ".git/shallow").write_bytes, origin.shallow)
    await _fetch(["-C", str(root)], root, origin.scratch, [f"{SEEN}{origin.base}:{_RESTORED}base"])
    if origin.base_ref:
        await git("symbolic-ref", "HEAD", origin.base_ref, dir=root)
    await git("update-ref", *(() if origin.base_ref else ("--no-deref",)), "HEAD", origin.base, dir=root)
    await git("update-ref", "-d", f"{_RESTORED}base", dir=root)
    await git("read-tree", "--reset", "-u", origin.base, dir=root)


async def move_branch(root: Path, branch: str, commit: str, scratch: Path) -> None:
    """Let the branch, checked out in ``root`` and untouched, be at ``commit``, files included."""
    landed = f"{_RESTORED}landed"
    await _fetch(["-C", str(root)], root, scratch, [f"{SEEN}{commit}:{landed}"])
    await git("read-tree", "-m", "-u", "HEAD", commit, dir=root)
    await git("update-ref", "-m", "swarm-tui: as it had landed", branch, commit, dir=root)
    await git("update-ref", "-d", landed, dir=root)


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a hub's refs and trees belong: ``branches`` of instances that are gone, ``trees`` of those that are not."""

    integration: str
    commits: Collection[str]
    branches: Mapping[str, str]
    trees: Mapping[str, str]
    snapshots: Mapping[str, str]


async def make_hub(layout: RunLayout, origin: Origin, stand: Stand, clock: Clock) -> None:
    """Make the run's hub anew: integration line, branches, snapshots and worktrees as ``stand`` says."""
    hub = await Hub.open(layout, origin.base, clock=clock)
    try:
        desk, place = hub.desk, [f"--git-dir={hub.desk.dir}"]
        wanted = {*stand.commits, *stand.snapshots.values()}
        await _fetch(place, desk.dir, origin.scratch, [f"{SEEN}{oid}:{_RESTORED}{oid}" for oid in sorted(wanted)])
        if stand.integration != hub.base:
            await desk.move_ref(INTEGRATION, stand.integration, hub.base, "restored")
        for instance, oid in stand.branches.items():
            await desk.move_ref(f"{AGENTS}{instance}", oid, "", "restored")
        for ref, oid in stand.snapshots.items():
            await desk.move_ref(ref, oid, "", "restored")
        for instance, oid in stand.trees.items():
            await hub.add_tree(instance, oid)
        gone = "".join(f"delete {_RESTORED}{oid}\n" for oid in sorted(wanted)).encode()
        await desk.git("update-ref", "--stdin", input=gone)  # the hub is never pruned: its objects stay
    finally:
        await hub.close()


async def drop_keep_ref(layout: RunLayout) -> None:
    """Let go of the base that a run's hub borrowed from the operator's repository; the hub must be gone or going."""
    ref = f"refs/swarm/keep/{layout.run}"
    if (await git("rev-parse", "--verify", "--quiet", ref, dir=layout.repo.root, ok=(0, 1))).stdout:
        await git("update-ref", "-d", ref, dir=layout.repo.root)


# -- git


async def _fetch(where: list[str], dir: Path, source: Path, refs: list[str]) -> None:
    quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")
    wanted = "".join(f"+{ref}\n" for ref in refs).encode()
    command = ("-c", "fetch.unpackLimit=1", "fetch", *quiet, "--refmap=", "--stdin", str(source))
    await git(*where, *command, dir=dir, input=wanted)


async def _in(git_dir: Path, *args: str, input: bytes | None = None) -> Output:
    return await git(f"--git-dir={git_dir}", *args, dir=git_dir, env=NO_PERSONAL_CONFIG, input=input)


def _is_sha256(oids: Collection[str]) -> bool:
    return any(len(oid) == _SHA256_CHARS for oid in oids)


def _make(path: Path, is_sha256: bool, shallow: bytes, objects: Path | None) -> None:
    """A bare git directory without refs; its objects are its own or, by a link, another's."""
    (path / "refs").mkdir(parents=True)
    if objects is None:
        (path / "objects").mkdir()
    else:
        (path / "objects").symlink_to(objects)
    (path / "HEAD").write_text("ref: refs/heads/none\n")
    extension = "[extensions]\n\tobjectFormat = sha256\n" if is_sha256 else ""
    (path / "config").write_text(f"[core]\n\trepositoryformatversion = {int(is_sha256)}\n\tbare = true\n{extension}")
    if shallow:
        (path / "shallow").write_bytes(shallow)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


__all__ = [
    "AGENTS",
    "SNAPSHOTS",
    "Bundled",
    "Origin",
    "Stand",
    "drop_keep_ref",
    "make_hub",
    "make_repository",
    "move_branch",
    "operator_head",
    "unpack",
    "write_bundle",
]
