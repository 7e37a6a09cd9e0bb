"""What is known about a model: how much it reads and writes at once, and what its server does about a long history.

The API says it (``GET /v1/models/<id>``). Where it does not, because a proxy has no such address or the network is
down, the dated list in ``model_facts.yaml`` does, and of a model that is in neither nothing is assumed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The server refuses a lower trigger. Above it, a history is shortened when three quarters of the window are used.
MIN_TRIGGER_TOKENS = 50_000
_SNAPSHOT = re.compile(r"-\d{8}$")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """``context_tokens`` and ``max_output_tokens`` are 0 where they are not known; ``source`` says who says so."""

    model: str
    context_tokens: int = 0
    max_output_tokens: int = 0
    can_compact: bool = False
    source: str = ""

    def max_tokens(self, wanted: int) -> int:
        """How long a turn may be when it should be at most ``wanted`` tokens."""
        return min(wanted, self.max_output_tokens) if self.max_output_tokens else wanted

    def compaction_trigger(self, max_tokens: int) -> int:
        """From how many tokens on the server shortens the history; 0 if it should not, or cannot."""
        if not self.can_compact or self.context_tokens <= 0:
            return 0
        return max(MIN_TRIGGER_TOKENS, self.context_tokens * 3 // 4 - max_tokens)


def listed(model: str) -> ModelFacts:
    """What the dated list knows. A dated snapshot (``claude-x-20261101``) is what its model is."""
    data = _list()
    row = data["models"].get(model) or data["models"].get(_SNAPSHOT.sub("", model))
    if row is None:
        return ModelFacts(model, source="nobody")
    return ModelFacts(model, row["context"], row["output"], bool(row["compact"]), f"the list of {data['as_of']}")


def told(model: str, answer: Mapping[str, Any]) -> ModelFacts:
    """What the API says about a model; what it leaves open is taken from the list."""
    known = listed(model)
    management = _part(_part(answer, "capabilities"), "context_management")
    compact = management.get("compact_20260112")
    return ModelFacts(
        model,
        _count(answer, "max_input_tokens") or known.context_tokens,
        _count(answer, "max_tokens") or known.max_output_tokens,
        bool(_part(management, "compact_20260112").get("supported")) if compact is not None else known.can_compact,
        "the API",
    )


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _count(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


@functools.cache
def _list() -> Mapping[str, Any]:
    import yaml

    data: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("model_facts.yaml").read_bytes())
    return data
