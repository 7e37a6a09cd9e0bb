"""Prices: a call costs what the dated list says, and an unlisted model costs nothing anybody knows."""

from __future__ import annotations

import re

import pytest

from swarm_core.agents.prices import as_of, cost_usd
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
