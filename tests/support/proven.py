"""A play in which anything may be said, and which knows what no play may do: pass what nobody proved, or mend twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.support.carried import Carried
from tests.support.story import planned, spec

from swarm_core.definitions.matrix import shipped_matrix
from swarm_core.policy.effects import Act, EvaluateGate, Land, MergeTask, RunAgent
from swarm_core.policy.gating import ruling
from swarm_core.policy.matrix import blocking
from swarm_core.vocabulary.entities import CheckResult, Gate
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.gating import PASSING, GatingSpec, PhaseSpec
from swarm_core.vocabulary.machines import TASK

MAX_STEPS = 40
PHASES = (PhaseSpec("one", "First", "G1"), PhaseSpec("two", "Second", "G2", mode="auto"))


@dataclass(frozen=True, slots=True)
class Shown:
    """What a measurement of a gate comes to. ``is_stale``: it is about another state than the present one."""

    checks: tuple[bool, ...] = (True,)
    holds: bool = False
    is_stale: bool = False

    @property
    def results(self) -> list[dict[str, Any]]:
        return [{"name": f"c{number}", "passed": passed} for number, passed in enumerate(self.checks)]


class Proven(Carried):
    """Fails as soon as an event or an act breaks one of its rules."""

    def __init__(self, profile: str = "gated", *, is_phased: bool = False) -> None:
        gates = GatingSpec(profile, phases=PHASES if is_phased else ())
        tasks = [planned(1, "backend"), planned(2, "security"), planned(3, "backend", 1)]
        if is_phased:
            tasks = [{**task, "phase": key} for task, key in zip(tasks, ("one", "one", "two"), strict=True)]
        self.fresh: dict[str, str] = {}  # the evidence each gate showed last, while it holds
        self.next_shown = Shown()
        self.is_watched = False
        super().__init__(replace(spec("backend", "security"), gates=gates), tasks)
        self.happens("matrix.adopted", **shipped_matrix().data())
        self.go(lambda one: "task_001" in one.view.tasks and bool(one.view.index.in_status("running")))
        self.is_watched = True

    # -- what may be said

    def tell(self, draft: Draft) -> bool:
        """Say something; False if the state refuses it, which leaves no trace."""
        before = len(self.events)
        try:
            self.view.check(draft)
        except IllegalTransition:
            assert len(self.events) == before
            return False
        self >> draft
        return True

    def step(self, number: int, shown: Shown) -> None:
        """One of the acts that are wanted is carried out."""
        acts = [act for act in self.acts if self._can(act)]
        if acts and not self.view.is_over:
            self.next_shown = shown
            self.do(acts[number % len(acts)])

    def advance(self, place: str) -> None:
        """Everybody does what is asked of them, well, until a gate of this place is to be measured."""
        for _ in range(MAX_STEPS):
            waiting = any(gate.place == place and gate.status == "evaluating" for gate in self.view.gates.values())
            acts = [act for act in self.acts if self._can(act)]
            if waiting or self.view.is_over or not (acts or self.view.open_gates):
                return
            self.decide(0, "approve", is_seen=True)
            if acts := [act for act in self.acts if self._can(act)]:
                self.step(0, Shown())

    def decide(self, number: int, verdict: str, *, is_seen: bool) -> None:
        """The operator decides about one of the open gates: about what he was shown, or about something else."""
        gates = self.view.open_gates
        if gates:
            gate = gates[number % len(gates)]
            if gate.blockers and verdict == "approve":
                return  # the engine measures again instead
            evidence = gate.evidence if is_seen else "something else"
            data = {"gate": gate.id, "verdict": verdict, "note": "n", "evidence": evidence, "by": "operator"}
            self.tell(Draft("gate.decided", data, actor="operator", task=gate.task or None))

    def forge(self, number: int, shown: Shown) -> None:
        """Somebody says in the rule's name that a gate under evaluation is passed."""
        gates = [gate for gate in self.view.gates.values() if gate.status == "evaluating"]
        if gates:
            gate = gates[number % len(gates)]
            self.tell(Draft("gate.decided", {**self._data(gate, shown), "verdict": "approve", "by": "rule"}))

    def _decides(self, gate: Gate) -> None:
        """As the engine does: the rule decides, or the gate opens."""
        data = self._data(gate, self.next_shown)
        checks = [CheckResult.of(check) for check in data["checks"]]
        if not self.is_watched:
            super()._decides(gate)
            return
        ruled = ruling(self.spec.gates, gate, checks, blockers=data["blockers"], holds=data["holds"])
        if ruled is None:
            self.happens("gate.opened", gate.task or None, **data)
        else:
            self.happens("gate.decided", gate.task or None, **data, verdict=ruled[0], note=ruled[1], by="rule")

    def _data(self, gate: Gate, shown: Shown) -> dict[str, Any]:
        about = self.view.tasks[gate.task].commit if gate.place == "merge" else ""
        about = self.view.run.integration if gate.place in ("phase", "landing") else about
        return {
            "gate": gate.id,
            "evidence": f"e{len(self.events)}",
            "about": f"{about}-before" if shown.is_stale and gate.place in ("merge", "phase") else about,
            "checks": shown.results,
            "blockers": blocking(self.view) if gate.place == "landing" else [],
            "holds": ["a hold"] if shown.holds else [],
        }

    # -- what no play may do

    def _append(self, draft: Draft) -> None:
        was = dict(self.view.gates)
        super()._append(draft)
        name = str(draft.data.get("gate", ""))
        gate = self.view.gates.get(name)
        if gate is not None and draft.kind == "gate.opened":
            self.fresh[name] = gate.evidence
        elif draft.kind in ("gate.invalidated", "gate.reevaluated"):
            self.fresh.pop(name, None)
        if gate is not None and gate.status == "passed" and was[name].status != "passed" and self.is_watched:
            self._passed(was[name], gate, draft)
        if draft.kind == "receipt.sealed" and self.is_watched:
            self._sealed(str(draft.phase))

    def _passed(self, was: Gate, gate: Gate, draft: Draft) -> None:
        assert draft.kind == "gate.decided", f"{gate.id} is passed by {draft.kind}"
        if was.status == "evaluating":
            assert gate.checks, f"{gate.id} is passed by a rule on nothing"
            assert all(check.has_passed for check in gate.checks), f"{gate.id} is passed by a rule on what failed"
            assert not [*gate.blockers, *gate.holds], f"{gate.id} is passed by a rule past a hold"
        else:
            assert draft.data["evidence"] == self.fresh.get(gate.id), f"{gate.id}: nobody was shown that"

    def _sealed(self, key: str) -> None:
        if self.spec.gates.phase(key) is None:
            return
        gate, phase = self.view.latest_gate("phase", key), self.view.phases[key]
        assert gate is not None, f"{key} is sealed without a gate"
        assert gate.status == "passed", f"{key} is sealed, its gate is {gate.status}"
        assert gate.round == phase.round, f"{key} is sealed by the gate of another round"
        assert gate.about == self.view.run.integration, f"{key} is sealed for another state of the line"

    def settle(self) -> Proven:
        super().settle()
        if self.is_watched:
            for act in self.acts:
                self._wanted(act)
            self._mends_once()
        return self

    def _wanted(self, act: Act) -> None:
        match act:
            case MergeTask(name, commit):
                task, gate = self.view.tasks[name], self.view.latest_gate("merge", name)
                assert gate is not None, f"{name} is merged without a gate"
                assert gate.verdict in PASSING, f"{name} is merged, its gate says {gate.verdict}"
                assert gate.round == task.iteration, f"{name} is merged by the approval of another round"
                assert gate.about in ("", commit), f"{name} is merged by the approval of another commit"
            case Land(name):
                gate = self.view.gates[name]
                assert gate.status == "passed", f"landed, the gate is {gate.status}"
                assert gate.about == self.view.run.integration, "landed for another state of the line"
                assert gate.forced or not blocking(self.view), f"landed past {blocking(self.view)}"
            case RunAgent(name):
                assert self.view.tasks[name].status == "running"
            case EvaluateGate(name):
                assert self.view.gates[name].status == "evaluating"

    def _mends_once(self) -> None:
        """No finding has two tasks that mend it at the same time."""
        made: dict[str, set[str]] = {}
        for finding in self.view.findings.values():
            made[finding.id] = {finding.task} if finding.task else set()
        for firing in self.view.firings.values():
            found = made.get(firing.fact.key.partition(":")[2]) if firing.fact.kind == "finding" else None
            if found is not None:
                found |= set(firing.tasks)
        for name, tasks in made.items():
            live = [task for task in sorted(tasks) if self._mends(task)]
            assert len(live) < 2, f"{name} is mended by {' and '.join(live)}"

    def _mends(self, name: str) -> bool:
        task = self.view.tasks[name]
        return task.is_work and task.status not in TASK.terminal


def sequence(play: Proven, moves: Sequence[tuple[Any, ...]]) -> None:
    """Make the moves one after the other; what the state refuses is nothing."""
    for kind, *args in moves:
        if play.view.is_over:
            return
        match kind:
            case "step":
                play.step(*args)
            case "decide":
                play.decide(args[0], args[1], is_seen=args[2])
            case "advance":
                play.advance(*args)
            case "forge":
                play.forge(*args)
            case _:
                play.tell(Draft(kind, args[0], task=args[1] if len(args) > 1 else None, actor="security-1"))
