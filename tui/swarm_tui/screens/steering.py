"""What the operator does to the run and its tasks: ask first where it cannot be taken back, send, say what came of it.

A question stands in a line of its own and takes no focus: ``y`` says yes to it, Esc or ten seconds take it away. What
was sent is answered by the journal, or, where no run is concerned, by the inbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from textual import work

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Gate, Task
from swarm_core.vocabulary.errors import SwarmError
from swarm_core.vocabulary.machines import TASK
from swarm_tui.widgets.bars import Heading

from .base import RoomScreen

ASKED_S = 10.0
SAID_S = 8.0


@dataclass(frozen=True, slots=True)
class Request:
    """Something to ask of the engine; ``words`` name it to the operator."""

    kind: str
    words: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Steering(RoomScreen):
    """A screen that steers. Subclasses say what is under the cursor, and have a ``Heading`` named ``said``."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, Request] = {}
        self._asked: Callable[[], object] | None = None
        self._until_s = 0.0

    def task_here(self) -> Task | None:
        """The task that the keys mean now."""
        raise NotImplementedError

    def service_here(self) -> str:
        raise NotImplementedError

    def gate_here(self) -> Gate | None:
        raise NotImplementedError

    # -- saying

    def say(self, text: str, style: str = "muted", for_s: float = SAID_S) -> None:
        """A line for a while; what was asked before is not asked any more."""
        self._asked = None
        self._until_s = self.room.clock.monotonic_s() + for_s
        line = self.query_one("#said", Heading)
        line.display = bool(text)
        line.show(((f" {clean_line(text)}", style),))

    def ask(self, question: str, act: Callable[[], object]) -> None:
        """Do ``act`` if the operator says yes to it."""
        self.say(f"{question} y: yes · Esc: no", "accent", ASKED_S)
        self._asked = act

    def withdraw(self) -> bool:
        """Take a question back; False if there is none."""
        was_asked = self._asked is not None
        if was_asked:
            self.say("Nothing was done.")
        return was_asked

    def action_confirm(self) -> None:
        act = self._asked
        if act is None or self.room.clock.monotonic_s() >= self._until_s:
            self.say("Nothing was asked.")
            return
        self.say("")
        act()

    # -- sending

    @work
    async def send(self, request: Request) -> None:
        """Drop a request into the inbox; the engine's word comes later."""
        self.say(f"{request.words}: sending …")
        try:
            item = await asyncio.to_thread(self.client.ask, request.kind, self.store.run, **request.data)
        except SwarmError as error:
            self.say(str(error).replace("\n", " · "), "bad")
            return
        self.sent[item] = request
        lost = "; no engine takes it: E starts one" if self.store.is_engine_lost else ""
        self.say(f"{request.words}: sent{lost}", "accent" if lost else "muted", for_s=3600.0)
        self.judge_answers()

    def judge_answers(self) -> None:
        """Say what the journal tells of the requests under way."""
        view = self.store.view
        for item in [item for item in self.sent if item in view.commands]:
            self._answered(item, view.refused.get(item, ""), self._seq_of(item))

    def tick(self) -> None:
        """Look for answers that no journal holds, and clear away what was read."""
        for item in list(self.sent):
            answer = self.client.answer(item)
            if answer is not None:
                refused = (answer.reason or "refused") if answer.result != "applied" else ""
                self._answered(item, refused, 0)
        if self.room.clock.monotonic_s() >= self._until_s and self.query_one("#said").display:
            self.say("")

    def _answered(self, item: str, refused: str, seq: int) -> None:
        request = self.sent.pop(item)
        if refused:
            self.say(f"{request.words}: refused: {refused}", "bad")
        else:
            self.say(f"{request.words}: accepted{f' #{seq}' if seq else ''}", "good")

    def _seq_of(self, command: str) -> int:
        events = reversed(self.store.activity)
        return next((event.seq for event in events if event.data.get("command") == command), 0)

    # -- the run

    def _is_over(self) -> bool:
        run = self.store.view.run
        if self.store.view.is_over:
            self.say(f"The run is {run.status}: there is nothing to steer any more.")
        return self.store.view.is_over

    def action_pause_run(self) -> None:
        run = self.store.view.run
        if self._is_over():
            return
        if run.status == "halted" or (run.status == "paused" and run.pause == "pause"):
            self.say(f"The run is {run.status}: r resumes it.")
            return
        self.send(Request("run.pause", "pause"))

    def action_drain_run(self) -> None:
        run = self.store.view.run
        if self._is_over():
            return
        if run.status == "halted" or (run.status == "paused" and run.pause == "drain"):
            self.say(f"The run is {run.status}: r resumes it.")
            return
        self.send(Request("run.pause", "drain", {"mode": "drain"}))

    def action_resume_run(self) -> None:
        if self._is_over():
            return
        if not self.store.view.is_held:
            self.say("The run is not held: there is nothing to resume.")
            return
        self.send(Request("run.resume", "resume"))

    def action_halt_run(self) -> None:
        if self._is_over():
            return
        if self.store.view.run.status == "halted":
            self.say("The run is halted: r resumes it.")
            return
        self.send(Request("run.halt", "halt"))

    def action_stop_everything(self) -> None:
        stop = Request("engine.halt", "emergency stop")
        self.ask("Take every agent of every run away at once?", lambda: self.send(stop))

    def action_abort_run(self) -> None:
        if not self._is_over():
            abort = Request("run.abort", "abort")
            self.ask("End this run for good? Its work stays on the integration branch.", lambda: self.send(abort))

    def action_roll_back(self) -> None:
        gate = self.gate_here()
        if self._is_over():
            return
        if gate is None or gate.status != "passed":
            found = f"{gate.id} is {gate.status}" if gate else "there is no gate"
            self.say(f"{found}: put the gates' cursor (w) on one that was passed to go back to it.")
            return
        merges = self.store.view.merges.values()
        later = [m.task for m in merges if m.merged_seq > gate.decided_seq and m.task != gate.task]
        gone = f" The work of {', '.join(later)} is taken back." if later else " No merged work is taken back."
        back = Request("run.rollback", f"roll back to {gate.id}", {"to": f"gate:{gate.id}"})
        self.ask(f"Roll back to {gate.id} ({gate.place} {gate.task})?{gone}", lambda: self.send(back))

    # -- tasks and services

    def _open_task(self) -> Task | None:
        """The task here, if there is something left to do to it."""
        task = self.task_here()
        if self._is_over():
            return None
        if task is None:
            self.say("There is no task here: put the board's cursor (b) on one.")
            return None
        if task.status in TASK.terminal:
            self.say(f"{task.id} is {task.status}: there is nothing to hold or drop.")
            return None
        return task

    def action_hold_task(self) -> None:
        task = self._open_task()
        if task is not None:
            kind, word = ("task.resume", "free") if task.held else ("task.pause", "hold")
            self.send(Request(kind, f"{word} {task.id}", {"task": task.id}))

    def action_drop_task(self) -> None:
        task = self._open_task()
        if task is not None:
            drop = Request("task.cancel", f"drop {task.id}", {"task": task.id})
            self.ask(f"Drop {task.id} ({task.title[:60]}) and what needs it?", lambda: self.send(drop))

    def action_hold_service(self) -> None:
        service = self.service_here()
        if self._is_over():
            return
        if not service:
            self.say("There is no service here: put the board's cursor (b) on a task, or go to an agent.")
            return
        kind, word = (
            ("service.resume", "free") if service in self.store.view.held_services else ("service.pause", "hold")
        )
        self.send(Request(kind, f"{word} {service}", {"service": service}))

    # -- the engine

    def action_restart_engine(self) -> None:
        engine = self.store.engine = self.client.engine()  # the pulse's is half a second old
        if engine.is_alive and self.store.is_engine_lost:
            question = (
                f"Engine {engine.pid} lives but gave no sign for {engine.heartbeat_age_s:.0f} s. End it, start another?"
            )
            self.ask(question, lambda: self.room.restart_engine(engine.pid))
        elif engine.is_alive:
            self.say(f"Engine {engine.pid} is at work.")
        else:
            self.room.restart_engine()
