"""What a swarm's prompts cost, as billed by the loopback server's cache, against the best achievable."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.prompt_swarm import Shape, measure, planned_usd

SMALL = Shape(agents=4, turns=6, prefix=8_000)


async def test_a_swarm_costs_little_more_than_a_cache_that_never_misses(tmp_path: Path) -> None:
    made = await measure(tmp_path, SMALL)
    assert made.usage.calls == SMALL.agents * SMALL.turns
    assert made.billed_usd <= 1.01 * made.best_usd
    assert made.best_usd < 0.95 * made.unshared_usd < made.uncached_usd
    assert made.usage.cache_hit_rate is not None
    assert made.usage.cache_hit_rate > 0.8


async def test_turns_of_many_calls_do_not_lose_the_cache(tmp_path: Path) -> None:
    made = await measure(tmp_path, SMALL, calls=12)
    assert made.billed_usd <= 1.01 * made.best_usd


async def test_agents_that_do_not_wait_for_each_other_pay_for_the_prefix_each(tmp_path: Path) -> None:
    made = await measure(tmp_path, SMALL, wrap=lambda model: model)
    assert made.billed_usd > 1.05 * made.best_usd


def test_the_plan_without_a_request_is_the_published_figure() -> None:
    assert planned_usd(Shape()) == pytest.approx(3.94, abs=0.01)
