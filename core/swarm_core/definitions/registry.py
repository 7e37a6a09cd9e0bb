"""``.agent-artifacts/registry.yml``: which artifacts there are, who writes each, and where it lies (seed 000)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .marked import Marked, read

REGISTRY_FILE = ".agent-artifacts/registry.yml"
_FORMATS = {".yml": "yaml", ".yaml": "yaml", ".json": "json", ".md": "markdown", ".sql": "sql", ".html": "html"}


@dataclass(frozen=True, slots=True)
class ArtifactType:
    """A kind of artifact. ``producer`` is empty where everybody who may write ``path`` may produce it."""

    name: str
    path: str
    format: str
    producer: str = ""

    def is_by(self, service: str) -> bool:
        """Whether the service is its producer; the seeds call the service ``backend`` also ``backend-agent``."""
        return self.producer in (service, f"{service}-agent")


def load(path: Path) -> Mapping[str, ArtifactType]:
    """The types of a registry, none if there is no such file. Raises ConfigurationError with ``file:line``."""
    if not path.is_file():
        return {}
    top = dict(read(path).items())
    if "artifact_types" not in top:
        return {}
    return {name: _type(name, entry) for name, entry in top["artifact_types"].items()}


def _type(name: str, entry: Marked) -> ArtifactType:
    fields = dict(entry.items())
    if "path" not in fields:
        raise entry.wrong("path is missing", "say where the artifact lies, such as artifacts/system-design.yml")
    parts = [part for part in fields["path"].text().split("/") if part not in ("", ".")]
    if not parts or ".." in parts or any(part.lower() == ".git" for part in parts):
        raise fields["path"].wrong("is not a file of the repository")
    written = fields["format"].text() if "format" in fields else _FORMATS.get(Path(parts[-1]).suffix, "text")
    producer = fields["producer"].text() if "producer" in fields else ""
    return ArtifactType(name, "/".join(parts), written, producer)
