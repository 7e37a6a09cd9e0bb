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


GATE_EVENTS = ("gate.opened", "gate.decided", "gate.invalidated")
TASK_STATES = (
    "pending",
    "ready",
    "running",
    "verifying",
    "merging",
    "blocked",
    "done",
    "failed",
    "cancelled",
    "skipped",
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
        ("running", "paused", "run.paused"),
        ("awaiting_operator", "paused", "run.paused"),
        ("paused", "running", "run.resumed"),
        ("paused", "awaiting_operator", "run.resumed"),
        ("running", "halted", "run.halted"),
        ("awaiting_operator", "halted", "run.halted"),
        ("paused", "paused", "run.paused"),
        ("paused", "halted", "run.halted"),
        ("halted", "halted", "run.halted"),
        ("halted", "running", "run.resumed"),
        ("halted", "awaiting_operator", "run.resumed"),
        ("halted", "recovering", "recovery.started"),
        ("recovering", "running", "recovery.completed"),
        ("recovering", "awaiting_operator", "recovery.completed"),
        ("recovering", "halted", "recovery.failed"),
        *((held, held, event) for held in ("paused", "halted", "recovering") for event in GATE_EVENTS),
        # A landing that was under way when the run was held is told all the same.
        *((source, "completed", "run.completed") for source in ("running", "paused", "halted")),
        *((source, "failed", "run.failed") for source in ("running", "awaiting_operator", "paused", "halted")),
        *(
            (source, "aborted", "run.aborted")
            for source in ("running", "awaiting_operator", "paused", "halted", "recovering")
        ),
    ),
)

PHASE = Machine(
    "phase",
    "pending",
    frozenset({"sealed", "skipped"}),
    (
        ("pending", "active", "phase.started"),
        ("pending", "skipped", "phase.skipped"),
        ("active", "gating", "phase.work_done"),
        ("gating", "active", "phase.reopened"),
        ("gating", "sealed", "receipt.sealed"),
        ("gating", "active", "receipt.mismatch"),
        ("sealed", "active", "phase.reopened"),
    ),
)

TASK = Machine(
    "task",
    "pending",
    frozenset({"done", "cancelled", "skipped"}),
    (
        ("pending", "ready", "task.ready"),
        ("pending", "blocked", "task.blocked"),
        ("ready", "running", "task.claimed"),
        ("running", "ready", "task.released"),
        ("running", "blocked", "task.blocked"),
        ("running", "verifying", "task.submitted"),
        ("verifying", "ready", "task.reopened"),
        ("verifying", "merging", "task.verified"),
        ("verifying", "done", "task.done"),
        ("merging", "done", "task.done"),
        ("merging", "blocked", "merge.conflicted"),
        ("blocked", "ready", "task.ready"),
        *((source, "failed", "task.failed") for source in ("running", "verifying", "merging", "blocked")),
        ("failed", "ready", "task.reassigned"),
        ("failed", "skipped", "task.skipped"),
        ("pending", "skipped", "task.skipped"),
        *(
            (source, "cancelled", "task.cancelled")
            for source in ("pending", "ready", "running", "verifying", "blocked", "failed")
        ),
        *((source, "pending", "task.reset") for source in TASK_STATES if source != "pending"),
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
        ("busy", "stalled", "agent.stalled"),
        ("waiting", "stalled", "agent.stalled"),
        ("stalled", "busy", "agent.busy"),
        ("stalled", "idle", "agent.idle"),
        ("busy", "paused", "agent.paused"),
        ("idle", "paused", "agent.paused"),
        ("waiting", "paused", "agent.paused"),
        ("paused", "idle", "agent.idle"),
        ("paused", "busy", "agent.resumed"),
        *((source, "failed", "agent.failed") for source in ("idle", "busy", "waiting", "stalled", "paused")),
        ("failed", "starting", "agent.restarted"),
        *(
            (source, "retired", "agent.retired")
            for source in ("starting", "idle", "busy", "waiting", "stalled", "paused", "failed")
        ),
    ),
)

GATE = Machine(
    "gate",
    "evaluating",
    frozenset({"passed", "blocked", "aborted"}),
    (
        ("evaluating", "open", "gate.opened"),
        ("evaluating", "evaluating", "gate.consulted"),
        # By the rule alone: only what was measured, and passed, passes.
        ("evaluating", "passed", "gate.decided"),
        ("evaluating", "blocked", "gate.decided"),
        ("open", "open", "gate.deferred"),
        ("open", "passed", "gate.decided"),
        ("open", "blocked", "gate.decided"),
        ("open", "aborted", "gate.decided"),
        ("open", "evaluating", "gate.invalidated"),
        ("blocked", "evaluating", "gate.reevaluated"),
        # By force.
        ("blocked", "passed", "gate.decided"),
        ("blocked", "aborted", "gate.decided"),
        ("passed", "evaluating", "gate.invalidated"),
        *((source, "aborted", "gate.aborted") for source in ("evaluating", "open", "passed", "blocked")),
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

ARTIFACT = Machine(
    "artifact",
    "declared",
    frozenset({"superseded"}),
    (
        ("declared", "draft", "artifact.written"),
        ("draft", "draft", "artifact.written"),
        ("draft", "valid", "artifact.validated"),
        ("draft", "invalid", "artifact.rejected"),
        ("invalid", "draft", "artifact.written"),
        ("valid", "draft", "artifact.written"),
        ("valid", "sealed", "artifact.sealed"),
        ("valid", "stale", "artifact.stale"),
        ("sealed", "stale", "artifact.stale"),
        ("stale", "valid", "artifact.validated"),
        ("stale", "draft", "artifact.written"),
        ("sealed", "superseded", "artifact.superseded"),
        ("stale", "superseded", "artifact.superseded"),
    ),
)

FINDING = Machine(
    "finding",
    "open",
    frozenset({"closed"}),
    (
        ("open", "fixing", "finding.fix_started"),
        ("fixing", "fixed", "finding.fixed"),
        ("fixed", "closed", "finding.closed"),
        ("fixed", "open", "finding.reopened"),
        ("fixing", "unresolved", "finding.unresolved"),
        ("unresolved", "fixing", "finding.fix_started"),
        ("unresolved", "closed", "finding.closed"),
        ("open", "closed", "finding.closed"),
    ),
)

INCIDENT = Machine(
    "incident",
    "open",
    frozenset({"closed"}),
    (
        ("open", "contained", "incident.contained"),
        ("contained", "recovering", "recovery.started"),
        ("recovering", "resolved", "recovery.completed"),
        ("recovering", "escalated", "recovery.failed"),
        ("open", "escalated", "incident.escalated"),
        ("contained", "escalated", "incident.escalated"),
        ("escalated", "recovering", "recovery.started"),
        *((source, "closed", "incident.closed") for source in ("contained", "escalated", "resolved")),
    ),
)

BUDGET = Machine(
    "budget",
    "ok",
    frozenset(),
    (
        ("ok", "warning", "budget.warning"),
        ("warning", "exhausted", "budget.exhausted"),
        ("ok", "exhausted", "budget.exhausted"),
        ("ok", "ok", "budget.raised"),
        ("warning", "ok", "budget.raised"),
        ("exhausted", "ok", "budget.raised"),
    ),
)

MACHINES = {
    machine.name: machine for machine in (RUN, PHASE, TASK, AGENT, GATE, MERGE, ARTIFACT, FINDING, INCIDENT, BUDGET)
}
