"""What an agent leaves in its tree becomes a commit; what is not its to change is taken away and journaled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from swarm_core.tools.base import ToolResult
from swarm_core.vocabulary.errors import PermissionDenied
from swarm_core.vocabulary.events import Draft
from swarm_core.workspace.facts import Commit
from swarm_core.workspace.hub import Hub
from swarm_core.workspace.inspection import SecretFound

from .commit_tool import told
from .crash_points import CrashPoint, reached
from .notices import MAX_PATHS

if TYPE_CHECKING:
    from .agent_act import AgentAct


class Committing:
    """The commits of one attempt. ``notes`` are what the agent has to know about its artifacts."""

    def __init__(self, act: AgentAct) -> None:
        self.act = act
        self.notes: list[str] = []

    async def answer(self, hub: Hub, given: Mapping[str, Any]) -> ToolResult:
        """The ``commit`` tool. Raises PermissionDenied if the change holds a secret."""
        try:
            commit = await self.commit(hub, str(given["message"]))
        except SecretFound as error:
            raise PermissionDenied(error.message, rule="secret", hint=error.hint) from None
        notes, self.notes = "".join(f"\n{note}" for note in self.notes), []
        if commit is None:
            return ToolResult(f"Nothing to commit: your directories hold no change since the last commit.{notes}")
        return told(commit, notes)

    async def commit(self, hub: Hub, message: str) -> Commit | None:
        """Commit what the tree holds within the service's directories; None if nothing changed."""
        await self.sweep(hub)
        commit = await hub.commit(
            self.act.instance.id,
            message,
            allowed=self._allows,
            trailers=self.act.hands.trailers(self.act.task, self.act.instance.id),
            author=self.act.instance.id,
        )
        if commit is not None:
            reached(CrashPoint.AFTER_COMMIT_BEFORE_RECORD)
            await self.report(commit)
            self.notes += await self.act.hands.artifacts.written(self.act, hub, commit.oid, commit.paths)
        return commit

    def _allows(self, path: str) -> bool:
        return self.act.scope.allows_write(path) and not self.act.hands.artifacts.refusal(self.act.service.key, path)

    async def report(self, commit: Commit) -> None:
        """Journal a commit."""
        data = {
            "commit": commit.oid,
            "message": commit.message.splitlines()[0],
            "files": commit.stat.files,
            "insertions": commit.stat.insertions,
            "deletions": commit.stat.deletions,
            "paths": list(commit.paths[:MAX_PATHS]),
        }
        await self.act.report(Draft("commit.created", data))

    async def sweep(self, hub: Hub) -> None:
        """Move changes outside the service's directories, made past the tools, into quarantine and journal them."""
        changes = await hub.changes(self.act.instance.id)
        for found in hub.take_tampering():
            kept = f"; it is kept at {found.kept_at}" if found.kept_at else ""
            message = f"{found.what} was changed behind git's back and has been put right{kept}"
            data = {"tool": "Bash", "target": found.what, "rule": "git_dir", "message": message}
            await self.act.report(Draft("policy.denied", data))
        self.notes += await self.act.hands.artifacts.take_back(self.act, hub, changes)
        stray = [change.path for change in changes if not self.act.scope.allows_write(change.path)]
        if not stray:
            return
        moved = await hub.quarantine(self.act.instance.id, stray)
        directories = ", ".join(self.act.service.directories)
        data = {
            "tool": "Bash",
            "target": ", ".join(moved)[:200],
            "rule": "directories",
            "message": f"{len(moved)} changes outside {directories} were put into quarantine",
        }
        await self.act.report(Draft("policy.denied", data))
