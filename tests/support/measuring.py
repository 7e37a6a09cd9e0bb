"""Trees to measure, and measuring them with the product's own way in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swarm_core.checks.run import CheckRun, run_check
from swarm_core.checks.site import Around
from swarm_core.definitions.checks import read_checks
from swarm_core.definitions.marked import compose
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.spec import CheckSpec


def spec(text: str) -> CheckSpec:
    """One check as it is written in multi-agent.yaml, in braces: ``kind: compile, paths: [src]``."""
    return read_checks(compose(f"[{{name: one, {text}}}]", "multi-agent.yaml"))[0]


def fill(place: Path, files: Mapping[str, str | bytes]) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    for path, data in files.items():
        file = place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
    return place


async def measure(place: Path, text: str, **around: Any) -> CheckRun:
    """Measure the tree at ``place``; scratch lies beside it."""
    scratch = place.parent / f"{place.name}-scratch"
    return await run_check(spec(text), place, scratch, SystemClock(), Around(**around))
