"""What a response says about the limits of its key: the ``anthropic-ratelimit-*`` headers, read with distrust.

Each dimension comes as ``-limit`` (a minute), ``-remaining`` and ``-reset`` (when all of it is back, RFC 3339).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

REQUESTS, INPUT, OUTPUT = "requests", "input", "output"
# Where there is one limit for all tokens, it is held against what goes in, which is most of them.
_NAMES: Mapping[str, tuple[str, ...]] = {
    REQUESTS: ("requests",),
    INPUT: ("input-tokens", "tokens"),
    OUTPUT: ("output-tokens",),
}
MAX_LIMIT = 10**12
MAX_RESET_S = 60.0


@dataclass(frozen=True, slots=True)
class Quota:
    """So many a minute, so many of them left; ``reset_s`` seconds until all are back, if that was said."""

    limit: int
    remaining: int
    reset_s: float | None = None


def quotas(headers: Mapping[str, str], now: str) -> dict[str, Quota]:
    """The limits that ``headers`` tell, by dimension; what cannot be read is left out. ``now`` is an ISO time."""
    out: dict[str, Quota] = {}
    for dimension, names in _NAMES.items():
        for name in names:
            limit = _whole(headers.get(f"anthropic-ratelimit-{name}-limit"))
            remaining = _whole(headers.get(f"anthropic-ratelimit-{name}-remaining"))
            if limit and remaining is not None:
                reset_s = _seconds_until(headers.get(f"anthropic-ratelimit-{name}-reset"), now)
                out[dimension] = Quota(limit, min(remaining, limit), reset_s)
                break
    return out


def _whole(text: str | None) -> int | None:
    if text is None or len(text) > 20 or not (text.isascii() and text.isdigit()):
        return None
    return min(int(text), MAX_LIMIT)


def _seconds_until(stamp: str | None, now: str) -> float | None:
    """Bounded by a minute: that is how long a bucket of a minute takes to be full again, whatever clocks say."""
    try:
        seconds = (datetime.fromisoformat(stamp or "") - datetime.fromisoformat(now)).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(0.0, seconds), MAX_RESET_S)
