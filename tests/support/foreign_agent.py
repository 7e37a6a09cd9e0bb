"""A small agent of another make, as a program: plays steps in the dialect it is started with.

``python foreign_agent.py DIALECT STEPS.json …``: the dialects are ``acp``, ``claude`` and ``codex``. A step is a list:
its name and what it needs. Files named without a directory lie in the agent's HOME; a test meets it there.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

HOME = Path(os.environ["HOME"])
TURNS = {"tokens_in": 300, "tokens_out": 50, "cached": 10, "cost": 0.25}
JUNK = (
    b"not JSON",
    b"[1, 2]",
    b'{"type": "brand_new", "x": 1}',
    b"\xff\xfe\x1b]0;title\x07",
    b"{",
    b'{"jsonrpc": "2.0", "id": [1], "result": {}}',
    b'{"jsonrpc": "2.0", "method": 7, "id": 9}',
    b'{"jsonrpc": "2.0", "method": "session/update", "params": {"update": {"sessionUpdate": "new"}}}',
    b'{"type": "assistant", "message": 5}',
    b'{"type": "item.completed", "item": [3]}',
    b"x" * (9 * 1024 * 1024),
    b"null",
    b"",
)


class Dialect:
    """How it talks. ``use`` asks for leave where the dialect can, then acts and tells what came of it."""

    def out(self, message: Any) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def raw(self, data: bytes) -> None:
        sys.stdout.flush()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(1, rest) :]
            except BlockingIOError:  # the protocol library leaves the pipe like this
                time.sleep(0.001)

    def say(self, text: str) -> None:
        raise NotImplementedError

    def use(self, tool: str, target: str, act: Callable[[], str], *, asks: bool = True) -> None:
        raise NotImplementedError

    def write(self, path: str, text: str) -> None:
        self.use("Write", path, lambda: write(path, text))


def write(path: str, text: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return f"wrote {path}"


def tried(act: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, act()
    except OSError as error:
        return False, str(error)


def wait_for(name: str) -> str:
    while not (HOME / name).exists():
        time.sleep(0.01)
    return f"{name} is there"


def note_pid(name: str, pid: int) -> None:
    (HOME / f"{name}.tmp").write_text(str(pid))
    (HOME / f"{name}.tmp").rename(HOME / name)


def remember(prompt: str, session: str) -> None:
    """Keep what it was told, one file each time it is started."""
    told = len(list(HOME.glob("told-*")))
    (HOME / f"told-{told}").write_text(f"session={session}\n{prompt}")


def play(dialect: Dialect, steps: list[list[Any]]) -> None:
    for name, *given in steps:
        match name:
            case "say":
                dialect.say(given[0])
            case "write":
                dialect.write(*given)
            case "sneak":  # nobody is asked
                dialect.use("Write", given[0], partial(write, *given), asks=False)
            case "run":
                dialect.use("Bash", given[0], partial(subprocess.getoutput, given[0]))
            case "pid":
                note_pid(given[0], os.getpid())
            case "child":
                child = subprocess.Popen(
                    ["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                note_pid(given[0], child.pid)
            case "wait":
                wait_for(given[0])
            case "look":
                (HOME / given[0]).write_text(json.dumps({key: os.environ.get(key) for key in given[1]}))
            case "junk":
                for line in JUNK:
                    dialect.raw(line + b"\n")
            case "flood":
                while True:
                    dialect.raw(b"y" * 65_536)
            case "once":  # what follows is for its first life only
                if (HOME / given[0]).exists():
                    return
                (HOME / given[0]).write_text("")
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(600)
            case other:
                raise ValueError(other)


# -- claude


class Claude(Dialect):
    def __init__(self, argv: list[str]) -> None:
        self.session = argv[argv.index("--resume") + 1] if "--resume" in argv else "3f0b"
        self.calls = 0

    def main(self, steps: list[list[Any]]) -> None:
        told = json.loads(sys.stdin.readline())
        remember(told["message"]["content"], self.session)
        self.out({"type": "system", "subtype": "init", "session_id": self.session, "model": "claude-sonnet-5-5"})
        play(self, steps)
        usage = {
            "input_tokens": TURNS["tokens_in"],
            "output_tokens": TURNS["tokens_out"],
            "cache_read_input_tokens": TURNS["cached"],
        }
        done = {"type": "result", "subtype": "success", "is_error": False, "result": "all of it", "usage": usage}
        self.out({**done, "total_cost_usd": TURNS["cost"], "num_turns": 1})
        sys.stdin.read()

    def _assistant(self, *blocks: dict[str, Any]) -> None:
        usage = {"input_tokens": 100, "output_tokens": 1}
        body = {"id": "msg_1", "role": "assistant", "model": "claude-sonnet-5-5", "content": blocks, "usage": usage}
        self.out({"type": "assistant", "message": body})

    def say(self, text: str) -> None:
        self._assistant({"type": "text", "text": text})

    def use(self, tool: str, target: str, act: Callable[[], str], *, asks: bool = True) -> None:
        self.calls += 1
        name = f"toolu_{self.calls}"
        given = {"command": target} if tool == "Bash" else {"file_path": target, "content": "…"}
        self._assistant({"type": "tool_use", "id": name, "name": tool, "input": given})
        is_ok, text = True, "refused"
        if asks:
            request = {"subtype": "can_use_tool", "tool_name": tool, "input": given, "tool_use_id": name}
            self.out({"type": "control_request", "request_id": f"r{self.calls}", "request": request})
            answer = json.loads(sys.stdin.readline())["response"]["response"]
            is_ok, text = answer["behavior"] == "allow", answer.get("message", "")
        if is_ok:
            is_ok, text = tried(act)
        block = {"type": "tool_result", "tool_use_id": name, "content": text, "is_error": not is_ok}
        self.out({"type": "user", "message": {"role": "user", "content": [block]}})


# -- codex


class Codex(Dialect):
    def __init__(self, argv: list[str]) -> None:
        self.session = argv[argv.index("resume") + 1] if "resume" in argv else "0199a2"
        self.calls = 0

    def main(self, steps: list[list[Any]]) -> None:
        remember(sys.stdin.read(), self.session)
        self.out({"type": "thread.started", "thread_id": self.session})
        self.out({"type": "turn.started"})
        play(self, steps)
        self.say("all of it")
        cached = TURNS["cached"]
        usage = {"input_tokens": TURNS["tokens_in"] + cached, "cached_input_tokens": cached}
        self.out({"type": "turn.completed", "usage": {**usage, "output_tokens": TURNS["tokens_out"]}})

    def say(self, text: str) -> None:
        self.out({"type": "item.completed", "item": {"id": "m", "type": "agent_message", "text": text}})

    def use(self, tool: str, target: str, act: Callable[[], str], *, asks: bool = True) -> None:
        self.calls += 1
        item: dict[str, Any] = {"id": f"item_{self.calls}", "type": "command_execution", "command": target}
        if tool == "Write":
            item = {**item, "type": "file_change", "changes": [{"path": target, "kind": "add"}]}
        self.out({"type": "item.started", "item": {**item, "status": "in_progress"}})
        is_ok, text = tried(act)
        status = "completed" if is_ok else "failed"
        self.out({"type": "item.completed", "item": {**item, "status": status, "aggregated_output": text}})


# -- acp


def serve_acp(steps: list[list[Any]]) -> None:
    from acp import (
        PROTOCOL_VERSION,
        run_agent,
        start_tool_call,
        text_block,
        tool_content,
        update_agent_message_text,
        update_tool_call,
    )
    from acp.schema import (
        AgentCapabilities,
        Cost,
        InitializeResponse,
        LoadSessionResponse,
        NewSessionResponse,
        PermissionOption,
        PromptResponse,
        ToolCallLocation,
        ToolCallUpdate,
        Usage,
        UsageUpdate,
    )

    options = [
        PermissionOption(option_id="yes", name="Allow", kind="allow_once"),
        PermissionOption(option_id="always", name="Always", kind="allow_always"),
        PermissionOption(option_id="no", name="Reject", kind="reject_once"),
    ]

    class Acp(Dialect):
        def __init__(self) -> None:
            self.calls = 0
            self.is_known = False

        def on_connect(self, conn: Any) -> None:
            self.conn, self.loop = conn, asyncio.get_running_loop()

        async def initialize(self, protocol_version: int, **_: Any) -> InitializeResponse:
            offers = AgentCapabilities(load_session=True)
            return InitializeResponse(protocol_version=PROTOCOL_VERSION, agent_capabilities=offers)

        async def new_session(self, cwd: str, **_: Any) -> NewSessionResponse:
            assert cwd == str(Path.cwd())
            return NewSessionResponse(session_id="sess_1")

        async def load_session(self, cwd: str, session_id: str, **_: Any) -> LoadSessionResponse:
            self.is_known = True
            await self.conn.session_update(session_id, update_agent_message_text("said long ago"))
            return LoadSessionResponse()

        async def cancel(self, session_id: str, **_: Any) -> None:
            (HOME / "cancelled").write_text("")

        async def prompt(self, session_id: str, prompt: list[Any], **_: Any) -> PromptResponse:
            self.session = session_id
            remember("".join(block.text for block in prompt), f"{session_id} {self.is_known}")
            await asyncio.to_thread(play, self, steps)
            await asyncio.to_thread(self.say, "all of it")
            cost = Cost(amount=float(TURNS["cost"]), currency="USD")
            update = UsageUpdate(session_update="usage_update", used=350, size=200_000, cost=cost)
            await self.conn.session_update(session_id, update)
            usage = Usage(
                total_tokens=360,
                input_tokens=int(TURNS["tokens_in"]),
                output_tokens=int(TURNS["tokens_out"]),
                cached_read_tokens=int(TURNS["cached"]),
            )
            return PromptResponse(stop_reason="end_turn", usage=usage)

        async def ext_method(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
            return {}

        async def ext_notification(self, method: str, params: dict[str, Any]) -> None: ...

        def ask(self, coroutine: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

        def tell(self, update: Any) -> None:
            self.ask(self.conn.session_update(self.session, update))

        def say(self, text: str) -> None:
            self.tell(update_agent_message_text(text))

        def use(self, tool: str, target: str, act: Callable[[], str], *, asks: bool = True) -> None:
            self.calls += 1
            name, kind = f"t{self.calls}", "execute" if tool == "Bash" else "edit"
            raw = {"command": target} if tool == "Bash" else None
            places = None if raw else [ToolCallLocation(path=target)]
            self.tell(start_tool_call(name, f"{tool} {target}", kind=kind, locations=places, raw_input=raw))  # type: ignore[arg-type]
            is_ok, text = True, "refused"
            if asks:
                call = ToolCallUpdate(tool_call_id=name, title="x", kind=kind, locations=places, raw_input=raw)  # type: ignore[arg-type]
                answer = self.ask(
                    self.conn.request_permission(options=options, session_id=self.session, tool_call=call)
                )
                is_ok = getattr(answer.outcome, "option_id", "") == "yes"
            if is_ok:
                is_ok, text = tried(act)
            status = "completed" if is_ok else "failed"
            self.tell(update_tool_call(name, status=status, content=[tool_content(text_block(text))]))  # type: ignore[arg-type]

        def write(self, path: str, text: str) -> None:
            """Through the client, as an editor's agent does."""
            self.use("Write", path, lambda: self._through_client(path, text))

        def _through_client(self, path: str, text: str) -> str:
            place = str(Path.cwd() / path)
            try:
                self.ask(self.conn.write_text_file(session_id=self.session, path=place, content=text))
            except Exception as error:  # noqa: BLE001 - whatever the client answered
                raise OSError(str(error)) from None
            return f"wrote {path}"

    asyncio.run(run_agent(Acp()))  # type: ignore[arg-type]


if __name__ == "__main__":
    dialect, moves = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    if dialect == "acp":
        serve_acp(moves)
    else:
        (Claude if dialect == "claude" else Codex)(sys.argv[3:]).main(moves)
