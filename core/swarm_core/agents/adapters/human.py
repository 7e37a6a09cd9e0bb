"""The operator as the agent: the task and the place are shown, and whoever hands it in ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from swarm_core.agents.coordination import Handoff, Outcome

from .base import Assignment, Noted, Premises

WORK_HINT = "work there with any editor; hand it in with i here, or give it back with I"


class HumanAdapter:
    """Waits for a person. ``handed_in`` returns with the handoff; nothing is started, and nobody is hurried."""

    def __init__(self, handed_in: Callable[[], Awaitable[Handoff]]) -> None:
        self._handed_in = handed_in

    async def run(self, assignment: Assignment, premises: Premises) -> Outcome:
        directories = ", ".join(premises.service.directories)
        lines = [f"yours: {premises.scope.tree}", f"{assignment.task}: {assignment.title}", assignment.opening]
        if assignment.follow_up:
            lines.append(assignment.follow_up)
        lines.append(f"What you change in {directories} is handed in. {WORK_HINT}")
        for line in lines:
            await premises.hear(Noted(line))
        return await self._handed_in()
