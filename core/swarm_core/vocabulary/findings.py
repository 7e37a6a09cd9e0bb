"""What was found wrong in a run: findings that somebody raised, and incidents that stopped it."""

from __future__ import annotations

from dataclasses import dataclass

RULE = "rule"  # a finding that stands for what a rule fired on
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")


@dataclass(frozen=True, slots=True)
class Finding:
    """One issue that somebody raised. ``resolution`` of a closed one: verified, accepted, rejected or backlog.

    ``category``: ``critique`` (a review of the task ``about`` found it), ``forensic`` (what was said at a handoff is
    not what was measured), ``monitor`` (the engine noticed it), ``rule`` (a rule of the matrix blocks on it), else an
    agent came across it. ``source`` is the task in which it was raised, ``task`` the one that fixes it, ``rounds`` how
    often a fix was begun. ``verification`` says how to see that it is gone; ``check:NAME`` is a check that then passes.
    ``signature`` is the same for the same issue.
    """

    id: str
    title: str = ""
    severity: str = "MEDIUM"
    status: str = "open"
    location: str = ""
    owner: str = ""
    raised_by: str = ""
    resolution: str = ""
    commit: str = ""
    issue: str = ""
    fix: str = ""
    verification: str = ""
    category: str = ""
    about: str = ""
    source: str = ""
    task: str = ""
    rounds: int = 0
    signature: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that stopped a run. ``scope`` is how far it reaches: task, agent, phase or run."""

    id: str
    scope: str = "run"
    severity: str = "CRITICAL"
    trigger: str = ""
    reason: str = ""
    status: str = "open"
    subject: str = ""
    opened_at: str = ""
    closed_at: str = ""
