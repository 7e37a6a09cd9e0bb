"""The breaker: it opens after failures in a row and lets exactly one call find out whether the server is well."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.agents.limits.breaker import FAILURES, JITTER, MAX_COOL_S, Breaker, Pass


def tripped(now_s: float = 0.0) -> Breaker:
    breaker = Breaker("p", Random(1))
    leaves = [breaker.let_through(now_s) for _ in range(FAILURES)]
    assert [breaker.failed(leave, now_s) for leave in leaves] == [False] * (FAILURES - 1) + [True]
    return breaker


def test_failures_in_a_row_open_it_and_an_answer_between_them_starts_the_count_anew() -> None:
    breaker = Breaker("p", Random(1))
    for _ in range(FAILURES - 1):
        breaker.failed(breaker.let_through(0.0), 0.0)
    breaker.answered(breaker.let_through(0.0))
    for _ in range(FAILURES - 1):
        breaker.failed(breaker.let_through(0.0), 0.0)
    assert not breaker.is_open
    assert breaker.failed(breaker.let_through(0.0), 0.0)
    assert breaker.is_open


def test_an_open_breaker_lets_nobody_through_and_a_half_open_one_a_single_probe() -> None:
    breaker = tripped()
    wait_s = breaker.wait_s(0.0)
    assert wait_s is not None
    assert 1.0 <= wait_s <= 1.0 + JITTER
    with pytest.raises(RuntimeError):
        breaker.let_through(0.0)
    probe = breaker.let_through(wait_s)
    assert probe.is_probe
    assert breaker.wait_s(wait_s) is None
    with pytest.raises(RuntimeError):
        breaker.let_through(wait_s)
    assert breaker.answered(probe)
    assert breaker.wait_s(wait_s) == 0.0


def test_each_failed_probe_waits_longer_up_to_a_bound_and_an_answer_forgets_it() -> None:
    breaker, now_s, waits = tripped(), 0.0, []
    for _ in range(9):
        wait_s = breaker.wait_s(now_s) or 0.0
        waits.append(wait_s)
        now_s += wait_s
        assert breaker.failed(breaker.let_through(now_s), now_s)
    assert all(later > earlier for earlier, later in pairwise(waits[:6]))
    assert MAX_COOL_S <= waits[-1] <= MAX_COOL_S * (1 + JITTER)
    now_s += breaker.wait_s(now_s) or 0.0
    breaker.answered(breaker.let_through(now_s))
    for _ in range(FAILURES):
        breaker.failed(breaker.let_through(now_s), now_s)
    assert (breaker.wait_s(now_s) or 0.0) <= 1.0 + JITTER


def test_what_the_server_asked_for_is_waited_for() -> None:
    breaker = Breaker("p", Random(1))
    for _ in range(FAILURES):
        breaker.failed(breaker.let_through(0.0), 0.0, 40.0)
    assert (breaker.wait_s(0.0) or 0.0) >= 40.0


def test_calls_from_before_it_opened_decide_nothing() -> None:
    breaker = Breaker("p", Random(1))
    early = [breaker.let_through(0.0) for _ in range(3)]
    for _ in range(FAILURES):
        breaker.failed(breaker.let_through(0.0), 0.0)
    before = breaker.wait_s(0.0)
    assert not breaker.answered(early[0])
    assert not breaker.failed(early[1], 0.0)
    breaker.given_up(early[2])
    assert breaker.is_open
    assert breaker.wait_s(0.0) == before


def test_a_probe_that_was_given_up_makes_way_for_another() -> None:
    breaker = tripped()
    breaker.given_up(breaker.let_through(10.0))
    assert breaker.wait_s(10.0) == 0.0
    assert breaker.let_through(10.0).is_probe


@given(st.lists(st.tuples(st.sampled_from(["pass", "ok", "fail", "gone", "wait"]), st.integers(0, 20)), max_size=80))
def test_at_most_one_probe_is_under_way_and_nobody_passes_beside_it(steps: list[tuple[str, int]]) -> None:
    breaker, now_s = Breaker("p", Random(1)), 0.0
    out: list[Pass] = []
    for step, which in steps:
        leave = out.pop(which % len(out)) if out and step in ("ok", "fail", "gone") else None
        if step == "wait":
            now_s += which
        elif step == "pass" and breaker.wait_s(now_s) == 0.0:
            was_open = breaker.is_open
            out.append(breaker.let_through(now_s))
            assert out[-1].is_probe == was_open
        elif leave is not None and step == "fail":
            breaker.failed(leave, now_s)
        elif leave is not None and step == "ok":
            breaker.answered(leave)
        elif leave is not None:
            breaker.given_up(leave)
        current = [leave for leave in out if leave.is_probe and leave.era == breaker._era]
        assert len(current) <= 1
        assert (breaker.wait_s(now_s) is None) == (len(current) == 1)
