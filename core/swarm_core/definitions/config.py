"""``multi-agent.yaml``: the format of seed 001 as it stands, and what this engine adds to it.

Seed 001 has ``services`` with persona, access_level, directories, tools_allowed, tools_restricted,
programming_languages, frameworks and mcp_servers. What is added to it stands in the two tables below and is explained,
key by key, in ``catalog/multi-agent.yaml``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from swarm_core.vocabulary.artifacts import MODES as ARTIFACT_MODES
from swarm_core.vocabulary.entities import ARCHITECT
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.ids import SLUG
from swarm_core.vocabulary.spec import (
    ACCESS_LEVELS,
    ADAPTERS,
    ALL_TOOLS,
    CONFINEMENTS,
    DEFAULT_MODEL,
    EFFORTS,
    PROFILES,
    ServiceSpec,
    SwarmSpec,
)

from .budgets import read_budgets
from .checks import read_checks
from .critics import critics
from .gates import read_gates, unmeasured
from .marked import Marked, compose, contents, decoded
from .mcp_servers import servers
from .settings import service_permissions, top_permissions

KNOWN_TOOLS = frozenset(
    {ALL_TOOLS, "Read", "Write", "Edit", "Bash", "BashOutput", "TaskStop", "Glob", "Grep", "WebFetch", "Skill"}
    | {"commit", "handoff", "plan_tasks", "request_tasks", "artifact_write", "update_status", "finding", "question"}
    | {"ask_architect", "checkpoint"}
)
DEFAULT_ARCHITECT = ServiceSpec(
    key=ARCHITECT,
    persona="Lead architect focused on system design and coordination",
    access_level="global_read",
    directories=("/",),
)

_HOST = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?")
PLANNERS = ("anthropic", "scripted")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

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
    "fallback_models": ("fallback_models", Marked.texts),
    "adapter": ("adapter", lambda m: m.choice(ADAPTERS)),
    "command": ("command", Marked.texts),
    "profile": ("profile", lambda m: m.choice(PROFILES)),
    "env": ("env", lambda m: tuple(_variable(item) for item in m.sequence())),
    "replicas": ("replicas", lambda m: m.whole(1, 64)),
    "max_replicas": ("max_replicas", lambda m: m.whole(1, 64)),
    "timeout": ("timeout_s", Marked.seconds),
    "heartbeat": ("heartbeat_s", Marked.seconds),
    "lease": ("lease_s", Marked.seconds),
    "retries": ("retries", lambda m: m.whole(0, 20)),
    "max_turns": ("max_turns", lambda m: m.whole(1, 10_000)),
    "network": ("network", lambda m: _network(m)),
    "permissions": ("permissions", service_permissions),
}
_TOP = (
    "version",
    "services",
    "model",
    "fallback_models",
    "adapter",
    "script",
    "max_parallel",
    "effort",
    "checks",
    "artifacts",
    "permissions",
    "mcp_servers",
    "budgets",
    "gates",
    "critics",
    "confinement",
)


def load(path: Path) -> SwarmSpec:
    """Read a configuration. Raises ConfigurationError with ``file:line`` and the next step."""
    if not path.exists():
        raise ConfigurationError("there is no such file", path=path, hint="swarm-tui init writes one")
    raw = contents(path)
    return parse(compose(decoded(raw, path), path), hashlib.sha256(raw).hexdigest())


def parse(root: Marked, sha256: str = "") -> SwarmSpec:
    """Turn a parsed document into a SwarmSpec; an architect is added where none is configured."""
    top = root.fields(_TOP)
    if "version" in top:
        top["version"].choice(("1",))
    if "services" not in top:
        raise root.wrong("services are missing", "add a 'services:' mapping, see swarm-tui init")
    model = top["model"].text() if "model" in top else DEFAULT_MODEL
    adapter = top["adapter"].choice(ADAPTERS) if "adapter" in top else "anthropic"
    fallbacks = tuple(top["fallback_models"].texts()) if "fallback_models" in top else ()
    services = {key: _service(key, marked, model, fallbacks, adapter) for key, marked in top["services"].items()}
    if not any(not service.is_architect for service in services.values()):
        raise top["services"].wrong("no service can take a task", "add one besides the architect")
    if ARCHITECT not in services:
        architect = ServiceSpec(
            key=ARCHITECT,
            persona=DEFAULT_ARCHITECT.persona,
            access_level="global_read",
            directories=("/",),
            model=model,
            fallback_models=fallbacks,
            adapter=adapter if adapter in PLANNERS else "anthropic",
        )
        services = {ARCHITECT: architect, **services}
    extras: dict[str, Any] = {}
    if "script" in top:
        extras["script"] = top["script"].text()
    if "max_parallel" in top:
        extras["max_parallel"] = top["max_parallel"].whole(1, 1000)
    if "confinement" in top:
        extras["confinement"] = top["confinement"].choice(CONFINEMENTS)
    if "budgets" in top:
        extras["budgets"] = read_budgets(top["budgets"], services)
    if "effort" in top:
        extras["effort"] = top["effort"].choice(EFFORTS)
    if "artifacts" in top:
        extras["artifacts"] = top["artifacts"].choice(ARTIFACT_MODES)
    if "permissions" in top:
        extras["permissions"] = top_permissions(top["permissions"])
    if "gates" in top:
        extras["gates"] = read_gates(top["gates"])
    if "mcp_servers" in top:
        extras["mcp_servers"] = servers(top["mcp_servers"])
    if "critics" in top:
        extras["critics"] = critics(top["critics"], services)
    checks = read_checks(top["checks"]) if "checks" in top else ()
    warnings = [*_unconfined(extras), *_warnings(services)]
    if "gates" in extras:
        warnings += unmeasured(extras["gates"], [check.name for check in checks])
    return SwarmSpec(services, checks, sha256=sha256, warnings=tuple(warnings), **extras)


def _service(key: str, marked: Marked, model: str, fallbacks: tuple[str, ...], adapter: str) -> ServiceSpec:
    if SLUG.fullmatch(key) is None:
        raise marked.wrong("a service's name is lower-case letters, digits and dashes")
    values: dict[str, Any] = {"model": model, "fallback_models": fallbacks, "adapter": adapter}
    for name, value in marked.fields(_SERVICE).items():
        field, reader = _SERVICE[name]
        values[field] = reader(value)
    service = ServiceSpec(key=key, **values)
    if service.writes and not service.directories:
        raise marked.wrong("directories are missing", "list the directories the service may write")
    _check_adapter(service, marked)
    return service


def _check_adapter(service: ServiceSpec, marked: Marked) -> None:
    """An agent of another make is started as somebody says, and plans nothing: the plan is a tool of ours."""
    if service.is_architect and (service.is_foreign or service.is_human):
        raise marked.wrong(f"the adapter {service.adapter} cannot plan", f"use one of {', '.join(PLANNERS)}")
    if service.adapter == "acp" and not service.command:
        raise marked.wrong("command is missing", "say how the agent is started, such as command: [claude-agent-acp]")
    if service.adapter == "headless" and not service.profile:
        raise marked.wrong("profile is missing", f"say which dialect the program speaks: {', '.join(PROFILES)}")
    if service.command and not service.command[0].strip():
        raise marked.wrong("command is empty", "name a program, absolute or on the PATH of the engine")


def _variable(marked: Marked) -> str:
    """The name of an environment variable; a value has no place in a file that is committed."""
    name = marked.text()
    if _VARIABLE.fullmatch(name) is None:
        raise marked.wrong("is not the name of a variable", "list names only; the engine's environment has the values")
    return name


def _directory(marked: Marked) -> str:
    """A repository-relative directory in normal form; ``/`` is the whole repository."""
    parts = [part for part in marked.text().strip().split("/") if part not in ("", ".")]
    if ".." in parts or any(part.lower() == ".git" for part in parts):
        raise marked.wrong(f"{marked.text()!r} leaves the repository or enters .git")
    return "/".join(parts) or "/"


def _network(marked: Marked) -> tuple[str, ...]:
    """``off``, or the hosts that may be reached."""
    if isinstance(marked.node, yaml.ScalarNode):
        marked.choice(("off",))
        return ()
    return tuple(_host(item) for item in marked.sequence())


def _host(marked: Marked) -> str:
    """A host that may be reached: a name, ``*.`` and a name, or either with a port."""
    text = marked.text().strip().lower()
    if _HOST.fullmatch(text) is None:
        raise marked.wrong(f"{text!r} is not a host", "write example.org, *.example.org or example.org:8443")
    return text


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
    out += [f"shared directory {path}: {', '.join(keys)}" for path, keys in owners.items() if len(keys) > 1]
    return out
