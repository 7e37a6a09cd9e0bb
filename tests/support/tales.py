"""Hand-made journals with times: a tale says what happened at which second."""

from __future__ import annotations

from typing import Any

from swarm_core.telemetry.moments import stamp
from swarm_core.vocabulary.events import Draft, Event

RUN = "20261121-100000-tale"
START_MS = 1_795_255_200_000  # 2026-11-21T10:00:00Z


class Tale:
    """Collects events; ``at`` sets the second at which the following ones happen."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.second = 0.0

    def at(self, second: float) -> Tale:
        self.second = second
        return self

    def __call__(self, kind: str, task: str | None = None, agent: str | None = None, /, **data: Any) -> Tale:
        ts = stamp(START_MS + round(self.second * 1000))
        self.events.append(Event(len(self.events) + 1, ts, RUN, kind, data, "engine", task, agent))
        return self

    @property
    def drafts(self) -> list[Draft]:
        return [Draft(e.kind, e.data, e.actor, e.task, e.agent, e.phase) for e in self.events]

    @property
    def stamps(self) -> list[str]:
        return [event.ts for event in self.events]


def a_run() -> Tale:
    """Two tasks after the plan: a database (0 to 20 s) and a backend that needs it (20 to 60 s, one failure, one
    rejection), beside them a page (10 to 15 s). Landed at 70 s."""
    tale = Tale()
    tale("run.created", title="Build it")("engine.started", pid=1)
    tale.at(1)("run.started")("task.created", "task_000", title="Plan", assigned_to="architect")
    tale("task.ready", "task_000").at(2)("agent.starting", None, "architect-1", service="architect", model="m")
    tale("agent.ready", None, "architect-1").at(3)("task.claimed", "task_000", "architect-1", attempt=1)
    tale.at(5)(
        "llm.call", "task_000", "architect-1", model="m", input_tokens=100, output_tokens=10, cost_usd=0.5, ms=1500
    )
    tale("task.submitted", "task_000", "architect-1")("gate.evaluating", "task_000", gate="gate_001", place="plan")
    tale.at(6)("gate.opened", "task_000", gate="gate_001").at(10)
    tale("gate.decided", "task_000", gate="gate_001", verdict="approve")
    tale("task.created", "task_001", title="Schema", assigned_to="database", dependencies=[])
    tale("task.created", "task_002", title="API", assigned_to="backend", dependencies=["task_001"])
    tale("task.created", "task_003", title="Page", assigned_to="frontend", dependencies=[])
    tale("task.done", "task_000")("task.ready", "task_001")("task.ready", "task_003")
    for instance in ("database-1", "frontend-1", "backend-1"):
        tale("agent.starting", None, instance, service=instance[:-2], model="m")("agent.ready", None, instance)
    tale.at(11)("task.claimed", "task_001", "database-1", attempt=1)(
        "task.claimed", "task_003", "frontend-1", attempt=1
    )
    tale.at(13)("policy.denied", "task_003", "frontend-1", tool="Bash", target="git push", rule="tools_restricted")
    tale.at(14)("task.submitted", "task_003", "frontend-1")(
        "gate.evaluating", "task_003", gate="gate_002", place="merge"
    )
    tale("gate.opened", "task_003", gate="gate_002").at(15)
    tale("gate.decided", "task_003", gate="gate_002", verdict="approve")("task.done", "task_003")
    tale.at(16)("tool.used", "task_001", "database-1", name="Bash", target="pytest", ok=True, ms=1000)
    tale("task.submitted", "task_001", "database-1")("gate.evaluating", "task_001", gate="gate_003", place="merge")
    tale.at(17)("check.failed", "task_001", name="lint", seconds=0.5, tree="agent", exit_code=1)
    tale("gate.opened", "task_001", gate="gate_003").at(18)
    tale("gate.decided", "task_001", gate="gate_003", verdict="approve")("task.verified", "task_001")
    tale("merge.queued", "task_001").at(19)("merge.checking", "task_001").at(20)("merge.completed", "task_001")
    tale("task.done", "task_001")("task.ready", "task_002").at(22)("task.claimed", "task_002", "backend-1", attempt=1)
    tale.at(23)("llm.retry", "task_002", "backend-1", kind="limit", wait_s=5.0, attempt=1)
    tale("agent.waiting", "task_002", "backend-1", until="x").at(28)("agent.busy", "task_002", "backend-1")
    tale.at(30)
    tale("llm.call", "task_002", "backend-1", model="m", input_tokens=7, output_tokens=3, cost_usd=0.25, ms=7500)
    tale("task.failed", "task_002", kind="stalled", reason="r")
    tale("gate.evaluating", "task_002", gate="gate_004", place="escalation").at(31)
    tale("gate.opened", "task_002", gate="gate_004").at(33)(
        "gate.decided", "task_002", gate="gate_004", verdict="approve"
    )
    tale("task.reassigned", "task_002").at(34)("task.claimed", "task_002", "backend-1", attempt=2).at(40)
    tale("task.submitted", "task_002", "backend-1")("gate.evaluating", "task_002", gate="gate_005", place="merge")
    tale.at(41)("gate.opened", "task_002", gate="gate_005").at(45)
    tale("gate.decided", "task_002", gate="gate_005", verdict="reject")("task.reopened", "task_002", iteration=2)
    tale.at(46)("task.claimed", "task_002", "backend-1", attempt=3).at(50)("task.submitted", "task_002", "backend-1")
    tale("gate.evaluating", "task_002", gate="gate_006", place="merge").at(52)(
        "gate.opened", "task_002", gate="gate_006"
    )
    tale.at(55)("gate.decided", "task_002", gate="gate_006", verdict="approve")("task.verified", "task_002")
    tale("merge.queued", "task_002").at(57)("merge.checking", "task_002").at(60)("merge.completed", "task_002")
    tale("task.done", "task_002").at(61)("gate.evaluating", gate="gate_007", place="landing")
    tale.at(63)("check.passed", name="tests", seconds=1.5, tree="merged", exit_code=0)("gate.opened", gate="gate_007")
    tale.at(69)("gate.decided", gate="gate_007", verdict="approve").at(70)
    return tale("run.completed", outcome="clean", landed=True)("engine.released", pid=1)
