"""An agent writes an artifact with ``artifact_write``: judged at once, so that it can correct itself at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swarm_core.tools.base import ToolResult
from swarm_core.tools.beneath import replace_file
from swarm_core.tools.scope import Scope
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import PermissionDenied, ToolError
from swarm_core.workspace.hub import Hub

from .artifact_evidence import complaints

if TYPE_CHECKING:
    from .agent_act import AgentAct


async def propose(act: AgentAct, hub: Hub, name: str, content: str) -> ToolResult:
    """Write an artifact of type ``name`` into the agent's tree and say what is wrong with it.

    Raises ToolError if there is no such type, PermissionDenied if somebody else produces it.
    """
    registrar, service = act.hands.artifacts, act.service.key
    kind = registrar.registry.types.get(name)
    if kind is None:
        known = ", ".join(sorted(registrar.registry.types)) or "none"
        raise ToolError(f"there is no artifact type {clean_line(name, 60)!r}", hint=f"the types are: {known}")
    if registrar.refusal(service, kind.path):
        hint = f"read it at {kind.path}; record what is wrong with it with finding"
        message = f"{name} is written by {kind.producer}, not by {service}"
        raise PermissionDenied(message, rule="producer", target=kind.path, hint=hint)
    data = content.encode("utf-8", "replace")
    await asyncio.to_thread(_write, act.scope, kind.path, data)
    tip = await hub.tip(act.instance.id)
    judgement = await registrar.proposed(hub, tip, kind, data)
    await registrar.record(act, hub, tip, kind, judgement)
    if not judgement.is_valid:
        wrong = "\n".join(complaints(judgement))
        said = f"{kind.path} is written and not accepted:\n{wrong}\n  next: correct it and write it again"
        return ToolResult(said, is_error=True, target=kind.path, touched=(kind.path,))
    version = act.runner.view.artifacts[kind.path].version
    said = f"{kind.path} is written and valid (version {version}). Commit it with your work."
    return ToolResult(said, target=kind.path, touched=(kind.path,))


def _write(scope: Scope, path: str, data: bytes) -> None:
    base, parts = scope.place(scope.check_write(path))
    try:
        replace_file(base, parts, data)
    except OSError as error:
        hint = "say in your handoff that it is in the way"
        raise ToolError(f"{path}: {error.strerror or error}", hint=hint) from error
