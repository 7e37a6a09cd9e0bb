"""The one door to every tool: what is offered, whether a call is allowed, and errors as results.

A call passes four checks: the service may use the tool, the input fits its schema, the permission rules (and the
operator, where they ask) let it pass, and the tool asks the scope right where it opens or runs something, so that what
was judged is what is touched. A permission opens nothing that the scope keeps closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import PermissionDenied, SwarmError
from swarm_core.vocabulary.spec import ALL_TOOLS, ServiceSpec

from .base import Tool, ToolDefinition, ToolResult
from .bash import bash_tools
from .files import file_tools
from .fingerprint import fingerprint
from .jail.confines import Confines
from .permissions.permission import Permission
from .schema import size_chars, violations
from .scope import Scope
from .search import search_tools
from .skills import skill_tools
from .spill import bounded, fits
from .web import web_tools

OWN = frozenset({"artifact_write", "update_status", "finding", "question", "ask_architect", "checkpoint"})
COORDINATION = frozenset({"commit", "handoff", "plan_tasks", "change_plan", "request_tasks"}) | OWN
WORKERS_ONLY = frozenset({"commit", "request_tasks", "artifact_write", "ask_architect"})
READ_ONLY = frozenset({"Read", "Glob", "Grep"})
# What is recorded or written twice is there once.
REPEATABLE = OWN | {"Write", "commit", "request_tasks"}
_COMES_WITH = {"BashOutput": "Bash", "TaskStop": "Bash", "Skill": "Read"}
MAX_INPUT_CHARS = 10 * 1024 * 1024
_TARGETS = (
    *("file_path", "command", "pattern", "path", "url", "message", "title", "question", "note", "section"),
    *("type", "task_id", "skill"),
)
_log = logging.getLogger(__name__)


def standard_tools(scope: Scope, scratch: Path, clock: Clock, confines: Confines | None = None) -> list[Tool]:
    """Files, searches, commands, skills and the web, in this order. ``scratch`` becomes HOME and holds long outputs.

    ``confines`` is what the engine knows about the confinement of the commands.
    """
    scope = replace(scope, scratch=scratch)
    web = web_tools(scope.service, scratch, clock)
    return [
        *file_tools(scope),
        *search_tools(scope, clock),
        *bash_tools(scope, scratch, clock, confines),
        *skill_tools(scope),
        *web,
    ]


class Toolbox:
    """The tools of one instance. ``call`` never raises anything but cancellation.

    Every agent is told of the same tools, so that all agents of a model share one cached prompt; those that are not
    open to this one refuse the call. ``closed`` are definitions of tools that belong to other roles; ``permission`` is
    asked before each call.
    """

    def __init__(
        self,
        scope: Scope,
        tools: Sequence[Tool],
        service: ServiceSpec,
        permission: Permission | None = None,
        *,
        closed: Sequence[ToolDefinition] = (),
    ) -> None:
        self._closed = {definition.name: definition for definition in closed}
        self._scope, self._service, self._permission = scope, service, permission
        self._tools = {tool.definition.name: tool for tool in tools}
        self._offered = {name: tool for name, tool in self._tools.items() if self._withheld(name) is None}

    @property
    def definitions(self) -> list[ToolDefinition]:
        """What the model is told, in the order of the names: the same for every service."""
        known = {**self._closed, **{name: tool.definition for name, tool in self._tools.items()}}
        return [known[name] for name in sorted(known)]

    @property
    def offered(self) -> list[str]:
        """The tools that are open to this service."""
        return list(self._offered)

    def is_read_only(self, name: str) -> bool:
        """Whether calls of this tool change nothing and may run side by side."""
        tool = self._offered.get(name)
        return tool is not None and (name in READ_ONLY or tool.is_read_only)

    async def close(self) -> None:
        """End whatever the tools left running; one that fails does not keep the others from it."""
        for tool in self._tools.values():
            if tool.close is not None:
                with contextlib.suppress(Exception):
                    await tool.close()

    def is_repeatable(self, name: str) -> bool:
        """Whether a call that was begun and never finished may simply be made again."""
        return name in REPEATABLE or self.is_read_only(name)

    async def mark(self, name: str, arguments: Mapping[str, Any]) -> str:
        """The fingerprint of the file that an Edit is about to change; empty for every other call."""
        path = arguments.get("file_path")
        if name != "Edit" or not isinstance(path, str):
            return ""
        return await asyncio.to_thread(fingerprint, self._scope, path)

    async def call(
        self, name: str, arguments: Mapping[str, Any], begin: Callable[[], Awaitable[None]] | None = None
    ) -> ToolResult:
        """Check and run one call. Refusals and failures come back as error results with what to do next.

        ``begin`` is awaited when everybody has agreed and the tool is about to run; a SwarmError of it is the result.
        """
        target = _target(arguments)
        try:
            tool = self._offered.get(name)
            if tool is None:
                return self._unavailable(name, target)
            if size_chars(arguments, MAX_INPUT_CHARS) > MAX_INPUT_CHARS:
                text = f"{name} was not called: its input is larger than {MAX_INPUT_CHARS // 2**20} MiB"
                text += "\n  next: work in smaller parts, or produce large files with a command"
                return ToolResult(text, is_error=True, target=target)
            if wrong := violations(tool.definition.input_schema, arguments):
                return ToolResult(f"{name} was not called: {'; '.join(wrong[:5])}", is_error=True, target=target)
            if self._permission is not None:
                await self._permission.check(name, arguments)
            if begin is not None:
                await begin()
            result = await tool.run(arguments)
        except PermissionDenied as denial:
            result = ToolResult(str(denial), is_error=True, target=target, denied=denial)
        except SwarmError as error:
            result = ToolResult(str(error), is_error=True, target=target)
        except Exception as error:  # noqa: BLE001 - a tool's bug is the model's to work around
            _log.exception("tool %s failed", name)
            text = f"{name} failed inside ({type(error).__name__}: {error})\n  next: try another way"
            result = ToolResult(text, is_error=True, target=target)
        return await self._within_bounds(_presentable(result, target))

    async def _within_bounds(self, result: ToolResult) -> ToolResult:
        """The result, cut and kept in the scratch directory if it is too long for a history."""
        if fits(result.text, is_error=result.is_error):
            return result
        try:
            text = await asyncio.to_thread(
                bounded, result.text, is_error=result.is_error, directory=self._scope.scratch
            )
        except OSError as error:
            _log.warning("a long result could not be kept: %s", error)
            text = bounded(result.text, is_error=result.is_error, directory=None)
        return replace(result, text=text)

    def _withheld(self, name: str) -> str | None:
        """The rule that keeps a tool from this service."""
        name = _COMES_WITH.get(name, name)
        if name in self._service.tools_restricted:
            return "tools_restricted"
        if name in self._closed or (self._service.is_architect and name in WORKERS_ONLY):
            return "role"
        if name.startswith("mcp__"):  # its service names the server
            server = name.rpartition("__")[0]
            is_restricted = not {server, f"{server}__*"}.isdisjoint(self._service.tools_restricted)
            return "tools_restricted" if is_restricted else None
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
