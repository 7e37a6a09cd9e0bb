"""Percentiles in bounded memory: right to 1 % (of the nearest rank), exact at the ends."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from swarm_core.telemetry.distribution import ERROR, Distribution

LENGTHS = st.lists(st.integers(0, 40_000_000_000), min_size=1, max_size=200)


def made(lengths: list[int]) -> Distribution:
    distribution = Distribution()
    for length in lengths:
        distribution.add(length)
    return distribution


@given(LENGTHS, st.floats(0.01, 1))
def test_a_percentile_is_that_of_the_nearest_rank(lengths: list[int], share: float) -> None:
    exact = sorted(lengths)[max(1, math.ceil(share * len(lengths))) - 1] / 1000
    found = made(lengths).percentile_s(share)

    assert abs(found - exact) <= exact * (ERROR + 1e-6) + 0.0001


@given(LENGTHS)
def test_count_sum_and_maximum_are_exact(lengths: list[int]) -> None:
    d = made(lengths).document()

    assert (d["count"], d["sum_s"], d["max_s"]) == (len(lengths), sum(lengths) / 1000, max(lengths) / 1000)


@given(LENGTHS)
def test_a_snapshot_is_the_same_distribution(lengths: list[int]) -> None:
    frozen = made(lengths).freeze()
    assert Distribution.thaw(json.loads(json.dumps(frozen))).freeze() == frozen


def test_memory_does_not_follow_the_number_of_lengths() -> None:
    distribution = made([number % 1_000_000 for number in range(0, 10_000_000, 37)])
    assert len(distribution.freeze()["buckets"]) < 800
    assert Distribution().percentile_s(0.5) == 0
