"""What is asked of a model is what it can do: by the list, and by the API where it says more."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import swarm_core.agents
from swarm_core.agents.model_facts import as_of, facts_of, listed_facts, turn_tokens

AGENTS = Path(swarm_core.agents.__file__).parent
PRICED = tuple(yaml.safe_load((AGENTS / "prices.yaml").read_text())["models"])


@pytest.mark.parametrize("model", PRICED)
def test_every_model_with_a_price_is_described(model: str) -> None:
    facts = listed_facts(model)
    assert facts.is_known
    assert turn_tokens(model) <= facts.max_output_tokens < facts.context_tokens


def test_a_snapshot_can_what_its_model_can_and_an_unknown_model_only_what_all_can() -> None:
    assert listed_facts("claude-haiku-4-5-20251001") == listed_facts("claude-haiku-4-5")
    unknown = listed_facts("tomorrow-1")
    assert (unknown.is_known, unknown.thinking, unknown.effort) == (False, frozenset(), frozenset())
    assert as_of() >= "2026-11-20"


def test_an_effort_that_a_model_lacks_becomes_the_next_lower_one() -> None:
    assert listed_facts("claude-opus-5-5").effort_for("xhigh") == "xhigh"
    assert listed_facts("claude-sonnet-4-6").effort_for("xhigh") == "high"
    assert listed_facts("claude-haiku-4-5").effort_for("xhigh") == ""
    assert listed_facts("claude-opus-5-5").effort_for("") == ""


def test_the_api_is_believed_before_the_list() -> None:
    yes, no = SimpleNamespace(supported=True), SimpleNamespace(supported=False)
    info = SimpleNamespace(
        max_input_tokens=2_000_000,
        max_tokens=None,
        capabilities=SimpleNamespace(
            thinking=SimpleNamespace(types=SimpleNamespace(adaptive=no, enabled=yes, disabled=yes)),
            effort=SimpleNamespace(low=yes, medium=yes, high=no, xhigh=None, max=no),
        ),
    )
    listed = listed_facts("claude-sonnet-5-5")
    facts = facts_of(info, listed)
    assert (facts.context_tokens, facts.max_output_tokens) == (2_000_000, listed.max_output_tokens)
    assert facts.thinking == {"enabled", "disabled"}
    assert facts.effort == {"low", "medium"}
    assert facts.cache_minimum_tokens == listed.cache_minimum_tokens
