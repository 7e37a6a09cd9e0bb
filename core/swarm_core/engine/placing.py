"""Brings an agent's tree to where its task's work stands, and keeps what of that task is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarm_core.vocabulary.errors import WorkspaceError
from swarm_core.workspace.facts import Commit
from swarm_core.workspace.hub import Hub

from .crash_points import CrashPoint, reached

if TYPE_CHECKING:
    from .agent_act import AgentAct


class NoWorktreeError(WorkspaceError):
    """There is no place for an agent to work. No agent can help, and another attempt is no better."""


async def prepare(act: AgentAct, hub: Hub) -> None:
    """The tree for an attempt, and what is known only from it. The agent's first question needs nothing of this.

    Raises NoWorktreeError.
    """
    reached(CrashPoint.BEFORE_WORKTREE)
    try:
        await hub.add_tree(act.instance.id)  # adopts the tree; makes it if there is none, or somebody removed it
        reached(CrashPoint.AFTER_WORKTREE_BEFORE_RECORD)
        await _place(act, hub)
    except (OSError, WorkspaceError) as error:
        raise no_worktree(act.instance.id, error) from error
    await act.hands.artifacts.given(act, hub)


def no_worktree(instance: str, error: Exception) -> NoWorktreeError:
    """What keeps ``instance`` from having a place to work."""
    said = error.message if isinstance(error, WorkspaceError) else f"{error}"
    hint = error.hint if isinstance(error, WorkspaceError) else ""
    return NoWorktreeError(f"{instance} has no worktree: {said}", hint=hint or "put it right, then resume the run")


async def _place(act: AgentAct, hub: Hub) -> None:
    """Bring the tree to where this task's work stands, keeping uncommitted work of the same task."""
    wanted = act.task.commit or act.task.base
    tip = await hub.tip(act.instance.id)
    merge = act.runner.view.merges.get(act.task.id)
    if tip != wanted:
        if await _is_own_commit(act, hub, wanted, tip):
            return
        await hub.reset_tree(act.instance.id, wanted)
    if merge is not None and merge.status == "conflicted":
        await hub.start_conflict(act.instance.id, await hub.integration())


async def _is_own_commit(act: AgentAct, hub: Hub, wanted: str, tip: str) -> bool:
    """A commit of this task that was made but not journaled before a crash; journals it now."""
    if any(merge.commit == tip for merge in act.runner.view.merges.values()):
        return False  # the task before this one ended there
    trailers = await hub.trailers(tip)
    if trailers.get("Task-Id") != act.task.id or trailers.get("Run-Id") != act.runner.view.run.id:
        return False
    diff = await hub.diff(wanted, tip)
    await act.commits.report(Commit(tip, "adopted after a crash", diff.stat, tuple(diff.paths), ()))
    await act.hands.artifacts.written(act, hub, tip, diff.paths)
    return True
