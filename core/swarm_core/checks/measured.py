"""What a measurement comes to. Plain data, and no room below is needed for it: workers import it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

Status = Literal["pass", "fail", "not_measured", "error"]
MAX_FOUND = 200


@dataclass(frozen=True, slots=True)
class Found:
    """One thing a check found. ``path`` is relative to the tree; ``line`` 0 is the whole file."""

    message: str
    path: str = ""
    line: int = 0
    rule: str = ""
    severity: str = "MEDIUM"

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path

    @property
    def text(self) -> str:
        where = f"{self.place}: " if self.path else ""
        return f"{where}{self.message}{f' [{self.rule}]' if self.rule else ''}"


@dataclass(frozen=True, slots=True)
class Measured:
    """``value`` is exact and in ``unit``. ``note`` says in a few words what was seen, ``hint`` is the next step.

    A status of "" leaves it to the threshold. ``output`` is what the process printed.
    """

    status: Status | Literal[""] = ""
    value: Fraction | None = None
    unit: str = ""
    found: tuple[Found, ...] = ()
    note: str = ""
    hint: str = ""
    output: str = ""
    exit_code: int = 0

    def json(self) -> dict[str, Any]:
        """For the way out of a worker process."""
        return {
            "status": self.status,
            "value": None if self.value is None else str(self.value),
            "unit": self.unit,
            "found": [[f.message, f.path, f.line, f.rule, f.severity] for f in self.found[:MAX_FOUND]],
            "note": self.note,
            "hint": self.hint,
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Measured:
        """Raises KeyError, TypeError or ValueError for what ``json`` did not write."""
        status = data["status"]
        if status not in ("", "pass", "fail", "not_measured", "error"):
            raise ValueError(f"{status!r} is not a status")
        found = tuple(Found(str(m), str(p), int(n), str(r), str(s)) for m, p, n, r, s in data["found"])
        value = None if data["value"] is None else Fraction(data["value"])
        return cls(status, value, str(data["unit"]), found, str(data["note"]), str(data["hint"]))


def not_measured(note: str, hint: str, output: str = "", exit_code: int = 0) -> Measured:
    """Nothing can be said, which is never a pass."""
    return Measured("not_measured", note=note, hint=hint, output=output, exit_code=exit_code)


def broken(note: str, hint: str, output: str = "", exit_code: int = 1) -> Measured:
    """The measurement itself went wrong."""
    return Measured("error", note=note, hint=hint, output=output, exit_code=exit_code)


def verdict(found: Sequence[Found], note: str = "", value: Fraction | None = None, unit: str = "") -> Measured:
    """A pass if nothing was found."""
    cut = len(found) - MAX_FOUND
    note = note + f" (the first {MAX_FOUND} of {len(found)} are shown)" if cut > 0 else note
    return Measured("fail" if found else "pass", value, unit, tuple(found[:MAX_FOUND]), note)
