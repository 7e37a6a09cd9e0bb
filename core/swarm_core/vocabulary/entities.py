"""What a run consists of, as the fold of its journal knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PLANNING_TASK = "task_000"
ARCHITECT = "architect"
CONSULTATION = "consultation"  # of the architect, about a gate
DIAGNOSIS = "diagnosis"
PRIORITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and money of model calls; ``cost_usd`` in US dollars.

    ``cache_write_tokens`` are all that were written to the provider's cache, ``cache_write_1h_tokens`` those of them
    that it keeps for an hour instead of five minutes.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float = 0.0
    calls: int = 0
    cache_write_1h_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.cost_usd + other.cost_usd,
            self.calls + other.calls,
            self.cache_write_1h_tokens + other.cache_write_1h_tokens,
        )

    @property
    def tokens(self) -> int:
        """All tokens that passed the model, cached ones included."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def cache_hit_rate(self) -> float | None:
        """The part of all prompts that was read from the provider's cache, 0 to 1; None before the first prompt."""
        prompt = self.input_tokens + self.cache_read_tokens + self.cache_write_tokens
        return self.cache_read_tokens / prompt if prompt else None


@dataclass(frozen=True, slots=True)
class Stat:
    """The size of a change in files and lines."""

    files: int = 0
    insertions: int = 0
    deletions: int = 0

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Stat:
        return cls(int(data.get("files", 0)), int(data.get("insertions", 0)), int(data.get("deletions", 0)))


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a goal on a repository.

    ``pause`` is how it is held: ``pause`` (agents stop at their next step), ``drain`` (agents finish, nothing begins),
    ``halt`` and ``stop`` (at once). ``drift`` names configuration that changed since the run began.
    """

    id: str = ""
    title: str = ""
    goal: str = ""
    status: str = "created"
    outcome: str = ""
    reason: str = ""
    base_ref: str = ""
    base: str = ""
    hub: str = ""
    integration: str = ""
    landed: bool = False
    created_at: str = ""
    ended_at: str = ""
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    spec_sha256: str = ""
    drift: tuple[str, ...] = ()
    pause: str = ""
    rollback_to: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """A unit of work for one service.

    ``iteration`` counts quality rounds, ``attempt`` claims, ``failures`` transient failures of this iteration, and
    ``mediations`` how often the architect gave it to somebody else. ``kind`` is ``work``, ``plan``, ``review`` (of a
    commit), ``consultation`` (of the architect about a gate) or ``diagnosis`` (why a halted run stands still);
    ``about`` is the task that a plan mends, or the gate that a consultation or plan is about. ``writes`` are the paths
    it declared, ``estimate_s`` is a guess at its length, ``wait_s`` and ``not_before`` are its pause after a failure.
    ``avoid`` names the instances that failed at it, ``held`` says why the operator holds it, ``worker`` who outside the
    engine works on it. ``progress`` is what its agent says of its parts, ``checkpoint`` its note for whoever takes the
    task up again. ``phase`` is the configured phase it is in, ``reads`` are the artifacts it was given, each a path and
    the SHA-256 it had. ``branch`` is a name that its commit is given when it is merged, such as ``fix/login``.

    A ``review`` looks at the commit ``subject`` of the task ``about`` and changes nothing. ``critiques`` counts the
    rounds in which a critic sent the work back, ``critique`` is what it found in the last of them.
    """

    id: str
    title: str
    description: str = ""
    status: str = "pending"
    assigned_to: str = ""
    created_by: str = ARCHITECT
    dependencies: tuple[str, ...] = ()
    priority: str = "medium"
    order: int = 0
    kind: str = "work"
    phase: str = ""
    about: str = ""
    instance: str = ""
    attempt: int = 0
    iteration: int = 1
    failures: int = 0
    mediations: int = 0
    writes: tuple[str, ...] = ()
    estimate_s: float = 0.0
    wait_s: float = 0.0
    not_before: str = ""
    avoid: tuple[str, ...] = ()
    held: str = ""
    worker: str = ""
    failed_kind: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()
    commit: str = ""
    base: str = ""
    stat: Stat = Stat()
    usage: Usage = Usage()
    handoff: Mapping[str, str] = field(default_factory=dict)
    progress: Mapping[str, str] = field(default_factory=dict)
    checkpoint: str = ""
    ready_at: str = ""
    started_at: str = ""
    ended_at: str = ""
    reads: tuple[tuple[str, str], ...] = ()
    branch: str = ""
    subject: str = ""
    critique: str = ""
    critiques: int = 0

    @property
    def is_planning(self) -> bool:
        return self.kind == "plan"

    @property
    def is_work(self) -> bool:
        """Whether it is part of what the run is for, and not about how."""
        return self.kind == "work"

    @property
    def is_review(self) -> bool:
        return self.kind == "review"


@dataclass(frozen=True, slots=True)
class Instance:
    """A running copy of a service with its own worktree and branch."""

    id: str
    service: str
    status: str = "starting"
    task: str = ""
    worktree: str = ""
    branch: str = ""
    model: str = ""
    reason: str = ""
    until: str = ""
    usage: Usage = Usage()
    denials: int = 0
    last_ts: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """Why no model is asked at a gate (a provider and class of models) until a time.

    ``kind`` is ``limit`` (a rate limit: it passes at ``until``) or ``breaker`` (a server in trouble: at ``until`` one
    call finds out whether it still is).
    """

    gate: str
    kind: str
    until: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One measured fact that a gate shows.

    ``status`` is pass, fail, not_measured or error; ``value`` is in ``unit`` and has to be as ``threshold`` says. A
    ``required`` one that did not pass is in an approval's way.
    """

    name: str
    has_passed: bool
    detail: str = ""
    status: str = ""
    value: float | None = None
    unit: str = ""
    threshold: str = ""
    required: bool = False

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> CheckResult:
        """From the data of ``gate.opened``; journals of earlier versions say only whether it passed."""
        has_passed, value = bool(data.get("passed")), data.get("value")
        return cls(
            str(data.get("name", "")),
            has_passed,
            str(data.get("detail", "")),
            str(data.get("status", "")) or ("pass" if has_passed else "fail"),
            float(value) if isinstance(value, (int, float)) else None,
            str(data.get("unit", "")),
            str(data.get("threshold", "")),
            bool(data.get("required")),
        )


