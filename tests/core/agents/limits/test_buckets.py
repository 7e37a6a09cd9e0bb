"""Buckets: never more is reserved than they hold, whatever happens in whatever order; a reservation leaves no trace."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_core.agents.limits.buckets import BURST_S, SAFETY, Buckets, Need
from swarm_core.agents.limits.quota import Quota

LIMIT = 600
RATE, CAPACITY = LIMIT / 60 * SAFETY, LIMIT / 60 * BURST_S["input"]


def filled(name: str = "requests", limit: int = LIMIT, remaining: int | None = None) -> Buckets:
    buckets = Buckets()
    buckets.told({name: Quota(limit, limit if remaining is None else remaining)}, 0.0)
    return buckets


def test_a_burst_is_a_part_of_a_minute_and_the_rest_comes_with_time() -> None:
    buckets = filled()
    for _ in range(int(LIMIT / 60 * BURST_S["requests"])):
        assert buckets.wait_s(Need(), 0.0) == 0.0
        buckets.take(Need())
    wait_s = buckets.wait_s(Need(), 0.0)
    assert math.isclose(wait_s, 1 / RATE)
    assert buckets.wait_s(Need(), wait_s) == 0.0


def test_the_server_is_believed_where_it_says_less_and_not_where_it_says_more() -> None:
    buckets = filled(remaining=3)
    assert buckets.known["requests"].level == 3
    buckets.take(Need())
    buckets.told({"requests": Quota(LIMIT, 500)}, 0.0)
    assert buckets.known["requests"].level == 2


def test_what_was_not_used_comes_back_and_what_was_used_beyond_is_owed() -> None:
    buckets = filled("input")
    for used, left in ((20.0, CAPACITY - 20), (90.0, CAPACITY - 110)):
        tick = buckets.take(Need(1.0, 60.0))
        buckets.settle(tick, Need(1.0, 60.0), Need(1.0, used))
        assert math.isclose(buckets.known["input"].level, left)


def test_a_word_of_the_server_that_came_meanwhile_is_not_put_right_a_second_time() -> None:
    buckets = filled("input")
    tick = buckets.take(Need(1.0, 60.0))
    buckets.told({"input": Quota(LIMIT, 10)}, 0.0)  # it has counted this call, and somebody else's
    buckets.settle(tick, Need(1.0, 60.0), Need(1.0, 30.0))
    assert buckets.known["input"].level == 10


def test_output_under_way_is_held_back_from_what_the_server_says_is_left() -> None:
    buckets = filled("output")
    tick = buckets.take(Need(1.0, 0.0, 40.0))
    buckets.told({"output": Quota(LIMIT, 45)}, 0.0)
    assert buckets.known["output"].level == 5
    buckets.settle(tick, Need(1.0, 0.0, 40.0), Need(1.0, 0.0, 25.0))
    assert buckets.known["output"].level == 20


def test_a_call_from_before_a_limit_was_known_changes_nothing() -> None:
    buckets = Buckets()
    tick = buckets.take(Need(1.0, 50.0, 50.0))
    buckets.told({"output": Quota(LIMIT, LIMIT)}, 0.0)
    before = buckets.known["output"].level
    buckets.settle(tick, Need(1.0, 50.0, 50.0), Need(1.0, 1.0, 500.0))
    assert (buckets.known["output"].level, buckets.known["output"].reserved) == (before, 0.0)


def test_a_call_larger_than_the_bucket_passes_when_it_is_full_and_is_paid_off() -> None:
    buckets = filled("input")
    huge = Need(1.0, CAPACITY * 5)
    assert buckets.wait_s(huge, 0.0) == 0.0
    buckets.take(huge)
    assert math.isclose(buckets.wait_s(Need(1.0, 1.0), 0.0), (4 * CAPACITY + 1) / RATE)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.floats(0.1, CAPACITY)),
        st.tuples(st.just("end"), st.floats(0.0, 1.0)),
        st.tuples(st.just("told"), st.floats(0.0, LIMIT)),
        st.tuples(st.just("pass"), st.floats(0.0, 30.0)),
    ),
    max_size=60,
)


@given(STEPS)
@settings(deadline=None)
def test_never_is_more_reserved_than_the_bucket_allows(steps: list[tuple[str, float]]) -> None:
    """Reservations under way, and what was used of those that ended, stay within burst and rate at every moment."""
    buckets = filled("input")
    bucket = buckets.known["input"]
    now_s, used, open_calls = 0.0, 0.0, list[tuple[int, Need]]()
    for step, amount in steps:
        match step:
            case "call":
                need = Need(1.0, amount)
                if buckets.wait_s(need, now_s) > 0:
                    continue
                open_calls.append((buckets.take(need), need))
                assert bucket.level >= -1e-6
            case "end" if open_calls:
                tick, need = open_calls.pop(0)
                buckets.settle(tick, need, Need(1.0, need.input * amount))
                used += need.input * amount
            case "told":
                buckets.told({"input": Quota(LIMIT, int(amount))}, now_s)
                assert bucket.level <= int(amount) + 1e-6
            case "pass":
                now_s += amount
        reserved = sum(need.input for _, need in open_calls)
        assert used + reserved <= CAPACITY + RATE * now_s + 1e-6
        assert bucket.level <= CAPACITY
        assert math.isclose(bucket.reserved, reserved, abs_tol=1e-6)
