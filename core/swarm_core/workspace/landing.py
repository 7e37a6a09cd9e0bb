"""Landing: the one step that changes the operator's branch and files, and that can be repeated after any crash.

The order is: objects into ``refs/swarm/landed/<run>``, the marker file, the branch (compare and swap), the files, the
index, the marker's removal. The marker says between which two commits the checkout may be, so a second call finishes
or undoes what the first began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import MergeConflict, WorkspaceError

from . import files
from .checkout import Checkout
from .facts import Diff
from .hub import Hub
from .message import compose

_LANDING = "refs/swarm/landing"


@dataclass(frozen=True, slots=True)
class LandTry:
    """What landing would do. ``commit`` is what the branch would point to, None if it does not merge.

    ``paths`` are conflicts with what the branch gained since the run began, ``dirty`` uncommitted files of the operator
    in the way, ``blockers`` sentences that say why it cannot be done now. ``already`` says that there is nothing left
    to do. ``diff`` goes from the branch's tip to ``commit``.
    """

    branch: str
    user_tip: str
    integration: str
    commit: str | None
    is_fast_forward: bool
    is_clean: bool
    paths: list[str]
    dirty: list[str]
    diff: Diff
    already: bool = False
    blockers: tuple[str, ...] = ()

    @property
    def can_land(self) -> bool:
        return self.commit is not None and not (self.dirty or self.blockers)


@dataclass(frozen=True, slots=True)
class Plan:
    """The marker of a landing that was begun."""

    branch: str
    old: str
    new: str
    integration: str
    is_fast_forward: bool


async def try_land(hub: Hub) -> LandTry:
    """Compute what landing would do now. Writes objects into the hub and nothing into the operator's repository.

    The same state gives the same answer, commit ids included, also when a landing was interrupted half-way.
    """
    async with hub.landing:
        return await _try_land(hub)


async def _try_land(hub: Hub) -> LandTry:
    desk, checkout = hub.desk, Checkout(hub.desk)
    branch, integration = hub.base_ref, await hub.integration()
    user_tip = await desk.user_oid(branch) if branch else await desk.user_oid("HEAD")
    plan = _unfinished(hub)
    if plan is not None and user_tip == plan.new:
        diff = await hub.diff(plan.old, plan.new)
        return LandTry(branch, plan.old, integration, plan.new, plan.is_fast_forward, True, [], [], diff)
    blockers = tuple(await checkout.blockers(branch, user_tip))
    if not user_tip:
        diff = await hub.diff(hub.base, integration)
        return LandTry(branch, "", integration, None, False, True, [], [], diff, blockers=blockers)
    fork = await hub.merge_base(integration, user_tip)
    if fork == integration:
        diff = await hub.diff(user_tip, user_tip)
        return LandTry(branch, user_tip, integration, user_tip, True, True, [], [], diff, already=True)
    is_fast_forward = fork == user_tip
    commit: str | None = integration
    paths: list[str] = []
    if not is_fast_forward:
        tried = await hub.try_merge(user_tip, integration)
        paths = tried.paths
        commit = None
        if tried.is_clean:
            text = f"Land run {hub.layout.run}\n"
            commit = await desk.commit(tried.tree, [user_tip, integration], text, is_repeatable=True)
    dirty = []
    if commit is not None and branch and await checkout.has_checked_out(branch):
        dirty = await checkout.in_the_way(user_tip, commit)
        checkout.drop_copy()
    diff = await hub.diff(user_tip if commit else fork or hub.base, commit or integration)
    return LandTry(
        branch, user_tip, integration, commit, is_fast_forward, not paths, paths, dirty, diff, blockers=blockers
    )


async def land(hub: Hub, attempt: LandTry, *, message: str, trailers: Mapping[str, str]) -> str:
    """Land what ``attempt`` found on the operator's branch and return the commit the branch points to.

    A merge commit, where one is needed, has ``message`` and ``trailers`` and the attempt's content. Uncommitted work
    that is not touched by the landing stays as it is. Calling it again after a crash finishes it. Raises
    MergeConflict, or WorkspaceError naming the files in the way or what moved since; then nothing has changed.
    """
    async with hub.landing:
        if (done := await _resume(hub)) is not None:
            return done
        if attempt.already:
            return attempt.user_tip
        await _refuse_if_moved(hub, attempt)
        assert attempt.commit is not None
        new = attempt.commit
        if not attempt.is_fast_forward:
            tree = await hub.desk.tree_oid(attempt.commit)
            parents = [attempt.user_tip, attempt.integration]
            new = await hub.desk.commit(tree, parents, compose(message, trailers))
        await _bring(hub, new, f"refs/swarm/landed/{hub.layout.run}")
        plan = Plan(attempt.branch, attempt.user_tip, new, attempt.integration, attempt.is_fast_forward)
        await Landing(hub, plan).run()
        return new


async def keep_unlanded(hub: Hub) -> str:
    """Keep the integration line in the operator's repository for later; returns the ref, to be given to git merge."""
    ref = f"refs/swarm/unlanded/{hub.layout.run}"
    await _bring(hub, await hub.integration(), ref)
    return ref


