"""The two tools that end an agent's work: ``handoff`` for whoever does a task, ``plan_tasks`` for the architect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from swarm_core.tools.base import Tool, ToolDefinition, ToolResult
from swarm_core.vocabulary.entities import PRIORITIES
from swarm_core.vocabulary.errors import ToolError

HANDOFF = "handoff"
PLAN_TASKS = "plan_tasks"
MAX_TASKS = 10_000
MAX_MINUTES = 100_000
MAX_PATH_CHARS = 400
MAX_TITLE_CHARS = 120
MAX_TEXT_CHARS = 20_000
_TASK_FIELDS = (
    "key",
    "title",
    "description",
    "assigned_to",
    "dependencies",
    "priority",
    "writes",
    "estimate_minutes",
    "phase",
)


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
    writes: tuple[str, ...] = ()
    estimate_s: float = 0.0
    phase: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A valid plan: known services, no cycle. The first one has tasks; a change of it may only move or drop some."""

    tasks: tuple[PlannedTask, ...]
    reassign: tuple[Mapping[str, str], ...] = ()
    cancel: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Stalled:
    """The agent ended without a result; ``reason`` is for the operator, ``kind`` says what may follow from it."""

    reason: str
    kind: str = "gave_up"


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


def plan_tool(workers: Sequence[str], phases: Sequence[str] = ()) -> EndingTool:
    """The tool with which the architect turns a goal into tasks for ``workers`` (service keys) in ``phases``."""
    definition = ToolDefinition(
        PLAN_TASKS,
        "Hand in the plan and end your work. The operator sees it before anybody starts. If it is not valid you are "
        "told what is wrong; call it again with the whole plan.",
        {
            "type": "object",
            "properties": {"tasks": {"type": "array", "minItems": 1, "items": task_schema(workers, phases)}},
            "required": ["tasks"],
            "additionalProperties": False,
        },
    )

    async def run(arguments: Mapping[str, Any]) -> ToolResult:
        plan = read_plan(arguments, workers, phases)
        return ToolResult(f"The plan is recorded: {len(plan.tasks)} tasks.", target=f"{len(plan.tasks)} tasks")

    return EndingTool(definition, run, lambda arguments: read_plan(arguments, workers, phases))


def task_schema(workers: Sequence[str], phases: Sequence[str] = ()) -> dict[str, Any]:
    """How a task is described in a plan for ``workers``. Where work has ``phases``, each task belongs to one."""
    schema: dict[str, Any] = {
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
            "writes": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Paths that only this task may change while it runs; tasks that share one take turns.",
            },
            "estimate_minutes": {"type": "number", "description": "A guess; long chains are begun first."},
        },
        "required": ["key", "title", "description", "assigned_to"],
        "additionalProperties": False,
    }
    if phases:
        told = "Phases come one after the other; a task begins when the phases before its own are sealed."
        schema["properties"]["phase"] = {"type": "string", "enum": list(phases), "description": told}
    return schema


def read_handoff(arguments: Mapping[str, Any]) -> Handoff:
    """Raises ToolError for whatever the model has to correct."""
    only(arguments, ("what_i_did", "whats_left", "recommendation"), HANDOFF)
    handoff = Handoff(*(text_of(arguments, key, HANDOFF) for key in ("what_i_did", "whats_left", "recommendation")))
    if not handoff.what_i_did.strip():
        raise ToolError(f"{HANDOFF}: what_i_did is empty", hint="say in a few sentences what you did")
    return handoff


def read_plan(arguments: Mapping[str, Any], workers: Sequence[str], phases: Sequence[str] = ()) -> Plan:
    """Raises ToolError naming the task and the field the model has to correct."""
    only(arguments, ("tasks",), PLAN_TASKS)
    tasks = read_tasks(arguments.get("tasks"), workers, PLAN_TASKS, phases=phases)
    if not tasks:
        raise ToolError(f"{PLAN_TASKS}: tasks must be a list of at least one task")
    return Plan(tasks)


