"""The error agent: what it notices in a run. It raises findings, looks again, and never fixes.

Each rule looks at the state, not at a memory of its own, so that a restart loses nothing; each issue has a signature,
so that it is raised once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.findings import Finding
from swarm_core.vocabulary.view import RunView

from .findings import ERROR_AGENT, MONITOR

DENIALS = 5
FAILED_ROUNDS = 3
REJECTED_WRITES = 2


@dataclass(frozen=True, slots=True)
class Trouble:
    """One issue. ``location`` is a path where there is one: then its owner is sent."""

    signature: str
    title: str
    severity: str
    location: str = ""
    issue: str = ""
    fix: str = ""
    owner: str = ""
    verification: str = ""


def noticed(view: RunView, event: Event) -> list[Draft]:
    """What an event makes the monitor say; ``view`` is the state after it."""
    drafts = [raised(trouble) for trouble in _new(view, _troubles(view, event))]
    return [*drafts, *_gone(view, event)]


def everything(view: RunView) -> list[Draft]:
    """What a monitor says that comes to a run in progress."""
    found = [*_landing(view, view.latest_gate("landing"))]
    for instance in view.instances:
        found += _denials(view, instance)
    for path in view.artifacts:
        found += _artifact(view, path)
    return [raised(trouble) for trouble in _new(view, found)]


def raised(trouble: Trouble) -> Draft:
    """The finding; its id follows from the signature, so that nothing is raised twice."""
    data = {
        "finding": f"W-M-{hashlib.sha256(trouble.signature.encode()).hexdigest()[:8]}",
        "title": trouble.title,
        "severity": trouble.severity,
        "location": trouble.location,
        "owner": trouble.owner,
        "issue": trouble.issue,
        "fix": trouble.fix,
        "verification": trouble.verification,
        "category": MONITOR,
        "signature": trouble.signature,
    }
    return Draft("finding.opened", data, actor=ERROR_AGENT)


def _troubles(view: RunView, event: Event) -> Iterator[Trouble]:
    match event.kind:
        case "gate.opened":
            gate = view.gates.get(str(event.data.get("gate", "")))
            yield from _landing(view, gate)
            yield from _repeated(view, gate)
        case "policy.denied":
            yield from _denials(view, event.agent or "")
        case "artifact.rejected":
            yield from _artifact(view, str(event.data.get("path", "")))
        case "receipt.mismatch":
            path = str(event.data.get("path", ""))
            issue = f"{path} is not what was sealed: {event.data.get('found', '')}"
            yield Trouble(f"receipt {path}", f"The receipt {path} was edited", "CRITICAL", "", issue)


def _landing(view: RunView, gate: Gate | None) -> Iterator[Trouble]:
    """A check that fails where all work is together."""
    if gate is None or gate.place != "landing":
        return
    for check in gate.checks:
        if not check.has_passed:
            title = f"{check.name} fails on the merged work"
            issue = f"{gate.id}: {check.detail}"
            yield Trouble(f"merged {check.name}", title, "HIGH", "", issue, verification=f"check:{check.name}")


def _repeated(view: RunView, gate: Gate | None) -> Iterator[Trouble]:
    """A check that fails round after round of one task."""
    if gate is None or gate.place != "merge" or gate.round < FAILED_ROUNDS:
        return
    rounds: dict[int, set[str]] = {}
    for one in view.gates.values():
        if one.place == "merge" and one.task == gate.task:
            rounds[one.round] = {check.name for check in one.checks if not check.has_passed}
    last = [rounds.get(gate.round - back, set()) for back in range(FAILED_ROUNDS)]
    for name in sorted(set.intersection(*last)):
        title = f"{name} fails in {FAILED_ROUNDS} rounds of {gate.task}"
        yield Trouble(
            f"repeated {gate.task} {name}", title, "MEDIUM", "", f"last at {gate.id}", verification=f"check:{name}"
        )


def _denials(view: RunView, name: str) -> Iterator[Trouble]:
    instance = view.instances.get(name)
    if instance is not None and instance.denials >= DENIALS:
        title = f"{name} was denied {DENIALS} times or more"
        yield Trouble(f"denied {name}", title, "MEDIUM", "", "Its role or its task does not fit what it tries to do.")


def _artifact(view: RunView, path: str) -> Iterator[Trouble]:
    artifact = view.artifacts.get(path)
    if artifact is None or artifact.status != "invalid" or artifact.version < REJECTED_WRITES:
        return
    writer = view.tasks.get(artifact.written_by)
    title = f"{path} is not accepted after {artifact.version} writes"
    owner = writer.assigned_to if writer else ""
    yield Trouble(f"artifact {path}", title, "MEDIUM", path, artifact.reason, "Write it until it is accepted.", owner)


def _new(view: RunView, troubles: Iterator[Trouble] | list[Trouble]) -> Iterator[Trouble]:
    """Those that are not known already; what was closed by the operator is not raised again."""
    known: set[str] | None = None
    for trouble in troubles:
        if known is None:  # most events are no trouble, and need not look at what was found before
            known = {one.signature for one in view.findings.values() if one.signature}
        if trouble.signature not in known:
            known.add(trouble.signature)
            yield trouble


def _gone(view: RunView, event: Event) -> list[Draft]:
    """The monitor's own findings whose evidence is in order now."""
    out = []
    for name in view.index.open_findings:
        found = view.findings[name]
        if found.category == MONITOR and found.status in ("open", "fixed") and _is_gone(view, event, found):
            data = {"finding": found.id, "resolution": "verified", "reason": f"seen at event {event.seq}"}
            out.append(Draft("finding.closed", data, actor=ERROR_AGENT))
    return out


def _is_gone(view: RunView, event: Event, found: Finding) -> bool:
    if event.kind == "check.passed" and found.verification == f"check:{event.data.get('name', '')}":
        return event.data.get("tree") == "merged" or found.signature.startswith("repeated ")
    return event.kind == "artifact.validated" and found.signature == f"artifact {event.data.get('path', '')}"
