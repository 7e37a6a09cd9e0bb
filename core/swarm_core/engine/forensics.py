"""Papers and artifacts against what the engine itself measured and wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from swarm_core.artifacts.library import Measured
from swarm_core.checks.measured import Found
from swarm_core.checks.run import CheckRun

if TYPE_CHECKING:
    from .runner import Runner

SCANS = ("secret_scan", "sast_min")
TESTS = "tests"


def facts_of(checks: Sequence[CheckRun]) -> dict[str, Measured]:
    """What checks measured, by the names under which artifacts speak of it. What was not measured is no fact."""
    known = [check for check in checks if check.result in ("pass", "fail")]
    facts: dict[str, Measured] = {}
    for name, wanted in (
        ("tests_passed", [c for c in known if c.kind == TESTS or (c.kind, c.name) == ("command", TESTS)]),
        ("security_scan", [c for c in known if c.kind in SCANS]),
    ):
        if wanted:
            telling = next((check for check in wanted if not check.has_passed), wanted[0])
            value = telling.has_passed if name == "tests_passed" else "passed" if telling.has_passed else "failed"
            facts[name] = Measured(value, telling.kept or telling.name)
    coverage = [check for check in known if check.kind == "coverage" and check.value is not None]
    if coverage:
        lowest = min(coverage, key=lambda check: check.value or 0)
        facts["coverage"] = Measured(float(lowest.value or 0), lowest.kept or lowest.name)
    return facts


async def edited_receipts(runner: Runner) -> list[CheckRun]:
    """The failed line of the landing gate where a sealed receipt is not what was sealed; none where all are."""
    found = []
    for phase in [phase for phase in runner.view.phases.values() if phase.status == "sealed" and phase.receipt]:
        if await runner.papers.sha256(runner.layout.dir / phase.receipt) != phase.receipt_sha256:
            message = "is not what was sealed: its SHA-256 is not the one in the journal"
            found.append(Found(message, phase.receipt, 0, "receipt", "CRITICAL"))
    if not found:
        return []
    output = "\n".join(one.text for one in found) + "\n"
    note = f"edited after it was sealed: {', '.join(one.path for one in found)}"
    return [CheckRun("receipts", "built in", 1, 0.0, output, kind="receipt_forensics", found=tuple(found), note=note)]
