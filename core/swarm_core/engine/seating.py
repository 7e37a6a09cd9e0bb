"""What acts and events mean for who works where."""

from __future__ import annotations

from swarm_core.policy import Act
from swarm_core.policy.effects import RetireInstance, RunAgent

# What changes how many agents of a run work, or want to: the other runs look again.
STAFFING = frozenset(
    {
        "task.ready",
        "task.claimed",
        "task.released",
        "task.submitted",
        "task.failed",
        "task.cancelled",
        "run.paused",
        "run.halted",
        "run.resumed",
        "run.completed",
        "run.failed",
        "run.aborted",
    }
)


def seats_of(act: Act) -> tuple[str, ...]:
    """The task and the instance whose worktree an act needs for itself."""
    match act:
        case RunAgent(task, instance):
            return (task, instance)
        case RetireInstance(instance):
            return (instance,)
        case _:
            return ()
