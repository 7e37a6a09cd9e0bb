"""Whether a foreign agent may use one of its tools, judged by the rules of its service.

The judgement is an answer in words, given before anything happened. What it does not see meets the confinement of the
agent's process, and the sweep of its tree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from swarm_core.tools.scope import Scope
from swarm_core.tools.shell import check_command, restricted_commands
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import PermissionDenied, ToolError
from swarm_core.vocabulary.spec import ALL_TOOLS

from .base import AskPermission

READS = frozenset({"Read", "Glob", "Grep", "LS"})
WRITES = frozenset({"Write", "Edit", "MultiEdit", "NotebookEdit", "Delete", "Move"})
HARMLESS = frozenset({"TodoWrite", "Think"})
_AS = {"LS": "Glob", "MultiEdit": "Edit", "NotebookEdit": "Edit", "Delete": "Write", "Move": "Write"}
_PATHS = ("file_path", "notebook_path", "path", "paths")
MAX_PATHS = 100


def judge_by_rules(scope: Scope) -> AskPermission:
    """Leave by the service's directories, tools and restricted commands; a tool nobody knows is refused."""

    async def ask(tool: str, arguments: Mapping[str, Any]) -> PermissionDenied | None:
        try:
            await asyncio.to_thread(_judge, scope, tool, arguments)
        except PermissionDenied as denial:
            return denial
        except ToolError as error:  # a path that is none
            return PermissionDenied(error.message, rule="unreadable", target=clean_line(tool, 64), hint=error.hint)
        return None

    return ask


def _judge(scope: Scope, tool: str, arguments: Mapping[str, Any]) -> None:
    service, name = scope.service, _AS.get(tool, tool)
    shown = clean_line(tool, 64) or "a tool without a name"
    if name in service.tools_restricted or tool in service.tools_restricted:
        raise _denied(shown, f"{shown} is restricted for service {service.key}", "tools_restricted")
    is_listed = bool({name, tool} & {*service.tools_allowed})
    if tool in HARMLESS:
        return
    if not is_listed and ALL_TOOLS not in service.tools_allowed:
        raise _denied(shown, f"{shown} is not open to service {service.key}", "tools_allowed")
    if tool == "Bash":
        _judge_command(scope, arguments.get("command"))
    elif tool in READS | WRITES:
        _judge_paths(scope, tool, shown, _paths(arguments))
    elif not is_listed and tool != "WebFetch":
        raise _denied(shown, f"{shown} is not a tool this service is known to need", "unknown_tool")


def _judge_command(scope: Scope, command: Any) -> None:
    if not isinstance(command, str) or not command.strip():
        raise _denied("Bash", "it does not say which command", "unreadable")
    scratch = str(scope.scratch)
    check_command(
        command,
        scope=scope,
        restricted=restricted_commands(scope.service.tools_restricted),
        variables={"HOME": scratch, "TMPDIR": f"{scratch}/tmp"},
    )


def _judge_paths(scope: Scope, tool: str, shown: str, paths: Sequence[str]) -> None:
    if len(paths) > MAX_PATHS:
        raise _denied(shown, f"{shown} of {len(paths)} files at once", "unreadable")
    if tool in WRITES and not paths:
        raise _denied(shown, f"{shown} does not say which file", "unreadable")
    for path in paths:
        if tool in WRITES:
            scope.check_write(path, follow=tool not in ("Delete", "Move"))
        else:
            scope.check_read(path)


def _paths(arguments: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for key in _PATHS:
        value = arguments.get(key)
        found += [value] if isinstance(value, str) else []
        found += [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    return list(dict.fromkeys(found))


def _denied(target: str, message: str, rule: str) -> PermissionDenied:
    return PermissionDenied(message, rule=rule, target=target, hint="do without it, and say so at the end")
