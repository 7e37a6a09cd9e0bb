"""The simulated repository as the engine's hands see it: takes time, fails now and then, adopts what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from swarm_core.engine.rollback import settled_in
from swarm_core.vocabulary.entities import Gate, Stat
from swarm_core.vocabulary.errors import GitFailed, MergeConflict, WorkspaceError
from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.layout import RunLayout
from swarm_core.vocabulary.view import RunView
from swarm_core.workspace.facts import Diff, MergeTry, Tree

from .dice import Dice
from .life import Life
from .loop import SimulatedClock
from .world import Checkout, World

EFFECT_S = (0.005, 3.0)
BROKEN_FOR_S = (0.001, 60.0)


class SimulatedHub:
    """What ``Hands`` uses of ``workspace.hub.Hub``."""

    def __init__(self, world: World, layout: RunLayout, life: Life, clock: SimulatedClock, dice: Dice) -> None:
        self.world, self.layout, self.life, self.clock, self.dice = world, layout, life, clock, dice
        self._broken_until_s = -1.0

    @property
    def base(self) -> str:
        return self.world.base

    @property
    def base_ref(self) -> str:
        return "refs/heads/main"

    async def close(self) -> None:
        """Nothing is held."""

    async def _reach(self) -> None:
        """The way to the disk: time passes, the engine may die, git may fail. The effect comes right after it."""
        await self.clock.sleep(self.dice.seconds(*EFFECT_S))
        self.life.require()
        now_s = self.clock.loop.time()
        if self.dice.strikes("git_fails"):
            self._broken_until_s = now_s + self.dice.seconds(*BROKEN_FOR_S)
        if now_s < self._broken_until_s and not self.dice.is_calm:
            raise GitFailed("git failed before it did anything")

    def _done(self) -> None:
        """The effect is there; whether git says so is another matter."""
        if self.dice.strikes("git_fails_after"):
            raise GitFailed("git was killed after it had done its work")

    # -- worktrees

    async def add_tree(self, instance: str, at: str | None = None) -> Tree:
        world = self.world
        if instance not in world.checkouts:
            await self._reach()
            start = at or world.branches.get(instance) or world.integration
            world.checkouts[instance] = Checkout(start, dict(world.nodes[start].files))
            world.branches[instance] = start
            self._done()
        return self._fact(instance)

    async def reset_tree(self, instance: str, at: str) -> Tree:
        await self._reach()
        self.world.checkouts[instance] = Checkout(at, dict(self.world.nodes[at].files))
        self.world.branches[instance] = at
        return self._fact(instance)

    async def remove_tree(self, instance: str) -> str | None:
        await self._reach()
        self.world.checkouts.pop(instance, None)
        self._done()
        return None

    async def tip(self, instance: str) -> str:
        return self.world.checkouts[instance].tip

    async def commit_all(self, instance: str, trailers: Mapping[str, str]) -> str | None:
        """Commit what the tree holds; None if there is nothing new."""
        await self._reach()
        tree = self.world.checkouts[instance]
        if tree.files == self.world.nodes[tree.tip].files and not tree.merging:
            return None
        parents = (tree.tip, tree.merging) if tree.merging else (tree.tip,)
        tree.tip = self.world.branches[instance] = self.world.commit(parents, tree.files, trailers)
        tree.merging = ""
        self._done()
        return tree.tip

    async def start_conflict(self, instance: str, onto: str) -> None:
        """Put a merge with ``onto`` into the tree; the agent finds both versions there."""
        await self._reach()
        tree = self.world.checkouts[instance]
        if tree.merging == onto or onto in self.world.ancestors(tree.tip):
            return
        merged = self.world.merge_files(tree.tip, onto)
        tree.files = dict(merged.files)
        for path in merged.conflicts:
            tree.files[path] = f"{tree.files.get(path, '')}+{self.world.nodes[onto].files.get(path, '')}"
        tree.merging = onto

    def _fact(self, instance: str) -> Tree:
        tip = self.world.checkouts[instance].tip
        return Tree(instance, self.layout.trees / instance, f"refs/heads/agent/{instance}", tip)

    # -- comparing and merging

    async def integration(self) -> str:
        if not self.world.integration:
            await self._reach()
            self.world.integration = self.world.base
        return self.world.integration

    async def merge_base(self, a: str, b: str) -> str:
        return self.world.merge_base(a, b)

    async def diff(self, base: str, tip: str) -> Diff:
        paths = self.world.changed(base, tip)
        text = "".join(f"{path}: {self.world.nodes[tip].files.get(path)}\n" for path in paths)
        return Diff(text.encode(), Stat(len(paths), len(paths), 0), paths)

    async def changed_paths(self, before: str, after: str) -> list[str]:
        return self.world.changed(before, after)

    async def changed_content(self, before: str, after: str, path: str, *, max_bytes: int) -> bytes | None:
        return None

    async def name_branch(self, name: str, commit: str) -> None:
        self.world.branches[name] = commit

    async def log(self, base: str, tip: str) -> list[str]:
        return sorted(self.world.ancestors(tip) - self.world.ancestors(base), reverse=True)

    async def trailers(self, commit: str) -> dict[str, str]:
        return dict(self.world.nodes[commit].trailers)

    async def try_merge(self, ours: str, theirs: str) -> MergeTry:
        merged = self.world.merge_files(ours, theirs)
        return MergeTry(not merged.conflicts, "", merged.conflicts, [])

    async def merge(self, task_commit: str, *, message: str, trailers: Mapping[str, str], expected: str) -> str:
        await self._reach()
        if done := self.world.find_merge(task_commit, trailers["Task-Id"]):
            return done
        if self.world.integration != expected:
            raise WorkspaceError(f"the integration line is at {self.world.integration}, not at {expected}")
        merged = self.world.merge_files(expected, task_commit)
        if merged.conflicts:
            raise MergeConflict("both sides changed the same files", paths=tuple(merged.conflicts))
        oid = self.world.move_line(merged.files, task_commit, trailers)
        self._done()
        return oid

    async def take_back(self, to: str, *, message: str, trailers: Mapping[str, str]) -> str:
        await self._reach()
        world, files = self.world, self.world.nodes[to].files
        if world.nodes[world.integration].files == files:
            return world.integration
        world.integration = world.commit((world.integration,), files, trailers)
        self._done()
        return world.integration

    # -- landing

    async def land(self, user_tip: str) -> str:
        """Land on the operator's branch if it still is where it was seen."""
        await self._reach()
        if self.world.integration not in self.world.ancestors(self.world.user_tip) and self.world.user_tip != user_tip:
            raise WorkspaceError("the branch moved")
        return self.world.land()


