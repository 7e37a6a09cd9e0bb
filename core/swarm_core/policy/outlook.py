"""What a decision needs and the run's own state cannot say: time, and what the other runs leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

UNLIMITED = 1_000_000


@dataclass(frozen=True, slots=True)
class Outlook:
    """``resting``: tasks whose pause after a failure is not over. ``slots``: how many more agents may begin to work.

    ``ranks`` (seconds, see ``ranking``) and ``waited_s`` order the tasks that are ready.
    """

    resting: frozenset[str] = frozenset()
    slots: int = UNLIMITED
    ranks: Mapping[str, float] = field(default_factory=dict)
    waited_s: Mapping[str, float] = field(default_factory=dict)
