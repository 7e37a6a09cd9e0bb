"""``budgets:`` in the configuration: every limit is read, and what is wrong is named with its line."""

from __future__ import annotations

import pytest

from swarm_core.definitions.config import parse
from swarm_core.definitions.marked import compose
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.spec import BudgetSpec

SERVICES = "services:\n  backend: {directories: [api]}\n"


def test_limits_are_read_for_each_scope_and_dimension() -> None:
    text = SERVICES + (
        "budgets:\n  run: {usd: 0.50, seconds: 2h}\n  task: {iterations: 40}\n"
        "  phase: {plan: {tokens: 100000}}\n  service: {backend: {usd: 3}}\n"
    )
    assert parse(compose(text, "f")).budgets == (
        BudgetSpec("run", "usd", 0.5),
        BudgetSpec("run", "seconds", 7200.0),
        BudgetSpec("task", "iterations", 40.0),
        BudgetSpec("phase.plan", "tokens", 100_000.0),
        BudgetSpec("service.backend", "usd", 3.0),
    )


@pytest.mark.parametrize(
    ("budgets", "said"),
    [
        ("{run: {usd: free}}", "'free' is not an amount of US dollars"),
        ("{run: {usd: .nan}}", "is not an amount of US dollars"),
        ("{run: {usd: 0}}", "is not an amount of US dollars"),
        ("{run: {tokens: 1.5}}", "is not a whole number"),
        ("{run: {seconds: soon}}", "is not a duration"),
        ("{run: {euros: 5}}", "unknown key"),
        ("{service: {frontend: {usd: 5}}}", "unknown key"),
        ("{phase: {land: {usd: 5}}}", "unknown key"),
        ("{task: 5}", "must be a mapping"),
    ],
)
def test_a_wrong_limit_is_named_with_its_line(budgets: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        parse(compose(f"{SERVICES}budgets: {budgets}\n", "f"))
    assert str(caught.value).startswith("f:3: budgets")
