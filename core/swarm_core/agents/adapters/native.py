"""Our own loop behind the port. It writes its log and reports its facts itself, finer than events could."""

from __future__ import annotations

from swarm_core.agents.coordination import Outcome
from swarm_core.agents.loop import AgentLoop

from .base import Assignment, Premises


class NativeAdapter:
    """Runs an ``AgentLoop``, which was given its premises when it was made."""

    def __init__(self, loop: AgentLoop) -> None:
        self._loop = loop

    async def run(self, assignment: Assignment, premises: Premises | None = None) -> Outcome:
        """Raises ModelError and JournalError as ``AgentLoop.run`` does."""
        return await self._loop.run(assignment.opening, assignment.iteration, follow_up=assignment.follow_up)
