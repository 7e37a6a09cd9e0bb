"""The one door to every tool: what is offered, whether a call is allowed, and errors as results.

A call passes three checks: the service may use the tool, the input fits its schema, and the tool asks the scope right
where it opens or runs something, so that what was judged is what is touched.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import PermissionDenied, SwarmError
from swarm_core.vocabulary.spec import ALL_TOOLS, ServiceSpec

from .base import Tool, ToolDefinition, ToolResult
from .bash import bash_tool
from .files import file_tools
from .jail.confines import Confines
from .schema import violations
from .scope import Scope
from .search import search_tools

COORDINATION = frozenset({"commit", "handoff", "plan_tasks"})
READ_ONLY = frozenset({"Read", "Glob", "Grep"})
_TARGETS = ("file_path", "command", "pattern", "path", "url", "message", "title")
_log = logging.getLogger(__name__)


def standard_tools(scope: Scope, scratch: Path, clock: Clock, confines: Confines | None = None) -> list[Tool]:
    """Read, Write, Edit, Glob, Grep and Bash, in this order. ``scratch`` becomes HOME and holds long outputs."""
    scope = replace(scope, scratch=scratch)
    return [*file_tools(scope), *search_tools(scope, clock), bash_tool(scope, scratch, clock, confines)]


class Toolbox:
    """The tools of one instance. ``call`` never raises anything but cancellation."""

    def __init__(self, scope: Scope, tools: Sequence[Tool], service: ServiceSpec) -> None:
        self._scope, self._service = scope, service
        self._tools = {tool.definition.name: tool for tool in tools}
        self._offered = {name: tool for name, tool in self._tools.items() if self._withheld(name) is None}

    @property
    def definitions(self) -> list[ToolDefinition]:
        """What the model is told, in the order the tools were given."""
        return [tool.definition for tool in self._offered.values()]

    def is_read_only(self, name: str) -> bool:
        """Whether calls of this tool change nothing and may run side by side."""
        return name in READ_ONLY and name in self._offered

    async def close(self) -> None:
        """End what the tools keep running between calls."""
        for tool in self._tools.values():
            if tool.close is not None:
                await tool.close()

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Check and run one call. Refusals and failures come back as error results with what to do next."""
        target = _target(arguments)
        try:
            tool = self._offered.get(name)
            if tool is None:
                return self._unavailable(name, target)
            if wrong := violations(tool.definition.input_schema, arguments):
                return ToolResult(f"{name} was not called: {'; '.join(wrong[:5])}", is_error=True, target=target)
            result = await tool.run(arguments)
        except PermissionDenied as denial:
            result = ToolResult(str(denial), is_error=True, target=target, denied=denial)
        except SwarmError as error:
            result = ToolResult(str(error), is_error=True, target=target)
        except Exception as error:  # noqa: BLE001 - a tool's bug is the model's to work around
            _log.exception("tool %s failed", name)
            text = f"{name} failed inside ({type(error).__name__}: {error})\n  next: try another way"
            result = ToolResult(text, is_error=True, target=target)
        return _presentable(result, target)

    def _withheld(self, name: str) -> str | None:
        """The rule that keeps a tool from this service."""
        if name in self._service.tools_restricted:
            return "tools_restricted"
        allowed = self._service.tools_allowed
        return None if name in COORDINATION or ALL_TOOLS in allowed or name in allowed else "tools_allowed"

    def _unavailable(self, name: str, target: str) -> ToolResult:
        names = ", ".join(self._offered) or "none"
        rule = self._withheld(name)
        if rule is None or (rule == "tools_allowed" and name not in self._tools):
            text = f"there is no tool {clean_line(name, 60)}\n  next: use one of {names}"
            return ToolResult(text, is_error=True, target=target)
        denial = PermissionDenied(
            f"{name} is not open to service {self._service.key}", rule=rule, target=name, hint=f"use one of {names}"
        )
        return ToolResult(str(denial), is_error=True, target=target, denied=denial)


def _target(arguments: Any) -> str:
    if not isinstance(arguments, Mapping):
        return ""
    return clean_line(next((value for key in _TARGETS if isinstance(value := arguments.get(key), str)), ""), 200)


def _presentable(result: ToolResult, target: str) -> ToolResult:
    """The result as text that any encoder takes: file names and outputs may hold bytes that are no characters."""
    text = result.text.encode("utf-8", "replace").decode("utf-8")
    return replace(result, text=text, target=clean_line(result.target or target, 200))
