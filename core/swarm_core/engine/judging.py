"""Judging gates: what each is about is measured and written down, then it opens, or its rule decides."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from swarm_core.journal.tail import LogReader
from swarm_core.policy.matrix import blocking
from swarm_core.vocabulary.entities import Gate, Task
from swarm_core.vocabulary.errors import WorkspaceError
from swarm_core.vocabulary.view import RunView
from swarm_core.workspace.landing import try_land

from .agreement import standing
from .budget_evidence import budget_evidence
from .claims import compared
from .crash_points import CrashPoint, reached
from .evidence import Evidence, escalation_evidence, landing_evidence, merge_evidence, plan_evidence
from .finding_evidence import finding_evidence
from .forensics import edited_receipts
from .gate_rules import consultation, outcome, phase_evidence, plan_fact, with_rules
from .landing import landing_about, landing_blockers, short_branch
from .measuring import required_missing
from .recovery_evidence import recovery_evidence

if TYPE_CHECKING:
    from .acts import Hands

LOG_TAIL_LINES = 20


class Judging:
    """The evidence of the gates of one run."""

    def __init__(self, hands: Hands) -> None:
        self.hands, self.runner = hands, hands.runner

    @property
    def view(self) -> RunView:
        return self.runner.view

    async def evaluate(self, gate: Gate) -> None:
        """Measure what a gate is about, keep its document, then open the gate or let its rule decide."""
        rules = self.runner.spec.gates
        paths, conflicts = await self._touched(gate)
        about = self.view.tasks[gate.task].commit if gate.place == "merge" else self.view.run.integration
        if (asked := consultation(rules, gate, about, paths)) is not None:
            await self.runner.record(asked)
            return
        evidence = with_rules(await self._evidence(gate), rules, self.view, gate, paths, conflicts)
        evidence = replace(evidence, document=self.runner.secrets.redact_bytes(evidence.document))
        name = f"gates/{gate.id}-{self.view.last_seq}.patch"
        await self.runner.papers.keep(self.runner.layout.dir / name, evidence.document)
        reached(CrashPoint.AFTER_DOCUMENT_BEFORE_RECORD)
        await self.runner.record(outcome(rules, gate, evidence, name))

    async def _touched(self, gate: Gate) -> tuple[list[str], list[str]]:
        """What a merge changes and where it conflicts, as far as any rule asks."""
        rules = self.runner.spec.gates
        if gate.place != "merge" or not (rules.has_path_rules or rules.mode("merge") != "human"):
            return [], []
        hub, tip = await self.hands.hub(), self.view.tasks[gate.task].commit
        if not tip:
            return [], []
        onto = await hub.integration()
        attempt = await hub.try_merge(onto, tip)
        diff = await hub.diff(await hub.merge_base(onto, tip) or onto, tip)
        return diff.paths, [] if attempt.is_clean else list(attempt.paths)

    async def _evidence(self, gate: Gate) -> Evidence:
        match gate.place:
            case "plan":
                plan = self.view.plans[gate.task]
                fact = plan_fact(plan, self.runner.spec, list(self.view.tasks))
                is_ruled = self.runner.spec.gates.mode("plan") != "human"
                return replace(plan_evidence(gate, self.view.run, plan), facts=(fact,) if is_ruled else ())
            case "merge":
                return await self._merge_evidence(gate, self.view.tasks[gate.task])
            case "landing":
                return await self._landing_evidence(gate)
            case "phase":
                return await self._phase_evidence(gate)
            case "budget":
                return budget_evidence(gate, self.view)
            case "recovery":
                return await recovery_evidence(self.runner, gate)
            case "escalation" if gate.subject:
                return finding_evidence(gate, self.view.findings[gate.subject])
            case "permission" | "trust":
                return await self.hands.permissions.evidence(gate)
            case _:
                return await self._escalation_evidence(gate, self.view.tasks[gate.task])

    async def _merge_evidence(self, gate: Gate, task: Task) -> Evidence:
        hub = await self.hands.hub()
        onto = await hub.integration()
        tip = task.commit or task.base
        base = await hub.merge_base(onto, tip) or task.base
        diff = await hub.diff(base, tip)
        attempt = await hub.try_merge(onto, tip)
        checks = await self.hands.measuring.at_merge(task, onto, attempt)
        is_merged = bool(task.commit) and attempt.is_clean
        is_registered = self.hands.artifacts.registered(diff.paths)
        seen = await hub.merged(onto, tip, attempt.tree) if is_merged and is_registered else tip
        for built_in in await self.hands.artifacts.checks(hub, task.assigned_to, seen, diff.paths, checks):
            await self.hands.measuring.record(task.id, built_in, seen, "merged" if is_merged else "agent")
            checks.append(built_in)
        checks += await compared(self.runner, task, checks, diff.text)
        return merge_evidence(
            gate,
            task,
            branch=f"agent/{task.instance}",
            base=base,
            diff=diff.text,
            stat=diff.stat,
            conflicts=[] if attempt.is_clean else attempt.paths,
            checks=checks,
            commits=await hub.log(base, tip),
            blockers=required_missing(checks),
        )

    async def _phase_evidence(self, gate: Gate) -> Evidence:
        phase = self.runner.spec.gates.phase(gate.subject)
        if phase is None:
            raise WorkspaceError(f"{gate.id} is about the phase {gate.subject!r}, which is not configured")
        hub = await self.hands.hub()
        integration = await hub.integration()
        checks = await self.hands.measuring.at_phase(phase.checks)
        diff = await hub.diff(self.view.run.base, integration)
        return phase_evidence(gate, self.view, phase, checks, diff=diff.text, stat=diff.stat)

    async def _landing_evidence(self, gate: Gate) -> Evidence:
        hub = await self.hands.hub()
        checks = [*await self.hands.measuring.at_landing(), *await edited_receipts(self.runner)]
        attempt = await try_land(hub)
        tasks = [task for task in self.view.tasks.values() if task.is_work]
        return landing_evidence(
            gate,
            self.view.run,
            tasks,
            branch=short_branch(attempt.branch),
            user_tip=attempt.user_tip,
            is_fast_forward=attempt.is_fast_forward,
            diff=attempt.diff.text,
            stat=attempt.diff.stat,
            checks=checks,
            blockers=[*landing_blockers(attempt), *required_missing(checks), *blocking(self.view)],
            about=landing_about(attempt),
            facts=standing(self.view),
        )

    async def _escalation_evidence(self, gate: Gate, task: Task) -> Evidence:
        tail = await asyncio.to_thread(_log_tail, self.runner.layout.log(task.instance)) if task.instance else []
        conflict = b""
        if task.status == "blocked" and task.commit:
            hub = await self.hands.hub()
            conflict = (await hub.diff(await hub.integration(), task.commit)).text
        return escalation_evidence(gate, task, tail, conflict)


def _log_tail(path: Path) -> Sequence[str]:
    lines = LogReader(path).poll()
    return [f"{line.kind}: {line.text}" for line in lines[-LOG_TAIL_LINES:]]
