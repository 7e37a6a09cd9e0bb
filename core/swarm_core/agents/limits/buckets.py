"""Token buckets that follow the server's: refilled all the time, reserved from before a call, corrected after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .quota import INPUT, OUTPUT, REQUESTS, Quota

# The server's clock and ours do not tick alike, and what others do with the same key comes on top.
SAFETY = 0.98
# How much of a minute's worth may be used at once. Servers let less through in a burst than they do in a minute, and
# do not say how much.
BURST_S: Mapping[str, float] = {REQUESTS: 5.0, INPUT: 10.0, OUTPUT: 10.0}
_HAIR = 1e-6


@dataclass(frozen=True, slots=True)
class Need:
    """What a call is expected to take, or took."""

    requests: float = 1.0
    input: float = 0.0
    output: float = 0.0

    def of(self, dimension: str) -> float:
        return float(getattr(self, dimension))


class Bucket:
    """``level`` is what may still be reserved; it is below nothing while a call takes more than it was thought to.

    ``is_counted_late``: the server counts at the end of a call, so that what it says is left holds back nothing for
    the calls under way. ``tick`` numbers what happens, in order.
    """

    def __init__(self, per_minute: float, burst_s: float, now_s: float, tick: int, *, is_counted_late: bool) -> None:
        self._burst_s, self._is_counted_late = burst_s, is_counted_late
        self._now_s = now_s
        self._born = self._corrected = tick
        self._resize(per_minute)
        self.reserved = 0.0
        self.level = self.capacity

    def _resize(self, per_minute: float) -> None:
        self.rate = per_minute / 60 * SAFETY
        self.capacity = max(1.0, per_minute / 60 * self._burst_s)

    def told(self, quota: Quota, now_s: float, tick: int) -> None:
        """Believe the server where it says less than was thought; more comes with time, at the rate it names."""
        self._refill(now_s)
        self._resize(quota.limit)
        left = quota.remaining - (self.reserved if self._is_counted_late else 0.0)
        if left < self.level:
            self.level, self._corrected = left, tick
        self.level = min(self.level, self.capacity)

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until ``amount`` can be taken. More than a bucket holds can be taken from a full one."""
        self._refill(now_s)
        missing = min(amount, self.capacity) - self.level
        return missing / self.rate if missing > _HAIR else 0.0

    def take(self, amount: float) -> None:
        self.level -= amount
        self.reserved += amount

    def settle(self, reserved: float, used: float, tick: int) -> None:
        """Put a reservation of ``tick`` right, unless the server's word, which came later, did so already."""
        if tick <= self._born:
            return
        self.reserved -= reserved
        if self._is_counted_late or tick > self._corrected:
            self.level = min(self.capacity, self.level + reserved - used)

    def _refill(self, now_s: float) -> None:
        self.level = min(self.capacity, self.level + (now_s - self._now_s) * self.rate)
        self._now_s = now_s


class Buckets:
    """The buckets of one gate; there is none for a dimension that the server never named."""

    def __init__(self) -> None:
        self.known: dict[str, Bucket] = {}
        self._ticks = 0

    def told(self, quotas: Mapping[str, Quota], now_s: float) -> None:
        tick = self._tick()
        for name, quota in quotas.items():
            if name not in self.known:
                late = name == OUTPUT
                self.known[name] = Bucket(quota.limit, BURST_S[name], now_s, tick, is_counted_late=late)
            self.known[name].told(quota, now_s, tick)

    def wait_s(self, need: Need, now_s: float) -> float:
        return max((bucket.wait_s(need.of(name), now_s) for name, bucket in self.known.items()), default=0.0)

    def take(self, need: Need) -> int:
        """Reserve; the number is for ``settle``."""
        for name, bucket in self.known.items():
            bucket.take(need.of(name))
        return self._tick()

    def settle(self, tick: int, reserved: Need, used: Need) -> None:
        for name, bucket in self.known.items():
            bucket.settle(reserved.of(name), used.of(name), tick)

    def _tick(self) -> int:
        self._ticks += 1
        return self._ticks
