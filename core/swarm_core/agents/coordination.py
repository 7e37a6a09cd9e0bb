"""The two tools that end an agent's work: ``handoff`` for whoever does a task, ``plan_tasks`` for the architect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from swarm_core.tools.base import Tool, ToolDefinition, ToolResult
from swarm_core.vocabulary.entities import PRIORITIES
from swarm_core.vocabulary.errors import ToolError

HANDOFF = "handoff"
PLAN_TASKS = "plan_tasks"
MAX_TASKS = 100
MAX_TITLE_CHARS = 120
MAX_TEXT_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Handoff:
    """What an agent says at the end of its task. Claims: checks measure what is true."""

    what_i_did: str
    whats_left: str = ""
    recommendation: str = ""


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task the architect asks for; ``dependencies`` are keys of the same plan. The engine assigns ids."""

    key: str
    title: str
    description: str
    assigned_to: str
    dependencies: tuple[str, ...] = ()
    priority: str = "medium"


@dataclass(frozen=True, slots=True)
class Plan:
    """A valid plan: at least one task, known services, no cycle."""

    tasks: tuple[PlannedTask, ...]


@dataclass(frozen=True, slots=True)
class Stalled:
    """The agent ended without a result; ``reason`` is for the operator."""

    reason: str


Outcome = Handoff | Plan | Stalled


@dataclass(frozen=True, slots=True)
class EndingTool(Tool):
    """A tool whose first successful call ends the agent's work; ``read`` turns its arguments into the outcome."""

    read: Callable[[Mapping[str, Any]], Outcome]


def handoff_tool() -> EndingTool:
    """The tool that ends a task. The same for every service, so that agents share one prompt cache."""
    definition = ToolDefinition(
        HANDOFF,
        "End your task. Call it once, alone, after you have seen the results of your other calls. Say what you did, "
        "what is left, and what you recommend to whoever works on it next. Your commit, your diff and the checks are "
        "measured separately; do not repeat them.",
        {
            "type": "object",
            "properties": {
                "what_i_did": {"type": "string", "description": "What changed and why, in a few sentences."},
                "whats_left": {"type": "string", "description": "What is not done, or an empty text."},
                "recommendation": {"type": "string", "description": "What the next one should do, or an empty text."},
            },
            "required": ["what_i_did"],
            "additionalProperties": False,
        },
    )

    async def run(arguments: Mapping[str, Any]) -> ToolResult:
        read_handoff(arguments)
        return ToolResult("The handoff is recorded. Your task is over.")

    return EndingTool(definition, run, read_handoff)


def plan_tool(workers: Sequence[str]) -> EndingTool:
    """The tool with which the architect turns a goal into tasks for ``workers`` (service keys)."""
    task = {
        "type": "object",
        "properties": {
            "key": {"type": "string", "description": "A short unique name, for dependencies."},
            "title": {"type": "string", "description": "One line."},
            "description": {"type": "string", "description": "What to build, where, and how it will be judged."},
            "assigned_to": {"type": "string", "enum": list(workers)},
            "dependencies": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Keys of the tasks that must be finished first. Tasks without one run in parallel.",
            },
            "priority": {"type": "string", "enum": list(PRIORITIES)},
        },
        "required": ["key", "title", "description", "assigned_to"],
        "additionalProperties": False,
    }
    definition = ToolDefinition(
        PLAN_TASKS,
        "Hand in the plan and end your work. The operator sees it before anybody starts. If it is not valid you are "
        "told what is wrong; call it again with the whole plan.",
        {
            "type": "object",
            "properties": {"tasks": {"type": "array", "minItems": 1, "items": task}},
            "required": ["tasks"],
            "additionalProperties": False,
        },
    )

    async def run(arguments: Mapping[str, Any]) -> ToolResult:
        plan = read_plan(arguments, workers)
        return ToolResult(f"The plan is recorded: {len(plan.tasks)} tasks.", target=f"{len(plan.tasks)} tasks")

    return EndingTool(definition, run, lambda arguments: read_plan(arguments, workers))


