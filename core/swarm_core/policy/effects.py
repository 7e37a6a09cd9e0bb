"""What the engine may be asked to do. An effect names its act and subject; equal effects are the same act.

``Record`` writes facts and nothing else. All others act on the world; the runner journals their outcome, and each can
be started again after a crash: it adopts what was already done.
"""

from __future__ import annotations

from dataclasses import dataclass

from swarm_core.vocabulary.events import Draft


@dataclass(frozen=True, slots=True)
class Record:
    """Append facts that follow from the state alone, in one step."""

    drafts: tuple[Draft, ...]


@dataclass(frozen=True, slots=True)
class PrepareRun:
    """Make the run's hub and its integration branch."""


@dataclass(frozen=True, slots=True)
class StartInstance:
    """Give an instance of a service its worktree."""

    instance: str


@dataclass(frozen=True, slots=True)
class RunAgent:
    """Let an instance work on its task until it hands off; cancelled when the task is taken away."""

    task: str
    instance: str
    iteration: int
    attempt: int


@dataclass(frozen=True, slots=True)
class EvaluateGate:
    """Measure what a gate needs and open it."""

    gate: str


@dataclass(frozen=True, slots=True)
class MergeTask:
    """Bring a verified task's commit onto the integration branch."""

    task: str
    commit: str


@dataclass(frozen=True, slots=True)
class SealPhase:
    """Write a phase's receipt and close the phase with it."""

    phase: str
    round: int


@dataclass(frozen=True, slots=True)
class RollBack:
    """Bring the integration branch and the tasks back to what they were after event ``to_seq``."""

    to_seq: int


@dataclass(frozen=True, slots=True)
class RetireInstance:
    """Keep what an instance's worktree holds, then remove it."""

    instance: str


@dataclass(frozen=True, slots=True)
class Land:
    """Merge the integration branch on the operator's branch, as the landing gate showed it."""

    gate: str


@dataclass(frozen=True, slots=True)
class KeepUnlanded:
    """End the run without landing; the work stays reachable by a ref."""

    reason: str


Act = (
    PrepareRun
    | StartInstance
    | RunAgent
    | EvaluateGate
    | MergeTask
    | SealPhase
    | RollBack
    | RetireInstance
    | Land
    | KeepUnlanded
)
Effect = Record | Act
