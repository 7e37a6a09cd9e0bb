"""Workers outside the engine: they poll, claim a task of a service with ``adapter: external``, and hand it in.

The protocol is files: ``tasks.json`` says what is ready; a claim dropped into the inbox is answered with the worktree
and the task; signs of life keep the lease; a submission ends it. What such a worker changed is swept, checked and
merged like everybody's. An attempt whose lease ran out is fenced: what it hands in later is refused.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swarm_core.agents.coordination import Handoff, Outcome
from swarm_core.agents.log import AgentLog
from swarm_core.journal.tail import JournalReader
from swarm_core.policy.ranking import score
from swarm_core.vocabulary.entities import Instance, Task
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.reservations import Reservations
from swarm_core.vocabulary.spec import ServiceSpec
from swarm_core.workspace.hub import Hub

from .agent_act import AgentAct
from .inbox import Verdict

if TYPE_CHECKING:
    from .runner import Runner

APPEARS_S = 10.0
HANDED_IN_S = 120.0
MAX_TEXT_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What a worker handed in, and the request with which it did."""

    handoff: Handoff
    command: str


class ExternalAct(AgentAct):
    """Holds the place of a worker outside: waits until it hands in, fails, or is lost."""

    async def _converse(self, hub: Hub, log: AgentLog) -> Outcome:
        await self.grounded()
        log.write("note", f"{self.task.worker} works on {self.task.id} in {self.tree}")
        return await self.handed_in()

    async def handed_in(self) -> Handoff:
        """What comes in for this attempt, whenever it does."""
        waiting = asyncio.get_running_loop().create_future()
        self.runner.workers[self.task.id] = waiting
        self.runner.wake()
        try:
            handed_in: HandedIn = await waiting
            self.command = handed_in.command
            return handed_in.handoff
        finally:
            self.runner.workers.pop(self.task.id, None)


async def claim(runner: Runner, item: InboxItem) -> Verdict:
    """Give a ready task of a service to a worker. Asked too early, it says so: ask again."""
    view, worker = runner.view, str(item.data["worker"])[:100]
    service = runner.spec.services.get(str(item.data["service"]))
    if service is None or not service.is_external:
        known = ", ".join(s.key for s in runner.spec.services.values() if s.is_external) or "none"
        return Verdict(False, f"workers outside may claim tasks of: {known}", item.run)
    task = _most_urgent(runner, service.key, str(item.data.get("task", "")))
    if task is None or view.is_held:
        return Verdict(False, f"nothing of {service.key} is ready", item.run)
    working = {view.tasks[name].instance for name in view.index.in_status("running")}
    instance = next((i for i in _idle(runner, service.key) if i.id not in working), None)
    if instance is None:
        return Verdict(False, f"no worktree of {service.key} is free yet: ask again", item.run)
    data = {"attempt": task.attempt + 1, "base": view.run.integration, "worker": worker, "command": item.id}
    await runner.record(Draft("task.claimed", data, task=task.id, agent=instance.id))
    return await _given(runner, item, runner.view.tasks[task.id], service, instance)


async def claimed_before(runner: Runner, item: InboxItem) -> Verdict:
    """The answer to a claim that was carried out, but whose answer a crash swallowed."""
    event = await asyncio.to_thread(_claim_of, runner.layout.journal, item.id)
    task = runner.view.tasks.get(event.task or "") if event is not None else None
    if event is None or task is None or task.status != "running" or task.attempt != event.data.get("attempt"):
        return Verdict(False, "what was claimed was taken back since: claim again", item.run)
    return await _given(
        runner, item, task, runner.spec.services[task.assigned_to], runner.view.instances[task.instance]
    )


async def _given(runner: Runner, item: InboxItem, task: Task, service: ServiceSpec, instance: Instance) -> Verdict:
    await runner.until(lambda: task.id in runner.workers, APPEARS_S)
    given = {
        "task": task.id,
        "attempt": task.attempt,
        "title": task.title,
        "description": task.description,
        "notes": list(task.notes),
        "worktree": instance.worktree,
        "directories": list(service.directories),
        "lease_s": service.lease_s,
    }
    return Verdict(True, run=item.run, data=given)


async def heartbeat(runner: Runner, item: InboxItem) -> Verdict:
    """Keep the lease of a task. Not journaled: it is not a fact anybody needs later."""
    problem = _too_late(runner, item)
    if problem:
        return Verdict(False, problem, item.run)
    runner.watch.beat(str(item.data["task"]))
    return Verdict(True, run=item.run)


async def hand_in(runner: Runner, item: InboxItem) -> Verdict:
    """``task.submit`` and ``task.fail``. Answered when it is recorded, so that "applied" holds through a crash."""
    name = str(item.data["task"])
    if problem := _too_late(runner, item):
        return Verdict(False, problem, item.run)
    await runner.until(lambda: name in runner.workers, APPEARS_S)
    waiting = runner.workers.get(name)
    if waiting is None or waiting.done():
        return Verdict(False, f"{name} is not waiting for a worker: ask again", item.run)
    if item.kind == "task.fail":
        reason = _text(item, "reason") or "the worker gave up"
        await runner.fail(name, "gave_up", reason, attempt=_attempt(item), command=item.id)
        return Verdict(True, run=item.run)
    handoff = Handoff(_text(item, "what_i_did"), _text(item, "whats_left"), _text(item, "recommendation"))
    waiting.set_result(HandedIn(handoff, item.id))
    await runner.until(lambda: runner.view.tasks[name].status != "running", HANDED_IN_S)
    status = runner.view.tasks[name].status
    return Verdict(status != "running", "" if status != "running" else "it could not be taken over yet", item.run)


def _claim_of(path: Path, command: str) -> Event | None:
    reader = JournalReader(path)
    try:
        while events := reader.poll(1 << 22):
            for event in events:
                if event.kind == "task.claimed" and event.data.get("command") == command:
                    return event
    finally:
        reader.close()
    return None


def _most_urgent(runner: Runner, service: str, wanted: str) -> Task | None:
    view, outlook = runner.view, runner.watch.outlook(0)
    held = Reservations(view)
    ready = [view.tasks[name] for name in view.index.ready_of.get(service, ()) if name not in outlook.resting]
    free = [t for t in ready if not view.why_held(t) and held.holder(t) is None and wanted in ("", t.id)]
    return min(
        free, key=lambda t: score(t, outlook.ranks.get(t.id, 0.0), outlook.waited_s.get(t.id, 0.0)), default=None
    )


def _idle(runner: Runner, service: str) -> list[Instance]:
    return [i for i in runner.view.instances.values() if i.service == service and i.status == "idle"]


def _too_late(runner: Runner, item: InboxItem) -> str:
    """Why an attempt may not speak for its task any more; empty if it may."""
    task = runner.view.tasks.get(str(item.data["task"]))
    if task is None:
        return f"there is no task {item.data['task']!r} in this run"
    if task.status != "running" or not task.worker:
        return f"{task.id} is {task.status}: it is not with a worker"
    if task.attempt != _attempt(item):
        return f"{task.id} is at attempt {task.attempt}: attempt {_attempt(item)} comes too late"
    return ""


def _attempt(item: InboxItem) -> int:
    value = item.data.get("attempt")
    return value if isinstance(value, int) else -1


def _text(item: InboxItem, key: str) -> str:
    return str(item.data.get(key, ""))[:MAX_TEXT_CHARS]
