"""What the operator does to the run and its tasks."""

from __future__ import annotations

from swarm_core.vocabulary.entities import Gate, Task
from swarm_core.vocabulary.machines import TASK

from .requests import Request, Requests


class Steering(Requests):
    """A screen that steers. Subclasses say what is under the cursor."""

    def task_here(self) -> Task | None:
        """The task that the keys mean now."""
        raise NotImplementedError

    def service_here(self) -> str:
        raise NotImplementedError

    def gate_here(self) -> Gate | None:
        raise NotImplementedError

    # -- the run

    def action_pause_run(self) -> None:
        run = self.store.view.run
        if self.is_over():
            return
        if run.status == "halted" or (run.status == "paused" and run.pause == "pause"):
            self.say(f"The run is {run.status}: r resumes it.")
            return
        self.send(Request("run.pause", "pause"))

    def action_drain_run(self) -> None:
        run = self.store.view.run
        if self.is_over():
            return
        if run.status == "halted" or (run.status == "paused" and run.pause == "drain"):
            self.say(f"The run is {run.status}: r resumes it.")
            return
        self.send(Request("run.pause", "drain", {"mode": "drain"}))

    def action_resume_run(self) -> None:
        if self.is_over():
            return
        if not self.store.view.is_held:
            self.say("The run is not held: there is nothing to resume.")
            return
        self.send(Request("run.resume", "resume"))

    def action_halt_run(self) -> None:
        if self.is_over():
            return
        if self.store.view.run.status == "halted":
            self.say("The run is halted: r resumes it.")
            return
        self.send(Request("run.halt", "halt"))

    def action_stop_everything(self) -> None:
        stop = Request("engine.halt", "emergency stop")
        self.ask("Take every agent of every run away at once?", lambda: self.send(stop))

    def action_abort_run(self) -> None:
        if not self.is_over():
            abort = Request("run.abort", "abort")
            self.ask("End this run for good? Its work stays on the integration branch.", lambda: self.send(abort))

    def action_roll_back(self) -> None:
        gate = self.gate_here()
        if self.is_over():
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
        if self.is_over():
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
        if self.is_over():
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
