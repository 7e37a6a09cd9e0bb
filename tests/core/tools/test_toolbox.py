"""The toolbox offers what a service may use and turns every failure into a result."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.tools import Bench, bench

from swarm_core.tools.base import Tool, ToolDefinition, ToolResult
from swarm_core.tools.toolbox import Toolbox
from swarm_core.vocabulary.errors import PermissionDenied, ToolError
from swarm_core.vocabulary.spec import ServiceSpec

STANDARD = ["Read", "Write", "Edit", "Glob", "Grep", "Bash", "BashOutput", "TaskStop", "Skill", "WebFetch"]


@pytest.fixture
def room(tmp_path: Path) -> Bench:
    return bench(tmp_path)


def tool(name: str, outcome: ToolResult | BaseException) -> Tool:
    async def run(arguments: Mapping[str, Any]) -> ToolResult:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    schema = {"type": "object", "properties": {"message": {"type": "string"}}}
    return Tool(ToolDefinition(name, f"{name}.", schema), run)


def box(room: Bench, *tools: Tool, **service: Any) -> Toolbox:
    return Toolbox(room.scope, tools, ServiceSpec("backend", directories=("backend",), **service))


@pytest.mark.parametrize(
    ("service", "offered"),
    [
        ({}, [*STANDARD, "commit", "handoff", "plan_tasks", "Extra"]),
        ({"tools_allowed": ("Grep", "Read")}, ["Read", "Grep", "Skill", "commit", "handoff", "plan_tasks"]),
        ({"tools_allowed": ("read", "BASH")}, ["commit", "handoff", "plan_tasks"]),
        ({"tools_allowed": ()}, ["commit", "handoff", "plan_tasks"]),
        (
            {"tools_restricted": ("Bash", "WebFetch", "git commit", "plan_tasks")},
            ["Read", "Write", "Edit", "Glob", "Grep", "Skill", "commit", "handoff", "Extra"],
        ),
        (
            {"tools_allowed": ("Read", "all"), "tools_restricted": ("Read",)},
            [*STANDARD[1:-2], "WebFetch", "commit", "handoff", "plan_tasks", "Extra"],
        ),
    ],
)
def test_a_service_is_offered_what_it_may_use_in_a_stable_order(
    room: Bench, service: dict[str, Any], offered: list[str]
) -> None:
    tools = [tool(name, ToolResult("")) for name in [*STANDARD, "commit", "handoff", "plan_tasks", "Extra"]]
    made = box(room, *tools, **service)
    assert made.offered == offered
    assert [definition.name for definition in made.definitions] == sorted(tool.definition.name for tool in tools)


def test_definitions_are_the_same_for_every_worktree(tmp_path: Path) -> None:
    one, two = bench(tmp_path / "one"), bench(tmp_path / "two", directories=("frontend",))
    assert one.toolbox.definitions == two.toolbox.definitions
    assert [definition.name for definition in one.toolbox.definitions] == sorted(STANDARD)
    assert str(tmp_path) not in repr(one.toolbox.definitions)


async def test_a_withheld_tool_is_a_denial_and_an_unknown_one_a_mistake(room: Bench) -> None:
    tools = (tool("Read", ToolResult("read")), tool("Bash", ToolResult("ran")), tool("WebFetch", ToolResult("got")))
    made = box(room, *tools, tools_allowed=("Read", "WebFetch"), tools_restricted=("WebFetch",))
    for name, rule in (("WebFetch", "tools_restricted"), ("Bash", "tools_allowed")):
        result = await made.call(name, {})
        assert result.is_error
        assert result.denied is not None
        assert (result.denied.rule, result.denied.target) == (rule, name)
        assert "use one of Read" in result.text
    unknown = await made.call("read", {})
    assert unknown.denied is None
    assert unknown.text == "there is no tool read\n  next: use one of Read"


async def test_tools_of_other_roles_are_told_and_refused(room: Bench) -> None:
    plan = ToolDefinition("plan_tasks", "Plan.", {"type": "object"})
    worker = Toolbox(room.scope, [tool("commit", ToolResult("ok"))], ServiceSpec("backend"), closed=[plan])
    architect = Toolbox(room.scope, [tool("commit", ToolResult("ok"))], ServiceSpec("architect"), closed=[plan])
    assert worker.definitions == architect.definitions
    assert (worker.offered, architect.offered) == (["commit"], [])
    for made, name in ((worker, "plan_tasks"), (architect, "commit")):
        denied = (await made.call(name, {})).denied
        assert denied is not None
        assert denied.rule == "role"


async def test_a_wrong_input_is_explained_and_the_tool_does_not_run(room: Bench) -> None:
    made = box(room, tool("Extra", AssertionError("it ran")))
    result = await made.call("Extra", {"message": 3})
    assert result.is_error
    assert result.text == "Extra was not called: message must be string, not 3"
    assert (await made.call("Extra", "text")).is_error  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (ToolError("no such file", hint="look again"), "no such file\n  next: look again"),
        (PermissionDenied("not yours", rule="directories", hint="stay"), "not yours\n  next: stay"),
        (
            ZeroDivisionError("of nothing"),
            "Extra failed inside (ZeroDivisionError: of nothing)\n  next: try another way",
        ),
        (TimeoutError(), "Extra failed inside (TimeoutError: )\n  next: try another way"),
    ],
)
async def test_whatever_a_tool_raises_becomes_a_result(
    room: Bench, raised: Exception, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        result = await box(room, tool("Extra", raised)).call("Extra", {"message": "a\nb"})
    assert (result.text, result.is_error) == (text, True)
    assert result.denied is (raised if isinstance(raised, PermissionDenied) else None)
    assert result.target == "a\u240ab"
    assert bool(caplog.records) == text.startswith("Extra failed")


async def test_a_cancellation_is_not_swallowed(room: Bench) -> None:
    with pytest.raises(asyncio.CancelledError):
        await box(room, tool("Extra", asyncio.CancelledError())).call("Extra", {})


async def test_results_are_text_that_any_encoder_takes(room: Bench) -> None:
    (room.tree / "backend" / "caf\udce9.py").touch()
    result = await room.call("Glob", pattern="*.py")
    assert "caf?.py" in result.text
    painted = await box(room, tool("Extra", ToolResult("ok", target="\x1b]0;x\x07"))).call("Extra", {})
    assert "\x1b" not in painted.target


async def test_a_long_result_of_any_tool_is_kept_in_a_file_and_shown_in_part(room: Bench) -> None:
    whole = "".join(f"{n:09}\n" for n in range(5_000))
    scope = replace(room.scope, scratch=room.scratch)
    for outcome, is_cut in (
        (ToolResult(whole[:30_000]), False),
        (ToolResult(whole[:30_001]), True),
        (ToolResult(whole[:10_000], is_error=True), False),
        (ToolResult(whole[:10_001], is_error=True), True),
    ):
        made = Toolbox(scope, [tool("Extra", outcome)], ServiceSpec("backend"))
        result = await made.call("Extra", {})
        assert result.is_error == outcome.is_error
        assert (result.text != outcome.text) == is_cut
        if is_cut:
            assert len(result.text) < 10_000
            path = re.search(r"all of it is in (\S+)", result.text)
            assert path is not None
            assert Path(path[1]).read_text() == outcome.text
            assert result.text.startswith(whole[:4_000])
            assert result.text.endswith(outcome.text[-4_000:])


async def test_work_flows_through_the_standard_tools(room: Bench) -> None:
    await room.call("Write", file_path="backend/calc.py", content="def add(a, b):\n    return a - b\n")
    await room.call(
        "Write", file_path="backend/test_calc.py", content="from backend.calc import add\n\nassert add(1, 2) == 3\n"
    )
    failed = await room.bash("python3 backend/test_calc.py")
    assert failed.is_error
    assert "AssertionError" in failed.text
    found = await room.call("Grep", pattern="a - b", output_mode="content")
    assert found.text == "backend/calc.py:2:    return a - b"
    await room.call("Edit", file_path="backend/calc.py", old_string="a - b", new_string="a + b")
    assert (await room.bash("python3 backend/test_calc.py")).text == "(no output)"
