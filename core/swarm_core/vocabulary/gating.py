"""Gates as configured: where they stand, who decides, and the words a decision can have.

A *mode* says who decides at a place: ``human`` the operator alone; ``auto`` the evidence alone (every required check
passed, or the work goes back); ``auto_then_human`` the evidence if it is clean, otherwise the operator. A *profile* is
a mode for every place. What no check can measure (a limit, a permission, a failure) is the operator's in every profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

MODES = ("auto", "human", "auto_then_human")
PROFILES = ("autonomous", "gated", "paranoid")
OPERATOR_REVIEWER = "operator"
# Places whose mode can be chosen; the others are the operator's alone.
PLACES = ("plan", "merge", "phase", "landing", "migration", "architecture")
ALWAYS_HUMAN = ("escalation", "budget", "permission", "trust", "migration", "rules")
# What a swarm is ruled by, as patterns: no rule of its own passes a change of it.
RULES_PATHS = ("multi-agent.yaml", "artifacts/decision-matrix.yml", ".agent-artifacts/**", ".claude/**")
# How a required check, and a rule that blocks, are named among what is in an approval's way.
REQUIRED = " is required and "
WAIVE = "swarm-tui decisions waive"
SYNONYM_PLACES: Mapping[str, str] = {"publish": "landing"}

_MODES: Mapping[str, Mapping[str, str]] = {
    "autonomous": {"plan": "auto", "merge": "auto", "phase": "auto", "landing": "auto_then_human"},
    "gated": {"plan": "human", "merge": "human", "phase": "auto_then_human", "landing": "human"},
    "paranoid": {"plan": "human", "merge": "human", "phase": "human", "landing": "human"},
}
# From the one that trusts evidence most to the one that trusts nothing but the operator.
STRICTNESS = ("auto", "auto_then_human", "human")
# An agent that was sent back this often by the rule alone is not sent back again: the gate opens for the operator.
AUTO_ROUNDS = 3

VERDICTS = ("approve", "request_changes", "reject", "force", "retry", "defer", "abort")
PASSING = ("approve", "force")
SENDING_BACK = ("request_changes", "reject")
# The words of the formats this program reads, and those people use.
SYNONYMS: Mapping[str, str] = {
    "proceed": "approve",
    "continue": "approve",
    "yes": "approve",
    "accept": "approve",
    "approved": "approve",
    "changes": "request_changes",
    "request-changes": "request_changes",
    "rework": "request_changes",
    "no": "reject",
    "rejected": "reject",
    "deny": "reject",
    "force-pr": "force",
    "force_pr": "force",
    "skip-review": "force",
    "rerun": "retry",
    "measure": "retry",
    "later": "defer",
    "stop": "abort",
}
_EVERYWHERE = ("approve", "reject", "retry", "defer", "abort")
OFFERED: Mapping[str, tuple[str, ...]] = {
    "plan": (*_EVERYWHERE, "request_changes"),
    "merge": (*_EVERYWHERE, "request_changes", "force"),
    "landing": (*_EVERYWHERE, "request_changes", "force"),
    "phase": (*_EVERYWHERE, "request_changes", "force"),
}
# At these places somebody works from the words of a no.
NEEDS_A_REASON = ("plan", "merge", "phase")


def canonical(word: str) -> str:
    """The verdict a word means; the word itself, in lower case, if it means none."""
    plain = word.strip().lower()
    return SYNONYMS.get(plain, plain)


def offered(place: str) -> tuple[str, ...]:
    """The verdicts that a gate of this place takes."""
    return OFFERED.get(place, _EVERYWHERE)


def needs_a_reason(place: str, verdict: str) -> bool:
    """Whether a verdict says nothing without a note."""
    return verdict == "request_changes" or (verdict == "reject" and place in NEEDS_A_REASON)


@dataclass(frozen=True, slots=True)
class PhaseSpec:
    """A phase of the work and the gate it ends with (``G1``): its mode, its reviewers, the checks it needs."""

    key: str
    title: str = ""
    gate: str = ""
    mode: str = ""
    reviewers: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GatingSpec:
    """What ``gates:`` of ``multi-agent.yaml`` says.

    ``places`` are modes that differ from the profile's. ``phases`` are the work's phases in their order; without any
    the work is one phase that needs no gate. ``migrations`` and ``architecture`` are path patterns: a merge that
    touches one is the operator's, or the architect's to review first. ``is_strict``: what a check failed can only be
    forced, never plainly approved. ``reviewers`` are asked, by place, before the operator.
    """

    profile: str = "gated"
    places: Mapping[str, str] = field(default_factory=dict)
    reviewers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    phases: tuple[PhaseSpec, ...] = ()
    migrations: tuple[str, ...] = ()
    architecture: tuple[str, ...] = ()
    strict: bool | None = None

    @property
    def is_strict(self) -> bool:
        return self.profile == "paranoid" if self.strict is None else self.strict

    @property
    def has_path_rules(self) -> bool:
        return bool(self.migrations or self.architecture)

    def mode(self, place: str, *, aspects: tuple[str, ...] = (), subject: str = "") -> str:
        """Who decides at a place. ``aspects`` are further places that a merge is about, and the strictest counts;
        ``subject`` is the phase of a phase gate."""
        modes = [self._own_mode(name) for name in (place, *aspects)]
        phase = self.phase(subject) if place == "phase" else None
        if phase is not None and phase.mode and "phase" not in self.places:
            modes[0] = phase.mode if self.profile == "gated" else self._own_mode("phase")
        return max(modes, key=STRICTNESS.index)

    def _own_mode(self, place: str) -> str:
        if place in ALWAYS_HUMAN:
            return "human"
        if place == "architecture":
            return self.places.get(place, "auto_then_human" if self.profile == "autonomous" else "human")
        return self.places.get(place, _MODES[self.profile].get(place, "human"))

    def asked(self, place: str, *, aspects: tuple[str, ...] = (), subject: str = "") -> tuple[str, ...]:
        """Who besides the operator is asked at a place, before it opens."""
        phase = self.phase(subject) if place == "phase" else None
        names = list(phase.reviewers) if phase is not None else []
        for name in (place, *aspects):
            names += self.reviewers.get(name, ("architect",) if name == "architecture" else ())
        return tuple(dict.fromkeys(name for name in names if name != OPERATOR_REVIEWER))

    def phase(self, key: str) -> PhaseSpec | None:
        return next((phase for phase in self.phases if phase.key == key), None)


def is_forceable(blocker: str) -> bool:
    """Whether what is in an approval's way is a judgement that a person may overrule, and not the state of the world:
    a check that is required, a rule that blocks."""
    return REQUIRED in blocker or WAIVE in blocker


def is_deferred(until: str, now: str, is_open: Mapping[str, bool]) -> bool:
    """Whether something that was put off until a time or the end of something still is.

    ``until`` is an ISO time, or the id of a task or gate; ``is_open`` says which of those have not ended. An id that
    nothing has is over: what was put off forever would be lost.
    """
    if not until:
        return False
    try:
        return datetime.fromisoformat(until) > datetime.fromisoformat(now)
    except (ValueError, TypeError):
        return is_open.get(until, False)
