"""What a model can do: from the API where it answers, otherwise from the dated list in ``models.yaml``.

Asking a model for what it cannot do is an error 400, so the parameters of a request follow from these facts and from
no constant in the code.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.spec import EFFORTS

COMPACTION = "compact_20260112"
MIN_TRIGGER_TOKENS = 50_000  # the server refuses less
_SNAPSHOT = re.compile(r"-\d{8}$")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Limits in tokens; ``thinking`` and ``effort`` are the values a request may name.

    ``can_compact``: the server shortens a long history itself if it is asked to.
    """

    context_tokens: int
    max_output_tokens: int
    thinking: frozenset[str]
    effort: frozenset[str]
    cache_minimum_tokens: int
    has_system_messages: bool
    can_compact: bool = False
    is_known: bool = True

    def compaction_trigger(self, max_tokens: int) -> int:
        """From how many tokens on the server shortens the history, three quarters of the window; 0 if it cannot."""
        return max(MIN_TRIGGER_TOKENS, self.context_tokens * 3 // 4 - max_tokens) if self.can_compact else 0

    def effort_for(self, wanted: str) -> str:
        """The level to ask for: ``wanted``, or the next lower one that there is; empty for the model's own."""
        levels = EFFORTS[: EFFORTS.index(wanted) + 1] if wanted in EFFORTS else ()
        return next((level for level in reversed(levels) if level in self.effort), "")


def listed_facts(model: str) -> ModelFacts:
    """The facts of the list; a dated snapshot (``claude-x-20261101``) can what its model can.

    A model that is not listed gets what every recent one can, with ``is_known`` False.
    """
    models = _list()["models"]
    row = models.get(model) or models.get(_SNAPSHOT.sub("", model))
    facts = _facts(row or _list()["unknown"])
    return facts if row else replace(facts, is_known=False)


def facts_of(info: Any, listed: ModelFacts) -> ModelFacts:
    """``listed``, with everything that the API says in ``info`` (a ``ModelInfo``) put in its place."""
    thinking, effort, can_compact = listed.thinking, listed.effort, listed.can_compact
    if (capabilities := getattr(info, "capabilities", None)) is not None:
        known_thinking = getattr(getattr(capabilities, "thinking", None), "types", None)
        known_effort = getattr(capabilities, "effort", None)
        known_context = getattr(capabilities, "context_management", None)
        if known_thinking is not None:
            thinking = _supported(known_thinking, ("adaptive", "between_tools", "disabled", "enabled"))
        if known_effort is not None:
            effort = _supported(known_effort, EFFORTS)
        if known_context is not None:
            can_compact = bool(_supported(known_context, (COMPACTION,)))
    return replace(
        listed,
        context_tokens=info.max_input_tokens or listed.context_tokens,
        max_output_tokens=info.max_tokens or listed.max_output_tokens,
        thinking=thinking,
        effort=effort,
        can_compact=can_compact,
        is_known=True,
    )


def turn_tokens(model: str) -> int:
    """How many tokens one turn of ``model`` may write."""
    return min(int(_list()["turn_tokens"]), listed_facts(model).max_output_tokens)


def as_of() -> str:
    """The day the list was made, ``YYYY-MM-DD``."""
    return str(_list()["as_of"])


def _supported(kinds: Any, names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name for name in names if getattr(getattr(kinds, name, None), "supported", False))


def _facts(row: Mapping[str, Any]) -> ModelFacts:
    return ModelFacts(**{**row, "thinking": frozenset(row["thinking"]), "effort": frozenset(row["effort"])})


@functools.cache
def _list() -> Mapping[str, Any]:
    import yaml

    data: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("models.yaml").read_bytes())
    return data
