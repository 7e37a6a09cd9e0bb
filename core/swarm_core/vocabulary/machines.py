"""The state machines: the one place that says which transition is legal.

Where one event can lead to several states (``gate.decided``), the event's data decide: see ``view``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import IllegalTransition


@dataclass(frozen=True, slots=True)
class Machine:
    """A named set of transitions ``(from, to, event)``."""

    name: str
    initial: str
    terminal: frozenset[str]
    transitions: tuple[tuple[str, str, str], ...]
    _targets: dict[tuple[str, str], tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        targets: dict[tuple[str, str], tuple[str, ...]] = {}
        for source, target, event in self.transitions:
            targets[source, event] = (*targets.get((source, event), ()), target)
        object.__setattr__(self, "_targets", targets)

    @property
    def states(self) -> frozenset[str]:
        return frozenset({self.initial, *(s for t in self.transitions for s in t[:2])})

    def step(self, state: str, event: str, wanted: str | None = None, *, subject: str = "") -> str:
        """The state after ``event``. ``wanted`` picks among several targets.

        Raises IllegalTransition if the event does not fit, and never guesses.
        """
        targets = self._targets.get((state, event), ())
        if wanted is None and len(targets) == 1:
            return targets[0]
        if wanted is not None and wanted in targets:
            return wanted
        raise IllegalTransition(
            f"{self.name} {subject or '?'} is {state}: {event} does not apply" + (f" (to {wanted})" if wanted else "")
        )


RUN = Machine(
    "run",
    "created",
    frozenset({"completed", "failed", "aborted"}),
    (
        ("created", "running", "run.started"),
        ("created", "failed", "run.failed"),
        ("created", "aborted", "run.aborted"),
        ("running", "awaiting_operator", "gate.opened"),
        ("awaiting_operator", "awaiting_operator", "gate.opened"),
        ("awaiting_operator", "running", "gate.decided"),
        ("awaiting_operator", "awaiting_operator", "gate.decided"),
        ("awaiting_operator", "running", "gate.invalidated"),
        ("awaiting_operator", "awaiting_operator", "gate.invalidated"),
        ("running", "completed", "run.completed"),
        ("running", "failed", "run.failed"),
        ("awaiting_operator", "failed", "run.failed"),
        ("running", "aborted", "run.aborted"),
        ("awaiting_operator", "aborted", "run.aborted"),
    ),
)

TASK = Machine(
    "task",
    "pending",
    frozenset({"done", "cancelled", "skipped"}),
    (
        ("pending", "ready", "task.ready"),
        ("ready", "running", "task.claimed"),
        ("running", "ready", "task.released"),
        ("running", "verifying", "task.submitted"),
        ("verifying", "ready", "task.reopened"),
        ("verifying", "merging", "task.verified"),
        ("verifying", "done", "task.done"),
        ("merging", "done", "task.done"),
        ("merging", "blocked", "merge.conflicted"),
        ("blocked", "ready", "task.ready"),
        ("running", "failed", "task.failed"),
        ("verifying", "failed", "task.failed"),
        ("merging", "failed", "task.failed"),
        ("failed", "ready", "task.reassigned"),
        ("pending", "cancelled", "task.cancelled"),
        ("ready", "cancelled", "task.cancelled"),
        ("running", "cancelled", "task.cancelled"),
        ("blocked", "cancelled", "task.cancelled"),
        ("failed", "cancelled", "task.cancelled"),
    ),
)

AGENT = Machine(
    "agent",
    "starting",
    frozenset({"retired"}),
    (
        ("starting", "idle", "agent.ready"),
        ("starting", "failed", "agent.failed"),
        ("idle", "busy", "agent.busy"),
        ("busy", "idle", "agent.idle"),
        ("busy", "waiting", "agent.waiting"),
        ("waiting", "waiting", "agent.waiting"),
        ("waiting", "busy", "agent.busy"),
        ("waiting", "idle", "agent.idle"),
        ("busy", "failed", "agent.failed"),
        ("waiting", "failed", "agent.failed"),
        ("failed", "starting", "agent.restarted"),
        ("failed", "retired", "agent.retired"),
        ("idle", "retired", "agent.retired"),
        ("busy", "retired", "agent.retired"),
        ("waiting", "retired", "agent.retired"),
        ("starting", "retired", "agent.retired"),
    ),
)

GATE = Machine(
    "gate",
    "evaluating",
    frozenset({"passed", "blocked", "aborted"}),
    (
        ("evaluating", "open", "gate.opened"),
        ("open", "passed", "gate.decided"),
        ("open", "blocked", "gate.decided"),
        ("open", "aborted", "gate.decided"),
        ("open", "evaluating", "gate.invalidated"),
        ("passed", "evaluating", "gate.invalidated"),
    ),
)

MERGE = Machine(
    "merge",
    "queued",
    frozenset({"merged", "rejected"}),
    (
        ("queued", "checking", "merge.checking"),
        ("checking", "checking", "merge.checking"),
        ("checking", "merged", "merge.completed"),
        ("checking", "rejected", "merge.rejected"),
        ("checking", "conflicted", "merge.conflicted"),
        ("conflicted", "queued", "merge.queued"),
    ),
)

MACHINES = {machine.name: machine for machine in (RUN, TASK, AGENT, GATE, MERGE)}