def read_tasks(
    items: Any, workers: Sequence[str], tool: str, existing: Sequence[str] = (), phases: Sequence[str] = ()
) -> tuple[PlannedTask, ...]:
    """The tasks of a plan; a dependency is a key of the plan or one of ``existing``. Raises ToolError."""
    if not isinstance(items, list):
        raise ToolError(f"{tool}: tasks must be a list of at least one task")
    if len(items) > MAX_TASKS:
        raise ToolError(
            f"{tool}: {len(items)} tasks are too many; the limit is {MAX_TASKS}",
            hint="plan fewer, larger tasks now; more can be asked for later",
        )
    tasks = tuple(_planned(item, f"tasks[{index}]", workers, phases) for index, item in enumerate(items))
    _check_graph(tasks, existing)
    return tasks


def _planned(item: Any, place: str, workers: Sequence[str], phases: Sequence[str]) -> PlannedTask:
    if not isinstance(item, dict):
        raise ToolError(f"{place} must be an object")
    only(item, _TASK_FIELDS, place)
    key, title = text_of(item, "key", place).strip(), " ".join(text_of(item, "title", place).split())
    if not key or not title:
        raise ToolError(f"{place} needs a key and a title")
    place = f"{place} ({key[:40]})"
    if len(title) > MAX_TITLE_CHARS:
        raise ToolError(f"{place}: the title is longer than {MAX_TITLE_CHARS} characters", hint="use the description")
    service = text_of(item, "assigned_to", place)
    if service not in workers:
        raise ToolError(f"{place}: there is no service {service!r}", hint=f"assign it to one of: {', '.join(workers)}")
    priority = item.get("priority", "medium")
    if priority not in PRIORITIES:
        raise ToolError(f"{place}: priority {priority!r} is not one of {', '.join(PRIORITIES)}")
    phase = item.get("phase", "")
    if phase != "" and phase not in phases:
        known = f"the phases are: {', '.join(phases)}" if phases else "leave it out: this run has no phases to choose"
        raise ToolError(f"{place}: there is no phase {phase!r}", hint=known)
    minutes = item.get("estimate_minutes", 0)
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 <= minutes < MAX_MINUTES:
        raise ToolError(f"{place}: estimate_minutes must be a number from 0 to {MAX_MINUTES}")
    return PlannedTask(
        key,
        title,
        text_of(item, "description", place),
        service,
        _names(item, "dependencies", place),
        priority,
        tuple(_writable(path, place) for path in _names(item, "writes", place)),
        minutes * 60.0,
        phase,
    )


def _names(item: Mapping[str, Any], field: str, place: str) -> tuple[str, ...]:
    values = item.get(field, [])
    if not isinstance(values, list) or not all(isinstance(name, str) for name in values):
        raise ToolError(f"{place}: {field} must be a list of texts")
    return tuple(dict.fromkeys(name.strip() for name in values if name.strip()))


def _writable(path: str, place: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or not parts or len(path) > MAX_PATH_CHARS:
        raise ToolError(f"{place}: {path[:80]!r} is not a path inside the repository")
    return "/".join(parts)


def _check_graph(tasks: Sequence[PlannedTask], existing: Sequence[str]) -> None:
    counts = Counter(task.key for task in tasks)
    known = counts.keys() | set(existing)
    if twice := sorted(key for key, count in counts.items() if count > 1 or key in existing):
        raise ToolError(f"these keys are used twice: {', '.join(twice)}", hint="give each task a key of its own")
    for task in tasks:
        if unknown := [name for name in task.dependencies if name not in known]:
            raise ToolError(
                f"task {task.key} depends on {', '.join(unknown)}, which the plan does not have",
                hint=f"the plan's keys are: {', '.join(counts)}",
            )
    try:
        TopologicalSorter({task.key: task.dependencies for task in tasks}).prepare()
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise ToolError(f"these tasks wait for each other: {circle}", hint="remove one dependency") from None


def only(data: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    if unknown := sorted(str(key) for key in data if key not in known):
        raise ToolError(f"{place}: unknown field {', '.join(unknown)}", hint=f"the fields are: {', '.join(known)}")


def text_of(data: Mapping[str, Any], key: str, place: str) -> str:
    value = data.get(key, "")
    if not isinstance(value, str):
        raise ToolError(f"{place}: {key} must be a text")
    if len(value) > MAX_TEXT_CHARS:
        raise ToolError(f"{place}: {key} is longer than {MAX_TEXT_CHARS} characters")
    return value
