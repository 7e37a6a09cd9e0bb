"""How each act is performed. Every act may be started again after a crash and then adopts what was already done."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from swarm_core.journal.tail import LogReader
from swarm_core.policy.effects import (
    Act,
    EvaluateGate,
    KeepUnlanded,
    Land,
    MergeTask,
    PrepareRun,
    RetireInstance,
    RollBack,
    RunAgent,
    SealPhase,
    StartInstance,
)
from swarm_core.policy.failures import halting
from swarm_core.policy.matrix import blocking
from swarm_core.policy.receipts import differences, receipt
from swarm_core.recovery.receipts import receipt_text
from swarm_core.vocabulary.entities import Gate, Task
from swarm_core.vocabulary.errors import JournalError, MergeConflict, WorkspaceError
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.rules import MATRIX_FILE
from swarm_core.vocabulary.view import RunView
from swarm_core.workspace.hub import Hub
from swarm_core.workspace.landing import LandTry, keep_unlanded, land, try_land

from .artifacts import Registrar
from .budget_evidence import budget_evidence
from .claims import compared
from .crash_points import CrashPoint, reached
from .evidence import Evidence, escalation_evidence, landing_evidence, merge_evidence, plan_evidence
from .finding_evidence import finding_evidence
from .foreign_act import seat_for
from .forensics import edited_receipts
from .gate_rules import consultation, outcome, phase_evidence, plan_fact, with_rules
from .ledger import Ledger
from .matrix import adoption, name_branch
from .measuring import Measuring, required_missing
from .models import ModelPool
from .monitor import Monitor
from .permissions import Rulebook
from .recovery_evidence import recovery_evidence, verdict_after
from .rollback import reopened_phases, taken_back
from .runner import Runner

LOG_TAIL_LINES = 20


class Hands:
    """Performs the acts of one run. The hub is opened by the first act that needs it."""

    def __init__(self, runner: Runner, models: ModelPool) -> None:
        self.runner, self.layout, self.clock = runner, runner.layout, runner.clock
        self.models = models
        self.ledger = Ledger(runner.view, runner.spec, runner.clock, runner.recorder.enqueue, runner.moved, runner.wake)
        self.permissions = Rulebook(runner)
        self.measuring = Measuring(runner, self.hub)
        self.artifacts = Registrar(runner)
        runner.listeners.append(Monitor(runner.view, runner.recorder.enqueue).take)
        self._hub: Hub | None = None
        self._opening = asyncio.Lock()

    @property
    def view(self) -> RunView:
        return self.runner.view

    async def hub(self) -> Hub:
        async with self._opening:
            if self._hub is None:
                self._hub = await Hub.open(
                    self.layout, self.view.run.base or None, clock=self.clock, secrets=self.runner.secrets
                )
        return self._hub

    async def close(self) -> None:
        if self._hub is not None:
            await self._hub.close()
            self._hub = None

    async def perform(self, act: Act) -> None:
        match act:
            case PrepareRun():
                await self._prepare()
            case StartInstance(instance):
                await self._start_instance(instance)
            case RunAgent(task, instance):
                found = self.view.tasks[task]
                seat = seat_for(self, found)
                await seat(self, found, self.view.instances[instance]).perform()
            case EvaluateGate(gate):
                await self._evaluate(self.view.gates[gate])
            case MergeTask(task, commit):
                await self._merge(self.view.tasks[task], commit)
            case SealPhase(phase):
                await self._seal(phase)
            case RollBack(seq):
                await self._roll_back(seq)
            case RetireInstance(instance):
                await self._retire(instance)
            case Land(gate):
                await self._land(self.view.gates[gate])
            case KeepUnlanded(reason):
                await self._keep_unlanded(reason)

    def give_up(self, act: Act, error: Exception) -> list[Draft]:
        """What to record when an act failed for good; drafts that do not fit the state are left out."""
        reason = f"{error}"
        match act:
            case MergeTask(task):  # no agent can help; whether it was merged is known when the hub answers again
                return list(halting(self.view, f"{task} cannot be merged: {reason}", trigger="workspace"))
            case RunAgent(task):
                return [Draft("task.failed", {"reason": reason, "kind": "engine"}, task=task)]
            case SealPhase(phase):
                return list(halting(self.view, f"{phase} cannot be sealed: {reason}", trigger="receipt"))
            case EvaluateGate(gate):
                return list(halting(self.view, f"{gate} cannot be measured: {reason}", trigger="workspace"))
            case RetireInstance(instance):
                return [Draft("agent.retired", {"reason": f"its worktree is left: {reason}"}, agent=instance)]
            case Land(gate):
                return [Draft("gate.invalidated", {"gate": gate, "reason": reason})]
            case RollBack():
                return [Draft("recovery.failed", {"reason": reason, "incident": self._recovering()})]
            case _:
                return [Draft("run.failed", {"reason": f"{type(act).__name__}: {reason}"})]

    # -- run and instances

    async def _prepare(self) -> None:
        hub = await self.hub()
        data = {
            "base_ref": hub.base_ref,
            "base": hub.base,
            "hub": str(self.layout.hub),
            "integration": await hub.integration(),
        }
        reached(CrashPoint.AFTER_HUB_BEFORE_RECORD)
        await self.runner.record(Draft("run.started", data))

    async def _start_instance(self, instance: str) -> None:
        service = self.runner.spec.services[instance.rpartition("-")[0]]
        if instance not in self.view.instances:
            data = {
                "service": service.key,
                "model": self.models.label(service, self.view.run.options),
                "worktree": str(self.layout.trees / instance),
                "branch": f"agent/{instance}",
            }
            await self.runner.record(Draft("agent.starting", data, agent=instance))
        hub = await self.hub()
        await hub.add_tree(instance)
        reached(CrashPoint.AFTER_WORKTREE_BEFORE_RECORD)
        await self.runner.record(Draft("agent.ready", agent=instance))

    async def _retire(self, instance: str) -> None:
        hub = await self.hub()
        await hub.remove_tree(instance)
        reached(CrashPoint.AFTER_REMOVAL_BEFORE_RECORD)
        await self.runner.record(Draft("agent.retired", {"reason": "its work is done"}, agent=instance))

    # -- phases and recovery

    async def _seal(self, key: str) -> None:
        """Write the receipt of a phase, then close the phase with it."""
        text = receipt_text(self.view, key)
        sealed = json.loads(text)
        path = self.layout.receipt(key)
        await self.runner.papers.keep(path, text.encode())
        reached(CrashPoint.AFTER_RECEIPT_BEFORE_RECORD)
        if self.runner.spec.gates.phase(key) is not None:  # what a gate passed is counted again, from the journal alone
            then = await self.runner.papers.view_at(self.layout.journal, sealed["seq"])
            if different := differences(sealed, receipt(then, key)):
                raise JournalError(f"the receipt of {key} is not what the journal says: {', '.join(different)}")
        data = {
            "path": str(path.relative_to(self.layout.dir)),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "status": sealed["status"],
        }
        await self.runner.record(Draft("receipt.sealed", data, phase=key), *self.artifacts.sealing(key))

    async def _roll_back(self, seq: int) -> None:
        started_s = self.clock.monotonic_s()
        then = await self.runner.papers.view_at(self.layout.journal, seq)
        hub = await self.hub()
        integration = await hub.take_back(
            then.run.integration,
            message=f"Roll back to event {seq}",
            trailers={"Run-Id": self.view.run.id, "Rollback-To": str(seq)},
        )
        reached(CrashPoint.AFTER_ROLLBACK_BEFORE_RECORD)
        done = {
            "to_seq": seq,
            "integration": integration,
            "tasks": taken_back(self.view, then),
            "phases": reopened_phases(self.view, then),
        }
        incident = self._recovering()
        gate = self.view.latest_gate("recovery", incident)
        checks = await self.measuring.at_landing() if gate is not None else []
        seconds = round(self.clock.monotonic_s() - started_s, 3)
        await self.runner.record(Draft("rollback.done", done), *verdict_after(incident, gate, checks, seconds))

    def _recovering(self) -> str:
        return next((i.id for i in self.view.incidents.values() if i.status == "recovering"), "")

    # -- gates

    async def _evaluate(self, gate: Gate) -> None:
        rules = self.runner.spec.gates
        paths, conflicts = await self._touched(gate)
        about = self.view.tasks[gate.task].commit if gate.place == "merge" else self.view.run.integration
        if (asked := consultation(rules, gate, about, paths)) is not None:
            await self.runner.record(asked)
            return
        evidence = with_rules(await self._evidence(gate), rules, self.view, gate, paths, conflicts)
        evidence = replace(evidence, document=self.runner.secrets.redact_bytes(evidence.document))
        name = f"gates/{gate.id}-{self.view.last_seq}.patch"
        await self.runner.papers.keep(self.layout.dir / name, evidence.document)
        reached(CrashPoint.AFTER_DOCUMENT_BEFORE_RECORD)
        await self.runner.record(outcome(rules, gate, evidence, name))

    async def _touched(self, gate: Gate) -> tuple[list[str], list[str]]:
        """What a merge changes and where it conflicts, as far as any rule asks."""
        rules = self.runner.spec.gates
        if gate.place != "merge" or not (rules.has_path_rules or rules.mode("merge") != "human"):
            return [], []
        hub, tip = await self.hub(), self.view.tasks[gate.task].commit
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
                return await self.permissions.evidence(gate)
            case _:
                return await self._escalation_evidence(gate, self.view.tasks[gate.task])

    async def _merge_evidence(self, gate: Gate, task: Task) -> Evidence:
        hub = await self.hub()
        onto = await hub.integration()
        tip = task.commit or task.base
        base = await hub.merge_base(onto, tip) or task.base
        diff = await hub.diff(base, tip)
        attempt = await hub.try_merge(onto, tip)
        checks = await self.measuring.at_merge(task, onto, attempt)
        for built_in in await self.artifacts.checks(hub, task, task.assigned_to, tip, diff.paths, checks):
            await self.measuring.record(task.id, built_in, tip, "agent")
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
        hub = await self.hub()
        integration = await hub.integration()
        checks = await self.measuring.at_phase(phase.checks)
        diff = await hub.diff(self.view.run.base, integration)
        return phase_evidence(gate, self.view, phase, checks, diff=diff.text, stat=diff.stat)

    async def _landing_evidence(self, gate: Gate) -> Evidence:
        hub = await self.hub()
        checks = [*await self.measuring.at_landing(), *await edited_receipts(self.runner)]
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
        )

    async def _escalation_evidence(self, gate: Gate, task: Task) -> Evidence:
        tail = await asyncio.to_thread(_log_tail, self.layout.log(task.instance)) if task.instance else []
        conflict = b""
        if task.status == "blocked" and task.commit:
            hub = await self.hub()
            conflict = (await hub.diff(await hub.integration(), task.commit)).text
        return escalation_evidence(gate, task, tail, conflict)

    # -- merging and landing

    async def _merge(self, task: Task, commit: str) -> None:
        hub = await self.hub()
        onto = await hub.integration()
        await self.runner.record(Draft("merge.checking", {"commit": commit, "onto": onto}, task=task.id))
        if reason := await self.measuring.before_merge(task, commit, onto):
            await self.runner.record(
                Draft("merge.conflicted", {"paths": [], "onto": onto, "reason": reason}, task=task.id)
            )
            return
        await name_branch(hub, task)
        try:
            merged = await hub.merge(
                commit,
                message=f"Merge {task.id}: {task.title}",
                trailers=self.trailers(task, task.instance),
                expected=onto,
            )
        except MergeConflict as conflict:
            data = {"paths": list(conflict.paths), "onto": onto, "messages": [conflict.message]}
            await self.runner.record(Draft("merge.conflicted", data, task=task.id))
            return
        reached(CrashPoint.AFTER_MERGE_BEFORE_RECORD)
        data = {"commit": commit, "integration": merged}
        paths = await hub.changed_paths(self.view.run.integration, merged)
        outdated = self.artifacts.outdated(paths, task)
        rules = await adoption(hub, self.view, merged) if MATRIX_FILE in paths else []
        await self.runner.record(Draft("merge.completed", data, task=task.id), *outdated, *rules)

    async def _land(self, gate: Gate) -> None:
        hub = await self.hub()
        attempt = await try_land(hub)
        if not attempt.already and (landing_about(attempt) != gate.about or landing_blockers(attempt)):
            reason = "the branch or the checkout moved after the decision"
            await self.runner.record(Draft("gate.invalidated", {"gate": gate.id, "reason": reason}))
            return
        try:
            commit = await land(
                hub, attempt, message=f"Land {self.view.run.title}", trailers={"Run-Id": self.view.run.id}
            )
        except WorkspaceError as error:
            await self.runner.record(Draft("gate.invalidated", {"gate": gate.id, "reason": str(error)}))
            return
        reached(CrashPoint.AFTER_LANDING_BEFORE_RECORD)
        await self._finish(landed=True, commit=commit, reason="")

    async def _keep_unlanded(self, reason: str) -> None:
        hub = await self.hub()
        if (await try_land(hub)).already:  # a landing whose undoing failed too: what is there is there
            await self._finish(landed=True, commit=await hub.integration(), reason="it had landed before the decision")
            return
        await keep_unlanded(hub)
        await self._finish(landed=False, commit=await hub.integration(), reason=reason)

    async def _finish(self, *, landed: bool, commit: str, reason: str) -> None:
        gate = self.view.latest_gate("landing")
        tasks = self.view.tasks.values()
        if not landed or any(task.status != "done" for task in tasks if task.is_work):
            outcome = "partial"
        elif (gate is not None and gate.failed_checks) or any(found.forced for found in self.view.gates.values()):
            outcome = "with_issues"
        else:
            outcome = "clean"
        data = {"outcome": outcome, "landed": landed, "commit": commit, "reason": reason}
        phase = self.view.phases.get("land")
        is_open = phase is not None and phase.status == "active"
        closing = (Draft("phase.work_done", phase="land"),) if is_open else ()
        await self.runner.record(*closing, Draft("run.completed", data))

    def trailers(self, task: Task, instance: str) -> dict[str, str]:
        """What every commit of this run says about where it comes from."""
        return {"Run-Id": self.view.run.id, "Task-Id": task.id, "Agent": instance}


def landing_about(attempt: LandTry) -> str:
    """The state of the world a landing was shown for."""
    return f"{attempt.branch} {attempt.user_tip} {attempt.integration} {' '.join(sorted(attempt.dirty))}".strip()


def landing_blockers(attempt: LandTry) -> list[str]:
    """Why the landing cannot be carried out now, each with its next step."""
    out = list(attempt.blockers)
    branch = short_branch(attempt.branch)
    if attempt.commit is None and attempt.paths:
        paths = ", ".join(attempt.paths)
        out.append(f"conflicts with new commits on {branch} in {paths}: reject to keep the work and merge it by hand")
    if attempt.dirty:
        out.append(f"uncommitted changes in {', '.join(attempt.dirty)}: commit or stash them")
    return out


def short_branch(ref: str) -> str:
    return ref.removeprefix("refs/heads/")


def _log_tail(path: Path) -> Sequence[str]:
    lines = LogReader(path).poll()
    return [f"{line.kind}: {line.text}" for line in lines[-LOG_TAIL_LINES:]]
