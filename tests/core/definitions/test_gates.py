"""``gates:`` in the configuration: profiles, places, sets and phases are read; what is wrong is named with its line."""

from __future__ import annotations

import pytest

from swarm_core.definitions.config import parse
from swarm_core.definitions.gates import sets
from swarm_core.definitions.marked import compose
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.gating import GatingSpec

SERVICES = "services:\n  backend: {directories: [api]}\n"


def gates(text: str) -> GatingSpec:
    return parse(compose(f"{SERVICES}gates: {text}\n", "f")).gates


def test_without_a_word_the_operator_decides_as_ever() -> None:
    spec = parse(compose(SERVICES, "f")).gates
    assert [spec.mode(place) for place in ("plan", "merge", "landing")] == ["human"] * 3
    assert (spec.phases, spec.is_strict, spec.asked("merge")) == ((), False, ())


@pytest.mark.parametrize(
    ("profile", "modes"),
    [
        ("autonomous", ["auto", "auto", "auto_then_human"]),
        ("gated", ["human", "human", "human"]),
        ("paranoid", ["human", "human", "human"]),
    ],
)
def test_a_profile_is_a_mode_for_every_place(profile: str, modes: list[str]) -> None:
    spec = gates(f"{{profile: {profile}}}")
    assert [spec.mode(place) for place in ("plan", "merge", "landing")] == modes


@pytest.mark.parametrize("profile", ["autonomous", "gated", "paranoid"])
@pytest.mark.parametrize("place", ["escalation", "budget", "permission", "trust", "migration"])
def test_what_no_check_can_measure_is_the_operators_in_every_profile(profile: str, place: str) -> None:
    assert gates(f"{{profile: {profile}}}").mode(place) == "human"


def test_a_place_differs_from_its_profile_and_publish_is_the_landing() -> None:
    spec = gates("{profile: autonomous, places: {merge: auto_then_human, publish: human}}")
    assert (spec.mode("merge"), spec.mode("landing"), spec.mode("plan")) == ("auto_then_human", "human", "auto")


def test_a_merge_that_is_also_a_migration_is_the_operators() -> None:
    assert gates("{profile: autonomous}").mode("merge", aspects=("migration",)) == "human"


def test_the_architect_is_asked_where_it_is_a_reviewer() -> None:
    spec = gates("{reviewers: {merge: [architect, operator]}}")
    assert spec.asked("merge") == ("architect",)
    assert gates("{}").asked("merge", aspects=("architecture",)) == ("architect",)


def test_the_platforms_seven_phases_end_with_their_gates() -> None:
    spec = gates("{set: platform}")
    assert [phase.gate for phase in spec.phases] == ["G1", "G2", "G3", "G4", "G5", "G6", "G7"]
    modes = [spec.mode("phase", subject=phase.key) for phase in spec.phases]
    assert modes == ["human", "human", "auto_then_human", "auto", "auto", "auto", "human"]
    assert spec.asked("phase", subject="p1-architecture") == ("architect",)


def test_the_six_quality_gates_are_a_set_too() -> None:
    names = [phase.gate for phase in gates("{set: quality}").phases]
    assert names == ["design", "implementation", "review", "test", "security", "deploy"]


@pytest.mark.parametrize("name", sets())
def test_every_set_that_is_shipped_loads_and_each_gate_needs_a_check(name: str) -> None:
    assert all(phase.checks for phase in gates(f"{{set: {name}}}").phases)


def test_what_the_configuration_says_goes_before_its_set() -> None:
    spec = gates("{set: platform, phases: [{key: only, checks: [tests]}], migrations: [db/**]}")
    assert ([phase.key for phase in spec.phases], spec.migrations) == (["only"], ("db/**",))


def test_a_rule_without_checks_is_a_warning() -> None:
    found = parse(compose(f"{SERVICES}gates: {{profile: autonomous}}\n", "f"))
    assert [text for text in found.warnings if "every merge will wait for you" in text]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{profile: relaxed}", "'relaxed' is not one of autonomous, gated, paranoid"),
        ("{set: mine}", "'mine' is not one of platform, quality"),
        ("{places: {merge: maybe}}", "'maybe' is not one of auto, human"),
        ("{places: {mrege: auto}}", "did you mean 'merge'"),
        ("{places: {budget: auto}}", "is the operator's in every profile"),
        ("{places: {migration: auto}}", "is the operator's in every profile"),
        ("{reviewers: {merge: [backend]}}", "'backend' is not one of architect, operator"),
        ("{phases: [{title: x}]}", "key is missing"),
        ("{phases: [{key: plan}]}", "is not a name for a phase"),
        ("{phases: [{key: A b}]}", "is not a name for a phase"),
        ("{phases: [{key: a}, {key: a}]}", "is there twice"),
        ("{phases: [{key: a, checks: ['rm -rf']}]}", "a check's name"),
        ("{phases: 3}", "must be a list"),
        ("{migrations: ['../up']}", "is not a path pattern"),
        ("{strict: perhaps}", "is not one of true, false"),
        ("human", "must be a mapping"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        gates(text)
    assert str(caught.value).startswith("f:3: gates")
