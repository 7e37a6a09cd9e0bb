"""Asking the engine for something from a screen: ask first where it cannot be taken back, send, say what came of it.

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
from swarm_core.vocabulary.errors import SwarmError
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


class Requests(RoomScreen):
    """A screen that asks for things. Subclasses have a ``Heading`` named ``said``."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, Request] = {}
        self._asked: Callable[[], object] | None = None
        self._until_s = 0.0

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

    def is_over(self) -> bool:
        run = self.store.view.run
        if self.store.view.is_over:
            self.say(f"The run is {run.status}: there is nothing to steer any more.")
        return self.store.view.is_over
