"""Commands that run on while their agent goes on: how to read what they print, and how to end them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import ToolError

from .base import Tool, ToolDefinition, ToolResult
from .process import Captured, Outcome

MAX_RUNNING = 8
MAX_SHOWN_CHARS = 20_000
MAX_WAIT_MS = 600_000
DEFAULT_WAIT_MS = 30_000
_ID = {"type": "string", "maxLength": 40, "description": "The id that Bash gave, such as bash_1."}

BASH_OUTPUT = ToolDefinition(
    name="BashOutput",
    description=(
        "What a command in the background printed since you last asked, and whether it still runs. With block it waits "
        "for the command's end, at most timeout milliseconds."
    ),
    input_schema={
        "type": "object",
        "properties": {
            "task_id": _ID,
            "block": {"type": "boolean", "description": "Wait for its end (default false)."},
            "timeout": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_WAIT_MS,
                "description": f"Milliseconds to wait with block (default {DEFAULT_WAIT_MS}).",
            },
        },
        "required": ["task_id"],
        "additionalProperties": False,
    },
)
TASK_STOP = ToolDefinition(
    name="TaskStop",
    description="End a command in the background and everything it started, and show what it printed last.",
    input_schema={"type": "object", "properties": {"task_id": _ID}, "required": ["task_id"]},
)


@dataclass(slots=True)
class _Running:
    command: str
    output: Captured
    job: asyncio.Task[Outcome]
    seen_bytes: int = 0
    is_stopped: bool = False


class Background:
    """The background commands of one agent; they end with it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, _Running] = {}

    def adopt(self, command: str, output: Captured, job: asyncio.Task[Outcome]) -> str:
        """Keep a command that runs; returns its id."""
        name = f"bash_{len(self._known) + 1}"
        self._known[name] = _Running(command, output, job, output.size_bytes)
        return name

    @property
    def is_full(self) -> bool:
        return sum(not running.job.done() for running in self._known.values()) >= MAX_RUNNING

    def tools(self) -> list[Tool]:
        return [Tool(BASH_OUTPUT, self._output, close=self.close), Tool(TASK_STOP, self._stop)]

    async def close(self) -> None:
        """End all of them, at once."""
        jobs = [running.job for running in self._known.values()]
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    async def _output(self, arguments: Mapping[str, Any]) -> ToolResult:
        running = self._find(arguments["task_id"])
        if arguments.get("block") and not running.job.done():
            timer = asyncio.ensure_future(self._clock.sleep(int(arguments.get("timeout", DEFAULT_WAIT_MS)) / 1000))
            try:
                await asyncio.wait({running.job, timer}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
        return self._shown(running)

    async def _stop(self, arguments: Mapping[str, Any]) -> ToolResult:
        running = self._find(arguments["task_id"])
        if not running.job.done():
            running.is_stopped = True
            running.job.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await asyncio.wait({running.job})
        return self._shown(running)

    def _find(self, name: str) -> _Running:
        if (running := self._known.get(name)) is None:
            known = ", ".join(self._known) or "none was started since this task was taken up"
            raise ToolError(f"there is no command {clean_line(name, 40)} in the background", hint=f"known: {known}")
        return running

    def _shown(self, running: _Running) -> ToolResult:
        new, missed = since(running.output, running.seen_bytes)
        running.seen_bytes = running.output.size_bytes
        text = new.decode("utf-8", "replace")
        if len(text) > MAX_SHOWN_CHARS:
            missed += len(text) - MAX_SHOWN_CHARS
            text = text[-MAX_SHOWN_CHARS:]
        lead = f"[… {missed} bytes before this are left out …]\n" if missed else ""
        said = f"{_state(running)}\n{lead}{text.rstrip()}".rstrip()
        is_error = running.job.done() and not running.is_stopped and not _succeeded(running.job)
        return ToolResult(said, is_error, target=clean_line(running.command, 200))


def since(output: Captured, seen_bytes: int) -> tuple[bytes, int]:
    """What came after the first ``seen_bytes`` of an output, and how many bytes of that are not kept any more."""
    if seen_bytes <= len(output.kept) and output.size_bytes == len(output.kept):
        return bytes(output.kept[seen_bytes:]), 0
    if seen_bytes < len(output.kept):
        gap = output.size_bytes - len(output.kept) - len(output.tail)
        return bytes(output.kept[seen_bytes:] + output.tail), gap
    wanted = output.size_bytes - seen_bytes
    there = bytes(output.tail[-wanted:]) if wanted else b""
    return there, wanted - len(there)


def _succeeded(job: asyncio.Task[Outcome]) -> bool:
    if job.cancelled() or job.exception() is not None:
        return False
    outcome = job.result()
    return outcome.ended_by == "exit" and outcome.exit_code == 0


def _state(running: _Running) -> str:
    if not running.job.done():
        return "Running."
    if running.job.cancelled():
        return "Stopped." if running.is_stopped else "Ended with the agent."
    if (error := running.job.exception()) is not None:
        return f"It could not be started: {error}"
    outcome = running.job.result()
    if outcome.ended_by != "exit":
        what = "it ran too long" if outcome.ended_by == "timeout" else "it printed too much"
        return f"Stopped: {what}."
    return f"Ended with exit code {outcome.exit_code}."
