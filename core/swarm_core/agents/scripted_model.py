"""``ScriptedModel``: turns from files instead of a model; tools, worktrees, checks and gates stay real.

Which turn comes next is read off the request: the turns that follow the message which opened the iteration are
counted. So a restarted engine continues at the right turn, and skipping or repeating work needs no state here. Only
faults are remembered, each fails one attempt of one turn and lets the next one through.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.errors import ModelError, ModelFailure

from .cast import with_title
from .context import iteration_of
from .coordination import HANDOFF
from .model import Message, ModelEvent, ModelRequest, TextDelta, ThinkingDelta, Turn
from .replanning import CHANGE_PLAN
from .script import Script, ScriptedCall, ScriptedTurn, load_scripts

__all__ = ["ScriptedCrash", "ScriptedModel", "load_scripts"]

WORD_S = 0.02
LIMIT_WAIT_S = 3.0
_REFUSALS: Mapping[str, tuple[ModelFailure, str]] = {
    "api_529": (ModelFailure.OVERLOAD, "529: overloaded"),
    "api_500": (ModelFailure.OVERLOAD, "500: internal error"),
    "api_429": (ModelFailure.LIMIT, "429: rate limit"),
    "api_400": (ModelFailure.REQUEST, "400: invalid request"),
    "api_401": (ModelFailure.AUTH, "401: invalid key"),
    "api_413": (ModelFailure.CONTEXT, "413: request too large"),
    "spend_cap": (ModelFailure.SPEND, "429: spend limit reached"),
}
_BREAKS: Mapping[str, tuple[ModelFailure, str]] = {
    "drop": (ModelFailure.TRANSPORT, "the connection to the model's server was dropped"),
    "cut": (ModelFailure.TRUNCATED, "the stream ended before the turn was whole"),
    "silent": (ModelFailure.SILENT, "the model's server sent nothing for 300 s"),
}
_PIECE = re.compile(r"\s*\S+\s*|\s+")


class ScriptedCrash(Exception):
    """The fault ``crash``: something nobody expects, which ends the agent as a defect would."""


class ScriptedModel:
    """Plays ``scripts`` (by service). ``speed`` multiplies every pause; 0 plays without any."""

    def __init__(self, scripts: Mapping[str, Script], clock: Clock, speed: float = 1.0) -> None:
        self._scripts = scripts
        self._clock = clock
        self._speed = speed
        self._faults_done: set[tuple[str, str, int, int]] = set()

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """The next turn of the script, word by word. Raises ModelError for a fault or a service without a script."""
        service, task = request.hints.get("service", ""), request.hints.get("task", "")
        iteration = int(request.hints.get("iteration", "1"))
        if service not in self._scripts:
            raise ModelError(
                f"there is no script for the service {service!r}",
                kind=ModelFailure.REQUEST,
                hint=f"add {service}.yaml to the scripts, or use `adapter: anthropic` for it",
            )
        index = turns_since_opening(request.messages)
        script = self._scripts[service]
        turns = script.turns_for(task, request.hints.get("title", ""), iteration)
        turn = turns[index] if index < len(turns) else _after_the_end(request)
        if script.is_pattern:
            turn = with_title(turn, request.hints.get("title", ""))
        fault = self._fault(turn, (service, task, iteration, index))
        await self._pause(turn.pause_s)
        self._fail_before_the_stream(fault, service)
        async for event in self._play(turn, fault):
            yield event
        yield _turn(turn, request, f"{task}_{iteration}_{index}")

    async def close(self) -> None:
        """Nothing to give back."""

    def _fault(self, turn: ScriptedTurn, key: tuple[str, str, int, int]) -> str:
        if turn.fault == "none" or key in self._faults_done:
            return "none"
        self._faults_done.add(key)
        return turn.fault

    def _fail_before_the_stream(self, fault: str, service: str) -> None:
        if fault in _REFUSALS:
            kind, answer = _REFUSALS[fault]
            wait_s = LIMIT_WAIT_S * self._speed if kind is ModelFailure.LIMIT else None
            raise ModelError(f"the model's server answered {answer}", kind=kind, wait_s=wait_s)
        if fault == "crash":
            raise ScriptedCrash(f"the script of {service} crashes here")

    async def _play(self, turn: ScriptedTurn, fault: str) -> AsyncIterator[ModelEvent]:
        events: list[ModelEvent] = [ThinkingDelta(piece) for piece in _PIECE.findall(turn.think)]
        events.extend(TextDelta(piece) for piece in _PIECE.findall(turn.say))
        half = (len(events) + 1) // 2
        for position, event in enumerate(events):
            if position == half:
                _fail_within_the_stream(fault)
            await self._pause(WORD_S)
            yield event
        _fail_within_the_stream(fault if len(events) <= half else "none")

    async def _pause(self, pause_s: float) -> None:
        if pause_s > 0 and self._speed > 0:
            await self._clock.sleep(pause_s * self._speed)


def _fail_within_the_stream(fault: str) -> None:
    if fault in _BREAKS:
        kind, message = _BREAKS[fault]
        raise ModelError(message, kind=kind)


def turns_since_opening(messages: Sequence[Message]) -> int:
    """How many turns follow the last message that opened an iteration; all of them if none did."""
    count = 0
    for message in reversed(messages):
        if message["role"] == "assistant":
            count += 1
        elif iteration_of(message) is not None:
            break
    return count


def _after_the_end(request: ModelRequest) -> ScriptedTurn:
    """A script without a turn for this: whoever works hands off, the architect leaves a task where it was."""
    text = "The script has no turn left for this task."
    ending = request.hints.get("ending", "")
    if ending == HANDOFF:
        handoff = {"what_i_did": "I played all turns of my script.", "whats_left": "", "recommendation": ""}
        return ScriptedTurn(say=text, do=(ScriptedCall(HANDOFF, handoff),))
    if ending == CHANGE_PLAN:
        about, service = request.hints.get("about", ""), request.hints.get("about_service", "")
        change = {"reassign": [{"task": about, "assigned_to": service}]} if about else {}
        return ScriptedTurn(say="The same service goes on, afresh.", do=(ScriptedCall(CHANGE_PLAN, change),))
    return ScriptedTurn(say=text)


def _turn(turn: ScriptedTurn, request: ModelRequest, key: str) -> Turn:
    content: list[Mapping[str, Any]] = []
    if turn.think:
        content.append({"type": "thinking", "thinking": turn.think, "signature": "scripted"})
    if turn.say:
        content.append({"type": "text", "text": turn.say})
    for number, call in enumerate(turn.do):
        name = re.sub(r"[^a-zA-Z0-9_-]", "-", f"toolu_{key}_{number}")
        content.append({"type": "tool_use", "id": name, "name": call.tool, "input": dict(call.args)})
    usage = Usage(input_tokens=turn.input_tokens, output_tokens=turn.output_tokens, calls=1)
    return Turn(content, turn.stop or ("tool_use" if turn.do else "end_turn"), usage, request.model)
