"""MCP servers as ``multi-agent.yaml`` and a repository's ``.mcp.json`` describe them.

``${NAME}`` and ``${NAME:-default}`` in a value stand for variables of the engine's environment; they are filled in
when a server is started, so that what is shown and hashed before is what stands in the file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.spec import McpServerSpec

from .marked import MAX_FILE_BYTES, Marked, compose

MCP_FILE = ".mcp.json"
KINDS = ("stdio", "http", "streamable-http")
_FIELDS = ("type", "command", "args", "env", "url", "headers", "timeout")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,39}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}")


def servers(marked: Marked) -> Mapping[str, McpServerSpec]:
    """The entries of ``mcp_servers``. Raises ConfigurationError with file and line."""
    return {name: _server(name, entry) for name, entry in marked.items()}


def repository_servers(tree: Path) -> Mapping[str, tuple[McpServerSpec, str]]:
    """What a repository's ``.mcp.json`` brings, each with the text it is described by, which is what is trusted.

    None where there is no such file. Raises ConfigurationError.
    """
    path = tree / MCP_FILE
    if not path.is_file() or path.is_symlink():
        return {}
    raw = path.read_bytes()[: MAX_FILE_BYTES + 1]
    try:
        if len(raw) > MAX_FILE_BYTES:
            raise ValueError("it is too large")
        entries = json.loads(raw)["mcpServers"]
        texts = {str(name): json.dumps(entry, indent=2, ensure_ascii=False) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigurationError(f"cannot be read: {error}", path=path, hint="it needs a key mcpServers") from None
    return {name: (_described(name, text, path), text) for name, text in texts.items()}


def _described(name: str, text: str, path: Path) -> McpServerSpec:
    data = json.loads(text)
    if isinstance(data, dict) and isinstance(data.get("timeout"), int | float):
        data["timeout"] = f"{max(1, int(data['timeout']))}ms"
    return _server(name, compose(json.dumps(data), path))


def _server(name: str, entry: Marked) -> McpServerSpec:
    if _NAME.fullmatch(name) is None:
        raise entry.wrong("a server's name is letters, digits, dashes and underscores")
    fields = entry.fields(_FIELDS)
    kind = fields["type"].choice(KINDS) if "type" in fields else "http" if "url" in fields else "stdio"
    wanted, other = ("command", "url") if kind == "stdio" else ("url", "command")
    if wanted not in fields or other in fields:
        raise entry.wrong(f"a server of type {kind} has {wanted} and no {other}")
    if wanted == "url" and not fields["url"].text().startswith(("http://", "https://", "${")):
        raise fields["url"].wrong("is not an address", "write it as https://host/mcp")
    spec = McpServerSpec(
        name,
        command=fields["command"].text() if "command" in fields else "",
        args=fields["args"].texts() if "args" in fields else (),
        env=_texts(fields.get("env")),
        url=fields["url"].text() if "url" in fields else "",
        headers=_texts(fields.get("headers")),
    )
    return replace(spec, timeout_s=fields["timeout"].seconds()) if "timeout" in fields else spec


def _texts(marked: Marked | None) -> Mapping[str, str]:
    return {key: value.text() for key, value in marked.items()} if marked is not None else {}


def filled(spec: McpServerSpec, environment: Mapping[str, str] | None = None) -> McpServerSpec:
    """The server with its variables filled in. Raises ConfigurationError for one that has no value."""
    known = os.environ if environment is None else environment

    def fill(text: str) -> str:
        return _VARIABLE.sub(value, text)

    def value(match: re.Match[str]) -> str:
        found = known.get(match[1], match[2])
        if found is None:
            raise ConfigurationError(f"the variable {match[1]} that the MCP server {spec.name} needs is not set")
        return found

    return replace(
        spec,
        command=fill(spec.command),
        args=tuple(map(fill, spec.args)),
        env={key: fill(text) for key, text in spec.env.items()},
        url=fill(spec.url),
        headers={key: fill(text) for key, text in spec.headers.items()},
    )
