"""What a measured value has to be: ``>= 80``, ``<= 200ms``, ``< 1.5 MiB``. Exact: no value is rounded to be compared.

A limit is kept in the unit values are measured in: per cent, milliseconds, bytes, or a plain number.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

_TEXT = re.compile(r"\s*(>=|<=|==|>|<)\s*(-?\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-z%]*)\s*")
_COMPARE: Mapping[str, Callable[[Fraction, Fraction], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_UNITS: Mapping[str, tuple[str, int]] = {
    "": ("", 1),
    "%": ("%", 1),
    "ms": ("ms", 1),
    "s": ("ms", 1000),
    "b": ("bytes", 1),
    "bytes": ("bytes", 1),
    "kb": ("bytes", 1000),
    "mb": ("bytes", 1000**2),
    "gb": ("bytes", 1000**3),
    "kib": ("bytes", 1024),
    "mib": ("bytes", 1024**2),
    "gib": ("bytes", 1024**3),
}
SHOWN_PLACES = 2


@dataclass(frozen=True, slots=True)
class Threshold:
    """A comparison with ``limit``, which is in ``unit`` (``%``, ``ms``, ``bytes``; empty for a plain number)."""

    text: str
    sign: str
    limit: Fraction
    unit: str = ""

    def is_met(self, value: Fraction) -> bool:
        return _COMPARE[self.sign](value, self.limit)


def parse_threshold(text: str, unit: str | None = None) -> Threshold:
    """Read a threshold for values in ``unit``; a number without a unit is in it. Raises ValueError that says why."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a comparison with a number, such as >= 80")
    sign, number, named = match.groups()
    if named.lower() not in _UNITS:
        raise ValueError(f"{named!r} is not a unit: %, ms, s, bytes, KB, MB, KiB or MiB")
    base, factor = _UNITS[named.lower()]
    if unit is not None and named and base != unit:
        raise ValueError(f"{text!r} is not in the unit that is measured, {unit or 'a plain number'}")
    return Threshold(
        " ".join((sign, number + named)), sign, Fraction(number) * factor, unit if unit is not None else base
    )


def shown(value: Fraction | float, unit: str = "", *, up: bool = False) -> str:
    """A value for people, cut down to two places, or ``up`` where less is better: what misses a limit by a hair is not
    shown as having reached it."""
    exact = Fraction(value)
    if unit == "bytes":
        for name, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
            if abs(exact) >= size:
                return f"{_cut(exact / size, up)} {name}"
    text = _cut(exact, up)
    return text + unit if unit == "%" else f"{text} {unit}".rstrip()


def _cut(value: Fraction, up: bool) -> str:
    scale = 10**SHOWN_PLACES
    whole = -(-value * scale // 1) if up else value * scale // 1
    sign, whole = ("-", -whole) if whole < 0 else ("", whole)
    digits = f"{whole // scale}.{whole % scale:0{SHOWN_PLACES}d}".rstrip("0").rstrip(".")
    return sign + digits
