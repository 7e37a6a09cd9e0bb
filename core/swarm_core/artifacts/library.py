"""What there is to compare: artifacts that were read, and what the engine measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from swarm_core.vocabulary.artifacts import Registry

from .fault import Place
from .parsed import Path
from .validate import Document


@dataclass(frozen=True, slots=True)
class Measured:
    """A fact that the engine measured: its value, and the file that proves it."""

    value: Any
    evidence: str


@dataclass(frozen=True, slots=True)
class Library:
    """What there is to compare: documents by the key of their type, and measured facts by name.

    Facts: ``tests_passed`` (a boolean), ``coverage`` (percent), ``security_scan`` (passed or failed),
    ``no_critical_errors`` (a boolean).
    """

    registry: Registry
    documents: Mapping[str, Document]
    measured: Mapping[str, Measured] = field(default_factory=dict)

    def tree(self, key: str) -> Document | None:
        """A document that has values; None if it is not there or could not be read."""
        found = self.documents.get(key)
        return found if found is not None and found.parsed is not None else None


def place_of(document: Document, path: Path) -> Place:
    assert document.parsed is not None
    return Place(document.kind.path, *document.parsed.position(path))


def value_of(document: Document) -> Any:
    return document.parsed.value if document.parsed is not None else None


def mapping_in(value: Any, *steps: str) -> dict[str, Any]:
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
