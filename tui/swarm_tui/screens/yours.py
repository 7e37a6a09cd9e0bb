"""Tasks that the operator works on: hand them in, or give them back, with a word about it."""

from __future__ import annotations

from textual import on
from textual.widgets import Input

from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import OPERATOR

from .requests import Request
from .steering import Steering


def is_yours(task: Task | None) -> bool:
    """Whether the operator works on a task now."""
    return task is not None and task.status == "running" and task.worker == OPERATOR


class Yours(Steering):
    """A screen with an ``Input`` named ``words``, hidden until there is something to say."""

    def __init__(self) -> None:
        super().__init__()
        self._asked_about: tuple[str, Task] | None = None

    def action_hand_in(self) -> None:
        self._ask_for_words("task.submit", "What did you do? Enter hands {} in, Esc goes back")

    def action_give_back(self) -> None:
        self._ask_for_words("task.fail", "Why do you give {} back? Enter sends, Esc goes back")

    def _ask_for_words(self, kind: str, question: str) -> None:
        task = self._task_of_yours()
        if task is None:
            return
        self._asked_about = (kind, task)
        words = self.query_one("#words", Input)
        words.placeholder = question.format(task.id)
        words.display = True
        words.focus()

    def _task_of_yours(self) -> Task | None:
        """The task under the cursor if it is yours, or the only one that is."""
        here = self.task_here()
        if is_yours(here):
            return here
        mine = [task for task in self.store.view.tasks.values() if is_yours(task)]
        if len(mine) == 1:
            return mine[0]
        names = ", ".join(task.id for task in mine)
        self.say(f"Put the cursor on one of {names}." if mine else "No task is yours now.")
        return None

    @on(Input.Submitted, "#words")
    def _worded(self, event: Input.Submitted) -> None:
        event.stop()
        words = event.value.strip()
        if self._asked_about is None:
            return
        if not words:
            self.say("It needs a word: whoever goes on with it has nothing else.", "bad")
            return
        kind, task = self._asked_about
        self.close_words()
        field, verb = ("what_i_did", "hand in") if kind == "task.submit" else ("reason", "give back")
        self.send(Request(kind, f"{verb} {task.id}", {"task": task.id, "attempt": task.attempt, field: words}))

    def close_words(self) -> bool:
        """Take the question back; False if there is none."""
        words = self.query_one("#words", Input)
        was_open = bool(words.display)
        self._asked_about = None
        words.value = ""
        words.display = False
        if was_open:
            self.focus_back()
        return was_open

    def focus_back(self) -> None:
        """Where the keys go when nothing is asked any more."""
        raise NotImplementedError
