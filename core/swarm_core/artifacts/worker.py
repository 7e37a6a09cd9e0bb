"""Judges artifacts in a process of its own: what an agent wrote may not hold up, fill or kill the engine.

``python -P -m swarm_core.artifacts.worker`` reads one line of JSON that says what follows, then the files' bytes; it
writes one line a file as soon as it is judged, and one with the contradictions. It ends itself: by processor time, by
memory, and by the clock.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, BinaryIO

from swarm_core.vocabulary.artifacts import ArtifactType, Registry

MAX_MEMORY_BYTES = 1 << 30
TUPLES = ("consumers", "required_fields", "required_tables", "required_sections", "depends_on")


def kind_of(data: Mapping[str, Any]) -> ArtifactType:
    """A type that went through JSON."""
    values: dict[str, Any] = {key: tuple(value) if key in TUPLES else value for key, value in data.items()}
    return ArtifactType(**values)


def registry_of(data: Mapping[str, Any]) -> Registry:
    types = {key: kind_of(value) for key, value in data["types"].items()}
    return Registry(types, dict(data["aliases"]), bool(data["is_shipped"]))


def registry_data(registry: Registry) -> dict[str, Any]:
    """A registry as plain JSON; ``registry_of`` reads it."""
    types = {key: asdict(kind) for key, kind in registry.types.items()}
    return {"types": types, "aliases": dict(registry.aliases), "is_shipped": registry.is_shipped}


def main() -> int:
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # a library that prints does not speak for this program
    request = json.loads(source.readline())
    _limit(float(request["limit_s"]))
    _work(request, source, answers)
    return 0


def _work(request: Mapping[str, Any], source: BinaryIO, answers: Any) -> None:
    from .consistency import contradictions
    from .library import Library, Measured
    from .validate import examine

    registry = registry_of(request["registry"])
    documents = {}
    for item in request["files"]:
        content = source.read(int(item["size"]))
        answers.write(json.dumps({"begins": item["key"]}) + "\n")
        judgement, document = examine(registry.types[item["key"]], content)
        if document is not None:
            documents[item["key"]] = document
        faults = [fault.data() for fault in judgement.faults]
        answer = {"key": item["key"], "sha256": judgement.sha256, "faults": faults, "missing": judgement.missing}
        answers.write(json.dumps(answer) + "\n")
    if request["compares"]:
        answers.write(json.dumps({"begins": "consistency"}) + "\n")
        measured = {name: Measured(*fact) for name, fact in request["measured"].items()}
        found = contradictions(Library(registry, documents, measured))
        answers.write(json.dumps({"contradictions": [fault.data() for fault in found]}) + "\n")


def _limit(seconds: float) -> None:
    """Processor time, memory and wall time; whoever asked may be gone."""
    signal.setitimer(signal.ITIMER_REAL, seconds + 1)  # the default of SIGALRM ends the process
    for name, limit in (
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(name)[1]
        resource.setrlimit(name, (limit if hard < 0 else min(limit, hard), hard))


if __name__ == "__main__":
    sys.exit(main())
