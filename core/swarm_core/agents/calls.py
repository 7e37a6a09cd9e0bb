"""Runs the tool calls of a turn and records each result the moment it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from swarm_core.tools.base import ToolDefinition, ToolResult
from swarm_core.tools.permissions.permission import CALL
from swarm_core.tools.spill import bounded
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import PermissionDenied, SwarmError, ToolError
from swarm_core.vocabulary.secrets import NO_SECRETS, Secrets

from .coordination import EndingTool, Outcome
from .log import AgentLog
from .redaction import told
from .transcript import Transcript

MAX_TARGET_CHARS = 200
MAX_PARALLEL = 8
BEAT_S = 30.0
INTERRUPTED = (
    "interrupted: this call had begun when the engine stopped. It may have done everything, a part or nothing.\n"
    "  next: look at the state it was to change, then decide whether to make the call again"
)
_SHOWN_ARGUMENTS = (
    *("file_path", "command", "pattern", "path", "url", "message", "title", "question", "note", "section"),
    *("type", "task_id", "skill"),
)

Tell = Callable[..., Awaitable[None]]


class Toolbox(Protocol):
    """The tools of one instance, behind the rules of its service."""

    @property
    def definitions(self) -> Sequence[ToolDefinition]: ...

    def is_read_only(self, name: str) -> bool:
        """Whether calls of this tool change nothing and may run side by side; False for a tool it does not have."""
        ...

    def is_repeatable(self, name: str) -> bool:
        """Whether a call that was begun and never finished may simply be made again: twice leaves what once leaves."""
        ...

    async def mark(self, name: str, arguments: Mapping[str, Any]) -> str:
        """A mark of what a call is about to change. The same mark later means that it has not changed anything yet.

        Empty if that cannot be known. Raises nothing.
        """
        ...

    async def call(
        self, name: str, arguments: Mapping[str, Any], begin: Callable[[], Awaitable[None]] | None = None
    ) -> ToolResult:
        """Run a call. An unknown tool, a refusal and a failure are results, not exceptions.

        ``begin`` is awaited right before the tool takes effect, when everybody who is asked has agreed; a SwarmError
        that it raises is the result.
        """
        ...


class ToolCalls:
    """The calls of the transcript's last turn.

    Calls run side by side when all of them only read, else in order. The call that ends the work comes last and counts
    only if every other call of its turn succeeded: an agent that has not seen a failure cannot hand off over it.
    A process killed between a tool's effect and its recorded result makes that one call again.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        ending: EndingTool,
        transcript: Transcript,
        log: AgentLog,
        clock: Clock,
        tell: Tell,
        clearance: Callable[[], Awaitable[None]],
        beat: Callable[[], None] = lambda: None,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self._secrets = secrets
        self._toolbox = toolbox
        self._ending = ending
        self._transcript = transcript
        self._log = log
        self._clock = clock
        self._tell = tell
        self._clearance = clearance
        self._beat = beat
        self.ending = ending.definition.name

    async def run_pending(self) -> None:
        """Make every call of the last turn that has no result yet."""
        pending = self._transcript.pending
        work = [call for call in pending if call["name"] != self.ending]
        if len(work) > 1 and all(self._toolbox.is_read_only(call["name"]) for call in work):
            await self._side_by_side(work)
        else:
            for call in work:
                await self._run(call)
        for call in pending:
            if call["name"] == self.ending:
                await self._run(call)

    def abandon(self, reason: str) -> None:
        """Answer every call without a result with an error instead of making it."""
        for call in self._transcript.pending:
            self._transcript.add_result(call["id"], reason, is_error=True)
            self._log.write("error", f"{call['name']}: {reason}")

    def outcome(self) -> Outcome | None:
        """What the last turn handed in, if its ending call succeeded."""
        turn, results = self._transcript.last, self._transcript.results
        for call in turn.tool_calls if turn else ():
            if call["name"] == self.ending and not results[call["id"]]["is_error"]:
                return self._ending.read(call["input"])
        return None

    async def _side_by_side(self, calls: Sequence[Mapping[str, Any]]) -> None:
        slots = asyncio.Semaphore(MAX_PARALLEL)

        async def run(call: Mapping[str, Any]) -> None:
            async with slots:
                await self._run(call)

        tasks = [asyncio.create_task(run(call)) for call in calls]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, call: Mapping[str, Any]) -> None:
        if call["id"] in self._transcript.results:  # a model that used one id twice gets one result
            return
        await self._clearance()
        name, arguments = str(call["name"]), call.get("input") or {}
        self._log.write("tool", f"{name} {_shown(arguments)}".rstrip(), max_lines=3)
        started_s = self._clock.monotonic_s()
        place = f"{self._transcript.iteration}.{self._transcript.turns}.{call['id']}"
        result = told(await self._alive(name, arguments, call["id"], place), self._secrets)
        ms = round((self._clock.monotonic_s() - started_s) * 1000)
        self._transcript.add_result(call["id"], _sendable(result), is_error=result.is_error)
        self._log.write("denied" if result.denied else "error" if result.is_error else "result", result.text)
        shown_name = clean_line(name, 64)
        target = clean_line(result.target or _shown(arguments), MAX_TARGET_CHARS)
        if result.denied:
            message = clean_line(result.denied.message, 300)
            await self._tell("policy.denied", tool=shown_name, target=target, rule=result.denied.rule, message=message)
        else:
            await self._tell("tool.used", name=shown_name, target=target, ok=not result.is_error, ms=ms)

    async def _begin(self, id: str, name: str, arguments: Any) -> None:
        """Note that a call begins which must not be made twice. Raises ToolError if it was begun before."""
        if self._toolbox.is_repeatable(name):
            return
        mark = await self._toolbox.mark(name, arguments)
        if id not in self._transcript.begun:
            self._transcript.add_begun(id, mark)
        elif not mark or mark != self._transcript.begun[id]:
            raise ToolError(INTERRUPTED)

    async def _alive(self, name: str, arguments: Any, id: str, place: str) -> ToolResult:
        """The result of a call; while it runs, its agent is not lost, however long it takes."""
        pulse = asyncio.create_task(self._pulse(), name="pulse of a tool call")
        try:
            return await self._result(name, arguments, id, place)
        finally:
            pulse.cancel()

    async def _pulse(self) -> None:
        while True:
            self._beat()
            await asyncio.sleep(BEAT_S)  # a tool runs in real time, whatever the clock

    async def _result(self, name: str, arguments: Any, id: str, place: str) -> ToolResult:
        """The result of a call; whatever a tool raises is told to the model and never ends the agent."""
        if not isinstance(arguments, dict):
            return ToolResult(f"{name}: the arguments must be an object", is_error=True)
        try:
            if name != self.ending:
                CALL.set(place)
                return await self._toolbox.call(name, arguments, lambda: self._begin(id, name, arguments))
            if failed := self._failed_beside():
                return ToolResult(
                    f"{name} is not recorded: {failed} of your other calls in this turn failed. Look at their results, "
                    f"then call {name} again.",
                    is_error=True,
                )
            return await self._ending.run(arguments)
        except PermissionDenied as error:
            return ToolResult(str(error), is_error=True, target=error.target, denied=error)
        except SwarmError as error:
            return ToolResult(str(error), is_error=True)
        except Exception as error:  # noqa: BLE001 - a tool's defect must not make the task fail again at every restart
            return ToolResult(f"{name} broke: {type(error).__name__}: {error}", is_error=True)

    def _failed_beside(self) -> int:
        return sum(bool(line["is_error"]) for line in self._transcript.results.values())


def _shown(arguments: Any) -> str:
    """The argument that says most about a call, for people."""
    if isinstance(arguments, dict):
        for key in _SHOWN_ARGUMENTS:
            if isinstance(value := arguments.get(key), str):
                return value
    return ""


def _sendable(result: ToolResult) -> str:
    """Text that can be sent as UTF-8 and does not flood the history, whoever made the result."""
    text = bounded(result.text, is_error=result.is_error, directory=None)
    return text.encode("utf-8", "replace").decode("utf-8")
