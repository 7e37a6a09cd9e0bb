"""Which files agents coordinate by: who writes each, who reads it, what it must hold. Plain data.

Read from ``.agent-artifacts/`` by ``definitions.artifacts``; used by everything above.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

ALL = "ALL"
FORMATS = ("yaml", "json", "sql", "openapi", "markdown", "html")
HOME = "artifacts"
DEFAULT_MAX_BYTES = 1 << 20
MODES = ("flag", "strict", "off")
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class ArtifactType:
    """One registered file. ``depends_on`` are keys of other types, ``place`` is where it is defined (``file:line``).

    ``schema`` names a shipped JSON Schema, empty for none. ``version`` is what the document must say of itself,
    ``minimum_coverage`` a percentage, ``dialect`` the SQL it is written in (empty: whichever fits).
    """

    key: str
    path: str
    format: str
    producer: str
    consumers: tuple[str, ...] = ()
    required_fields: tuple[str, ...] = ()
    required_tables: tuple[str, ...] = ()
    required_sections: tuple[str, ...] = ()
    max_bytes: int = DEFAULT_MAX_BYTES
    version: str = ""
    minimum_coverage: float | None = None
    depends_on: tuple[str, ...] = ()
    schema: str = ""
    dialect: str = ""
    place: str = ""

    @property
    def name(self) -> str:
        """The file's name, by which the validation rules know it."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Registry:
    """All registered artifacts by key. ``aliases`` lead other names of an agent to its name in the registry.

    ``is_shipped`` says that the repository has no registry of its own: then nobody chose these producers, and an
    artifact whose producer is not in the swarm may be written by anybody.
    """

    types: Mapping[str, ArtifactType] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    is_shipped: bool = False

    @cached_property
    def _by_path(self) -> dict[str, ArtifactType]:
        return {kind.path: kind for kind in self.types.values()}

    @cached_property
    def _dependents(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for kind in self.types.values():
            for name in kind.depends_on:
                found.setdefault(name, []).append(kind.key)
        return {name: tuple(keys) for name, keys in found.items()}

    @property
    def paths(self) -> Collection[str]:
        return self._by_path.keys()

    def at(self, path: str) -> ArtifactType | None:
        """The type of the file at a repository-relative path, ``.yaml`` being as good as ``.yml``."""
        return self._by_path.get(path) or self._by_path.get(_other_spelling(path))

    def named(self, name: str) -> ArtifactType | None:
        """A type by its key (``api-contracts`` is as good as ``api_contracts``), its path or its file's name."""
        found = self.types.get(name) or self.at(name) or self.types.get(name.replace("-", "_"))
        return found or next((kind for kind in self.types.values() if name == kind.name), None)

    def dependents(self, keys: Iterable[str]) -> list[ArtifactType]:
        """Everything that depends on these types, directly or not, nearest first; the types themselves left out."""
        given, queue = set(keys), list(keys)
        found: dict[str, None] = {}
        for key in queue:
            for name in self._dependents.get(key, ()):
                if name not in found and name not in given:
                    found[name] = None
                    queue.append(name)
        return [self.types[name] for name in found]

    def is_home(self, path: str) -> bool:
        """Whether a path is where registered artifacts live, so that only they may be written there."""
        return path.startswith(f"{HOME}/")

    # -- agents

    def agent(self, name: str) -> str:
        """The registry's name for an agent: ``security_agent``, ``Security Specialist`` and ``security`` are one."""
        plain = "-".join(_WORD.findall(name.casefold()))
        return self.aliases.get(plain, plain)

    def is_agent(self, service: str, name: str) -> bool:
        """Whether a service of the swarm plays an agent of the registry."""
        return self._role(service) == self._role(name)

    def _role(self, name: str) -> str:
        return self.agent(name).removesuffix("-agent")

    @cached_property
    def _reads(self) -> dict[str, set[str]]:
        """The keys of what each role reads by name: what it consumes, and what its own artifacts depend on."""
        reads: dict[str, set[str]] = {}
        for kind in self.types.values():
            for name in kind.consumers:
                reads.setdefault(self._role(name), set()).add(kind.key)
            reads.setdefault(self._role(kind.producer), set()).update(kind.depends_on)
        return reads

    def consumes(self, service: str, kind: ArtifactType) -> bool:
        """Whether a service reads an artifact: as its consumer, or because what it writes depends on it."""
        return ALL in kind.consumers or kind.key in self._reads.get(self._role(service), ())


def _other_spelling(path: str) -> str:
    for one, other in ((".yaml", ".yml"), (".yml", ".yaml")):
        if path.endswith(one):
            return path.removesuffix(one) + other
    return path
