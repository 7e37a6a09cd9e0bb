"""What ``multi-agent.yaml`` says, as plain data (read by ``definitions``, used by everything above)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .entities import ARCHITECT

DEFAULT_MODEL = "claude-sonnet-5-5"
ADAPTERS = ("anthropic", "scripted", "external")
ACCESS_LEVELS = ("scoped", "global_read", "none")
ALL_TOOLS = "all"
CONFINEMENTS = ("auto", "bubblewrap", "landlock", "none")


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A role. ``directories`` are repository-relative, ``/`` being the whole repository.

    ``timeout_s`` limits one attempt at one task, ``heartbeat_s`` how long an agent may show no sign of life,
    ``lease_s`` the same for a worker outside the engine, ``retries`` the attempts after transient failures.

    ``access_level``: ``scoped`` reads everything and writes its directories; ``global_read`` reads everything and
    writes nothing; ``none`` reads and writes its directories only. ``network`` are the hosts its commands may reach
    (see ``network.Rule``), none by default.
    """

    key: str
    persona: str = ""
    access_level: str = "scoped"
    directories: tuple[str, ...] = ()
    tools_allowed: tuple[str, ...] = ("all",)
    tools_restricted: tuple[str, ...] = ()
    programming_languages: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    mcp_servers: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    adapter: str = "anthropic"
    replicas: int = 1
    timeout_s: float = 3600.0
    heartbeat_s: float = 900.0
    lease_s: float = 60.0
    retries: int = 3
    max_turns: int = 100
    network: tuple[str, ...] = ()

    @property
    def is_architect(self) -> bool:
        return self.key == ARCHITECT

    @property
    def is_external(self) -> bool:
        """Whether workers outside the engine claim its tasks."""
        return self.adapter == "external"

    @property
    def writes(self) -> bool:
        return self.access_level != "global_read" and not self.is_architect


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A command the engine runs in a tree to measure a fact; exit status 0 passes."""

    name: str
    command: str
    timeout_s: float = 600.0


@dataclass(frozen=True, slots=True)
class SwarmSpec:
    """A whole configuration.

    ``script`` names the built-in or repository-relative scripts of ``ScriptedModel``, ``confinement`` what agents'
    commands have to be confined by.
    """

    services: Mapping[str, ServiceSpec]
    checks: tuple[CheckSpec, ...] = ()
    max_parallel: int = 4
    script: str = "rehearsal"
    confinement: str = "auto"
    sha256: str = ""
    warnings: tuple[str, ...] = field(default=())

    @property
    def workers(self) -> tuple[str, ...]:
        """The services that take tasks of a plan, in the order of the file."""
        return tuple(key for key, service in self.services.items() if not service.is_architect)
