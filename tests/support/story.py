"""Plays for the policy: ``story >> event`` lets something happen, ``story << effect`` expects what follows.

Records are applied as soon as they are decided, as the runner does; acts are left to the test.
"""

from __future__ import annotations

from typing import Any

from swarm_core.policy import Act, Record, decide
from swarm_core.policy.effects import SealPhase, StartInstance
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.spec import ServiceSpec, SwarmSpec
from swarm_core.vocabulary.view import RunView

MAX_ROUNDS = 1_000


def spec(*workers: str, replicas: int = 1, max_parallel: int = 4) -> SwarmSpec:
    services = {"architect": ServiceSpec("architect", access_level="global_read", directories=("/",))}
    for key in workers:
        services[key] = ServiceSpec(key, directories=(key,), replicas=replicas)
    return SwarmSpec(services, max_parallel=max_parallel)


def planned(number: int, service: str, *dependencies: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"task_{number:03d}",
        "title": f"work {number}",
        "assigned_to": service,
        "created_by": "architect",
        "dependencies": [f"task_{d:03d}" for d in dependencies],
        "order": number,
        **more,
    }


class Story:
    def __init__(self, spec: SwarmSpec) -> None:
        self.spec, self.view, self.events = spec, RunView(), list[Event]()
        self.acts: list[Act] = []
        self.wholes: list[int] = []  # how many events there were before each record: a crash never splits one
        self >> Draft("run.created", {"title": "T", "goal": "G"})

    def __rshift__(self, draft: Draft) -> Story:
        self._append(draft)
        return self.settle()

    def settle(self) -> Story:
        """Record what follows until nothing more does."""
        for _ in range(MAX_ROUNDS):
            effects = decide(self.view, self.spec)
            records = [effect for effect in effects if isinstance(effect, Record)]
            seals = [effect for effect in effects if isinstance(effect, SealPhase)]
            for seal in seals:  # a receipt is written whenever it is due: no play is about it
                self._append(Draft("receipt.sealed", {"path": f"{seal.phase}.json"}, phase=seal.phase))
            if not records and not seals:
                self.acts = [effect for effect in effects if not isinstance(effect, Record)]
                return self
            for record in records:
                for each in record.drafts:  # as the recorder does: all of them fit the state before the first
                    self.view.check(each)
                self.wholes.append(len(self.events))
                for each in record.drafts:
                    self._append(each)
        raise AssertionError("the policy never comes to rest")

    def __lshift__(self, act: Act) -> Story:
        assert act in self.acts, f"expected {act}, the policy wants {self.acts}"
        return self

    def _append(self, draft: Draft) -> None:
        self.view.check(draft)
        event = Event(
            len(self.events) + 1,
            "2026-11-21T00:00:00.000Z",
            "r",
            draft.kind,
            draft.data,
            draft.actor,
            draft.task,
            draft.agent,
            draft.phase,
        )
        self.events.append(event)
        self.view.apply(event)

    def happens(self, kind: str, task: str | None = None, agent: str | None = None, **data: Any) -> Story:
        return self >> Draft(kind, data, task=task, agent=agent)

    def happens_in(self, phase: str, kind: str, **data: Any) -> Story:
        return self >> Draft(kind, data, phase=phase)

    # -- the common stretches

    def planned(self, *tasks: dict[str, Any]) -> Story:
        """From the start to an approved plan."""
        self.happens("run.started", base="b0", base_ref="refs/heads/main", integration="b0")
        self.started("architect-1", "architect")
        self.happens("artifact.written", "task_000", "architect-1", type="plan", tasks=list(tasks))
        self.submits("task_000", commit="", files=0)
        return self.opened_and("approve")

    def started(self, instance: str, service: str) -> Story:
        self.happens("agent.starting", agent=instance, service=service)
        return self.happens("agent.ready", agent=instance)

    def submits(self, task: str, commit: str = "c1", files: int = 1) -> Story:
        return self.happens("task.submitted", task, self.view.tasks[task].instance, commit=commit, files=files)

    def opened_and(self, verdict: str, note: str = "") -> Story:
        """The oldest gate under evaluation opens and is decided."""
        gate = next(g.id for g in self.view.gates.values() if g.status == "evaluating")
        self.happens("gate.opened", gate=gate, evidence="e")
        return self.happens("gate.decided", gate=gate, verdict=verdict, note=note)

    def mediated(self, **changes: Any) -> Story:
        """The architect, asked about a failure, hands in a change of the plan."""
        task = next(t for t in self.view.tasks.values() if t.is_planning and t.status not in ("done", "cancelled"))
        name = next((i.id for i in self.view.instances.values() if i.service == "architect" and i.status == "idle"), "")
        if task.status == "ready" and not name:
            starts = [act.instance for act in self.acts if isinstance(act, StartInstance)]
            self.started(next(start for start in starts if start.startswith("architect-")), "architect")
        self.happens("artifact.written", task.id, type="plan", **changes)
        return self.submits(task.id, commit="", files=0)

    def merged(self, task: str, commit: str = "c1") -> Story:
        self.happens("merge.checking", task, commit=commit)
        return self.happens("merge.completed", task, commit=commit, integration=f"i-{task}")
