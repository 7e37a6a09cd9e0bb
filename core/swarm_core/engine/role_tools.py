"""Which tools an agent has. All agents are told of all of them, in the same bytes; what a role may not use is closed.

That way the agents of a model share one cached prompt prefix, whatever their service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from swarm_core.agents.coordination import EndingTool, handoff_tool, plan_tool
from swarm_core.agents.replanning import change_plan_tool
from swarm_core.tools.base import Tool
from swarm_core.tools.jail.confines import Confines
from swarm_core.tools.permissions.permission import Permission
from swarm_core.tools.scope import Scope
from swarm_core.tools.toolbox import Toolbox, standard_tools
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.entities import PLANNING_TASK, Task


def equip(
    scope: Scope,
    scratch: Path,
    clock: Clock,
    own: Sequence[Tool],
    task: Task,
    *,
    tasks: Iterable[Task],
    workers: Sequence[str],
    permission: Permission | None = None,
    confines: Confines | None = None,
) -> tuple[Toolbox, EndingTool]:
    """The toolbox of ``scope``'s service for ``task``, and the tool that ends it.

    ``own`` are the engine's tools besides the standard ones, the same list for every service; ``tasks`` are those of
    the run and ``workers`` the services that a plan may name. ``permission`` is asked before each call;
    ``confines`` is for the commands.
    """
    states = {known.id: known.status for known in tasks if not known.is_planning}
    handoff, plan, change = handoff_tool(), plan_tool(workers), change_plan_tool(workers, states)
    ending = handoff if not task.is_planning else plan if task.id == PLANNING_TASK else change
    closed = [other.definition for other in (handoff, plan, change) if other is not ending]
    tools = [*standard_tools(scope, scratch, clock, confines), *own]
    return Toolbox(scope, tools, scope.service, permission, closed=closed), ending


def feature_of(task: Task) -> str:
    """What the model calls for ``task`` are counted as."""
    if task.is_planning:
        return "plan" if task.id == PLANNING_TASK else "mend"
    return "work" if task.iteration == 1 else "rework"
