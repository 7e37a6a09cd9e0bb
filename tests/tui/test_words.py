"""What figures look like to people."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from swarm_core.vocabulary.entities import Usage
from swarm_tui import words
from swarm_tui.words import fit


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


@pytest.mark.parametrize(
    ("text", "width", "wanted"), [("ab", 4, "ab  "), ("abcd", 3, "ab…"), ("日本語", 4, "日 …"), ("日本", 5, "日本 ")]
)
def test_a_text_fits_in_cells_not_in_characters(text: str, width: int, wanted: str) -> None:
    assert fit(text, width) == wanted
    assert cell_len(fit(text, width)) == width
