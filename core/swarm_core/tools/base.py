"""What a tool is: a name and parameters a model was trained on, and one coroutine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from swarm_core.vocabulary.errors import PermissionDenied


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """What the model is told. ``input_schema`` is JSON Schema."""

    name: str
    description: str
    input_schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What goes back to the model. ``target`` is the short form for logs: a path, a command, a pattern.

    ``denied`` is set when the permission check refused the call; ``touched`` are the tree-relative paths that were
    written.
    """

    text: str
    is_error: bool = False
    target: str = ""
    denied: PermissionDenied | None = None
    touched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """A definition and what runs. ``run`` raises ToolError or PermissionDenied; both become error results.

    ``close`` ends what the tool left running; ``is_read_only``: calls change nothing and may run side by side.
    """

    definition: ToolDefinition
    run: Callable[[Mapping[str, Any]], Awaitable[ToolResult]]
    close: Callable[[], Awaitable[None]] | None = field(default=None, kw_only=True)
    is_read_only: bool = field(default=False, kw_only=True)
