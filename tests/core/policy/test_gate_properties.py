"""No sequence of facts and decisions opens a gate without fresh evidence, whatever is said in whatever order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.story import Story, planned, spec

from swarm_core.policy.gating import ruling
from swarm_core.vocabulary.entities import CheckResult, Gate
from swarm_core.vocabulary.errors import IllegalTransition
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.gating import MODES, PLACES, PROFILES, VERDICTS, GatingSpec
from swarm_core.vocabulary.machines import GATE
from swarm_core.vocabulary.view import RunView

EVIDENCE = st.sampled_from(("", "e1", "e2"))
CHECKS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(("tests", "lint")), "passed": st.booleans()}), max_size=2
)
SHOWN = st.fixed_dictionaries(
    {"evidence": EVIDENCE, "checks": CHECKS},
    optional={"holds": st.lists(st.just("conflicts"), max_size=1), "blockers": st.lists(st.just("x"), max_size=1)},
)
FACTS: st.SearchStrategy[Any] = st.one_of(
    st.tuples(st.just("gate.opened"), SHOWN),
    st.tuples(st.just("gate.decided"), st.fixed_dictionaries({"verdict": st.sampled_from(VERDICTS)}, optional={})),
    st.tuples(
        st.just("gate.decided"),
        st.builds(lambda verdict, shown: {"verdict": verdict, **shown}, st.sampled_from(VERDICTS), SHOWN),
    ),
    st.tuples(
        st.sampled_from(("gate.invalidated", "gate.reevaluated", "gate.deferred", "gate.consulted", "gate.aborted")),
        st.just({}),
    ),
    st.tuples(st.sampled_from(("run.paused", "run.resumed", "run.halted")), st.just({})),
)


def told(view: RunView, kind: str, data: dict[str, Any]) -> bool:
    """Apply a fact; False if the state refuses it."""
    event = Event(view.last_seq + 1, "2026-11-21T00:00:00.000Z", "r", kind, data, task="task_001")
    try:
        view.check(Draft(kind, data, task="task_001"))
    except IllegalTransition:
        return False
    view.apply(event)
    return True


@settings(max_examples=300, deadline=None)
@given(st.lists(FACTS, max_size=14))
def test_no_sequence_of_facts_and_decisions_passes_a_gate_without_fresh_evidence(
    facts: list[tuple[str, dict[str, Any]]],
) -> None:
    story = Story(spec("a")).planned(planned(1, "a")).started("a-1", "a").submits("task_001")
    view, shown = story.view, ""
    for kind, more in facts:
        data = {"gate": "gate_002", **more} if kind.startswith("gate.") else more
        was = view.gates["gate_002"]
        if not told(view, kind, data):
            assert view.gates["gate_002"] == was, "what is refused leaves no trace"
            continue
        now = view.gates["gate_002"]
        if kind == "gate.opened" or (kind == "gate.decided" and was.status == "evaluating"):
            shown = now.evidence
        elif kind in ("gate.invalidated", "gate.reevaluated"):
            shown = ""
        if now.status != "passed" or was.status == "passed":
            continue
        assert kind == "gate.decided"
        if was.status == "evaluating":
            assert now.has_clean_evidence, "a rule passes only what was measured and passed"
        else:
            assert data.get("evidence", shown) == shown == now.evidence, "a person passes only what was shown"
            assert was.status == "open" or data["verdict"] == "force"


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(PROFILES),
    st.dictionaries(st.sampled_from([p for p in PLACES if p != "migration"]), st.sampled_from(MODES)),
    st.sampled_from(("merge", "plan", "landing", "escalation", "budget", "permission")),
    st.lists(st.builds(CheckResult, st.just("c"), st.booleans()), max_size=3),
    st.integers(1, 6),
    st.booleans(),
)
def test_a_rule_approves_clean_evidence_only_and_never_where_the_operator_decides(
    profile: str, places: dict[str, str], place: str, checks: list[CheckResult], round_: int, is_migration: bool
) -> None:
    gates = GatingSpec(profile, places)
    aspects = ("migration",) if is_migration else ()
    ruled = ruling(gates, replace(Gate("g", place, "t"), round=round_), checks, aspects=aspects)
    if ruled is not None and ruled[0] == "approve":
        assert checks
        assert all(check.has_passed for check in checks)
        assert not is_migration
        assert gates.mode(place) != "human"
    if ruled is not None and ruled[0] != "approve":
        assert gates.mode(place) == "auto"


def test_the_machine_passes_a_gate_by_a_decision_alone() -> None:
    assert {event for _, target, event in GATE.transitions if target == "passed"} == {"gate.decided"}
