"""Whatever is measured, found, said, forced or forged, in any order: nothing passes that was not proven just before.

The whole policy plays, with rules, findings, phases and checks. That these properties can fail is shown by policies
that are wrong in one place each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.support.proven import Proven, Shown, sequence

from swarm_core.policy.decide import _Decision
from swarm_core.policy.effects import Effect, SealPhase
from swarm_core.policy.findings import Findings
from swarm_core.policy.phases import Phases
from swarm_core.vocabulary import changes_gates
from swarm_core.vocabulary.entities import Gate, Task
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.gating import VERDICTS

DECIDING = import_module("swarm_core.policy.decide")  # the package has a function of that name
NUMBER = st.integers(0, 5)
SHOWN = st.builds(
    Shown,
    st.sampled_from(((True,), (True,), (True, True), (False,), (True, False), ())),
    st.sampled_from((False, False, False, True)),
    st.sampled_from((False, False, False, True)),
)


def _finding(number: int, severity: str, category: str, place: str) -> tuple[Any, ...]:
    data = {"finding": f"W-{number}", "title": "t", "severity": severity, "category": category, "location": place}
    return ("finding.opened", data, "task_002")


def _check(name: str, passed: bool, value: float) -> tuple[Any, ...]:
    data = {"name": name, "tree": "merged", "value": value if name == "coverage" else None}
    return ("check.passed" if passed else "check.failed", data)


STEP: st.SearchStrategy[tuple[Any, ...]] = st.tuples(st.just("step"), NUMBER, SHOWN)
DECIDE: st.SearchStrategy[tuple[Any, ...]] = st.tuples(
    st.just("decide"),
    NUMBER,
    st.sampled_from(("approve", "approve", "approve", *VERDICTS)),
    st.sampled_from((True, True, True, False)),
)
FACT: st.SearchStrategy[tuple[Any, ...]] = st.one_of(
    st.builds(
        _finding,
        st.integers(1, 4),
        st.sampled_from(("CRITICAL", "HIGH", "MEDIUM", "LOW")),
        st.sampled_from(("security", "inconsistency", "error", "")),
        st.sampled_from(("backend/a.py:1", "security/b.py", "")),
    ),
    st.builds(_check, st.sampled_from(("tests", "coverage", "secret-scan")), st.booleans(), st.floats(50, 100)),
    st.builds(
        lambda number: ("finding.closed", {"finding": f"W-{number}", "resolution": "accepted"}), st.integers(1, 4)
    ),
    st.builds(lambda number: ("rule.waived", {"firing": f"firing_{number:03d}", "note": "n"}), st.integers(1, 4)),
    st.tuples(st.just("forge"), NUMBER, SHOWN),
    st.sampled_from((("run.paused", {}), ("run.halted", {}), ("run.resumed", {}), ("run.resumed", {}))),
)
# Most of the time somebody does what is asked of them: a play that goes nowhere proves nothing.
ADVANCE: st.SearchStrategy[tuple[Any, ...]] = st.tuples(
    st.just("advance"), st.sampled_from(("merge", "phase", "landing", "landing", "escalation"))
)
MOVES = st.lists(st.one_of(STEP, STEP, DECIDE, DECIDE, FACT, ADVANCE), max_size=30)
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


def plays(examples: int, *, is_searching: bool = False) -> Callable[[], None]:
    """The property over so many sequences; ``is_searching`` for one that is to fail: quickly, and always alike."""
    more: dict[str, Any] = {"phases": [Phase.generate], "derandomize": True} if is_searching else {}

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=QUIET, **more)
    @given(st.sampled_from(("gated", "autonomous", "paranoid")), st.booleans(), MOVES)
    def holds(profile: str, is_phased: bool, moves: list[tuple[Any, ...]]) -> None:
        sequence(Proven(profile, is_phased=is_phased), moves)

    return holds


def test_no_sequence_passes_or_lands_or_seals_without_fresh_evidence_and_nothing_is_mended_twice() -> None:
    plays(150)()


def test_sequences_come_to_the_end_of_a_run() -> None:
    """Sequences that never get far would hold of anything."""
    for is_phased in (False, True):
        play = Proven("autonomous", is_phased=is_phased)
        sequence(play, [("step", 0, Shown())] * 60)
        assert play.view.run.landed


# -- wrong policies


def _blind_to_blocks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DECIDING, "blocking", lambda view: [])


def _approvals_hold_for_any_commit(patch: pytest.MonkeyPatch) -> None:
    verifying = _Decision._verifying

    def blind(self: _Decision, task: Task) -> Iterator[Effect]:
        gate = self.view.latest_gate("merge", task.id)
        if gate is not None and gate.status == "passed" and gate.round == task.iteration:
            yield self._accepted(task, gate)
        else:
            yield from verifying(self, task)

    patch.setattr(_Decision, "_verifying", blind)


def _evidence_is_not_compared(patch: pytest.MonkeyPatch) -> None:
    judged = changes_gates._judged

    def blind(gate: Gate, data: Any, verdict: str) -> Gate:
        is_open = gate.status != "evaluating"
        return judged(gate, {key: data[key] for key in data if key != "evidence" or not is_open}, verdict)

    patch.setattr(changes_gates, "_judged", blind)


def _rules_pass_what_failed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Gate, "has_clean_evidence", property(lambda self: True))


def _phases_do_not_look_at_the_line(patch: pytest.MonkeyPatch) -> None:
    gated = Phases._gated

    def blind(self: Phases, phase: Any, is_done: bool) -> Iterator[Effect]:
        gate = self.view.latest_gate("phase", phase.key)
        if is_done and gate is not None and gate.status == "passed":
            yield SealPhase(phase.key, phase.round)
        else:
            yield from gated(self, phase, is_done)

    patch.setattr(Phases, "_gated", blind)


def _findings_do_not_wait_for_rules(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Findings, "_is_ruled", lambda self, finding: False)
    patch.setattr(Findings, "_of_a_rule", lambda self, finding: None)


MUTANTS = (
    _blind_to_blocks,
    _approvals_hold_for_any_commit,
    _evidence_is_not_compared,
    _rules_pass_what_failed,
    _phases_do_not_look_at_the_line,
    _findings_do_not_wait_for_rules,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__.strip("_"))
def test_a_wrong_policy_is_found(mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    # A wrong policy may also write down what does not fit together.
    with pytest.raises((AssertionError, IllegalTransition)):
        plays(1_500, is_searching=True)()
