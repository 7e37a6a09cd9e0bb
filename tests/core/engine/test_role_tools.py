"""Every agent of a model sends the same tools and system prompt, byte for byte; closed tools refuse the call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import swarm_core.catalog
from swarm_core.agents.context import open_tools, system_prompt
from swarm_core.agents.loop import AgentLoop
from swarm_core.agents.model import ModelRequest
from swarm_core.agents.model_facts import listed_facts
from swarm_core.agents.replanning import request_tasks_tool
from swarm_core.agents.request_body import request_body
from swarm_core.definitions import load
from swarm_core.engine.commit_tool import COMMIT
from swarm_core.engine.role_tools import equip, feature_of
from swarm_core.tools.base import Tool, ToolResult
from swarm_core.tools.scope import Scope
from swarm_core.tools.toolbox import Toolbox
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.entities import PLANNING_TASK, Task

SPEC = load(Path(swarm_core.catalog.__file__).with_name("multi-agent.yaml"))
PLAN = Task(PLANNING_TASK, "Plan", kind="plan", assigned_to="architect")
MEND = Task("task_009", "Mend", kind="plan", about="task_001", assigned_to="architect")
KNOWN = [PLAN, Task("task_001", "Broken", status="failed", assigned_to="backend")]
CASES = [(PLAN, "architect"), (MEND, "architect")]
CASES += [(Task("task_002", f"For {key}", assigned_to=key), key) for key in SPEC.workers]


async def commit(arguments: Mapping[str, Any]) -> ToolResult:
    return ToolResult("Committed")


async def request(reason: str) -> str:
    return "noted"


def equipped(place: Path, task: Task, service: str) -> tuple[Toolbox, Any]:
    scratch = place / "scratch" / service
    scratch.mkdir(parents=True, exist_ok=True)
    scope = Scope(place / service, SPEC.services[service], scratch)
    own = [Tool(COMMIT, commit), request_tasks_tool(request)]
    return equip(scope, scratch, SystemClock(), own, task, tasks=KNOWN, workers=SPEC.workers)


def test_tools_and_system_prompt_are_the_same_bytes_for_all_services(tmp_path: Path) -> None:
    prefixes = {}
    for task, service in CASES:
        toolbox, ending = equipped(tmp_path, task, service)
        tools = AgentLoop.tools_of(toolbox, ending)
        model = SPEC.services[service].model
        body = request_body(ModelRequest(model, system_prompt(), [], tools), listed_facts(model))
        text = body["system"][0]["text"]
        prefixes[task.id, service] = json.dumps([body["tools"], text], ensure_ascii=False).encode()
    assert len(CASES) == len(prefixes) >= 6
    assert len(set(prefixes.values())) == 1
    assert str(tmp_path).encode() not in next(iter(prefixes.values()))


@pytest.mark.parametrize(("task", "service"), CASES)
async def test_what_is_told_as_open_is_open_and_all_else_is_denied(tmp_path: Path, task: Task, service: str) -> None:
    toolbox, ending = equipped(tmp_path, task, service)
    own = ending.definition.name
    sentence = open_tools(toolbox.offered, own)
    names = [tool.name for tool in AgentLoop.tools_of(toolbox, ending)]
    for name in names:
        is_open = name in toolbox.offered or name == own
        assert is_open == (f" {name}," in sentence or f" {name}." in sentence)
        if not is_open:
            result = await toolbox.call(name, {})
            assert result.denied is not None, name
    assert {"commit", "request_tasks"} <= set(names)
    assert ("commit" in toolbox.offered) == (service != "architect")


def test_calls_are_counted_by_what_they_are_for() -> None:
    again = Task("task_003", "Again", iteration=2)
    assert [feature_of(task) for task in (PLAN, MEND, KNOWN[1], again)] == ["plan", "mend", "work", "rework"]