class Landing:
    """The steps of a landing, in their order; each leaves what the marker describes."""

    def __init__(self, hub: Hub, plan: Plan) -> None:
        self.hub, self.plan = hub, plan
        self.checkout = Checkout(hub.desk)
        self.is_checked_out = False

    async def run(self) -> None:
        await self.begin()
        try:
            await self.move_branch()
        except WorkspaceError:
            await self.forget()
            raise
        await self.finish()

    async def begin(self) -> None:
        """Take the lock, make sure the files can be moved, and write the marker."""
        self.is_checked_out = await self.checkout.has_checked_out(self.plan.branch)
        if self.is_checked_out:
            await self.checkout.lock()
            try:
                await self.checkout.prepare(self.plan.old, self.plan.new)
            except WorkspaceError:
                await self.forget()
                raise
        await asyncio.to_thread(files.write_json, _marker(self.hub), asdict(self.plan))

    async def move_branch(self) -> None:
        why = f"swarm-tui: landed run {self.hub.layout.run}"
        plan = self.plan
        done = await self.hub.desk.user("update-ref", "-m", why, plan.branch, plan.new, plan.old, ok=(0, 1, 128))
        if done.code:
            raise WorkspaceError(
                f"{plan.branch} could not be moved: {clean_line(done.stderr.strip())}",
                hint="look at it, then land again",
            )

    async def finish(self) -> None:
        """Move the files and the index; if that fails, files and branch are put back before the error is raised."""
        if self.is_checked_out:
            try:
                await self.checkout.move_files(self.plan.old, self.plan.new)
            except WorkspaceError:
                await self.undo()
                raise
            await self.checkout.publish()
        await self.forget()

    async def undo(self) -> None:
        """Put files and branch back to where they were before the landing began."""
        plan = self.plan
        try:
            await self.checkout.put_back(plan.old, plan.new)
            why = "swarm-tui: landing undone"
            await self.hub.desk.user("update-ref", "-m", why, plan.branch, plan.old, plan.new)
        except WorkspaceError:
            await self.checkout.unlock()  # the marker stays: the next landing goes on from here
            raise
        await self.forget()

    async def resume(self) -> None:
        """Go on after a crash that left the branch moved: first back to the old files, then forward."""
        plan, checkout = self.plan, self.checkout
        self.is_checked_out = await checkout.has_checked_out(plan.branch)
        if self.is_checked_out:
            await checkout.lock()
            try:
                if await checkout.is_published(plan.old, plan.new):
                    self.is_checked_out = False  # the index is the last step: everything is in place
                else:
                    await checkout.put_back(plan.old, plan.new)
                    await checkout.prepare(plan.old, plan.new)
            except WorkspaceError:
                await checkout.unlock()
                raise
        await self.finish()

    async def forget(self) -> None:
        self.checkout.drop_copy()
        await self.checkout.unlock()
        _marker(self.hub).unlink(missing_ok=True)


async def _resume(hub: Hub) -> str | None:
    """Finish or drop a landing that a crash interrupted; the landed commit if it is finished now."""
    plan = _unfinished(hub)
    if plan is None:
        return None
    landing = Landing(hub, plan)
    tip = await hub.desk.user_oid(plan.branch)
    if tip == plan.old:  # the branch was not moved, so no file was
        await landing.forget()
        return None
    if tip != plan.new:
        await landing.forget()
        raise WorkspaceError(
            f"a landing on {plan.branch} was interrupted, and the branch moved on to {tip[:12]} since",
            hint=f"compare it with refs/swarm/landed/{hub.layout.run}: commits made since may undo the run's work",
        )
    await landing.resume()
    return plan.new


async def _refuse_if_moved(hub: Hub, attempt: LandTry) -> None:
    if attempt.blockers:
        raise WorkspaceError("the work cannot be landed: " + "; ".join(attempt.blockers))
    if attempt.commit is None:
        raise MergeConflict(
            f"the work conflicts with what {attempt.branch} gained since: "
            + ", ".join(clean_line(path) for path in attempt.paths),
            paths=tuple(attempt.paths),
            hint=f"merge it by hand: git merge refs/swarm/unlanded/{hub.layout.run}",
        )
    tip = await hub.desk.user_oid(attempt.branch)
    if tip != attempt.user_tip or await hub.integration() != attempt.integration:
        raise WorkspaceError(f"{attempt.branch} or the work moved since it was looked at", hint="look at it again")
    if blockers := await Checkout(hub.desk).blockers(attempt.branch, tip):
        raise WorkspaceError("the work cannot be landed: " + "; ".join(blockers))


async def _bring(hub: Hub, commit: str, ref: str) -> None:
    """Copy ``commit`` with its history into the operator's repository, as ``ref``."""
    desk = hub.desk
    await desk.move_ref(_LANDING, commit, await desk.ref(_LANDING), "hand over")
    await desk.user(
        "-c",
        "fetch.unpackLimit=1",
        "-c",
        "fetch.writeCommitGraph=false",
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
        "--no-recurse-submodules",
        "--refmap=",
        str(desk.dir),  # not the hub: what an agent may have configured there must not be read
        f"+{_LANDING}:{ref}",
    )
    if await desk.user_oid(ref) != commit:
        raise WorkspaceError(f"{ref} did not arrive in {desk.root}")


def _marker(hub: Hub) -> Path:
    return hub.desk.dir / "landing.json"


def _unfinished(hub: Hub) -> Plan | None:
    data = files.read_json(_marker(hub))
    return Plan(**data) if data is not None else None
