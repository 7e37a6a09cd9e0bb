"""An agent at work in a process that is killed at one write, and started again. Run as a program by the tests.

``python -m tests.support.killed_loop <directory> <seed>`` forks a child for each write the work makes (each line of
the transcript and of the journal, each effect of a tool) and each way to die there: before it, in its middle, after
it. Then another child goes on with what is on the disk; with a seed it is killed once more. One JSON line a life.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from swarm_core.agents.coordination import Handoff, handoff_tool
from swarm_core.agents.log import AgentLog
from swarm_core.agents.loop import AgentLoop
from swarm_core.agents.script import Script, ScriptedCall, ScriptedTurn
from swarm_core.agents.scripted_model import ScriptedModel
from swarm_core.agents.seat import Seat
from swarm_core.agents.transcript import Transcript
from swarm_core.tools.base import Tool, ToolDefinition, ToolResult
from swarm_core.tools.files import file_tools
from swarm_core.tools.scope import Scope
from swarm_core.tools.toolbox import Toolbox
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.spec import ServiceSpec

WAYS = ("before", "within", "after")
EDIT = {"file_path": "backend/list.txt", "old_string": "end", "new_string": "item\nend"}


def _bash(*names: str) -> tuple[ScriptedCall, ...]:
    return tuple(ScriptedCall("Bash", {"command": name}) for name in names)


TURNS = (
    ScriptedTurn(say="A list.", do=(ScriptedCall("Write", {"file_path": "backend/list.txt", "content": "end\n"}),)),
    ScriptedTurn(do=_bash("one")),
    ScriptedTurn(do=(ScriptedCall("Edit", EDIT), ScriptedCall("Edit", EDIT))),
    ScriptedTurn(say="Hm."),
    ScriptedTurn(do=tuple(ScriptedCall("Read", {"file_path": "backend/list.txt", "limit": n}) for n in (1, 2, 3))),
    ScriptedTurn(do=(*_bash("two"), ScriptedCall("Edit", EDIT), *_bash("three"))),
    ScriptedTurn(do=(ScriptedCall("handoff", {"what_i_did": "a list"}),)),
)


class Fate:
    """Kills this process at its ``at``-th write; 0 never does. ``count`` is how many there were."""

    def __init__(self, at: int, way: str) -> None:
        self.at, self.way, self.count = at, way, 0
        self._write, self._replace = os.write, os.replace

    def rule(self) -> None:
        os.write = self._on_write
        os.replace = self._on_replace

    def _on_write(self, fd: int, data: Any, /) -> Any:
        half = bytes(data)[: len(data) // 2]
        return self._done(lambda: self._write(fd, data), lambda: self._write(fd, half))

    def _on_replace(self, *args: Any, **options: Any) -> None:
        self._done(lambda: self._replace(*args, **options), lambda: None)

    def _done(self, whole: Callable[[], Any], half: Callable[[], Any]) -> Any:
        self.count += 1
        if self.count != self.at:
            return whole()
        if self.way != "before":
            (whole if self.way == "after" else half)()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody gets here")


def append(path: Path, line: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(fd, b"\n" + line.encode() + b"\n")  # a torn line spoils none but itself
    finally:
        os.close(fd)


def toolbox(place: Path) -> Toolbox:
    tree = place / "tree"
    (tree / "backend").mkdir(parents=True, exist_ok=True)
    spec = ServiceSpec(key="backend", directories=("backend",))
    scope = Scope(tree.resolve(), spec, place.resolve())

    async def run(arguments: Mapping[str, Any]) -> ToolResult:
        append(place / "effects", arguments["command"])
        return ToolResult(f"ran {arguments['command']}")

    bash = Tool(ToolDefinition("Bash", "Run.", {"type": "object"}), run)
    return Toolbox(scope, [*file_tools(scope), bash], spec)


async def work(place: Path) -> bool:
    clock = SystemClock()

    async def report(draft: Draft) -> None:
        append(place / "journal", json.dumps({"kind": draft.kind, **draft.data}))

    seat = Seat("backend-1", "backend", "task_001", "Make a list", "scripted", "Be good.")
    loop = AgentLoop(
        seat,
        ScriptedModel({"backend": Script("backend", TURNS)}, clock, speed=0.0),
        toolbox(place),
        handoff_tool(),
        Transcript(place / "transcript"),
        AgentLog(Path("/dev/null/nowhere"), clock),
        clock,
        report,
    )
    return await loop.run("iteration: 1\n\nwork") == Handoff("a list")


def life(place: Path, at: int, way: str) -> bool:
    """One process's life; whether it came to its end."""
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
    fate = Fate(at, way)
    fate.rule()
    code = 1
    try:
        has_finished = asyncio.run(work(place))
        (place / "count").write_text(str(fate.count))
        code = 0 if has_finished else 2
    finally:
        os._exit(code)


def finished(place: Path) -> dict[str, str]:
    """The results on the disk, by the id of their call."""
    transcript = Transcript(place / "transcript")
    transcript.load()
    results = [block for m in transcript.messages if isinstance(m["content"], list) for block in m["content"]]
    done = {block["tool_use_id"]: block["content"] for block in results if block["type"] == "tool_result"}
    return {**done, **{id: line["text"] for id, line in transcript.results.items()}}


def lines(path: Path) -> list[str]:
    return list(filter(None, path.read_text().split("\n"))) if path.exists() else []


def main() -> None:
    top, random = Path(sys.argv[1]), Random(sys.argv[2]) if len(sys.argv) > 2 else None
    assert life(top, 0, "")
    writes = int((top / "count").read_text())
    for at in range(1, writes + 1):
        for way in WAYS:
            place = top / f"{at}-{way}"
            place.mkdir()
            assert not life(place, at, way), "it was to be killed"
            before, effects = finished(place), lines(place / "effects")
            if random is not None:
                life(place, random.randint(1, writes), random.choice(WAYS))
            ended = life(place, 0, "")
            found = {
                "at": f"{at} of {writes}, {way}",
                "ended": ended,
                "before": before,
                "effects_before": effects,
                "results": finished(place),
                "effects": lines(place / "effects"),
                "list": (place / "tree/backend/list.txt").read_text() if ended else "",
                "calls": sum('"llm.call"' in line and line.endswith("}") for line in lines(place / "journal")),
            }
            sys.stdout.write(json.dumps(found) + "\n")
            shutil.rmtree(place)


if __name__ == "__main__":
    main()
