"""Artifacts for tests: the samples of seed 000 with their own registry, and types made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from swarm_core.artifacts.fault import Fault
from swarm_core.artifacts.library import Library, Measured
from swarm_core.artifacts.validate import Document, Judgement, examine, validate
from swarm_core.definitions.artifacts import load_registry
from swarm_core.vocabulary.artifacts import ArtifactType, Registry

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
PLATFORM = CORPUS / "platform"
SUFFIXES = {"yaml": "yml", "json": "json", "sql": "sql", "openapi": "yml", "markdown": "md", "html": "html"}


def needs_validators() -> None:
    """Skip a test where the extra is not installed."""
    for module in ("jsonschema", "sqlglot", "openapi_spec_validator"):
        pytest.importorskip(module)


def kind(format: str = "yaml", **more: Any) -> ArtifactType:
    return ArtifactType("x", f"artifacts/x.{SUFFIXES[format]}", format, "writer", **more)


def judged(content: str | bytes, format: str = "yaml", **more: Any) -> Judgement:
    return validate(kind(format, **more), content.encode() if isinstance(content, str) else content)


def told(faults: tuple[Fault, ...] | list[Fault]) -> list[str]:
    return [str(fault) for fault in faults]


def shipped() -> Registry:
    return load_registry(PLATFORM / "artifacts")  # a directory without a registry of its own


def samples(**changed: str) -> dict[str, str]:
    """The seed's samples by key, some of them with another text."""
    registry = shipped()
    found = {key: PLATFORM / one.path for key, one in registry.types.items()}
    texts = {key: path.read_text() for key, path in found.items() if path.exists()}
    return {**texts, **changed}


def library(texts: Mapping[str, str], measured: Mapping[str, Measured] | None = None) -> Library:
    registry = shipped()
    documents: dict[str, Document] = {}
    for key, text in texts.items():
        _, document = examine(registry.types[key], text.encode())
        assert document is not None
        documents[key] = document
    return Library(registry, documents, measured or {})
