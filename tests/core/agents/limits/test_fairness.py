"""Fairness: who was let in less often is ahead, but nobody saves up."""

from __future__ import annotations

from swarm_core.agents.limits.fairness import MOST_BEHIND, RANK_OF_A_CALL, Fairness


def test_who_was_let_in_less_often_ranks_higher() -> None:
    fairness = Fairness()
    for agent in ("quick", "quick", "slow"):
        fairness.let_in(agent)
    assert fairness.rank("new") > fairness.rank("slow") > fairness.rank("quick")


def test_a_newcomer_and_somebody_who_was_away_are_ahead_by_a_bounded_number_of_calls() -> None:
    fairness = Fairness()
    fairness.let_in("away")
    for _ in range(500):
        fairness.let_in("busy")
    most = RANK_OF_A_CALL * MOST_BEHIND + 1e-9
    assert fairness.rank("new") - fairness.rank("busy") <= most
    for _ in range(MOST_BEHIND):
        fairness.let_in("away")
    assert abs(fairness.rank("away") - fairness.rank("busy")) < 1e-9
