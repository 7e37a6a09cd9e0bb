"""Runs a configured check in a tree and says what came of it.

The commands are the operator's (``checks:`` in ``multi-agent.yaml``), but what they run was written by agents; see
``confined``. A measurement that could not be made is ``not_measured`` or ``error``, and never a pass.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import SwarmError
from swarm_core.vocabulary.spec import CheckSpec
from swarm_core.vocabulary.threshold import parse_threshold, shown

from .measured import Found, Measured, Status, broken
from .site import Around, Site

TAIL_LINES = 12
Kind = Callable[[Site], Awaitable[Measured]]
# Where each kind is measured; loaded when it is asked for.
_MODULES = {
    "command": "commands",
    "tests": "tests",
    "tests_not_deleted": "deleted",
    "coverage": "coverage",
    "coverage_not_dropped": "coverage",
    "compile": "still",
    "complexity": "still",
    "secret_scan": "still",
    "sast_min": "still",
    "license": "still",
    "migration_up_down": "still",
    "html_a11y": "still",
    "bundle_size": "still",
    "response_time": "service",
    "memory": "service",
    "commit_message": "commits",
    "receipt_forensics": "receipts",
    "criteria": "criteria",
    "sarif": "sarif",
}
KINDS = tuple(_MODULES)


@dataclass(frozen=True, slots=True)
class CheckRun:
    """One measurement. ``result`` is pass, fail, not_measured or error; ``output`` and ``found`` are the evidence.

    ``value`` is exact and in ``unit``. ``note`` says what was seen, ``hint`` the next step, where there is one.
    ``kept`` is where its evidence lies in the run's directory, once it does.
    """

    name: str
    command: str
    exit_code: int
    seconds: float
    output: str
    status: str = ""
    kind: str = "command"
    value: Fraction | None = None
    unit: str = ""
    threshold: str = ""
    required: bool = False
    found: tuple[Found, ...] = ()
    note: str = ""
    hint: str = ""
    kept: str = ""

    @property
    def result(self) -> str:
        return self.status or ("pass" if self.exit_code == 0 else "fail")

    @property
    def has_passed(self) -> bool:
        return self.result == "pass"

    @property
    def is_in_the_way(self) -> bool:
        """Whether no approval is let through: required, and anything but a pass."""
        return self.required and not self.has_passed

    @property
    def shown_value(self) -> str:
        """The value against its threshold: ``79.9% (>= 80)``; empty for a bare number that nothing is asked of."""
        if self.value is None or not (self.unit or self.threshold):
            return ""
        text = shown(self.value, self.unit, up=self.threshold.startswith("<"))
        return f"{text} ({self.threshold})" if self.threshold else text

    @property
    def detail(self) -> str:
        """What a gate shows beside the name."""
        how = {"pass": "", "fail": "", "not_measured": "NOT MEASURED", "error": "ERROR"}[self.result]
        if self.kind == "command" and self.exit_code and self.result == "fail":
            how = f"exit {self.exit_code}"
        parts = (how, self.shown_value, clean_line(self.note, 160), f"{self.seconds:.1f} s")
        return ", ".join(part for part in parts if part)

    @property
    def tail(self) -> list[str]:
        """What was found, else the last lines of the output, clean; then the next step."""
        if self.found:
            lines = [clean_line(found.text, 160) for found in self.found[:TAIL_LINES]]
            more = len(self.found) - len(lines)
            lines += [f"and {more} more"] if more > 0 else []
        else:
            lines = [clean_line(line, 160) for line in self.output.rstrip().splitlines()[-TAIL_LINES:]]
        return [*lines, f"next: {clean_line(self.hint, 160)}"] if self.hint else lines

    @property
    def data(self) -> dict[str, Any]:
        """What an event and a gate say about it."""
        return {
            "name": self.name,
            "status": self.result,
            "value": None if self.value is None else float(self.value),
            "unit": self.unit,
            "threshold": self.threshold,
            "required": self.required,
        }

    def evidence(self, **about: str) -> str:
        """The whole measurement as text: what it came to as one JSON line, what was found, what was printed."""
        head = {**self.data, "kind": self.kind, "command": self.command, "exit_code": self.exit_code, **about}
        head |= {"seconds": round(self.seconds, 3), "note": self.note, "hint": self.hint, "findings": len(self.found)}
        lines = [json.dumps(head), *(f"{found.severity} {found.text}" for found in self.found)]
        return "\n".join([*lines, "", self.output])


async def run_check(spec: CheckSpec, tree: Path, scratch: Path, clock: Clock, around: Around | None = None) -> CheckRun:
    """Measure ``spec`` in ``tree``; ``scratch`` is a directory for it alone. Raises nothing of its own."""
    started_s = clock.monotonic_s()
    measure: Kind = importlib.import_module(f"swarm_core.checks.{_MODULES[spec.kind]}").measure
    try:
        found = await measure(Site(spec, tree, scratch, clock, around or Around()))
    except (SwarmError, OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        found = broken(f"the measurement failed: {error}", "see whether the tree is in order")
    return CheckRun(
        spec.name,
        spec.shown,
        found.exit_code,
        clock.monotonic_s() - started_s,
        found.output,
        _judged(spec, found),
        spec.kind,
        found.value,
        found.unit,
        spec.threshold,
        spec.required,
        found.found,
        found.note,
        found.hint,
    )


def _judged(spec: CheckSpec, found: Measured) -> Status:
    """The measurement's own word, and then the threshold's: a value that misses it fails whatever else was said."""
    if found.status in ("error", "not_measured", "fail"):
        return found.status
    if spec.threshold:
        if found.value is None:
            return "not_measured"
        return "pass" if parse_threshold(spec.threshold, found.unit).is_met(found.value) else "fail"
    return found.status or "not_measured"
