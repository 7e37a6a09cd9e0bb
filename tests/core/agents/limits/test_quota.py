"""Limits are read from headers that anybody may have written."""

from __future__ import annotations

import pytest

from swarm_core.agents.limits.quota import MAX_LIMIT, Quota, quotas

NOW = "2026-11-21T03:04:05.000Z"


def headers(name: str, limit: object, remaining: object, reset: str | None = None) -> dict[str, str]:
    start = f"anthropic-ratelimit-{name}"
    out = {f"{start}-limit": str(limit), f"{start}-remaining": str(remaining)}
    return out if reset is None else {**out, f"{start}-reset": reset}


def test_the_three_dimensions_are_read_with_the_time_until_they_are_full() -> None:
    found = quotas(
        headers("requests", 300, 12, "2026-11-21T03:04:15Z")
        | headers("input-tokens", 400_000, 0, "2026-11-21T03:04:35Z")
        | headers("output-tokens", 80_000, 79_000),
        NOW,
    )
    assert found == {
        "requests": Quota(300, 12, 10.0),
        "input": Quota(400_000, 0, 30.0),
        "output": Quota(80_000, 79_000, None),
    }


def test_one_limit_for_all_tokens_counts_as_input_where_there_is_no_other() -> None:
    both = headers("tokens", 100, 5) | headers("input-tokens", 200, 6)
    assert quotas(headers("tokens", 100, 5), NOW) == {"input": Quota(100, 5)}
    assert quotas(both, NOW) == {"input": Quota(200, 6)}


@pytest.mark.parametrize("limit", ["", "0", "-3", "1e9", "nan", "٣", "3 0", "x" * 10_000, "9" * 21])
def test_a_limit_that_is_no_number_is_no_limit(limit: str) -> None:
    assert quotas(headers("requests", limit, 1), NOW) == {}
    assert quotas({"anthropic-ratelimit-requests-remaining": "1"}, NOW) == {}


def test_numbers_are_bounded_and_a_strange_reset_is_left_out() -> None:
    (found,) = quotas(headers("requests", "9" * 20, 7), NOW).values()
    assert found == Quota(MAX_LIMIT, 7)
    assert quotas(headers("requests", 10, 99), NOW)["requests"].remaining == 10
    resets = {"2099-01-01T00:00:00Z": 60.0, "1999-01-01T00:00:00Z": 0.0, "soon": None, "2026-11-21": None}
    for reset, seconds in resets.items():
        assert quotas(headers("requests", 10, 1, reset), NOW)["requests"].reset_s == seconds
