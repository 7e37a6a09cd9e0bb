"""The ``gates:`` of ``multi-agent.yaml``: who decides where, and the phases with their gates.

A set of gate definitions (``set: platform``) is a file of ``catalog/gates/``; what the configuration says itself goes
before what the set says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.entities import ARCHITECT
from swarm_core.vocabulary.gating import (
    ALWAYS_HUMAN,
    MODES,
    OPERATOR_REVIEWER,
    PLACES,
    PROFILES,
    SYNONYM_PLACES,
    GatingSpec,
    PhaseSpec,
)
from swarm_core.vocabulary.ids import SLUG

from .marked import Marked, read

REVIEWERS = (ARCHITECT, OPERATOR_REVIEWER)
RESERVED_PHASES = ("plan", "build", "land")
MAX_PATTERN_CHARS = 400
_SHARED = ("phases", "migrations", "architecture", "places", "reviewers", "strict")


def read_gates(root: Marked) -> GatingSpec:
    """What the configuration says about gates. Raises ConfigurationError with ``file:line``."""
    fields = root.fields(("profile", "set", *_SHARED))
    values: dict[str, Any] = {}
    if "set" in fields:
        values |= _shared(_set(fields["set"]).fields(_SHARED))
    if "profile" in fields:
        values["profile"] = fields["profile"].choice(PROFILES)
    return GatingSpec(**(values | _shared(fields)))


def sets() -> list[str]:
    """The names of the sets that are shipped."""
    return sorted(path.stem for path in _home().glob("*.yaml"))


def unmeasured(gates: GatingSpec, checks: Collection[str]) -> list[str]:
    """What a configuration probably does not mean: rules that have nothing to decide by."""
    out = []
    if gates.mode("merge") != "human" and not checks:
        out.append("gates: merge is decided by checks, but none are configured: every merge will wait for you")
    return out


def _home() -> Path:
    return Path(str(files("swarm_core"))) / "catalog" / "gates"


def _set(marked: Marked) -> Marked:
    return read(_home() / f"{marked.choice(sets())}.yaml")


def _shared(fields: Mapping[str, Marked]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if "places" in fields:
        out["places"] = _places(fields["places"])
    if "reviewers" in fields:
        known = (*PLACES, *SYNONYM_PLACES)
        out["reviewers"] = {
            SYNONYM_PLACES.get(place, place): _reviewers(value)
            for place, value in fields["reviewers"].fields(known).items()
        }
    if "phases" in fields:
        out["phases"] = _phases(fields["phases"])
    for key in ("migrations", "architecture"):
        if key in fields:
            out[key] = tuple(_pattern(item) for item in fields[key].sequence())
    if "strict" in fields:
        out["strict"] = fields["strict"].choice(("true", "false")) == "true"
    return out


def _places(marked: Marked) -> dict[str, str]:
    out: dict[str, str] = {}
    for place, value in marked.fields((*PLACES, *ALWAYS_HUMAN, *SYNONYM_PLACES)).items():
        mode = value.choice(MODES)
        if place in ALWAYS_HUMAN and mode != "human":
            raise value.wrong("is the operator's in every profile", "leave it out, or write human")
        out[SYNONYM_PLACES.get(place, place)] = mode
    return out


def _reviewers(marked: Marked) -> tuple[str, ...]:
    return tuple(item.choice(REVIEWERS) for item in marked.sequence())


def _phases(marked: Marked) -> tuple[PhaseSpec, ...]:
    found: dict[str, PhaseSpec] = {}
    for item in marked.sequence():
        phase = _phase(item)
        if phase.key in found:
            raise item.wrong(f"the phase {phase.key!r} is there twice")
        found[phase.key] = phase
    return tuple(found.values())


def _phase(marked: Marked) -> PhaseSpec:
    fields = marked.fields(("key", "title", "gate", "mode", "reviewers", "checks"))
    if "key" not in fields:
        raise marked.wrong("key is missing", "give the phase a short name")
    key = fields["key"].text()
    if SLUG.fullmatch(key) is None or key in RESERVED_PHASES:
        raise fields["key"].wrong(f"{key!r} is not a name for a phase", "lower-case letters, digits and dashes")
    checks = tuple(item.text() for item in fields["checks"].sequence()) if "checks" in fields else ()
    if "checks" in fields and any(SLUG.fullmatch(name) is None for name in checks):
        raise fields["checks"].wrong("a check's name is lower-case letters, digits and dashes")
    return PhaseSpec(
        key,
        fields["title"].text() if "title" in fields else "",
        fields["gate"].text() if "gate" in fields else key,
        fields["mode"].choice(MODES) if "mode" in fields else "",
        _reviewers(fields["reviewers"]) if "reviewers" in fields else (),
        checks,
    )


def _pattern(marked: Marked) -> str:
    """A repository-relative path pattern: ``migrations/**``, ``*.sql``, ``docs/adr``."""
    text = marked.text().strip()
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or len(text) > MAX_PATTERN_CHARS:
        raise marked.wrong(f"{text[:80]!r} is not a path pattern inside the repository", "such as migrations/**")
    return "/".join(parts)
