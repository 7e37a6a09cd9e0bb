"""How a plan changes while it is carried out: workers ask, the architect decides, the operator sees new work first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from swarm_core.tools.base import Tool, ToolDefinition, ToolResult
from swarm_core.vocabulary.errors import ToolError

from .coordination import EndingTool, Plan, only, read_tasks, task_schema, text_of

CHANGE_PLAN = "change_plan"
REQUEST_TASKS = "request_tasks"
MAX_CHANGES = 100


def change_plan_tool(workers: Sequence[str], tasks: Mapping[str, str], phases: Sequence[str] = ()) -> EndingTool:
    """The architect's answer to a failure or a request. ``tasks`` are the run's tasks and their states."""
    definition = ToolDefinition(
        CHANGE_PLAN,
        "Change the plan and end your work. Give a failed task to a service (the same one gets a fresh instance), add "
        "tasks, or drop tasks that are not needed any more. New and dropped tasks are shown to the operator first. "
        "Call it with nothing to leave the matter to the operator.",
        {
            "type": "object",
            "properties": {
                "reassign": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "task": {"type": "string", "description": "The id of a failed task."},
                            "assigned_to": {"type": "string", "enum": list(workers)},
                            "note": {"type": "string", "description": "What whoever goes on should do differently."},
                        },
                        "required": ["task", "assigned_to"],
                        "additionalProperties": False,
                    },
                },
                "tasks": {"type": "array", "items": task_schema(workers, phases)},
                "cancel": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"task": {"type": "string"}, "reason": {"type": "string"}},
                        "required": ["task", "reason"],
                        "additionalProperties": False,
                    },
                },
            },
            "additionalProperties": False,
        },
    )

    def read(arguments: Mapping[str, Any]) -> Plan:
        return read_change(arguments, workers, tasks, phases)

    async def run(arguments: Mapping[str, Any]) -> ToolResult:
        plan = read(arguments)
        said = f"{len(plan.tasks)} new, {len(plan.reassign)} given to others, {len(plan.cancel)} dropped"
        return ToolResult(f"The change is recorded: {said}.", target=said)

    return EndingTool(definition, run, read)


def request_tasks_tool(request: Callable[[str], Awaitable[str]]) -> Tool:
    """The tool with which a worker asks for work that is not its own. ``request`` records it and says what follows."""
    definition = ToolDefinition(
        REQUEST_TASKS,
        "Ask the architect for work that is needed and not yours: something outside your directories, a mistake in "
        "somebody else's part, a missing task. It is weighed while you go on; you get no answer, so do not wait.",
        {
            "type": "object",
            "properties": {"reason": {"type": "string", "description": "What is needed, where, and why."}},
            "required": ["reason"],
            "additionalProperties": False,
        },
    )

    async def run(arguments: Mapping[str, Any]) -> ToolResult:
        only(arguments, ("reason",), REQUEST_TASKS)
        reason = text_of(arguments, "reason", REQUEST_TASKS).strip()
        if not reason:
            raise ToolError(f"{REQUEST_TASKS}: reason is empty", hint="say what is needed and why")
        return ToolResult(await request(reason), target=reason[:80])

    return Tool(definition, run)


def read_change(
    arguments: Mapping[str, Any], workers: Sequence[str], tasks: Mapping[str, str], phases: Sequence[str] = ()
) -> Plan:
    """Raises ToolError naming the part and the field the model has to correct."""
    only(arguments, ("reassign", "tasks", "cancel"), CHANGE_PLAN)
    open_tasks = [name for name, status in tasks.items() if status != "cancelled"]
    new = read_tasks(arguments.get("tasks", []), workers, CHANGE_PLAN, open_tasks, phases)
    reassign = tuple(
        _change(item, f"reassign[{index}]", ("task", "assigned_to", "note"), tasks, ("failed",))
        for index, item in enumerate(_list(arguments, "reassign"))
    )
    for change in reassign:
        if change.get("assigned_to") not in workers:
            raise ToolError(
                f"{CHANGE_PLAN}: there is no service {change.get('assigned_to')!r}",
                hint=f"assign {change['task']} to one of: {', '.join(workers)}",
            )
    droppable = ("pending", "ready", "blocked", "failed")
    cancel = tuple(
        _change(item, f"cancel[{index}]", ("task", "reason"), tasks, droppable)
        for index, item in enumerate(_list(arguments, "cancel"))
    )
    return Plan(new, reassign, cancel)


def _list(arguments: Mapping[str, Any], key: str) -> list[Any]:
    items = arguments.get(key, [])
    if not isinstance(items, list) or len(items) > MAX_CHANGES:
        raise ToolError(f"{CHANGE_PLAN}: {key} must be a list of at most {MAX_CHANGES} changes")
    return items


def _change(
    item: Any, place: str, fields: Sequence[str], tasks: Mapping[str, str], allowed: Sequence[str]
) -> Mapping[str, str]:
    if not isinstance(item, dict):
        raise ToolError(f"{CHANGE_PLAN}: {place} must be an object")
    only(item, fields, place)
    change = {field: text_of(item, field, place) for field in fields}
    status = tasks.get(change["task"])
    if status not in allowed:
        known = ", ".join(name for name, state in tasks.items() if state in allowed) or "none"
        raise ToolError(
            f"{CHANGE_PLAN}: {place}: task {change['task']!r} is {status or 'unknown'}",
            hint=f"tasks this can be done with: {known}",
        )
    return change
