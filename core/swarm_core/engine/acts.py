"""How each act is performed. Every act may be started again after a crash and then adopts what was already done."""

from __future__ import annotations

import asyncio
import hashlib
import json

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
from swarm_core.policy.receipts import differences, receipt
from swarm_core.recovery.receipts import receipt_text
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.errors import JournalError, MergeConflict
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.rules import MATRIX_FILE
from swarm_core.vocabulary.view import RunView
from swarm_core.workspace.hub import Hub

from .agreement import Agreement
from .artifacts import Registrar
from .crash_points import CrashPoint, reached
from .foreign_act import seat_for
from .judging import Judging
from .landing import Landing
from .ledger import Ledger
from .matrix import adoption, name_branch
from .measuring import Measuring
from .models import ModelPool
from .monitor import Monitor
from .permissions import Rulebook
from .placing import NoWorktreeError
from .recovery_evidence import verdict_after
from .rollback import reopened_phases, taken_back
from .runner import Runner


class Hands:
    """Performs the acts of one run. The hub is opened by the first act that needs it."""

    def __init__(self, runner: Runner, models: ModelPool) -> None:
        self.runner, self.layout, self.clock = runner, runner.layout, runner.clock
        self.models = models
        self.ledger = Ledger(runner.view, runner.spec, runner.clock, runner.recorder.enqueue, runner.moved, runner.wake)
        self.permissions = Rulebook(runner)
        self.measuring = Measuring(runner, self.hub)
        self.artifacts = Registrar(runner)
        self.agreement = Agreement(runner, self.artifacts, self.measuring)
        self.judging, self.landing = Judging(self), Landing(self)
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
                await asyncio.to_thread(self.artifacts.load)
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
                await self.judging.evaluate(self.view.gates[gate])
            case MergeTask(task, commit):
                await self._merge(self.view.tasks[task], commit)
            case SealPhase(phase):
                await self._seal(phase)
            case RollBack(seq):
                await self._roll_back(seq)
            case RetireInstance(instance):
                await self._retire(instance)
            case Land(gate):
                await self.landing.land(self.view.gates[gate])
            case KeepUnlanded(reason):
                await self.landing.keep_unlanded(reason)

    def give_up(self, act: Act, error: Exception) -> list[Draft]:
        """What to record when an act failed for good; drafts that do not fit the state are left out."""
        reason = f"{error}"
        match act:
            case MergeTask(task):  # no agent can help; whether it was merged is known when the hub answers again
                return list(halting(self.view, f"{task} cannot be merged: {reason}", trigger="workspace"))
            case RunAgent() if isinstance(error, NoWorktreeError):  # the task goes on with the run
                return list(halting(self.view, reason, trigger="workspace"))
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
        if service.is_external or service.is_human or service.is_foreign:
            hub = await self.hub()
            await hub.add_tree(instance)  # an agent of our own asks its model while its first task makes the tree
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
        paths = await hub.changed_paths(self.view.run.integration, integration)
        told = await self.agreement.on_the_line(hub, integration, paths)
        incident = self._recovering()
        gate = self.view.latest_gate("recovery", incident)
        checks = await self.measuring.at_landing() if gate is not None else []
        seconds = round(self.clock.monotonic_s() - started_s, 3)
        await self.runner.record(Draft("rollback.done", done), *told, *verdict_after(incident, gate, checks, seconds))

    def _recovering(self) -> str:
        return next((i.id for i in self.view.incidents.values() if i.status == "recovering"), "")

    # -- merging

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
        told = await self.agreement.on_the_line(hub, merged, paths, task.id)
        await self.runner.record(Draft("merge.completed", data, task=task.id), *outdated, *rules, *told)

    def trailers(self, task: Task, instance: str) -> dict[str, str]:
        """What every commit of this run says about where it comes from."""
        return {"Run-Id": self.view.run.id, "Task-Id": task.id, "Agent": instance}
