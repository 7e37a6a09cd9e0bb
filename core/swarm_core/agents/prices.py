"""What a model call costs, by the dated list in ``prices.yaml``."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.entities import Usage

_PER_TOKEN = 1e-6
_SNAPSHOT = re.compile(r"-\d{8}$")
_TODAY = "9999-12-31"


def cost_usd(model: str, usage: Usage, at: str = "") -> float | None:
    """US dollars for one call's tokens by the prices of the day ``at`` (an ISO time); without it, by the latest.

    None for a model whose price is not listed, rather than 0.0, so that "free" and "unknown" stay apart: a caller that
    adds up counts it as nothing and says so. A dated snapshot (``claude-x-20261101``) costs what its model costs.
    """
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    rates = _rates(model, prompt, at)
    if rates is None:
        return None
    hourly = min(usage.cache_write_1h_tokens, usage.cache_write_tokens)
    dollars: float = (
        usage.input_tokens * rates["input"]
        + usage.output_tokens * rates["output"]
        + (usage.cache_write_tokens - hourly) * rates["cache_write"]
        + hourly * rates["cache_write_1h"]
        + usage.cache_read_tokens * rates["cache_read"]
    )
    return _PER_TOKEN * dollars


def highest_rates(model: str, prompt_tokens: int, at: str = "") -> tuple[float, float] | None:
    """The most that a token of a prompt of this length, and a token of its answer, can cost: US dollars per million.

    Which part of a prompt is cached, and for how long, is known only afterwards. None for a model without a price.
    """
    found = [rates for tokens in (0, prompt_tokens) if (rates := _rates(model, tokens, at)) is not None]
    if not found:
        return None
    inputs = [rates[name] for rates in found for name in ("input", "cache_write", "cache_write_1h", "cache_read")]
    return max(inputs), max(rates["output"] for rates in found)


def is_priced(model: str) -> bool:
    return _rates(model, 0, "") is not None


def as_of() -> str:
    """The day the list was read, ``YYYY-MM-DD``."""
    return str(_list()["as_of"])


def _rates(model: str, prompt_tokens: int, at: str) -> Mapping[str, Any] | None:
    models = _list()["models"]
    rows = models.get(model) or models.get(_SNAPSHOT.sub("", model)) or ()
    day = at[:10] or _TODAY
    valid = [row for row in rows if str(row.get("from", "")) <= day]
    if not valid:
        return None
    above = valid[-1].get("above")
    rates: Mapping[str, Any] = above if above and prompt_tokens > above["tokens"] else valid[-1]
    return rates


@functools.cache
def _list() -> Mapping[str, Any]:
    import yaml

    data: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("prices.yaml").read_bytes())
    return data
