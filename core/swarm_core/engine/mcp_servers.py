"""Which MCP servers an agent has: those its service names, configured by the operator or brought by the repository.

A repository's own server runs only with the operator's leave for exactly what its ``.mcp.json`` says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from swarm_core.definitions.mcp_servers import filled, repository_servers
from swarm_core.tools.permissions.trust import Trust
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.spec import McpServerSpec, ServiceSpec


async def servers_for(
    service: ServiceSpec,
    configured: Mapping[str, McpServerSpec],
    tree: Path,
    trust: Trust,
    *,
    say: Callable[[str], None],
) -> list[McpServerSpec]:
    """The servers a service names, ready to be started; ``say`` is told which ones are left out, and why."""
    found: list[McpServerSpec] = []
    brought: Mapping[str, tuple[McpServerSpec, str]] = {}
    if any(name not in configured for name in service.mcp_servers):
        try:
            brought = await asyncio.to_thread(repository_servers, tree)
        except (ConfigurationError, OSError) as error:
            say(f"the repository's MCP servers: {error}")
    for name in dict.fromkeys(service.mcp_servers):
        spec = configured.get(name)
        if spec is None and name in brought:
            spec, text = brought[name]
            if not await trust.allowed("mcp_server", name, text):
                say(f"the MCP server {name} of the repository is not started: the operator gave no leave")
                continue
        if spec is None:
            say(f"there is no MCP server {name}; configure it below mcp_servers")
            continue
        try:
            found.append(filled(spec))
        except ConfigurationError as error:
            say(str(error))
    return found
