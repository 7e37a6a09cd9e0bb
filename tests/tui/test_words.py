"""What figures look like to people."""

from __future__ import annotations

import pytest

from swarm_core.vocabulary.entities import Usage
from swarm_tui import words


@pytest.mark.parametrize(
    ("usage", "shown"),
    [
        (Usage(), ""),
        (Usage(input_tokens=500), ""),
        (Usage(input_tokens=10, cache_write_tokens=990), "cache 0 %"),
        (Usage(input_tokens=100, cache_write_tokens=30, cache_read_tokens=870), "cache 87 %"),
    ],
)
def test_the_hit_rate_is_shown_where_something_was_cached(usage: Usage, shown: str) -> None:
    assert words.cached(usage) == shown
