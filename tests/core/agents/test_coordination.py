"""handoff and plan_tasks: what ends an agent's work is complete, or the model hears why not."""

from __future__ import annotations

from typing import Any

import pytest

from swarm_core.agents.coordination import Handoff, Plan, handoff_tool, plan_tool
from swarm_core.vocabulary.errors import ToolError

WORKERS = ("backend", "frontend")


def planned(key: str, *dependencies: str, **fields: Any) -> dict[str, Any]:
    task = {"key": key, "title": f"Build {key}", "description": "…", "assigned_to": "backend"}
    return {**task, "dependencies": list(dependencies), **fields}


async def test_a_plan_keeps_order_dependencies_and_priority() -> None:
    tool = plan_tool(WORKERS)
    arguments = {"tasks": [planned("ui", "api", "api", assigned_to="frontend", priority="high"), planned("api")]}
    result = await tool.run(arguments)
    plan = tool.read(arguments)

    assert not result.is_error
    assert isinstance(plan, Plan)
    assert [(task.key, task.dependencies, task.priority) for task in plan.tasks] == [
        ("ui", ("api",), "high"),
        ("api", (), "medium"),
    ]


@pytest.mark.parametrize(
    ("tasks", "complaint"),
    [
        ([], "at least one"),
        ("all of them", "a list"),
        (["api"], r"tasks\[0\] must be an object"),
        ([planned("a", assigned_to="devops")], "no service 'devops'(.|\n)*backend, frontend"),
        ([planned("a"), planned("a")], "used twice: a"),
        ([planned("a", "z")], "depends on z(.|\n)*keys are: a"),
        ([planned("a", "b"), planned("b", "c"), planned("c", "a")], "wait for each other: (a → b → c → a|b|c)"),
        ([planned("a", "a")], "wait for each other: a → a"),
        ([planned("a", priority="urgent")], "'urgent' is not one of critical"),
        ([planned("a", title=" ")], "needs a key and a title"),
        ([planned("a", title="x" * 200)], "longer than"),
        ([planned("a", title=7)], "title must be a text"),
        ([planned("a", dependencies="b")], "dependencies must be a list"),
        ([planned("a", deps=[])], "unknown field deps"),
        ([planned(str(number)) for number in range(10_001)], "10001 tasks are too many; the limit is 10000"),
        ([planned("a", writes=["../up"])], "not a path inside the repository"),
        ([planned("a", writes="src")], "writes must be a list"),
        ([planned("a", estimate_minutes=-1)], "estimate_minutes must be a number"),
        ([planned("a", estimate_minutes=True)], "estimate_minutes must be a number"),
    ],
)
async def test_what_is_wrong_with_a_plan_is_named(tasks: Any, complaint: str) -> None:
    with pytest.raises(ToolError, match=complaint):
        await plan_tool(WORKERS).run({"tasks": tasks})


@pytest.mark.parametrize("arguments", [{}, {"what_i_did": "  "}, {"what_i_did": 3}, {"what_i_did": "x", "tests": "ok"}])
async def test_a_handoff_says_what_was_done(arguments: dict[str, Any]) -> None:
    with pytest.raises(ToolError):
        await handoff_tool().run(arguments)


def test_a_handoff_may_have_nothing_left() -> None:
    assert handoff_tool().read({"what_i_did": "all"}) == Handoff("all", "", "")


def test_a_task_names_a_phase_of_the_run_or_none() -> None:
    tool = plan_tool(WORKERS, ["one", "two"])
    found = tool.read({"tasks": [planned("a", phase="two"), planned("b")]})
    assert isinstance(found, Plan)
    assert [task.phase for task in found.tasks] == ["two", ""]
    schema = tool.definition.input_schema["properties"]["tasks"]["items"]["properties"]
    assert schema["phase"]["enum"] == ["one", "two"]
    with pytest.raises(ToolError, match=r"no phase 'three'(.|\n)*one, two"):
        tool.read({"tasks": [planned("a", phase="three")]})
    with pytest.raises(ToolError, match="no phases to choose"):
        plan_tool(WORKERS).read({"tasks": [planned("a", phase="one")]})
    assert "phase" not in plan_tool(WORKERS).definition.input_schema["properties"]["tasks"]["items"]["properties"]
