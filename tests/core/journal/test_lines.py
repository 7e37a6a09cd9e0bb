"""What is said about one event is what a reader will find in its line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.journal.lines import as_read


@given(
    st.dictionaries(
        st.text(max_size=4) | st.integers(),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=6)
        | st.tuples(st.text()),
        max_size=4,
    )
)
def test_data_are_seen_as_whoever_reads_them_back_sees_them(data: dict[Any, Any]) -> None:
    found = as_read(data)

    assert found == json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
    assert found is not data


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(TypeError):
        as_read({"a": object()})
    with pytest.raises(TypeError):
        as_read({"a": {1, 2}})
