"""The life of one agent on one task: model turn → tool calls → results → next turn, until it hands off.

The loop holds no state of its own. What to do next follows from the transcript, so that starting it is resuming it:
after a crash the calls of the last turn that have no result are made, finished ones are not made again, and an agent
that had already handed off hands off the same thing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from swarm_core.tools.base import ToolDefinition
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import ModelError, ModelFailure
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.secrets import NO_SECRETS, Secrets

from .admission import Admission, Call, Narrow, Pacing, Permit, most_input_tokens
from .calls import Toolbox, ToolCalls
from .coordination import EndingTool, Outcome, Stalled
from .limits.fallback import seen_by
from .log import AgentLog
from .model import MAX_TURN_CHARS, TOO_LARGE, Model, ModelRequest, TextDelta, ThinkingDelta, Turn
from .patience import Patience
from .prices import cost_usd
from .redaction import without_secrets
from .seat import Seat
from .soundness import flaw_of, is_too_large
from .transcript import Transcript
from .waiting import Waiting

MAX_NUDGES = 2
CUT_OFF = "Your turn was cut off at its length limit. Go on where you stopped."
NOT_TAKEN = f"Your turn was longer than {MAX_TURN_CHARS} characters and was not taken. Make smaller calls, one by one."
NO_ROOM = "the task's history no longer fits the model's context window; split the task"
Report = Callable[[Draft], Awaitable[None]]


async def always() -> None:
    """Leave to go on, at once."""


class AgentLoop:
    """Runs one agent. ``ending`` is the tool that ends its work, ``report`` takes what belongs into the journal.

    ``clearance`` returns when the next step may be taken: it is asked before each turn and each tool call. ``beat`` is
    told of every sign of life. ``admissions`` are asked in their order before every attempt at a turn. ``choose`` names
    the model for an attempt; by default it is the seat's. ``excused`` is entered while the agent waits for others: for
    leave, or for a limit that all agents share. ``ground`` returns when there is a tree to work in: it is asked before
    the calls of a turn, and what it raises ends ``run``.
    """

    def __init__(
        self,
        seat: Seat,
        model: Model,
        toolbox: Toolbox,
        ending: EndingTool,
        transcript: Transcript,
        log: AgentLog,
        clock: Clock,
        report: Report,
        *,
        max_turns: int = 100,
        random: Random | None = None,
        clearance: Callable[[], Awaitable[None]] = always,
        beat: Callable[[], None] = lambda: None,
        ground: Callable[[], Awaitable[None]] = always,
        admissions: Sequence[Admission] = (),
        excused: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
        choose: Callable[[], str] | None = None,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self._secrets = secrets
        self._seat = seat
        self._model = model
        self._transcript = transcript
        self._log = log
        self._clock = clock
        self._report = report
        self._max_turns = max_turns
        self._random = random or Random()
        self._clearance = clearance
        self._ground = ground
        self._beat = beat
        self._admissions = admissions
        self._excused = excused
        self._choose = choose or (lambda: seat.model)
        self._calls = ToolCalls(toolbox, ending, transcript, log, clock, self._tell, self._leave, beat, secrets)
        self._waiting = Waiting(log, clock, self._tell, excused, beat)
        self._tools = self.tools_of(toolbox, ending)
        self._iteration = 1
        self._asked_s = 0.0

    @staticmethod
    def tools_of(toolbox: Toolbox, ending: EndingTool) -> Sequence[ToolDefinition]:
        """Every tool the model is told of; the toolbox may know the ending one too, as closed to other roles."""
        return tuple({tool.name: tool for tool in (*toolbox.definitions, ending.definition)}.values())

    async def run(self, opening: str, iteration: int = 1, *, follow_up: str = "") -> Outcome:
        """Work until there is an outcome.

        ``opening`` and ``follow_up`` carry the iteration marker (``context.opening_message``, ``follow_up_message``):
        the first is for an instance that has no history of this task, the second for one that has.

        Raises ModelError when the model cannot be reached and waiting does not help, and JournalError when the
        transcript cannot be read or written. May be cancelled at any point and run again.
        """
        self._iteration = iteration
        transcript = self._transcript
        await asyncio.to_thread(transcript.load)
        try:
            if transcript.iteration < iteration:
                self._calls.abandon("not run: a new round of the task began first")
                is_known = transcript.iteration > 0
                transcript.open_iteration(iteration, follow_up if is_known and follow_up else opening)
                self._log.write("note", f"iteration {iteration} of {self._seat.task}: {self._seat.title}")
            else:
                self._log.write("note", f"continues {self._seat.task} after {transcript.turns} turns")
            await self._tell_turn(0, self._seat.feature)
            while True:
                if outcome := await self._settle():
                    return outcome
                if transcript.turns >= self._max_turns:
                    return self._stall(f"no handoff after {transcript.turns} turns, the limit of this service")
                try:
                    await self._take_turn()
                except ModelError as error:
                    if error.kind is not ModelFailure.CONTEXT:
                        raise
                    return self._stall(f"{NO_ROOM} ({error.message})")
        finally:
            self._log.flush()
            transcript.close()

    async def _settle(self) -> Outcome | None:
        """Do what the last turn asks for; an outcome if it ended the work, None if another turn is due."""
        turn = self._transcript.last
        if turn is None:
            return None
        match turn.stop_reason:
            case "tool_use" if turn.tool_calls:
                await self._ground()
                await self._calls.run_pending()
                return self._calls.outcome()
            case _ if turn.goes_on:
                return None
            case "refusal":
                return self._stall(_refusal(turn))
            case "model_context_window_exceeded":
                return self._stall(NO_ROOM)
            case reason if turn.tool_calls:
                # Half a call must not run. Its error result is the answer; text after results confuses models.
                self._calls.abandon(f"not run: your turn ended early ({reason}). Make smaller calls, one by one.")
                return None
            case "max_tokens":
                return self._nudge(CUT_OFF)
            case other if other == TOO_LARGE:
                return self._nudge(NOT_TAKEN)
            case _:
                ending = self._calls.ending
                return self._nudge(
                    f"Your task is not over until you call `{ending}`. Go on, or call it now and say what is left."
                )

    def _nudge(self, text: str) -> Outcome | None:
        if self._transcript.nudges >= MAX_NUDGES:
            return self._stall(f"the agent stopped {MAX_NUDGES + 1} times without calling {self._calls.ending}")
        self._transcript.add_nudge(text)
        self._log.write("note", f"reminded to call {self._calls.ending}")
        return None

    def _stall(self, reason: str) -> Stalled:
        self._log.write("error", reason)
        return Stalled(reason)

    # -- the model

    async def _take_turn(self) -> None:
        """One whole turn into the transcript, however many attempts it takes."""
        patience = Patience(self._random)
        while True:
            await self._leave()
            try:
                turn = await self._admitted()
                break
            except ModelError as error:
                self._log.flush()
                if (held_s := self._held_s(error)) is not None and patience.bears(error):
                    await self._waiting.tell(error, held_s, patience.attempt)
                    continue  # where it waits, everybody does
                wait_s = patience.wait_s(error)
                if wait_s is None:
                    self._log.write("error", str(error))
                    raise
                await self._waiting.wait(error, wait_s, patience.attempt)
        ms = round((self._clock.monotonic_s() - self._asked_s) * 1000)
        feature = "reminder" if self._transcript.nudges else self._seat.feature
        cost = cost_usd(turn.model, turn.usage, self._clock.now())
        turn = replace(turn, usage=replace(turn.usage, calls=1, cost_usd=cost or 0.0))
        turn = without_secrets(turn, self._secrets)
        self._transcript.add_turn(turn)
        if cost is None and self._transcript.turns == 1:
            self._log.write("note", f"no price is known for {turn.model}: its calls count as 0 USD")
        await self._tell_turn(ms, feature)

    async def _tell_turn(self, ms: int, feature: str) -> None:
        """Bring the last turn's cost into the journal, unless it is there. A crash in between may count it twice,
        never not at all."""
        turn = self._transcript.untold
        if turn is None:
            return
        usage = turn.usage
        await self._tell(
            "llm.call",
            model=clean_line(turn.model, 100),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            cache_write_1h_tokens=usage.cache_write_1h_tokens,
            cost_usd=round(usage.cost_usd, 6),
            stop_reason=clean_line(turn.stop_reason, 40),
            ms=ms,
            feature=feature,
        )
        self._transcript.add_told()

    async def _leave(self) -> None:
        """Leave to take the next step; the time until then is not the agent's."""
        with self._excused():
            await self._clearance()

    async def _admitted(self) -> Turn:
        """One attempt, with leave of everybody who counts calls, and settled with them however it ends."""
        request, seat = self._request(), self._seat
        most = most_input_tokens(request, self._transcript)
        call = Call(seat.instance, seat.service, seat.task, request.model, most, seat.max_tokens)
        permits: list[Permit] = []
        turn: Turn | None = None
        failure: ModelError | None = None
        try:
            with self._excused():
                for admission in self._admissions:
                    permits.append(await admission.enter(call))
            narrow = [permit for permit in permits if isinstance(permit, Narrow)]
            turn = replace(await self._narrowed(request, narrow), asked=request.model)
            return turn
        except ModelError as error:
            failure = error
            raise
        finally:
            for permit in reversed(permits):
                permit.settle(turn, failure)

    async def _narrowed(self, request: ModelRequest, permits: Sequence[Narrow]) -> Turn:
        """The attempt itself, with no more output and no longer than it was admitted for."""
        self._asked_s = self._clock.monotonic_s()
        for permit in permits:
            permit.made()
        max_tokens = min((permit.max_tokens for permit in permits), default=request.max_tokens)
        max_s = min((permit.max_s for permit in permits if permit.max_s is not None), default=None)
        try:
            async with asyncio.timeout(max_s) as limit:
                return await self._attempt(replace(request, max_tokens=max_tokens))
        except TimeoutError:
            if not limit.expired():
                raise
            raise ModelError(f"the budget left {max_s:g} s for this call", kind=ModelFailure.TRUNCATED) from None

    def _request(self) -> ModelRequest:
        seat, model = self._seat, self._choose()
        return ModelRequest(
            model=model,
            system=seat.system,
            messages=seen_by(model, self._transcript.messages, self._transcript.makers(seat.model)),
            tools=self._tools,
            max_tokens=seat.max_tokens,
            effort=seat.effort,
            cache_ttl_s=seat.cache_ttl_s,
            hints={
                "service": seat.service,
                "task": seat.task,
                "title": seat.title,
                "iteration": str(self._iteration),
                "about": seat.about,
                "about_service": seat.about_service,
                "ending": self._calls.ending,
            },
        )

    async def _attempt(self, request: ModelRequest) -> Turn:
        events = self._model.stream(request)
        try:
            async for event in events:
                self._beat()
                if isinstance(event, Turn):
                    self._log.flush()
                    return self._sound(event)
                match event:
                    case TextDelta(text):
                        self._log.stream("say", text)
                    case ThinkingDelta(text):
                        self._log.stream("think", text)
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()
        raise ModelError("the model's stream ended without a turn", kind=ModelFailure.TRUNCATED)

    def _sound(self, turn: Turn) -> Turn:
        """The turn, if it can be sent back with the requests to come. Raises ModelError (TRUNCATED) if not."""
        if is_too_large(turn):
            return replace(turn, content=(), stop_reason=TOO_LARGE)
        if flaw := flaw_of(turn, self._transcript.tool_ids):
            raise ModelError(f"the model's turn cannot be used: {flaw}", kind=ModelFailure.TRUNCATED)
        return turn

    def _held_s(self, error: ModelError) -> float | None:
        """Seconds for which whoever counts calls holds everybody after this failure; None if nobody does."""
        waits = (pacing.held_s(error) for pacing in self._admissions if isinstance(pacing, Pacing))
        return max((wait_s for wait_s in waits if wait_s is not None), default=None)

    async def _tell(self, kind: str, /, **data: Any) -> None:
        seat = self._seat
        await self._report(Draft(kind, data, actor=seat.instance, task=seat.task, agent=seat.instance))


def _refusal(turn: Turn) -> str:
    """Why a task ends with a refusal, in the server's words as far as it says."""
    details = turn.stop_details
    said = ": ".join(clean_line(str(details[key]), 300) for key in ("category", "explanation") if details.get(key))
    return (
        f"the model refused to go on with this task ({said})" if said else "the model refused to go on with this task"
    )
