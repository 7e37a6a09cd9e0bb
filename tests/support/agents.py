"""What tests of agents share: a clock that steps, a small toolbox of real functions, and a place to work in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from swarm_core.agents.coordination import EndingTool, Outcome, handoff_tool
from swarm_core.agents.log import AgentLog
from swarm_core.agents.loop import AgentLoop
from swarm_core.agents.model import Model, ModelEvent, ModelRequest, Turn
from swarm_core.agents.seat import Seat
from swarm_core.agents.transcript import Transcript
from swarm_core.tools.base import ToolDefinition, ToolResult
from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.errors import PermissionDenied, ToolError
from swarm_core.vocabulary.events import Draft


class SteppingClock:
    """A sleep takes no time and moves the clock; ``slept`` are the waits that were asked for."""

    def __init__(self) -> None:
        self._passed_s = 0.0
        self.slept: list[float] = []

    def now(self) -> str:
        moment = datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC) + timedelta(seconds=self._passed_s)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def monotonic_s(self) -> float:
        return self._passed_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._passed_s += seconds
        await asyncio.sleep(0)


Function = Callable[[Mapping[str, Any]], Awaitable[ToolResult]]


class Functions:
    """A toolbox of three functions on a directory; ``made`` are the calls that took effect, in order."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.made: list[str] = []
        self.repeatable = {"Read", "Write"}
        self.marks: dict[str, str] = {}
        self._known: dict[str, Function] = {"Read": self._read, "Write": self._write, "Bash": self._bash}

    @property
    def definitions(self) -> Sequence[ToolDefinition]:
        return [ToolDefinition(name, f"{name} something.", {"type": "object"}) for name in self._known]

    def is_read_only(self, name: str) -> bool:
        return name == "Read"

    def is_repeatable(self, name: str) -> bool:
        return name in self.repeatable

    async def mark(self, name: str, arguments: Mapping[str, Any]) -> str:
        return self.marks.get(name, "")

    async def call(
        self, name: str, arguments: Mapping[str, Any], begin: Callable[[], Awaitable[None]] | None = None
    ) -> ToolResult:
        if name not in self._known:
            return ToolResult(f"there is no tool {name}; the tools are {', '.join(self._known)}", is_error=True)
        if begin is not None:
            await begin()
        return await self._known[name](arguments)

    async def _read(self, arguments: Mapping[str, Any]) -> ToolResult:
        path = str(arguments["file_path"])
        self.made.append(f"Read {path}")
        try:
            return ToolResult((self.tree / path).read_text(), target=path)
        except FileNotFoundError:
            raise ToolError(f"{path}: there is no such file") from None

    async def _write(self, arguments: Mapping[str, Any]) -> ToolResult:
        path = str(arguments["file_path"])
        if path.startswith(".."):
            raise PermissionDenied(f"{path} is outside your directories", rule="scope", target=path)
        self.made.append(f"Write {path}")
        (self.tree / path).write_text(str(arguments["content"]))
        return ToolResult(f"wrote {path}", target=path, touched=(path,))

    async def _bash(self, arguments: Mapping[str, Any]) -> ToolResult:
        self.made.append(f"Bash {arguments['command']}")
        if arguments["command"] == "break":
            raise RuntimeError("nobody expected this")
        return ToolResult(f"ran {arguments['command']}", target=str(arguments["command"]))


class Turns:
    """A model that plays prepared turns and errors in order, whatever is asked; ``requests`` are kept."""

    def __init__(self, *events: ModelEvent | Exception) -> None:
        self.events = list(events)
        self.requests: list[ModelRequest] = []

    async def stream(self, request: ModelRequest):  # type: ignore[no-untyped-def]
        self.requests.append(request)
        while True:
            event = self.events.pop(0)
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, Turn):
                return

    async def close(self) -> None: ...


def turn(*blocks: Mapping[str, Any], stop: str = "", model: str = "claude-sonnet-5-5") -> Turn:
    is_call = any(block["type"] == "tool_use" for block in blocks)
    usage = Usage(input_tokens=1000, output_tokens=100)
    return Turn(list(blocks), stop or ("tool_use" if is_call else "end_turn"), usage, model)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def call(id: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": arguments}


def handoff(id: str = "h1", did: str = "all of it") -> dict[str, Any]:
    return call(id, "handoff", what_i_did=did, whats_left="", recommendation="")


@dataclass
class Desk:
    """An agent's place: its files, its toolbox and what it reported."""

    top: Path
    clock: SteppingClock = field(default_factory=SteppingClock)
    reports: list[Draft] = field(default_factory=list)
    instance: str = "backend-1"

    def __post_init__(self) -> None:
        self.tree = self.top / self.instance
        self.tree.mkdir(parents=True, exist_ok=True)
        self.toolbox = Functions(self.tree)
        self.transcript_path = self.top / f"{self.instance}.jsonl"
        self.log_path = self.top / "logs" / f"{self.instance}.log"

    def loop(self, model: Model, *, ending: EndingTool | None = None, max_turns: int = 20, **more: Any) -> AgentLoop:
        service = self.instance.rpartition("-")[0]
        seat = Seat(self.instance, service, "task_001", "Build the api", "claude-sonnet-5-5", "Be good.")
        return AgentLoop(
            seat,
            model,
            self.toolbox,
            ending or handoff_tool(),
            Transcript(self.transcript_path),
            AgentLog(self.log_path, self.clock),
            self.clock,
            self._report,
            max_turns=max_turns,
            random=Random(7),
            **more,
        )

    async def work(self, *events: ModelEvent | Exception, iteration: int = 1, **options: Any) -> Outcome:
        loop = self.loop(Turns(*events), **options)
        return await loop.run(
            f"iteration: {iteration}\n\nwork", iteration, follow_up=f"iteration: {iteration}\n\nagain"
        )

    def kinds(self) -> list[str]:
        return [draft.kind for draft in self.reports]

    async def _report(self, draft: Draft) -> None:
        self.reports.append(draft)
