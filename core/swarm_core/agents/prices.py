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


def cost_usd(model: str, usage: Usage) -> float | None:
    """US dollars for one call's tokens; None for a model whose price is not listed.

    None rather than 0.0, so that "free" and "unknown" stay apart: a caller that adds up counts it as nothing and says
    so. A dated snapshot (``claude-x-20261101``) costs what its model costs.
    """
    models = _list()["models"]
    rates = models.get(model) or models.get(_SNAPSHOT.sub("", model))
    if rates is None:
        return None
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    above = rates.get("above")
    times = above["times"] if above and prompt > above["tokens"] else 1
    dollars: float = (
        usage.input_tokens * rates["input"]
        + usage.output_tokens * rates["output"]
        + (usage.cache_write_tokens - usage.cache_write_1h_tokens) * rates["cache_write"]
        + usage.cache_write_1h_tokens * rates.get("cache_write_1h", 2 * rates["input"])
        + usage.cache_read_tokens * rates["cache_read"]
    )
    return _PER_TOKEN * times * dollars


def as_of() -> str:
    """The day the list was read, ``YYYY-MM-DD``."""
    return str(_list()["as_of"])


@functools.cache
def _list() -> Mapping[str, Any]:
    import yaml

    data: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("prices.yaml").read_bytes())
    return data
