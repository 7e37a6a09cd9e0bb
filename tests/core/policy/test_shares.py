"""Shares: nobody starves, nothing is idle while somebody waits, and the same question has the same answer."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from swarm_core.policy.shares import Demand, fair_shares

DEMANDS = st.dictionaries(
    st.text("abcdefg", min_size=1, max_size=3),
    st.builds(Demand, st.integers(0, 12), st.integers(0, 12), st.floats(0, 9)),
    max_size=8,
)


@given(st.integers(0, 40), DEMANDS)
def test_no_place_is_idle_while_somebody_waits_and_none_is_given_twice(limit: int, demands: dict[str, Demand]) -> None:
    given_ = fair_shares(limit, demands)
    free = max(0, limit - sum(demand.busy for demand in demands.values()))

    assert given_.keys() == demands.keys()
    assert sum(given_.values()) == min(free, sum(demand.waiting for demand in demands.values()))
    assert all(0 <= given_[run] <= demand.waiting for run, demand in demands.items())


@given(st.integers(0, 40), DEMANDS)
def test_whoever_gets_something_has_no_more_than_who_still_waits(limit: int, demands: dict[str, Demand]) -> None:
    given_ = fair_shares(limit, demands)
    after = {run: demand.busy + given_[run] for run, demand in demands.items()}

    for winner in (run for run, count in given_.items() if count):
        for waiter in (run for run, demand in demands.items() if given_[run] < demand.waiting):
            assert after[winner] <= after[waiter] + 1


@given(st.integers(0, 40), DEMANDS, st.randoms(use_true_random=False))
def test_the_order_of_asking_does_not_matter(limit: int, demands: dict[str, Demand], chance: random.Random) -> None:
    shuffled = dict(chance.sample(sorted(demands.items()), len(demands)))

    assert fair_shares(limit, shuffled) == fair_shares(limit, demands)


@given(st.integers(1, 6), st.lists(st.integers(1, 30), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_every_run_comes_to_its_end_however_much_the_others_want(
    limit: int, work: list[int], chance: random.Random
) -> None:
    """Tasks end anywhere. Who has nothing at work waits for as many ends as there are others, and a round more."""
    left = {f"run{number}": count for number, count in enumerate(work)}
    busy, idle_for, began_s, now_s = dict.fromkeys(left, 0), dict.fromkeys(left, 0), dict.fromkeys(left, 0.0), 0.0
    while any(left.values()) or any(busy.values()):
        now_s += 1.0
        given_ = fair_shares(limit, {run: Demand(busy[run], left[run], began_s[run]) for run in left})
        for run, count in given_.items():
            left[run] -= count
            busy[run] += count
            began_s[run] = now_s if count else began_s[run]
        assert sum(busy.values()) <= limit
        for run in left:
            idle_for[run] = idle_for[run] + 1 if left[run] and not busy[run] else 0
        done = chance.choice([run for run, count in busy.items() if count])
        busy[done] -= 1
        assert all(waited <= len(left) + limit for waited in idle_for.values())


def test_two_runs_take_turns_at_the_only_place() -> None:
    assert fair_shares(1, {"one": Demand(0, 9, 5.0), "two": Demand(0, 9, 4.0)}) == {"one": 0, "two": 1}
    assert fair_shares(1, {"one": Demand(0, 9, 5.0), "two": Demand(0, 9, 6.0)}) == {"one": 1, "two": 0}


def test_a_run_above_its_share_keeps_what_it_has_and_gets_nothing_more() -> None:
    assert fair_shares(6, {"old": Demand(5, 9), "new": Demand(0, 9)}) == {"old": 0, "new": 1}
    assert fair_shares(4, {"old": Demand(6, 9), "new": Demand(0, 9)}) == {"old": 0, "new": 0}
