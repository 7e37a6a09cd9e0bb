"""What a run's past consists of where a file is concerned: versions, decisions, measurements, findings, rules.

Read from journals of any age: what an event does not say is empty here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PLAN = "plan"
"""The type of what planning tasks write; nobody judges it but a gate."""
Reads = tuple[tuple[str, str], ...]
"""Paths and the SHA-256 each had."""


@dataclass(slots=True)
class Work:
    """A task as far as it writes files. ``base`` is the commit it began from, ``planned_in`` the task that planned it,
    ``reads`` the artifacts it was given."""

    id: str
    title: str = ""
    service: str = ""
    instance: str = ""
    created_by: str = ""
    kind: str = ""
    dependencies: tuple[str, ...] = ()
    planned_in: str = ""
    base: str = ""
    reads: Reads = ()
    merged_as: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A measurement. ``status`` is pass, fail, not_measured or error; ``evidence`` is a file of the run's directory."""

    name: str
    status: str
    value: float | None = None
    unit: str = ""
    threshold: str = ""
    detail: str = ""
    evidence: str = ""
    tree: str = ""
    commit: str = ""
    seq: int = 0

    @classmethod
    def of(cls, data: Mapping[str, Any], status: str, seq: int) -> Check:
        value = data.get("value")
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return cls(
            **{
                name: word(data, name) for name in ("name", "unit", "threshold", "detail", "evidence", "tree", "commit")
            },
            status={"passed": "pass", "failed": "fail"}.get(status, status),
            value=float(value) if is_number and value is not None else None,
            seq=seq,
        )


@dataclass(slots=True)
class Decision:
    """One decision of a gate, or one that is still to be made. ``evidence`` is the SHA-256 of ``document``.

    ``taken_back`` says why a decision that was made does not hold any more.
    """

    gate: str
    place: str
    task: str = ""
    seq: int = 0
    at: str = ""
    verdict: str = ""
    by: str = ""
    note: str = ""
    evidence: str = ""
    document: str = ""
    taken_back: str = ""
    checks: tuple[Check, ...] = ()
    reviewers: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was said of a version: valid, invalid, stale, sealed or superseded, why, and in which task."""

    status: str
    seq: int = 0
    at: str = ""
    task: str = ""
    reason: str = ""
    faults: tuple[str, ...] = ()
    inputs: Reads = ()


@dataclass(slots=True)
class Version:
    """One version of a file. ``key`` is the type of a registered one; only those have a SHA-256 and verdicts.

    ``inputs`` are the artifacts its task had read when it wrote it. ``merged_as`` is the commit that brought it to
    everybody, ``taken_back`` why that no longer counts.
    """

    path: str
    number: int
    key: str = ""
    sha256: str = ""
    task: str = ""
    agent: str = ""
    seq: int = 0
    at: str = ""
    commit: str = ""
    message: str = ""
    merged_as: str = ""
    taken_back: str = ""
    inputs: Reads = ()
    verdicts: list[Verdict] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    @property
    def status(self) -> str:
        """The last verdict on it. Of a file that nobody judges: committed, merged or rolled back; of a plan nothing."""
        if self.verdicts or self.key == PLAN:
            return self.verdicts[-1].status if self.verdicts else ""
        if self.key or self.sha256:
            return "draft"
        return "rolled back" if self.taken_back else "merged" if self.merged_as else "committed"

    @property
    def reason(self) -> str:
        return self.verdicts[-1].reason if self.verdicts else ""

    @property
    def faults(self) -> tuple[str, ...]:
        return self.verdicts[-1].faults if self.verdicts else ()

    @property
    def holds_with(self) -> Reads:
        """What it was last found valid with, if that is not what it was written from; else nothing."""
        last = next((one.inputs for one in reversed(self.verdicts) if one.inputs), ())
        return last if last != self.inputs else ()


@dataclass(slots=True)
class Issue:
    """A finding. ``tasks`` are those that were to fix it, ``paths`` what it is about besides its ``location``."""

    id: str
    title: str = ""
    severity: str = ""
    status: str = "open"
    location: str = ""
    paths: tuple[str, ...] = ()
    owner: str = ""
    raised_by: str = ""
    about: str = ""
    resolution: str = ""
    reason: str = ""
    commit: str = ""
    tasks: tuple[str, ...] = ()
    seq: int = 0
    at: str = ""

    def is_about(self, path: str) -> bool:
        return self.location == path or self.location.startswith((f"{path}:", f"{path}#")) or path in self.paths


@dataclass(slots=True)
class Ruling:
    """A decision that no gate made: a rule that fired, or how a run goes on after an incident.

    ``paths`` and ``task`` are what its fact was about, ``tasks`` came of it, ``outcome`` is what each action did.
    """

    id: str
    rule: str
    seq: int = 0
    at: str = ""
    method: str = "rule"
    why: str = ""
    evidence: str = ""
    document: str = ""
    fact: str = ""
    task: str = ""
    paths: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    outcome: dict[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    finding: str = ""
    settled: str = ""


def word(data: Mapping[str, Any], name: str) -> str:
    """A field as text; empty if it is not there, or is null."""
    value = data.get(name)
    return "" if value is None else str(value)


def words(given: object) -> tuple[str, ...]:
    return tuple(map(str, given)) if isinstance(given, (list, tuple)) else ()


def reads(given: object) -> Reads:
    """Pairs of a path and a SHA-256; what is no pair is left out."""
    pairs = given if isinstance(given, (list, tuple)) else ()
    return tuple((str(one[0]), str(one[1])) for one in pairs if isinstance(one, (list, tuple)) and len(one) == 2)
