"""Thresholds are exact: 79.9 misses 80 and 80.0 reaches it, and nothing is rounded on the way."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.vocabulary.threshold import parse_threshold, shown


@pytest.mark.parametrize(
    ("text", "value", "is_met"),
    [
        (">= 80", "79.9", False),
        (">= 80", "79.999999999", False),
        (">= 80", "80.0", True),
        ("> 80", "80", False),
        ("<= 15", "15", True),
        ("< 15", "15", False),
        ("== 0", "0", True),
        (">= -1.5", "-1.5", True),
    ],
)
def test_a_value_is_compared_as_it_is(text: str, value: str, is_met: bool) -> None:
    assert parse_threshold(text).is_met(Fraction(value)) is is_met


@pytest.mark.parametrize(
    ("text", "unit", "limit"),
    [("<= 2s", "ms", 2000), ("<= 1.5 MiB", "bytes", 1_572_864), ("<= 200KB", "bytes", 200_000), (">=80%", "%", 80)],
)
def test_a_limit_is_turned_into_the_unit_that_is_measured(text: str, unit: str, limit: int) -> None:
    assert parse_threshold(text, unit).limit == limit


@pytest.mark.parametrize("text", ["80", ">= eighty", ">= 80 apples", "=> 80", "", ">= 1e9", ">= " + "9" * 40])
def test_what_is_no_comparison_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_threshold(text)


def test_a_limit_in_another_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="not in the unit"):
        parse_threshold("<= 200ms", "%")


@given(st.fractions(min_value=0, max_value=200), st.integers(0, 100))
def test_what_misses_a_limit_is_never_shown_as_having_reached_it(value: Fraction, limit: int) -> None:
    if value < limit:
        assert Fraction(shown(value).rstrip("%")) < limit
    if value > limit:
        assert Fraction(shown(value, up=True)) > limit


def test_sizes_and_percentages_read_as_people_write_them() -> None:
    assert [shown(Fraction(799, 10), "%"), shown(1536, "bytes"), shown(12, "ms")] == ["79.9%", "1.5 KiB", "12 ms"]
