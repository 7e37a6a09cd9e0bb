"""What an agent is told of a judged artifact, and what cannot be judged at all."""

from __future__ import annotations

from swarm_core.artifacts.fault import errors
from swarm_core.artifacts.validate import Judgement, refused, too_large
from swarm_core.vocabulary.artifacts import ArtifactType
from swarm_core.workspace.blobs import Entry


def complaints(judgement: Judgement) -> list[str]:
    """What an agent has to correct, each with its place and the next step."""
    if judgement.is_valid:
        return []
    found = errors(judgement.faults)
    lines = [f"{fault}{f' -> {fault.hint}' if fault.hint else ''}" for fault in found]
    return lines or [f"{judgement.path}: {judgement.reason}"]


def unreadable(kind: ArtifactType, entry: Entry | None) -> Judgement | None:
    """The judgement of what need not or cannot be read; None if it must be."""
    if entry is None:
        return refused(kind, "missing", "is not there", f"write it, or take {kind.key} out of the registry")
    if entry.kind != "file":
        return refused(kind, "no_file", f"is a {entry.kind}, not a file", "write the file itself")
    return too_large(kind, entry.size_bytes)
