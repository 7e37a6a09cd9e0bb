"""Does everything that was derived from a journal say what its fold from the first event says?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.errors import IllegalTransition, JournalError
from swarm_core.vocabulary.freeze import freeze
from swarm_core.vocabulary.view import RunView

from . import snapshot
from .disk import Disk, RealDisk, read_file
from .lines import Place
from .segments import closed, read_all

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    is_good: bool
    text: str


def check_journal(path: Path, disk: Disk | None = None) -> tuple[RunView | None, list[Finding]]:
    """Verify the chain of all segments, fold from the first event on, and hold the snapshot against that.

    The fold is None where the journal is not whole. Raises OSError.
    """
    disk = disk or RealDisk()
    document = read_file(disk, path.with_name(snapshot.SNAPSHOT))
    believed, about = _decoded(path, document)
    view, then = RunView(), None
    try:
        for event in read_all(path, disk):
            view.apply(event)
            if believed is not None and event.seq == believed[0].seq:
                then = freeze(view)
    except IllegalTransition as error:
        return None, [Finding(False, f"{path}: event {view.last_seq + 1} does not fit the state: {error}"), *about]
    except JournalError as error:
        return None, [Finding(False, str(error)), *about]
    segments = len(closed(path, disk)) + 1
    counted = f"{view.last_seq} events in {segments} segment{'s' if segments > 1 else ''}"
    findings = [Finding(True, f"{counted}, chain intact"), *about]
    if believed is not None:
        findings += _held_against(path, disk, believed, then, view.last_seq)
    return view, findings


def check_document(path: Path, document: Mapping[str, Any]) -> list[Finding]:
    """Hold a projection's file against what it should be. A file that is not there says nothing wrong."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return [Finding(True, f"{path.name} is not there; the next engine writes it")]
    except (OSError, ValueError) as error:
        return [Finding(False, f"{path}: cannot be read: {error}")]
    return _compared(path, found, json.loads(json.dumps(document)))


def differences(found: Any, expected: Any, place: str = "") -> Iterator[str]:
    """The places at which two JSON documents differ, with both values."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(found.keys() | expected.keys()):
            inner = f"{place}.{key}" if place else key
            if key not in found:
                yield f"{inner} is missing"
            elif key not in expected:
                yield f"{inner} should not be there"
            else:
                yield from differences(found[key], expected[key], inner)
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif found != expected:
        yield f"{place or 'the document'} is {_short(found)}, the fold says {_short(expected)}"


def _decoded(path: Path, document: bytes | None) -> tuple[tuple[Place, RunView] | None, list[Finding]]:
    file = path.with_name(snapshot.SNAPSHOT)
    if document is None:
        return None, [Finding(True, f"no {file.name}: opening folds from the first event on")]
    try:
        return snapshot.decode(document), []
    except snapshot.OtherProgram as error:
        return None, [Finding(True, f"{file.name}: {error}; it is not used")]
    except (ValueError, KeyError, TypeError) as error:
        return None, [Finding(False, f"{file}: {error}; it is not used, and may be deleted")]


def _held_against(
    path: Path, disk: Disk, believed: tuple[Place, RunView], then: dict[str, Any] | None, last: int
) -> list[Finding]:
    file, (place, view) = path.with_name(snapshot.SNAPSHOT), believed
    if then is None:
        text = f"{file}: it is of event {place.seq}, the journal ends at {last}; it is not used"
        return [Finding(False, text)]
    if not snapshot.belongs(place, path, disk):
        return [Finding(False, f"{file}: event {place.seq} is another one in the journal; it is not used")]
    return _compared(file, freeze(view), then, f" as of event {place.seq}")


def _compared(file: Path, found: Any, expected: Any, when: str = "") -> list[Finding]:
    places = list(differences(found, expected))
    if not places:
        return [Finding(True, f"{file.name} equals the fold{when}")]
    findings = [Finding(False, f"{file}: {place}") for place in places[:SHOWN]]
    if len(places) > SHOWN:
        findings.append(Finding(False, f"{file}: and {len(places) - SHOWN} more places"))
    return findings


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
