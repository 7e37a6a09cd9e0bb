"""Is each receipt still what was sealed? Its hash stands in the journal, and its counts are derived from it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from swarm_core.journal.check import Finding, differences
from swarm_core.journal.segments import read_all
from swarm_core.policy.receipts import receipt
from swarm_core.vocabulary.layout import RunLayout
from swarm_core.vocabulary.view import RunView

SHOWN = 5


def receipt_text(view: RunView, phase: str) -> str:
    """The bytes of a receipt as of the view's last event, as text."""
    return json.dumps(receipt(view, phase), indent=2, ensure_ascii=False) + "\n"


def check_receipts(layout: RunLayout) -> list[Finding]:
    """Hold each sealed receipt against its hash and against what the journal counts.

    A receipt is derived at each event between the end of a phase's work and its seal; the one with the sealed hash is
    the receipt that was written. Raises JournalError, IllegalTransition or OSError.
    """
    view, derived, sealed = RunView(), dict[str, dict[str, str]](), dict[str, tuple[str, str, str]]()
    for event in read_all(layout.journal):
        view.apply(event)
        if event.kind == "receipt.sealed" and event.phase:
            sha256 = str(event.data.get("sha256", ""))
            text = derived.pop(event.phase, {}).get(sha256, "")
            sealed[event.phase] = (str(event.data.get("path", "")), sha256, text)
        for phase in view.phases.values():
            if phase.status == "gating":
                text = receipt_text(view, phase.key)
                derived.setdefault(phase.key, {})[hashlib.sha256(text.encode()).hexdigest()] = text
    return [finding for phase, told in sealed.items() for finding in _compared(layout.dir, phase, *told)]


def _compared(directory: Path, phase: str, name: str, sha256: str, text: str) -> Iterator[Finding]:
    path = directory / name
    if not text:
        yield Finding(False, f"{path}: the journal does not derive the receipt of {phase} that was sealed")
    try:
        found = path.read_bytes()
    except OSError as error:
        yield Finding(False, f"{path}: the receipt of {phase} cannot be read: {error.strerror}")
        return
    if hashlib.sha256(found).hexdigest() == sha256:
        if text:
            yield Finding(True, f"{path.name} is what was sealed, and its counts derive")
        return
    yield Finding(False, f"{path}: receipt.mismatch: it was edited after it was sealed")
    try:
        body, sealed = json.loads(found), json.loads(text or "{}")
    except ValueError:
        yield Finding(False, f"{path}: it is not JSON any more")
        return
    for place in list(differences(body, sealed))[:SHOWN] if text else ():
        yield Finding(False, f"{path}: {place}")
