"""Prices: a call costs what the dated list says, and an unlisted model costs nothing anybody knows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.agents.prices import _list, as_of, cost_usd, highest_rates
from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.spec import DEFAULT_MODEL

MILLION = Usage(1_000_000, 1_000_000, 1_000_000, 1_000_000)


def test_every_kind_of_token_has_its_rate() -> None:
    assert cost_usd("claude-sonnet-5-5", MILLION) == pytest.approx(2 + 10 + 0.10 + 2.5)
    assert cost_usd("claude-opus-5-5", Usage(500, 200)) == pytest.approx(0.002 + 0.004)


def test_a_long_prompt_may_cost_more_and_cached_tokens_count_as_prompt() -> None:
    short = cost_usd("claude-haiku-5-5", Usage(input_tokens=100_000))
    long = cost_usd("claude-haiku-5-5", Usage(input_tokens=1, cache_read_tokens=100_000))

    assert short == pytest.approx(0.01)
    assert long == pytest.approx(5 * (1e-7 + 0.001))


def test_a_dated_snapshot_costs_what_its_model_costs_and_an_unknown_model_is_unknown() -> None:
    assert cost_usd("claude-opus-5-20261101", MILLION) == cost_usd("claude-opus-5", MILLION)
    assert cost_usd("tomorrow-1", MILLION) is None
    assert cost_usd(DEFAULT_MODEL, MILLION)


def test_the_list_says_its_day() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", as_of())


def test_what_is_cached_for_an_hour_costs_more_than_what_is_cached_for_five_minutes() -> None:
    usage = Usage(cache_write_tokens=1_000_000, cache_write_1h_tokens=400_000)

    assert cost_usd("claude-opus-5-5", usage) == pytest.approx(0.6 * 5 + 0.4 * 8)


def test_a_call_costs_what_was_listed_on_its_day() -> None:
    usage = Usage(input_tokens=300_000, output_tokens=1_000)

    assert cost_usd("claude-sonnet-4-6", usage, "2026-03-12T23:59:59.999Z") == pytest.approx(0.3 * 6 + 0.0225)
    assert cost_usd("claude-sonnet-4-6", usage, "2026-03-13T00:00:00.000Z") == pytest.approx(0.3 * 3 + 0.015)
    assert cost_usd("claude-sonnet-4-6", usage) == cost_usd("claude-sonnet-4-6", usage, "2026-11-20T12:00:00.000Z")


@given(
    st.sampled_from(sorted(_list()["models"])),
    st.lists(st.integers(0, 300_000), min_size=4, max_size=4),
    st.integers(0, 300_000),
    st.sampled_from(["", "2026-01-01T00:00:00.000Z"]),
)
def test_no_call_costs_more_than_its_highest_rates(model: str, counts: list[int], hourly: int, at: str) -> None:
    fresh, output, read, written = counts
    usage = Usage(fresh, output, read, written, cache_write_1h_tokens=min(hourly, written))
    rates = highest_rates(model, fresh + read + written, at)
    cost = cost_usd(model, usage, at)

    assert rates is not None
    assert cost is not None
    assert cost * 1e6 <= (fresh + read + written) * rates[0] + output * rates[1] + 1e-6
