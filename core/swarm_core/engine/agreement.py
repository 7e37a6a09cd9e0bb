"""Do the artifacts on the integration line agree: measured with every merge that touches one, told as findings.

A disagreement between two producers is nobody's alone: sending one of them back mends nothing. So it fails no merge; it
is raised by the error agent with the merge that brings it, in the same record, and it is gone when a later measurement
no longer shows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from swarm_core.artifacts.consistency import SIDES
from swarm_core.artifacts.fault import Fault, errors
from swarm_core.checks.run import CheckRun
from swarm_core.policy.findings import AGREEMENT, ERROR_AGENT, INCONSISTENCY
from swarm_core.vocabulary.entities import CheckResult
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.state import State
from swarm_core.workspace.hub import Hub

if TYPE_CHECKING:
    from .artifacts import Registrar
    from .measuring import Measuring
    from .runner import Runner

KIND = "artifact_agreement"
BETWEEN_PRODUCERS = frozenset({"api_db_consistency", "ui_api_consistency", "integration_complete"})
MAX_LISTED = 20


class Agreement:
    """What the artifacts of one run's integration line say of each other."""

    def __init__(self, runner: Runner, registrar: Registrar, measuring: Measuring) -> None:
        self.runner, self.registrar, self.measuring = runner, registrar, measuring

    async def on_the_line(self, hub: Hub, commit: str, paths: Iterable[str], task: str = "") -> list[Draft]:
        """Compare what a new commit of the line holds, if it changed an artifact that has another side.

        The check as a fact, and a finding for each pair of files that do not agree and of which nobody knew.
        """
        registrar = self.registrar
        compared = frozenset[str]().union(*SIDES.values())
        if registrar.mode == "off" or not any(kind.key in compared for kind in registrar.registered(paths)):
            return []
        kinds = [kind for kind in registrar.registry.types.values() if kind.key in compared]
        started_s = self.runner.clock.monotonic_s()
        judged = await registrar.judged(hub, commit, kinds, compares=True)
        took_s = self.runner.clock.monotonic_s() - started_s
        pairs = by_pair(errors(judged.contradictions))
        known = {one.signature: one for one in self.runner.view.findings.values() if one.raised_by == ERROR_AGENT}
        opened, seen = [], []
        for signature, faults in pairs.items():
            finding = known.get(signature)
            if finding is None or (finding.status == "closed" and finding.resolution == "verified"):
                times = sum(one.signature == signature for one in self.runner.view.findings.values())
                draft = self._raised(signature, faults, times, task)
                opened.append(draft)
                seen.append(str(draft.data["finding"]))
            else:  # somebody is at it, or the operator lives with it
                seen.append(finding.id)
        check = await self.measuring.told("", agreement(judged.contradictions, took_s), commit, "merged", seen=seen)
        return [check, *opened]

    def _raised(self, signature: str, faults: Sequence[Fault], times: int, task: str) -> Draft:
        first, more = faults[0], len(faults) - 1
        number = hashlib.sha256(signature.encode()).hexdigest()[:8]
        paths = [first.at.path, *([first.other.path] if first.other is not None else [])]
        lines = [f"- {fault}{f' ({fault.hint})' if fault.hint else ''}" for fault in faults[:MAX_LISTED]]
        lines += [f"- and {len(faults) - MAX_LISTED} more"] if len(faults) > MAX_LISTED else []
        data = {
            "finding": f"W-I-{number}" + (f"-{times + 1}" if times else ""),
            "title": first.message + (f", and {more} more" if more else ""),
            "severity": "HIGH",
            "location": f"{first.at.path}:{first.at.line}",
            "paths": paths,
            "owner": self._producer(first.at.path),
            "issue": "\n".join(lines),
            "fix": first.hint,
            "verification": f"check:{AGREEMENT}",
            "category": INCONSISTENCY,
            "signature": signature,
        }
        return Draft("finding.opened", data, actor=ERROR_AGENT, task=task or None)

    def _producer(self, path: str) -> str:
        kind, registry = self.registrar.registry.at(path), self.registrar.registry
        services = self.runner.spec.workers if kind is not None else ()
        return next((key for key in services if kind and registry.is_agent(key, kind.producer)), "")


def by_pair(faults: Iterable[Fault]) -> dict[str, list[Fault]]:
    """Contradictions by what is compared: one for each pair of files, however many places it has. By signature."""
    pairs: dict[str, list[Fault]] = {}
    for fault in faults:
        other = fault.other.path if fault.other is not None else ""
        pairs.setdefault(f"{fault.code} {fault.at.path} {other}".rstrip(), []).append(fault)
    return pairs


def agreement(contradictions: Sequence[Fault], seconds: float = 0.0) -> CheckRun:
    """The comparison as a check."""
    lines = [str(fault) for fault in contradictions] or ["the artifacts agree with each other"]
    code = 1 if errors(contradictions) else 0
    return CheckRun(AGREEMENT, "built in", code, seconds, "\n".join(lines) + "\n", kind=KIND)


def own(contradictions: Iterable[Fault], may_write: Callable[[str], bool]) -> list[Fault]:
    """Those that whoever ``may_write`` a side can mend by another round: all but those with another producer."""
    return [
        fault
        for fault in contradictions
        if fault.is_note
        or fault.code not in BETWEEN_PRODUCERS
        or fault.other is None
        or (may_write(fault.at.path) and may_write(fault.other.path))
    ]


def standing(view: State) -> tuple[CheckResult, ...]:
    """What the last measurement of the line said: nothing moved it since."""
    fact = view.facts.get(f"check:{AGREEMENT}:")
    if fact is None:
        return ()
    return (CheckResult(AGREEMENT, fact.status == "pass", ", ".join(fact.seen) or f"as of event {fact.seq}"),)
