"""How long things took, in bounded memory: counts in buckets that grow by a fixed ratio (as DDSketch does)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

ERROR = 0.01
_RATIO = (1 + ERROR) / (1 - ERROR)
_LOG = math.log(_RATIO)


class Distribution:
    """Takes lengths in milliseconds; a percentile is right to 1 %, count, sum and maximum are exact.

    Everything from a millisecond to a year fits into 1,300 buckets, and only those that are used exist.
    """

    __slots__ = ("_buckets", "count", "max_ms", "sum_ms")

    def __init__(self) -> None:
        self.count = self.sum_ms = self.max_ms = 0
        self._buckets: dict[int, int] = {}

    def add(self, milliseconds: int) -> None:
        milliseconds = max(0, milliseconds)
        self.count += 1
        self.sum_ms += milliseconds
        self.max_ms = max(self.max_ms, milliseconds)
        bucket = math.ceil(math.log(milliseconds) / _LOG) if milliseconds else -1
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def percentile_s(self, share: float) -> float:
        """The length, in seconds, that ``share`` of all do not exceed (nearest rank); 0 if there is none."""
        wanted, seen = max(1, math.ceil(share * self.count)), 0
        if wanted >= self.count:
            return self.max_ms / 1000
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                middle = 2 * _RATIO**bucket / (_RATIO + 1) if bucket >= 0 else 0.0
                return round(min(middle, self.max_ms) / 1000, 4)
        return 0.0

    def document(self) -> dict[str, Any]:
        """``count``, and ``sum_s p50_s p95_s max_s`` in seconds."""
        return {
            "count": self.count,
            "sum_s": self.sum_ms / 1000,
            "p50_s": self.percentile_s(0.5),
            "p95_s": self.percentile_s(0.95),
            "max_s": self.max_ms / 1000,
        }

    def freeze(self) -> dict[str, Any]:
        buckets = {str(bucket): count for bucket, count in self._buckets.items()}
        return {"count": self.count, "sum_ms": self.sum_ms, "max_ms": self.max_ms, "buckets": buckets}

    @classmethod
    def thaw(cls, frozen: Mapping[str, Any]) -> Distribution:
        """Raises KeyError, TypeError or ValueError for what ``freeze`` did not make."""
        made = cls()
        made.count, made.sum_ms, made.max_ms = int(frozen["count"]), int(frozen["sum_ms"]), int(frozen["max_ms"])
        made._buckets = {int(bucket): int(count) for bucket, count in frozen["buckets"].items()}
        return made
