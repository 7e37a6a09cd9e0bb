"""``multi-agent.yaml``: the format of seed 001 as it stands, and what this engine adds to it.

Seed 001 has ``services`` with persona, access_level, directories, tools_allowed, tools_restricted,
programming_languages, frameworks and mcp_servers. Added: per service ``model``, ``adapter``, ``replicas``, ``timeout``,
``heartbeat``, ``lease``, ``retries``, ``max_turns`` and ``network``; at the top ``version``, ``model``, ``adapter``,
``script``, ``max_parallel``, ``checks`` and ``confinement``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from swarm_core.vocabulary.entities import ARCHITECT
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.ids import SLUG
from swarm_core.vocabulary.network import Rule
from swarm_core.vocabulary.spec import (
    ACCESS_LEVELS,
    ADAPTERS,
    ALL_TOOLS,
    CONFINEMENTS,
    DEFAULT_MODEL,
    CheckSpec,
    ServiceSpec,
    SwarmSpec,
)

from .marked import Marked, read

KNOWN_TOOLS = frozenset(
    {ALL_TOOLS, "Read", "Write", "Edit", "Bash", "Glob", "Grep", "WebFetch", "commit", "handoff", "plan_tasks"}
)
DEFAULT_ARCHITECT = ServiceSpec(
    key=ARCHITECT,
    persona="Lead architect focused on system design and coordination",
    access_level="global_read",
    directories=("/",),
)

_Reader = Callable[[Marked], Any]
_SERVICE: dict[str, tuple[str, _Reader]] = {
    "persona": ("persona", Marked.text),
    "access_level": ("access_level", lambda m: m.choice(ACCESS_LEVELS)),
    "directories": ("directories", lambda m: tuple(_directory(item) for item in m.sequence())),
    "tools_allowed": ("tools_allowed", Marked.texts),
    "tools_restricted": ("tools_restricted", Marked.texts),
    "programming_languages": ("programming_languages", Marked.texts),
    "frameworks": ("frameworks", Marked.texts),
    "mcp_servers": ("mcp_servers", Marked.texts),
    "model": ("model", Marked.text),
    "adapter": ("adapter", lambda m: m.choice(ADAPTERS)),
    "replicas": ("replicas", lambda m: m.whole(1, 64)),
    "timeout": ("timeout_s", Marked.seconds),
    "heartbeat": ("heartbeat_s", Marked.seconds),
    "lease": ("lease_s", Marked.seconds),
    "retries": ("retries", lambda m: m.whole(0, 20)),
    "max_turns": ("max_turns", lambda m: m.whole(1, 10_000)),
    "network": ("network", lambda m: _network(m)),
}
_TOP = ("version", "services", "model", "adapter", "script", "max_parallel", "checks", "confinement")


def load(path: Path) -> SwarmSpec:
    """Read a configuration. Raises ConfigurationError with ``file:line`` and the next step."""
    if not path.exists():
        raise ConfigurationError("there is no such file", path=path, hint="swarm-tui init writes one")
    return parse(read(path), hashlib.sha256(path.read_bytes()).hexdigest())


def parse(root: Marked, sha256: str = "") -> SwarmSpec:
    """Turn a parsed document into a SwarmSpec; an architect is added where none is configured."""
    top = root.fields(_TOP)
    if "version" in top:
        top["version"].choice(("1",))
    if "services" not in top:
        raise root.wrong("services are missing", "add a 'services:' mapping, see swarm-tui init")
    model = top["model"].text() if "model" in top else DEFAULT_MODEL
    adapter = top["adapter"].choice(ADAPTERS) if "adapter" in top else "anthropic"
    services = {key: _service(key, marked, model, adapter) for key, marked in top["services"].items()}
    if not any(not service.is_architect for service in services.values()):
        raise top["services"].wrong("no service can take a task", "add one besides the architect")
    if ARCHITECT not in services:
        architect = ServiceSpec(
            key=ARCHITECT,
            persona=DEFAULT_ARCHITECT.persona,
            access_level="global_read",
            directories=("/",),
            model=model,
            adapter=adapter,
        )
        services = {ARCHITECT: architect, **services}
    extras: dict[str, Any] = {}
    if "script" in top:
        extras["script"] = top["script"].text()
    if "max_parallel" in top:
        extras["max_parallel"] = top["max_parallel"].whole(1, 1000)
    if "confinement" in top:
        extras["confinement"] = top["confinement"].choice(CONFINEMENTS)
    checks = tuple(_check(item) for item in top["checks"].sequence()) if "checks" in top else ()
    return SwarmSpec(services, checks, sha256=sha256, warnings=(*_unconfined(extras), *_warnings(services)), **extras)


def _service(key: str, marked: Marked, model: str, adapter: str) -> ServiceSpec:
    if SLUG.fullmatch(key) is None:
        raise marked.wrong("a service's name is lower-case letters, digits and dashes")
    values: dict[str, Any] = {"model": model, "adapter": adapter}
    for name, value in marked.fields(_SERVICE).items():
        field, reader = _SERVICE[name]
        values[field] = reader(value)
    service = ServiceSpec(key=key, **values)
    if service.writes and not service.directories:
        raise marked.wrong("directories are missing", "list the directories the service may write")
    return service


def _directory(marked: Marked) -> str:
    """A repository-relative directory in normal form; ``/`` is the whole repository."""
    parts = [part for part in marked.text().strip().split("/") if part not in ("", ".")]
    if ".." in parts or any(part.lower() == ".git" for part in parts):
        raise marked.wrong(f"{marked.text()!r} leaves the repository or enters .git")
    return "/".join(parts) or "/"


def _network(marked: Marked) -> tuple[str, ...]:
    """``off``, or the hosts that commands may reach."""
    if isinstance(marked.node, yaml.ScalarNode):
        marked.choice(("off",))
        return ()
    for item in marked.sequence():
        try:
            Rule.read(item.text())
        except ValueError as error:
            raise item.wrong(str(error)) from None
    return marked.texts()


def _check(marked: Marked) -> CheckSpec:
    fields = marked.fields(("name", "command", "timeout"))
    if missing := sorted({"name", "command"} - fields.keys()):
        raise marked.wrong(f"{' and '.join(missing)} missing")
    check = CheckSpec(fields["name"].text(), fields["command"].text())
    if "timeout" in fields:
        check = CheckSpec(check.name, check.command, fields["timeout"].seconds())
    if SLUG.fullmatch(check.name) is None:
        raise fields["name"].wrong("a check's name is lower-case letters, digits and dashes")
    return check


def _unconfined(extras: Mapping[str, Any]) -> Iterator[str]:
    if extras.get("confinement") == "none":
        yield "confinement: none - agents' commands run with all your rights, on all your files, with your network"


def _warnings(services: dict[str, ServiceSpec]) -> list[str]:
    """What is allowed but probably not meant."""
    out: list[str] = []
    owners: dict[str, list[str]] = {}
    for service in services.values():
        for directory in service.directories if service.writes else ():
            owners.setdefault(directory, []).append(service.key)
        for tool in service.tools_allowed:
            if tool not in KNOWN_TOOLS:
                out.append(f"{service.key}: tool {tool!r} is not known and will not be offered")
        if service.mcp_servers:
            names = ", ".join(service.mcp_servers)
            out.append(f"{service.key}: MCP servers are not started by this version ({names})")
    out += [f"shared directory {path}: {', '.join(keys)}" for path, keys in owners.items() if len(keys) > 1]
    return out
