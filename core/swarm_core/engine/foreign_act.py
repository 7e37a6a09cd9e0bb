"""Who sits down at a task: our own loop, an agent of another make, a worker outside, or the operator.

All of them work in the same kind of tree, and what they leave there is swept, committed, measured and merged alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from swarm_core.agents.adapters.acp import AcpAdapter
from swarm_core.agents.adapters.base import AgentAdapter, Assignment, Premises
from swarm_core.agents.adapters.headless import HeadlessAdapter
from swarm_core.agents.adapters.human import HumanAdapter
from swarm_core.agents.adapters.permission import judge_by_rules
from swarm_core.agents.adapters.scribe import Scribe
from swarm_core.agents.context import follow_up_message, opening_message
from swarm_core.agents.coordination import Outcome
from swarm_core.agents.log import AgentLog
from swarm_core.tools.toolbox import Toolbox, standard_tools
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.errors import PermissionDenied
from swarm_core.workspace.hub import Hub

from .agent_act import AgentAct
from .notices import latest_notes
from .workers import ExternalAct

if TYPE_CHECKING:
    from .acts import Hands

MAX_LISTED_PATHS = 50
_CLOSING = "Work on it now. End your turn when it is done or cannot be done."
_AGAIN = "Correct it, then end your turn again."


def seat_for(hands: Hands, task: Task) -> type[AgentAct]:
    """What kind of act a task's attempt is."""
    service = hands.runner.spec.services[task.assigned_to]
    if task.worker:
        return HumanAct if service.is_human else ExternalAct
    is_scripted = hands.models.is_scripted(service, hands.runner.view.run.options)
    return ForeignAct if service.is_foreign and not is_scripted else AgentAct


class ForeignAct(AgentAct):
    """An agent of another make, as a confined process."""

    def adapter(self) -> AgentAdapter:
        return AcpAdapter() if self.service.adapter == "acp" else HeadlessAdapter()

    async def _converse(self, hub: Hub, log: AgentLog) -> Outcome:
        await self.grounded()
        scribe = Scribe(log, self.report, self.clock)
        tools = standard_tools(self.scope, self.scratch, self.clock, self.confines)
        premises = Premises(
            self.service,
            self.scope,
            Toolbox(self.scope, tools, self.service, self.hands.permissions.permission(self)),
            self.clock,
            scribe.hear,
            self._leave_for,
            self.clearance,
            lambda: self.runner.watch.beat(self.task.id),
            self.confines,
        )
        try:
            return await self.adapter().run(await self._assignment(hub), premises)
        finally:
            await scribe.close()

    async def _leave_for(self, tool: str, arguments: Mapping[str, Any]) -> PermissionDenied | None:
        """What the service's directories say, and then the rules; a rule that asks opens a gate."""
        denial = await judge_by_rules(self.scope)(tool, arguments)
        if denial is None:
            try:
                await self.hands.permissions.permission(self).check(tool, arguments)
            except PermissionDenied as denied:
                return denied
        return denial

    async def _assignment(self, hub: Hub) -> Assignment:
        view, task = self.runner.view, self.task
        notices = self._notices()
        finished = [view.tasks[key] for key in task.dependencies]
        opening = opening_message(
            self.service,
            task,
            view.run,
            self.tree,
            dependencies=finished,
            notes=task.notes,
            constraints=notices,
            closing=_CLOSING,
        )
        return Assignment(
            self.instance.id,
            task.id,
            task.title,
            opening,
            self.layout.transcript(self.instance.id, task.id).with_suffix(".session.json"),
            task.iteration,
            follow_up_message(task.iteration, [*latest_notes(view, task), *notices], _AGAIN),
            await self._left_behind(hub),
        )

    async def _left_behind(self, hub: Hub) -> str:
        """What earlier attempts left in the tree, as lines; empty if it is as it was given out."""
        tip, base = await hub.tip(self.instance.id), self.task.base
        lines = [f"- committed: {commit[:200]}" for commit in await hub.log(base, tip)]
        changes = await hub.changes(self.instance.id)
        lines += [f"- changed, not committed: {change.path}" for change in changes[:MAX_LISTED_PATHS]]
        if left := len(changes) - MAX_LISTED_PATHS:
            lines += [f"- and {left} more"] if left > 0 else []
        return "\n".join(lines)


class HumanAct(ForeignAct, ExternalAct):
    """The operator works on it: nobody is hurried, and it is handed in as workers outside do."""

    def adapter(self) -> AgentAdapter:
        return HumanAdapter(self.handed_in)

    async def _converse(self, hub: Hub, log: AgentLog) -> Outcome:
        with self.allowance.excused():
            return await super()._converse(hub, log)