def read_handoff(arguments: Mapping[str, Any]) -> Handoff:
    """Raises ToolError for whatever the model has to correct."""
    _only(arguments, ("what_i_did", "whats_left", "recommendation"), HANDOFF)
    handoff = Handoff(*(_text(arguments, key, HANDOFF) for key in ("what_i_did", "whats_left", "recommendation")))
    if not handoff.what_i_did.strip():
        raise ToolError(f"{HANDOFF}: what_i_did is empty", hint="say in a few sentences what you did")
    return handoff


def read_plan(arguments: Mapping[str, Any], workers: Sequence[str]) -> Plan:
    """Raises ToolError naming the task and the field the model has to correct."""
    _only(arguments, ("tasks",), PLAN_TASKS)
    items = arguments.get("tasks")
    if not isinstance(items, list) or not items:
        raise ToolError(f"{PLAN_TASKS}: tasks must be a list of at least one task")
    if len(items) > MAX_TASKS:
        raise ToolError(f"{PLAN_TASKS}: {len(items)} tasks are too many; the limit is {MAX_TASKS}")
    tasks = tuple(_planned(item, f"tasks[{index}]", workers) for index, item in enumerate(items))
    _check_graph(tasks)
    return Plan(tasks)


def _planned(item: Any, place: str, workers: Sequence[str]) -> PlannedTask:
    if not isinstance(item, dict):
        raise ToolError(f"{place} must be an object")
    _only(item, ("key", "title", "description", "assigned_to", "dependencies", "priority"), place)
    key, title = _text(item, "key", place).strip(), " ".join(_text(item, "title", place).split())
    if not key or not title:
        raise ToolError(f"{place} needs a key and a title")
    place = f"{place} ({key[:40]})"
    if len(title) > MAX_TITLE_CHARS:
        raise ToolError(f"{place}: the title is longer than {MAX_TITLE_CHARS} characters", hint="use the description")
    service = _text(item, "assigned_to", place)
    if service not in workers:
        raise ToolError(f"{place}: there is no service {service!r}", hint=f"assign it to one of: {', '.join(workers)}")
    priority = item.get("priority", "medium")
    if priority not in PRIORITIES:
        raise ToolError(f"{place}: priority {priority!r} is not one of {', '.join(PRIORITIES)}")
    dependencies = item.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(name, str) for name in dependencies):
        raise ToolError(f"{place}: dependencies must be a list of keys")
    unique = tuple(dict.fromkeys(name.strip() for name in dependencies))
    return PlannedTask(key, title, _text(item, "description", place), service, unique, priority)


def _check_graph(tasks: Sequence[PlannedTask]) -> None:
    keys = [task.key for task in tasks]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ToolError(f"these keys are used twice: {', '.join(twice)}", hint="give each task a key of its own")
    for task in tasks:
        if unknown := [name for name in task.dependencies if name not in keys]:
            raise ToolError(
                f"task {task.key} depends on {', '.join(unknown)}, which the plan does not have",
                hint=f"the plan's keys are: {', '.join(keys)}",
            )
    try:
        TopologicalSorter({task.key: task.dependencies for task in tasks}).prepare()
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise ToolError(f"these tasks wait for each other: {circle}", hint="remove one dependency") from None


def _only(data: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    if unknown := sorted(str(key) for key in data if key not in known):
        raise ToolError(f"{place}: unknown field {', '.join(unknown)}", hint=f"the fields are: {', '.join(known)}")


def _text(data: Mapping[str, Any], key: str, place: str) -> str:
    value = data.get(key, "")
    if not isinstance(value, str):
        raise ToolError(f"{place}: {key} must be a text")
    if len(value) > MAX_TEXT_CHARS:
        raise ToolError(f"{place}: {key} is longer than {MAX_TEXT_CHARS} characters")
    return value
