"""What is said about one event is what a reader will find in its line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.journal.lines import GENESIS, as_read, digest, encode, encode_body, parse
from swarm_core.vocabulary.events import Event


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


ORDER = "v seq ts run kind actor phase task agent cause data epoch batch prev sum"
NAMES = st.text(max_size=5) | st.just('"\\\n\x00é')


@given(
    st.builds(
        Event,
        seq=st.integers(1, 1 << 40),
        ts=NAMES,
        run=NAMES,
        kind=NAMES,
        data=st.dictionaries(NAMES, NAMES | st.integers(), max_size=2),
        actor=NAMES,
        task=st.none() | NAMES,
        agent=st.none() | NAMES,
        phase=st.none() | NAMES,
        cause=st.none() | st.integers(1, 99),
    ),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_a_line_is_the_event_as_json_its_place_and_a_sum(event: Event, epoch: int, batch: int) -> None:
    line, following = encode(event, GENESIS, epoch, batch)
    found = parse(line[:-1])

    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert following == digest(line[:-1])
    said = json.loads(line)
    assert {name: said[name] for name in encode_body(event)} == encode_body(event)
    assert list(said) == sorted(said, key=ORDER.split().index)
    assert (found.event, found.prev, found.epoch, found.batch) == (event, GENESIS, epoch, batch or event.seq)
