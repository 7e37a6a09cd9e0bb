"""A model for whole runs: the Messages API on loopback, answering each agent by who it is and how far it came.

The server lives on an event loop of its own thread, so that a test may wait for a program in the meantime.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tests.support.messages_server import Answer, MessagesServer, Request, failure, turn_events

Block = Mapping[str, Any]
_WHO = re.compile(r"You are the (?:service `([a-z0-9-]+)`|(architect)\b)")
MEETING_S = 30.0


def say(text: str) -> Block:
    return {"type": "text", "text": text}


def think(text: str) -> Block:
    return {"type": "thinking", "thinking": text, "signature": "c2lnbmVk"}


def use(tool: str, **arguments: Any) -> Block:
    return {"type": "tool_use", "id": "", "name": tool, "input": arguments}


def plan(*tasks: Mapping[str, Any]) -> Block:
    return use("plan_tasks", tasks=[dict(task) for task in tasks])


def planned(key: str, service: str, title: str, *dependencies: str) -> Mapping[str, Any]:
    task = {"key": key, "title": title, "description": f"{title}, in the directory of {service}."}
    return {**task, "assigned_to": service, "dependencies": list(dependencies)}


def handoff(what: str) -> Block:
    return use("handoff", what_i_did=what, whats_left="", recommendation="")


class Play:
    """Turns by service. ``troubles`` come first, each once, at the turn they name; ``meeting`` are services whose
    first turn is answered only when all of them have asked, which they can only do side by side."""

    def __init__(
        self,
        turns: Mapping[str, Sequence[Sequence[Block]]],
        *,
        troubles: Mapping[tuple[str, int], Sequence[Answer]] | None = None,
        always: Mapping[str, Answer] | None = None,
        meeting: Sequence[str] = (),
        before: Callable[[str, int], Awaitable[None]] | None = None,
    ) -> None:
        self.turns, self.always, self.before = turns, always or {}, before
        self.troubles = {key: list(answers) for key, answers in (troubles or {}).items()}
        self.meeting = set(meeting)
        self.arrived: set[str] = set()
        self.everybody_is_here = asyncio.Event()
        self.complaints: list[str] = []
        self.seen: defaultdict[str, list[Request]] = defaultdict(list)

    async def answer(self, request: Request) -> Answer:
        who, turn = place(request)
        self.seen[who].append(request)
        if self.before is not None:
            await self.before(who, turn)
        if who in self.always:
            return self.always[who]
        if who in self.meeting and not await self._meet(who):
            self.complaints.append(f"{who} was alone for {MEETING_S:g} s")
        if waiting := self.troubles.get((who, turn)):
            return waiting.pop(0)
        if turn >= len(self.turns.get(who, ())):
            self.complaints.append(f"{who} asked for turn {turn}, which nobody wrote")
            return failure(400, "invalid_request_error", self.complaints[-1])
        return Answer(whole_turn(who, turn, self.turns[who][turn]))

    async def _meet(self, who: str) -> bool:
        self.arrived.add(who)
        if self.meeting <= self.arrived:
            self.everybody_is_here.set()
        try:
            await asyncio.wait_for(self.everybody_is_here.wait(), MEETING_S)
        except TimeoutError:
            return False
        return True

    def results(self, who: str) -> list[tuple[str, bool]]:
        """Text and error mark of every tool result the agent was shown, in order."""
        last = max(self.seen[who], key=lambda request: len(request["messages"]))
        blocks = [b for m in last["messages"] if m["role"] == "user" and isinstance(m["content"], list)
                  for b in m["content"] if b["type"] == "tool_result"]  # fmt: skip
        return [(text_of(block["content"]), bool(block.get("is_error"))) for block in blocks]


def place(request: Request) -> tuple[str, int]:
    """Who asks, read off the first message, and which of its turns is due."""
    found = _WHO.search(text_of(request["messages"][0]["content"]))
    assert found is not None, json.dumps(request["messages"][0])[:300]
    return found[1] or found[2], sum(message["role"] == "assistant" for message in request["messages"])


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


def whole_turn(who: str, turn: int, blocks: Sequence[Block]) -> list[dict[str, Any]]:
    named = [{**b, "id": f"toolu_{who}_{turn}_{n}"} if b["type"] == "tool_use" else b for n, b in enumerate(blocks)]
    stop = "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"
    return turn_events(named, stop, usage={"input_tokens": 900 + 100 * turn, "output_tokens": 80}, piece=17)


def dropped(who: str, turn: int, blocks: Sequence[Block]) -> Answer:
    """The first half of a turn, then the connection is reset."""
    events = whole_turn(who, turn, blocks)
    return Answer(events[: len(events) // 2], ending="drop")


@contextmanager
def played(play: Play) -> Iterator[MessagesServer]:
    """The server with this play; a complaint of the play fails the test that has no other failure."""
    loop = asyncio.new_event_loop()
    server = MessagesServer(decide=play.answer)
    thread = threading.Thread(target=loop.run_forever, name="messages server", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
        yield server
        assert play.complaints == []
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
