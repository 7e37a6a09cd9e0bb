"""The operator as the agent: the task and the place are shown, and whoever hands it in ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from swarm_core.agents.coordination import Handoff, Outcome

from .base import Assignment, Noted, Premises

MAX_SHOWN_LINES = 100
WORK_HINT = "work there with any editor; hand it in with i here, or give it back with I"


class HumanAdapter:
    """Waits for a person. ``handed_in`` returns with the handoff; nothing is started, and nobody is hurried."""

    def __init__(self, handed_in: Callable[[], Awaitable[Handoff]]) -> None:
        self._handed_in = handed_in

    async def run(self, assignment: Assignment, premises: Premises) -> Outcome:
        directories = ", ".join(premises.service.directories)
        await premises.hear(Noted(f"yours: {premises.scope.tree}"))
        for line in list(filter(str.strip, assignment.opening.splitlines()))[:MAX_SHOWN_LINES]:
            await premises.hear(Noted(line))
        await premises.hear(Noted(f"What you change in {directories} is handed in. {WORK_HINT}"))
        return await self._handed_in()