@dataclass(frozen=True, slots=True)
class Gate:
    """A place where progress needs a decision; ``evidence`` is the SHA-256 of ``document``'s bytes.

    ``round`` is the task's iteration (merge, plan) or attempt (escalation) that the gate is about. ``ask`` is the
    question a permission or trust gate is about, ``subject`` the budget or phase that a budget or phase gate is about.
    ``document`` is relative to the run's directory, ``about`` is the state of the world it was made from (to notice
    that it moved), ``blockers`` say why an approval cannot be carried out now. ``aspects`` are further places that a
    merge is about (migration, architecture), ``holds`` say why no rule may pass it. ``deferred_until`` is when the
    operator wants to be asked: a time, or the task or gate whose end is waited for. ``findings`` were open when it was
    ``forced``. ``consultations`` counts how often a reviewer was asked, the last time about ``consulted_about``.
    """

    id: str
    place: str
    title: str
    task: str = ""
    round: int = 1
    status: str = "evaluating"
    document: str = ""
    evidence: str = ""
    about: str = ""
    summary: str = ""
    on_yes: str = ""
    on_no: str = ""
    stat: Stat = Stat()
    checks: tuple[CheckResult, ...] = ()
    blockers: tuple[str, ...] = ()
    verdict: str = ""
    note: str = ""
    by: str = ""
    opened_seq: int = 0
    opened_at: str = ""
    decided_seq: int = 0
    subject: str = ""
    ask: str = ""
    aspects: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    deferred_until: str = ""
    forced: bool = False
    findings: tuple[str, ...] = ()
    consultations: int = 0
    consulted_about: str = ""

    @property
    def failed_checks(self) -> tuple[str, ...]:
        """The checks it shows that did not pass, whatever the reason."""
        return tuple(check.name for check in self.checks if not check.has_passed)

    @property
    def has_clean_evidence(self) -> bool:
        """Whether something was measured, all of it passed, and nothing asks for a person."""
        is_measured = bool(self.evidence and self.checks)
        return is_measured and not self.failed_checks and not self.blockers and not self.holds


@dataclass(frozen=True, slots=True)
class Merge:
    """A task's commit waiting for the integration branch. ``order`` is its place in the queue."""

    task: str
    commit: str
    status: str = "queued"
    order: int = 0
    merged_as: str = ""
    merged_seq: int = 0
    paths: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Phase:
    """An ordered section of a run, closed by a receipt. ``receipt`` is relative to the run's directory."""

    key: str
    status: str = "pending"
    round: int = 1
    receipt: str = ""
    receipt_sha256: str = ""
    started_at: str = ""
    sealed_at: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A registered file. ``version`` counts its writes.

    ``commit`` holds this version, ``written_by`` is the task it came from, ``inputs`` are the paths and SHA-256 of the
    artifacts that task had read.
    """

    path: str
    type: str = ""
    status: str = "declared"
    version: int = 0
    sha256: str = ""
    written_by: str = ""
    reason: str = ""
    commit: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
