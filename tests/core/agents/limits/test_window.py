"""The window: found out by trying, halved by trouble, never closed."""

from __future__ import annotations

from swarm_core.agents.limits.window import Window


def test_it_doubles_in_a_round_until_the_first_trouble_and_then_grows_by_one() -> None:
    window = Window(4)
    for _ in range(4):
        window.succeeded(4)
    assert window.size == 8
    window.shrink(8, 0.0)
    assert window.size == 4
    for _ in range(4):
        window.succeeded(4)
    assert 4.8 < window.size <= 5.0


def test_what_fails_together_counts_once_and_it_never_closes() -> None:
    window = Window(16)
    for _ in range(16):
        window.shrink(16, 5.0)
    assert window.size == 8
    for second in range(10):
        window.shrink(1, 10.0 + second)
    assert window.size == 1


def test_a_window_that_is_not_used_does_not_grow() -> None:
    window = Window(8)
    for _ in range(100):
        window.succeeded(1)
    assert window.size == 8


def test_it_shrinks_from_what_was_used_not_from_what_was_allowed() -> None:
    window = Window(1000)
    window.shrink(20, 0.0)
    assert window.size == 10
