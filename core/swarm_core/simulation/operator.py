"""A simulated operator: reads the journal like the room does, decides late, twice, wrongly, and across crashes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.view import RunView

from .dice import Dice
from .journal import Store
from .loop import SimulatedClock
from .world import World

THINKING_S = (2.0, 8 * 3600.0)
PROMPT_S = (0.5, 20.0)
_MEDDLING = (
    "run.pause", "run.halt", "run.resume", "run.rollback", "task.pause", "task.resume", "task.cancel",
    "service.pause", "service.resume",
)  # fmt: skip


@dataclass(slots=True)
class _Mind:
    """What was decided about a gate."""

    verdict: str
    note: str


class SimulatedOperator:
    """``watch`` looks at every gate that opens and sends decisions until the run is over."""

    def __init__(self, world: World, store: Store, clock: SimulatedClock, dice: Dice, run: str) -> None:
        self.world, self.store, self.clock, self.dice, self.run = world, store, clock, dice, run
        self.view = RunView()
        self.sent: dict[str, InboxItem] = {}
        self._read = 0
        self._seen: set[tuple[str, int]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def watch(self) -> None:
        """Live until cancelled."""
        if self.dice.strikes("operator_aborts"):
            self._spawn(self._abort())
        self._spawn(self._meddle())
        self._spawn(self._free_everything())
        if self.dice.strikes("operator_meddles"):
            self._spawn(self._interfere())
        while True:
            news = self.world.news
            self._catch_up()
            for gate in self.view.open_gates:
                if (key := (gate.id, gate.opened_seq)) not in self._seen:
                    self._seen.add(key)
                    self._spawn(self._consider(gate))
            await news.wait()

    def _spawn(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        self._tasks.append(asyncio.ensure_future(work))

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _catch_up(self) -> None:
        for event in self.store.events[self._read :]:
            self.view.apply(event)
        self._read = len(self.store.events)

    # -- decisions

    async def _consider(self, gate: Gate) -> None:
        """Decide until this opening of the gate is over, whoever ended it."""
        while self._is_waiting(gate):
            await self.clock.sleep(self.dice.seconds(*(PROMPT_S if self.dice.is_calm else THINKING_S)))
            if self.dice.strikes("operator_mistakes"):
                await self._mistake(gate)
            mind = self._decide(gate)
            data = {"verdict": mind.verdict, "note": mind.note, "evidence": gate.evidence, "typed": gate.id}
            item = self._send("gate.decide", gate=gate.id, **data)
            if self.dice.strikes("operator_mistakes"):
                self.world.send(item)  # the same file again, maybe after it was archived
            await self._answered(item)
            self._catch_up()

    def _is_waiting(self, gate: Gate) -> bool:
        self._catch_up()
        now = self.view.gates.get(gate.id)
        return now is not None and now.status == "open" and now.opened_seq == gate.opened_seq and not self.view.is_over

    def _decide(self, gate: Gate) -> _Mind:
        if gate.blockers or gate.place == "escalation":
            is_no = self.dice.random.random() < 0.4
        else:
            is_no = self.dice.strikes("operator_rejects")
        if is_no:
            return _Mind("request_changes" if gate.place in ("plan", "merge") else "reject", "better")
        return _Mind("force" if gate.place == "merge" and gate.failed_checks else "approve", "")

    async def _mistake(self, gate: Gate) -> None:
        """A request that must be refused, or that changes nothing."""
        gates = list(self.view.gates.values())
        match self.dice.random.randrange(7):
            case 0:
                item = self._send("gate.decide", gate="gate_999", verdict="approve", evidence=gate.evidence)
            case 1:
                item = self._send("gate.decide", gate=gate.id, verdict="approve", evidence="something else")
            case 2:
                item = self._send("gate.decide", gate=gate.id, verdict="reject", note=" ", evidence=gate.evidence)
            case 4:
                item = self._send("gate.decide", gate=gate.id, verdict="defer", until="30m", evidence=gate.evidence)
            case 5:
                item = self._send("gate.decide", gate=gate.id, verdict="retry", evidence=gate.evidence)
            case 3:
                old = self.dice.pick(gates)
                item = self._send("gate.decide", gate=old.id, verdict="approve", evidence=old.evidence)
            case _:
                item = self._send("gate.decide", gate=gate.id, verdict="approve", evidence=gate.evidence)
                self._send("gate.decide", gate=gate.id, verdict="reject", note="no", evidence=gate.evidence)
        if self.dice.random.random() < 0.5:
            await self._answered(item)

    async def _abort(self) -> None:
        """At any time, or while the work is being landed."""
        if self.dice.random.random() < 0.7:
            await self.clock.sleep(self.dice.seconds(10, 12 * 3600))
        else:
            while (gate := self.view.latest_gate("landing")) is None or gate.status != "passed":
                await self.world.news.wait()
            await self.clock.sleep(self.dice.seconds(0.001, 5.0))
        self._send("run.abort")

    async def _meddle(self) -> None:
        """Work on the operator's own branch, in the checkout, and in the run's documents."""
        while True:
            await self.clock.sleep(self.dice.seconds(60, 8 * 3600))
            if self.dice.is_calm:
                self.world.is_dirty = False
                return
            if self.dice.strikes("branch_moves"):
                files = dict(self.world.nodes[self.world.user_tip].files) | {"mine": str(self.clock.now())}
                self.world.user_tip = self.world.commit((self.world.user_tip,), files, {})
            self.world.is_dirty = self.dice.strikes("checkout_dirty")
            if self.world.documents and self.dice.strikes("document_changed"):
                self.world.documents[self.dice.pick(sorted(self.world.documents))] = b"something else"
            if self.dice.strikes("wall_jumps"):
                self.clock.skew_s += (self.dice.random.random() - 0.5) * 2 * 86_400

    async def _interfere(self) -> None:
        """Hold, free, drop and roll back, in and out of season. Whatever is held is freed before the calm."""
        while not self.dice.is_calm:
            await self.clock.sleep(self.dice.seconds(30, 4 * 3600))
            self._catch_up()
            task = self.dice.pick([*self.view.tasks, "task_777"])
            kind = self.dice.pick(_MEDDLING)
            match kind:
                case "run.pause":
                    self._send(kind, mode=self.dice.pick(("pause", "drain")))
                case "run.halt":
                    self._send(kind, mode=self.dice.pick(("halt", "stop")))
                case "run.rollback":
                    passed = [f"gate:{g.id.removeprefix('gate_')}" for g in self.view.gates.values()]
                    events = f"seq:{self.dice.random.randrange(max(2, self._read + 2))}"
                    self._send(kind, to=self.dice.pick([*passed, events, "nowhere"]))
                case "service.pause" | "service.resume":
                    self._send(kind, service=self.dice.pick(("service1", "service2", "architect", "nobody")))
                case _:
                    self._send(kind, task=task)

    async def _free_everything(self) -> None:
        """What nobody would leave held for ever. A run that stops itself is looked at and resumed, too."""
        while True:
            news = self.world.news
            self._catch_up()
            view = self.view
            wait = [self._send("run.resume")] if view.run.status in ("paused", "halted") else []
            wait += [self._send("service.resume", service=name) for name in view.held_services]
            wait += [self._send("task.resume", task=t.id) for t in view.tasks.values() if t.held and not t.ended_at]
            for item in wait:
                await self._answered(item)
            if not wait:
                await news.wait()
            await self.clock.sleep(self.dice.seconds(*(PROMPT_S if self.dice.is_calm else THINKING_S)))

    # -- requests

    def _send(self, kind: str, **data: str) -> InboxItem:
        """Names of files come in any order: two fronts ends have two clocks."""
        name = f"{self.dice.random.randrange(10**6):06d}-{len(self.sent):04d}"
        item = InboxItem(name, kind, self.run, data=data)
        self.sent[name] = item
        self.world.send(item)
        return item

    async def _answered(self, item: InboxItem) -> None:
        while item.id not in self.world.answers and not self.view.is_over:
            await self.world.news.wait()
            self._catch_up()
