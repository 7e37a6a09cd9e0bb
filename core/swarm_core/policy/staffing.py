"""Who works on what: which ready tasks are claimed, by which instance, and which instances come and go."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from typing import Any

from swarm_core.vocabulary.entities import PLANNING_TASK, Instance, Task
from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.reservations import Reservations
from swarm_core.vocabulary.spec import ServiceSpec, SwarmSpec
from swarm_core.vocabulary.view import RunView

from .effects import Effect, Record, RetireInstance, StartInstance
from .outlook import Outlook
from .ranking import score

Key = tuple[float, int, str]


class Staffing:
    """One look at the instances of one state. ``taken`` are those given away in this look."""

    def __init__(self, view: RunView, spec: SwarmSpec, outlook: Outlook) -> None:
        self.view, self.spec, self.outlook = view, spec, outlook
        self.working = {view.tasks[name].instance: name for name in view.index.in_status("running")}
        self.taken: set[str] = set()
        self._live: dict[str, list[Instance]] = {}
        for instance in view.instances.values():
            if instance.status != "retired":
                self._live.setdefault(instance.service, []).append(instance)

    # -- beginning

    def claims(self) -> Iterator[Effect]:
        """Ready tasks for free instances, the most urgent first; further instances where there are none."""
        free = min(self.spec.max_parallel - len(self.working), self.outlook.slots)
        queues = [(*queue[0], iter(queue[1:])) for key in self._services() if (queue := self._queue(key))]
        heapq.heapify(queues)
        reserved: Reservations | None = None
        while queues and free > 0:
            _, name, rest = heapq.heappop(queues)
            task = self.view.tasks[name]
            reserved = reserved or Reservations(self.view)
            effect = self._place(task) if reserved.holder(task) is None else None
            if effect is not None:
                reserved.take(task)
                free -= 1
                yield effect
            if (following := next(rest, None)) is not None and self._has_room(task.assigned_to):
                heapq.heappush(queues, (*following, rest))

    def _services(self) -> Iterator[str]:
        for key, ready in self.view.index.ready_of.items():
            if ready and (key not in self.spec.services or self._has_room(key)):
                yield key

    def _queue(self, service: str) -> list[tuple[Key, str]]:
        """A service's ready tasks in their order."""
        out = []
        for name in self.view.index.ready_of[service]:
            task = self.view.tasks[name]
            if name not in self.outlook.resting and not self.view.why_held(task):
                rank_s, waited_s = self.outlook.ranks.get(name, 0.0), self.outlook.waited_s.get(name, 0.0)
                out.append((score(task, rank_s, waited_s), name))
        return sorted(out)

    def _has_room(self, key: str) -> bool:
        service = self.spec.services.get(key)
        return service is not None and (bool(self._idle(key)) or bool(self._startable(service)))

    def _place(self, task: Task) -> Effect | None:
        service = self.spec.services.get(task.assigned_to)
        if service is None:
            reason = f"no service {task.assigned_to!r} is configured"
            return Record((Draft("task.cancelled", {"reason": reason}, task=task.id),))
        if (idle := self._idle(service.key)) and not service.is_external:
            instance = min(idle, key=lambda i: (i.id in task.avoid, i.id != task.instance, i.usage.tokens, i.id))
            self.taken.add(instance.id)
            data: dict[str, Any] = {"attempt": task.attempt + 1, "base": task.subject or self.view.run.integration}
            if service.is_human:
                data["worker"] = OPERATOR
            return Record((Draft("task.claimed", data, task=task.id, agent=instance.id),))
        if not idle and (name := self._startable(service)):
            self.taken.add(name)
            return StartInstance(name)
        return None

    def _idle(self, service: str) -> list[Instance]:
        return [
            instance
            for instance in self._live.get(service, ())
            if instance.status == "idle" and instance.id not in self.taken and instance.id not in self.working
        ]

    def _startable(self, service: ServiceSpec) -> str:
        """The name of a further instance, or nothing when all replicas exist or are being started."""
        live = self._live.get(service.key, [])
        for instance in live:
            if instance.status == "starting" and instance.id not in self.taken:
                return instance.id
        fresh = [n for n in self.taken if n not in self.view.instances and n.rpartition("-")[0] == service.key]
        staying = [instance for instance in live if instance.status != "failed"]
        if len(staying) + len(fresh) >= self.view.replicas.get(service.key, service.replicas):
            return ""
        known = self.view.instances.keys() | self.taken
        return next(name for k in itertools.count(1) if (name := f"{service.key}-{k}") not in known)

    # -- going on and leaving

    def moods(self) -> Iterator[Effect]:
        """What an instance is said to be follows from what it works on."""
        for instance in itertools.chain.from_iterable(self._live.values()):
            task = self.view.tasks.get(instance.task) if instance.task else None
            if instance.status == "idle" and instance.id in self.working:
                yield Record((Draft("agent.busy", task=self.working[instance.id], agent=instance.id),))
            elif instance.status in ("busy", "waiting", "stalled", "paused") and instance.id not in self.working:
                if task is not None and task.status == "failed" and instance.id in task.avoid:
                    yield Record((Draft("agent.failed", {"reason": task.reason}, agent=instance.id),))
                else:
                    yield Record((Draft("agent.idle", agent=instance.id),))

    def leavings(self) -> Iterator[Effect]:
        """Instances that failed, and those whose service has nothing left to do."""
        planned = self.view.tasks[PLANNING_TASK].status in TASK.terminal
        wanted = self.view.index.unended_of
        for instance in itertools.chain.from_iterable(self._live.values()):
            if instance.id in self.taken:
                continue
            if instance.status == "starting":
                yield StartInstance(instance.id)
            elif instance.status == "failed" or (
                instance.status == "idle" and planned and not wanted.get(instance.service)
            ):
                yield RetireInstance(instance.id)
