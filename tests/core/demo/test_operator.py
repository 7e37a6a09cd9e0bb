"""The automatic operator rejects one thing, once, and says why."""

from __future__ import annotations

import pytest

from swarm_core.demo import ACTS, verdict
from swarm_core.vocabulary.gating import VERDICTS


def test_the_backends_first_merge_is_rejected_with_a_note() -> None:
    assert verdict("merge", "backend", 1) == ("reject", "Tokens must expire after 15 minutes, not 60")


@pytest.mark.parametrize(
    ("place", "service", "iteration"),
    [
        ("plan", "architect", 1),
        ("merge", "backend", 2),
        ("merge", "database", 1),
        ("landing", "", 1),
        ("escalation", "backend", 1),
    ],
)
def test_everything_else_is_approved(place: str, service: str, iteration: int) -> None:
    assert verdict(place, service, iteration) == ("approve", "")


def test_an_act_is_a_verdict_the_engine_knows_and_a_rejection_has_a_note() -> None:
    assert ACTS
    assert all(act.verdict in VERDICTS for act in ACTS)
    assert all(act.note for act in ACTS if act.verdict == "reject")
