"""What ``multi-agent.yaml`` says, as plain data (read by ``definitions``, used by everything above)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .entities import ARCHITECT
from .gating import GatingSpec

DEFAULT_MODEL = "claude-sonnet-5-5"
ADAPTERS = ("anthropic", "scripted", "external", "acp", "headless", "human")
PROFILES = ("claude", "codex")
ACCESS_LEVELS = ("scoped", "global_read", "none")
ALL_TOOLS = "all"
CHECK_PLACES = ("merge", "landing", "phase")
CONFINEMENTS = ("auto", "bubblewrap", "landlock", "none")
EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class RuleText:
    """A permission rule as somebody wrote it. ``effect`` is deny, ask or allow.

    ``origin`` says who wrote it: ``config`` (multi-agent.yaml), ``user``, ``grant`` (given at a gate), or the
    repository: ``project``, ``local``. ``path`` and ``line`` say where.
    """

    effect: str
    text: str
    origin: str = "config"
    path: str = ""
    line: int = 0

    @property
    def is_own(self) -> bool:
        """Whether it stands in the operator's configuration of the swarm."""
        return self.origin == "config"

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path or self.origin


@dataclass(frozen=True, slots=True)
class PermissionSpec:
    """What ``permissions`` of ``multi-agent.yaml`` says, for all services.

    ``default`` is for calls that no rule is about (allow, ask or deny). ``repository`` is what a repository's own
    ``.claude/settings*.json`` may do: ``narrow`` (its deny and ask rules count, its allow rules open nothing), ``full``
    or ``ignore``. ``user``: whether the rules of ``~/.claude/settings.json`` count.
    """

    rules: tuple[RuleText, ...] = ()
    default: str = "allow"
    repository: str = "narrow"
    user: bool = False


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A role. ``directories`` are repository-relative, ``/`` being the whole repository.

    ``timeout_s`` limits one attempt at one task, ``heartbeat_s`` how long an agent may show no sign of life,
    ``lease_s`` the same for a worker outside the engine, ``retries`` the attempts after transient failures.
    ``fallback_models`` are asked, in their order, while ``model`` cannot be.

    ``access_level``: ``scoped`` reads everything and writes its directories; ``global_read`` reads everything and
    writes nothing; ``none`` reads and writes its directories only.

    ``network`` are the hosts it may reach: ``example.org``, ``*.example.org``, ``example.org:8443``; none by default.
    ``max_replicas`` is how far a rule of the decision matrix may raise ``replicas``.
    ``command`` starts an agent of another make (``profile``: which dialect it speaks), ``env`` names the variables of
    the engine's environment that it is given.
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
    fallback_models: tuple[str, ...] = ()
    adapter: str = "anthropic"
    command: tuple[str, ...] = ()
    profile: str = ""
    env: tuple[str, ...] = ()
    replicas: int = 1
    timeout_s: float = 3600.0
    heartbeat_s: float = 900.0
    lease_s: float = 60.0
    retries: int = 3
    max_turns: int = 100
    network: tuple[str, ...] = ()
    permissions: tuple[RuleText, ...] = ()
    max_replicas: int = 4

    @property
    def is_architect(self) -> bool:
        return self.key == ARCHITECT

    @property
    def is_external(self) -> bool:
        """Whether workers outside the engine claim its tasks."""
        return self.adapter == "external"

    @property
    def is_human(self) -> bool:
        """Whether the operator works on its tasks."""
        return self.adapter == "human"

    @property
    def is_foreign(self) -> bool:
        """Whether an agent of another make, a process of its own, works on its tasks."""
        return self.adapter in ("acp", "headless")

    @property
    def writes(self) -> bool:
        return self.access_level != "global_read" and not self.is_architect


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A fact the engine measures in a tree: ``kind`` says how, ``command`` by its exit status, 0 passes.

    ``required``: at a gate, only a pass lets an approval through. ``at`` are the places it is measured at,
    ``threshold`` what the value has to be, ``options`` the kind's own, ``place`` the file and line it is from.
    """

    name: str
    command: str = ""
    timeout_s: float = 600.0
    kind: str = "command"
    options: Mapping[str, Any] = field(default_factory=dict)
    required: bool = False
    at: tuple[str, ...] = CHECK_PLACES[:2]
    threshold: str = ""
    place: str = ""

    @property
    def shown(self) -> str:
        """What is measured, in one line: the command, else the kind."""
        return self.command or str(self.options.get("start", "")) or self.kind


@dataclass(frozen=True, slots=True)
class McpServerSpec:
    """A server of tools: a ``command`` that speaks over stdio, or a ``url`` (streamable HTTP).

    ``timeout_s`` limits one call.
    """

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """A limit in the dimension's unit. ``scope`` is one of ``budgets``, or ``task``: each task has one of its own."""

    scope: str
    dimension: str
    limit: float


@dataclass(frozen=True, slots=True)
class CriticSpec:
    """Who reviews a service's commits before their gates, and how often the work may come back because of it."""

    service: str
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class SwarmSpec:
    """A whole configuration. ``script`` names the built-in or repository-relative scripts of ``ScriptedModel``.

    ``effort`` is how hard every agent thinks, empty for each model's own; it is one for all, because agents of a model
    with different efforts share no cache. ``confinement`` is what their commands have to be confined by. ``artifacts``
    is what happens to a file in ``artifacts/`` that nobody registered: ``flag`` (it is told), ``strict`` (it is taken
    out), or ``off`` (no artifact is looked at).
    """

    services: Mapping[str, ServiceSpec]
    checks: tuple[CheckSpec, ...] = ()
    max_parallel: int = 4
    script: str = "rehearsal"
    effort: str = ""
    confinement: str = "auto"
    artifacts: str = "flag"
    sha256: str = ""
    warnings: tuple[str, ...] = field(default=())
    budgets: tuple[BudgetSpec, ...] = ()
    permissions: PermissionSpec = PermissionSpec()
    mcp_servers: Mapping[str, McpServerSpec] = field(default_factory=dict)
    gates: GatingSpec = field(default_factory=GatingSpec)
    critics: Mapping[str, CriticSpec] = field(default_factory=dict)

    @property
    def workers(self) -> tuple[str, ...]:
        """The services that take tasks of a plan, in the order of the file."""
        return tuple(key for key, service in self.services.items() if not service.is_architect)
