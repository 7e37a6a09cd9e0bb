"""Takes secrets out of what a model said and what tools told it, before either is kept, shown or sent on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from swarm_core.tools.base import ToolResult
from swarm_core.vocabulary.errors import PermissionDenied
from swarm_core.vocabulary.secrets import Secrets

from .model import Turn

_SIGNED = frozenset({"thinking", "redacted_thinking"})


def without_secrets(turn: Turn, secrets: Secrets) -> Turn:
    """The turn with known secrets blotted out; the same turn if there are none.

    What a tool is given keeps texts that only look like secrets: a test may need one. Thinking is signed and cannot be
    changed: a block that holds a known secret is left out whole.
    """
    content = [found for block in turn.content if (found := _block(block, secrets)) is not None]
    return turn if content == list(turn.content) else replace(turn, content=content)


def _block(block: Mapping[str, Any], secrets: Secrets) -> Mapping[str, Any] | None:
    blotted: Mapping[str, Any] = secrets.redact_data(block, known_only=block.get("type") != "text")
    if blotted is block or blotted == block:
        return block
    return None if block.get("type") in _SIGNED else blotted


def told(result: ToolResult, secrets: Secrets) -> ToolResult:
    """A tool's result without secrets."""
    denied = result.denied
    if denied is not None:
        denied = PermissionDenied(
            secrets.redact(denied.message),
            rule=denied.rule,
            target=secrets.redact(denied.target),
            hint=secrets.redact(denied.hint),
        )
    return replace(result, text=secrets.redact(result.text), target=secrets.redact(result.target), denied=denied)
