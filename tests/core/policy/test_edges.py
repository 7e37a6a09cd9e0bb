"""Every edge of the designed state machines is walked by a play; an edge that no play walks fails here.

A play goes through the policy: what it records follows from the state, facts from outside are told by the play.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.story import Story, planned, spec

from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.gating import GatingSpec, PhaseSpec
from swarm_core.vocabulary.spec import BudgetSpec, SwarmSpec

CORPUS = Path(__file__).parents[2] / "corpus" / "state_machines.yaml"
Edge = tuple[str, str, str, str]
DESIGNED: list[Edge] = [
    (name, *edge) for name, machine in yaml.safe_load(CORPUS.read_text()).items() for edge in machine["t"]
]
# The same step under the name the program has for it, and those it does not make; test_machines gives the reasons.
OTHERWISE: dict[Edge, Edge | None] = {
    ("phase", "gating", "active", "gate.decided"): ("phase", "gating", "active", "phase.reopened"),
    ("agent", "paused", "idle", "agent.resumed"): ("agent", "paused", "busy", "agent.resumed"),
    ("gate", "pending", "evaluating", "gate.evaluating"): ("gate", "", "evaluating", "gate.evaluating"),
    ("merge", "conflicted", "queued", "merge.mediated"): ("merge", "conflicted", "queued", "merge.queued"),
    ("merge", "conflicted", "rejected", "merge.rejected"): None,
}
PHASED = GatingSpec(phases=(PhaseSpec("one", "First", "G1"),))
CLEAN: dict[str, Any] = {"evidence": "e", "checks": [{"name": "tests", "passed": True}], "by": "rule"}


class Walk(Story):
    """A play that keeps the edges it walked."""

    def __init__(self, spec: SwarmSpec) -> None:
        self.walked: set[Edge] = set()
        super().__init__(spec)

    def _append(self, draft: Draft) -> None:
        before = self._statuses()
        super()._append(draft)
        for (machine, name), status in self._statuses().items():
            was = before.get((machine, name), "" if machine == "gate" else "pending" if machine == "phase" else None)
            if was is not None and was != status:
                self.walked.add((machine, was, status, draft.kind))
            elif was is None and machine == "artifact":
                self.walked.add((machine, "declared", status, draft.kind))

    def _statuses(self) -> dict[tuple[str, str], str]:
        view = self.view
        kinds = {
            "phase": view.phases,
            "task": view.tasks,
            "agent": view.instances,
            "gate": view.gates,
            "merge": view.merges,
            "artifact": view.artifacts,
            "finding": view.findings,
            "incident": view.incidents,
            "budget": view.budgets,
        }
        found = {(kind, name): item.status for kind, items in kinds.items() for name, item in items.items()}  # type: ignore[attr-defined]
        return {("run", ""): view.run.status, **found}


def one(gates: GatingSpec | None = None, **more: object) -> Walk:
    """A run with one task under way, and another that waits for it."""
    walk = Walk(replace(spec("a"), gates=gates or GatingSpec(), **more))  # type: ignore[arg-type]
    walk.planned(planned(1, "a", phase="one"), planned(2, "a", 1, phase="one")).started("a-1", "a")
    return walk


def at_gate(gates: GatingSpec | None = None) -> Walk:
    walk = one(gates)
    walk.submits("task_001")
    return walk


def opened(gates: GatingSpec | None = None) -> Walk:
    walk = at_gate(gates)
    walk.happens("gate.opened", gate="gate_002", evidence="e")
    return walk


def facts(*kinds: str, **data: Any) -> Callable[[], Walk]:
    """A play of facts about one thing, in their order."""

    def play() -> Walk:
        walk = Walk(spec("a"))
        walk.happens("run.started", base="b0", integration="b0")
        for kind in kinds:
            walk.happens(kind, **data)
        return walk

    return play


def _landed() -> Walk:
    walk = one()
    walk.submits("task_001").opened_and("approve").merged("task_001", "c1")
    walk.submits("task_002", "c2").opened_and("approve").merged("task_002", "c2")
    for name in ("a-1", "architect-1"):
        walk.happens("agent.retired", agent=name)
    walk.opened_and("approve").happens("run.completed", outcome="clean", landed=True)
    return walk


def _nothing_to_merge() -> Walk:
    walk = one()
    walk.submits("task_001", "", files=0).opened_and("approve")
    return walk


def _sent_back() -> Walk:
    walk = at_gate()
    walk.opened_and("request_changes", "again")
    return walk


def _ruled(verdict: str) -> Callable[[], Walk]:
    def play() -> Walk:
        walk = at_gate(GatingSpec(places={"merge": "auto"}))
        walk.happens("gate.decided", gate="gate_002", verdict=verdict, note="n", **CLEAN)
        return walk

    return play


def _verdict(verdict: str, *before: str) -> Callable[[], Walk]:
    def play() -> Walk:
        walk = opened()
        for word in before:
            walk.happens("gate.decided", gate="gate_002", verdict=word, note="n", evidence="e")
        walk.happens("gate.decided", gate="gate_002", verdict=verdict, note="n", evidence="e")
        return walk

    return play


def _held_after(verdict: str, kind: str = "gate.decided") -> Callable[[], Walk]:
    """Refused while the run is paused, and then something else."""

    def play() -> Walk:
        walk = opened()
        walk.happens("run.paused").happens("gate.decided", gate="gate_002", verdict="reject", note="n")
        walk.happens(kind, gate="gate_002", verdict=verdict)
        return walk

    return play


def _moved() -> Walk:
    walk = opened()
    walk.happens("gate.invalidated", gate="gate_002", reason="it moved")
    return walk


def _conflicted() -> Walk:
    walk = at_gate()
    walk.opened_and("approve").happens("merge.checking", "task_001", commit="c1")
    walk.happens("merge.conflicted", "task_001", paths=["x"]).opened_and("approve")
    walk.submits("task_001", "c3").opened_and("approve")
    return walk


def _merge_rejected() -> Walk:
    walk = at_gate()
    walk.opened_and("approve").happens("merge.checking", "task_001", commit="c1")
    walk.happens("merge.rejected", "task_001", reason="no")
    return walk


def _failed_in(*steps: str) -> Callable[[], Walk]:
    """A task that fails while it is running, verifying, merging or blocked."""

    def play() -> Walk:
        walk = one()
        if "verifying" in steps:
            walk.submits("task_001")
        if "merging" in steps:
            walk.submits("task_001").opened_and("approve")
        if "blocked" in steps:
            walk.happens("task.blocked", "task_001", reason="no input")
        walk.happens("task.failed", "task_001", "a-1", reason="400")
        return walk

    return play


def _after_failure(kind: str) -> Callable[[], Walk]:
    def play() -> Walk:
        walk = _failed_in()()
        walk.happens(kind, "task_001", assigned_to="a", by="architect")
        return walk

    return play


def _pending(kind: str) -> Callable[[], Walk]:
    def play() -> Walk:
        walk = one()
        walk.happens(kind, "task_002")
        return walk

    return play


def _ready_cancelled() -> Walk:
    walk = Walk(spec("a"))
    walk.planned(planned(1, "a"))
    walk.happens("task.cancelled", "task_001")
    return walk


def _running(kind: str) -> Callable[[], Walk]:
    def play() -> Walk:
        walk = one()
        walk.happens(kind, "task_001", "a-1")
        return walk

    return play


def _blocked_cancelled() -> Walk:
    walk = one()
    walk.happens("task.blocked", "task_001", "a-1").happens("task.cancelled", "task_001")
    return walk


def _blocked_again() -> Walk:
    walk = one()
    walk.happens("task.blocked", "task_001", "a-1").happens("task.ready", "task_001")
    return walk


def _run(*kinds: str, from_gate: bool = False) -> Callable[[], Walk]:
    def play() -> Walk:
        walk = opened() if from_gate else one()
        for kind in kinds:
            data = {"incident": "incident_001"} if kind.startswith("recovery.") else {}
            if kind == "run.halted":
                walk._append(Draft("incident.opened", {"incident": "incident_001", "scope": "run"}))
            walk.happens(kind, **data)
        return walk

    return play


def _agent(*kinds: str) -> Callable[[], Walk]:
    def play() -> Walk:
        walk = Walk(spec("a"))
        walk.happens("agent.starting", agent="a-1", service="a")
        for kind in kinds:
            # Told as they are: the policy would at once put right what an instance is said to be.
            walk._append(Draft(kind, {}, agent="a-1"))
        return walk

    return play


def _phase_gate(verdict: str) -> Callable[[], Walk]:
    def play() -> Walk:
        walk = one(PHASED)
        walk.submits("task_001").opened_and("approve").merged("task_001", "c1")
        walk.submits("task_002", "c2").opened_and("approve").merged("task_002", "c2")
        gate = walk.view.latest_gate("phase", "one")
        assert gate is not None
        walk.happens("gate.opened", gate=gate.id, evidence="e", about=walk.view.run.integration)
        walk.happens("gate.decided", gate=gate.id, verdict=verdict, note="n", evidence="e")
        return walk

    return play


def _phase(*kinds: str) -> Callable[[], Walk]:
    def play() -> Walk:
        walk = Walk(spec("a"))
        for kind in kinds:
            walk.happens_in("extra", kind)
        return walk

    return play


def _budget(*kinds: str) -> Callable[[], Walk]:
    def play() -> Walk:
        walk = one(budgets=(BudgetSpec("run", "usd", 5.0),))
        for kind in kinds:
            walk.happens(kind, budget="run.usd", limit=50.0)
        return walk

    return play


ARTIFACT, FINDING = {"path": "a.md", "type": "x"}, {"finding": "f1", "category": "rule"}
INCIDENT = {"incident": "i1", "scope": "run"}
WRITTEN, VALID = "artifact.written", "artifact.validated"
PLAYS: tuple[Callable[[], Walk], ...] = (
    _landed, _nothing_to_merge, _sent_back, _moved, _conflicted, _merge_rejected, _ready_cancelled,
    _ruled("approve"), _ruled("request_changes"), _verdict("approve"), _verdict("force"), _verdict("reject"),
    _verdict("abort"), _held_after("force"), _held_after("abort"), _held_after("", "gate.reevaluated"),
    _failed_in(), _failed_in("verifying"), _failed_in("merging"), _failed_in("blocked"),
    _after_failure("task.reassigned"), _after_failure("task.cancelled"), _after_failure("task.skipped"),
    _pending("task.cancelled"), _pending("task.skipped"), _pending("task.blocked"),
    _running("task.released"), _running("task.blocked"), _running("task.cancelled"), _blocked_cancelled,
    _blocked_again,
    _run("run.paused", "run.resumed"), _run("run.paused", from_gate=True), _run("run.halted"),
    _run("run.halted", from_gate=True), _run("run.failed"), _run("run.halted", "run.failed"), _run("run.aborted"),
    _run("run.aborted", from_gate=True), _run("run.paused", "run.aborted"), _run("run.halted", "run.aborted"),
    _run("run.halted", "recovery.started", "recovery.completed"),
    _run("run.halted", "recovery.started", "recovery.failed", "recovery.started"),
    _agent("agent.ready", "agent.busy", "agent.waiting", "agent.idle", "agent.retired"),
    _agent("agent.ready", "agent.busy", "agent.waiting", "agent.busy", "agent.stalled", "agent.busy", "agent.paused",
           "agent.resumed", "agent.idle", "agent.paused", "agent.retired"),
    _agent("agent.failed", "agent.restarted"), _agent("agent.failed", "agent.retired"),
    _agent("agent.ready", "agent.busy", "agent.stalled", "agent.failed"),
    _agent("agent.ready", "agent.busy", "agent.failed"), _agent("agent.ready", "agent.busy", "agent.idle"),
    _agent("agent.ready", "agent.busy", "agent.waiting", "agent.paused"),
    _phase_gate("approve"), _phase_gate("request_changes"),
    _phase("phase.skipped"), _phase("phase.started", "phase.work_done", "receipt.mismatch"),
    facts(WRITTEN, VALID, WRITTEN, "artifact.rejected", WRITTEN, VALID, "artifact.sealed", "artifact.superseded",
          **ARTIFACT),
    facts(WRITTEN, VALID, "artifact.stale", VALID, "artifact.sealed", "artifact.stale", WRITTEN, VALID,
          "artifact.stale", "artifact.superseded", **ARTIFACT),
    facts("finding.opened", "finding.fix_started", "finding.fixed", "finding.reopened", "finding.closed", **FINDING),
    facts("finding.opened", "finding.fix_started", "finding.fixed", "finding.closed", **FINDING),
    facts("finding.opened", "finding.fix_started", "finding.unresolved", "finding.fix_started", "finding.unresolved",
          "finding.closed", **FINDING),
    facts("incident.opened", **INCIDENT),
    _budget("budget.warning", "budget.exhausted", "budget.raised", "budget.warning", "budget.raised"),
)  # fmt: skip


def _unpoliced() -> set[Edge]:
    """Incidents that nobody recovers from by themselves: told as facts."""
    walked: set[Edge] = set()
    for kinds in (
        ("incident.opened", "incident.escalated", "incident.closed"),
        ("incident.opened", "incident.contained", "run.halted", "recovery.started", "recovery.failed"),
        ("incident.opened", "incident.escalated", "run.halted", "recovery.started", "recovery.completed"),
    ):
        walk = Walk(spec("a"))
        walk.happens("run.started", base="b0", integration="b0")
        for kind in kinds:
            walk._append(Draft(kind, INCIDENT))
        walked |= walk.walked
    return walked


@pytest.fixture(scope="module")
def walked() -> set[Edge]:
    return _unpoliced().union(*(play().walked for play in PLAYS))


@pytest.mark.parametrize("edge", DESIGNED, ids=lambda edge: "-".join(edge))
def test_every_designed_edge_is_walked_by_a_play(edge: Edge, walked: set[Edge]) -> None:
    wanted = OTHERWISE.get(edge, edge)
    assert wanted is None or wanted in walked


def test_nothing_is_excused_that_the_program_does(walked: set[Edge]) -> None:
    assert not {edge for edge in OTHERWISE if edge in walked}
    assert OTHERWISE.keys() <= set(DESIGNED)