class SimulatedPapers:
    """Documents in the world; projections are left out, since they follow from the journal alone."""

    def __init__(self, world: World, life: Life, clock: SimulatedClock, dice: Dice) -> None:
        self.world, self.life, self.clock, self.dice = world, life, clock, dice

    def take(self, events: Sequence[Event]) -> None:
        """Nobody measures a simulated run."""

    async def project(self, view: RunView) -> None:
        """Nobody reads them here."""

    async def snapshot(self) -> None:
        """There is nothing to keep."""

    async def keep(self, document: Path, data: bytes) -> None:
        await self.clock.sleep(self.dice.seconds(*EFFECT_S))
        self.life.require()
        self.world.documents[document] = data

    async def view_at(self, journal: Path, seq: int) -> RunView:
        await self.clock.sleep(self.dice.seconds(*EFFECT_S))
        return RunView.of(event for event in self.world.history() if event.seq <= seq)

    async def settled_at(self, journal: Path, gate: Gate) -> int:
        await self.clock.sleep(self.dice.seconds(*EFFECT_S))
        return settled_in(self.world.history(), gate)

    async def sha256(self, document: Path) -> str:
        await self.clock.sleep(0)
        data = self.world.documents.get(document)
        return "" if data is None else hashlib.sha256(data).hexdigest()
