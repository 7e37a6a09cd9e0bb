"""What an ACP agent may ask of us: files, terminals and leave, each behind the rules of its service.

An agent need not ask: its own tools meet the confinement of its process. Where it does ask, it is answered in words.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import stat
from collections.abc import Coroutine, Mapping
from typing import Any

from acp import RequestError
from acp.schema import (
    AllowedOutcome,
    CreateTerminalResponse,
    DeniedOutcome,
    EnvVariable,
    PermissionOption,
    ReadTextFileResponse,
    RequestPermissionResponse,
    TerminalExitStatus,
    TerminalOutputResponse,
    ToolCallUpdate,
    WaitForTerminalExitResponse,
    WriteTextFileResponse,
)

from swarm_core.tools.base import ToolResult
from swarm_core.tools.bash import MAX_TIMEOUT_MS
from swarm_core.tools.beneath import open_file
from swarm_core.tools.scope import Scope
from swarm_core.vocabulary.errors import PermissionDenied, SwarmError

from .acp_wire import arguments_of, tool_of
from .base import Asked, Mediated, Premises

MAX_READ_BYTES = 8 * 1024 * 1024
MAX_TERMINALS = 16
DEFAULT_OUTPUT_BYTES = 100_000
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXIT = re.compile(r"Exit code (\d+)")


class Desk:
    """Answers the requests of one agent. ``cancel`` answers every open question as cancelled and ends terminals."""

    def __init__(self, premises: Premises) -> None:
        self.premises = premises
        self._cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._terminals: dict[str, asyncio.Task[ToolResult]] = {}
        self._limits: dict[str, int] = {}

    def on_connect(self, conn: Any) -> None:
        """The library tells every client; there is nothing to keep."""

    def cancel(self) -> None:
        if not self._cancelled.done():
            self._cancelled.set_result(None)

    async def close(self) -> None:
        self.cancel()
        for terminal in self._terminals.values():
            terminal.cancel()
        await asyncio.gather(*self._terminals.values(), return_exceptions=True)

    # -- leave

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_: Any
    ) -> RequestPermissionResponse:
        call = tool_call.model_dump(mode="json", by_alias=True, exclude_none=True)
        name, target = tool_of(call)
        judging = asyncio.create_task(self._judge(name, call))
        waited: set[asyncio.Future[Any]] = {judging, self._cancelled}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if self._cancelled.done():
                return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
            denial = judging.result()
        finally:
            judging.cancel()
        await self.premises.hear(Asked(name, target, denial))
        wanted = "reject_once" if denial else "allow_once"  # never for always: each call is judged
        option = next((option for option in options if option.kind == wanted), None)
        if option is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=option.option_id))

    async def _judge(self, name: str, call: Mapping[str, Any]) -> PermissionDenied | None:
        await self.premises.clearance()
        return await self.premises.ask_permission(name, arguments_of(call))

    # -- files

    async def read_text_file(
        self, session_id: str, path: str, line: int | None = None, limit: int | None = None, **_: Any
    ) -> ReadTextFileResponse:
        await self.premises.clearance()
        try:
            text = await asyncio.to_thread(_read, self.premises.scope, path)
        except PermissionDenied as denial:
            await self.premises.hear(Mediated("", "Read", path, denial))
            raise refused(denial) from None
        except (SwarmError, OSError, ValueError) as error:
            raise RequestError.invalid_params({"path": path, "reason": str(error)}) from None
        if line is not None or limit is not None:
            start = max(0, (line or 1) - 1)
            rows = text.splitlines(keepends=True)
            text = "".join(rows[start : None if limit is None else start + max(0, limit)])
        await self.premises.hear(Mediated(f"read {path}", "Read", path))
        return ReadTextFileResponse(content=text)

    async def write_text_file(self, session_id: str, path: str, content: str, **_: Any) -> WriteTextFileResponse:
        await self.premises.clearance()
        result = await self.premises.toolbox.call("Write", {"file_path": path, "content": content})
        await self.premises.hear(Mediated(f"wrote {path}", "Write", path, result.denied))
        if result.denied:
            raise refused(result.denied)
        if result.is_error:
            raise RequestError.invalid_params({"path": path, "reason": result.text})
        return WriteTextFileResponse()

    # -- terminals

    async def create_terminal(
        self,
        session_id: str,
        command: str,
        args: list[str] | None = None,
        env: list[EnvVariable] | None = None,
        cwd: str | None = None,
        output_byte_limit: int | None = None,
        **_: Any,
    ) -> CreateTerminalResponse:
        await self.premises.clearance()
        if len(self._terminals) >= MAX_TERMINALS:
            raise RequestError.invalid_params({"reason": f"{MAX_TERMINALS} terminals are open: release one"})
        text = _command_line(command, args or [], {item.name: item.value for item in env or []}, cwd)
        name = f"terminal-{len(self._limits) + 1}"
        self._terminals[name] = asyncio.create_task(self._execute(text))
        self._limits[name] = min(max(0, output_byte_limit or DEFAULT_OUTPUT_BYTES), DEFAULT_OUTPUT_BYTES)
        return CreateTerminalResponse(terminal_id=name)

    async def _execute(self, text: str) -> ToolResult:
        result = await self.premises.toolbox.call("Bash", {"command": text, "timeout": MAX_TIMEOUT_MS})
        await self.premises.hear(Mediated(f"ran {text}", "Bash", text, result.denied))
        return result

    async def terminal_output(self, session_id: str, terminal_id: str, **_: Any) -> TerminalOutputResponse:
        terminal = self._terminal(terminal_id)
        if not terminal.done():
            return TerminalOutputResponse(output="", truncated=False)
        status, text = _status(terminal)
        data = text.encode()
        kept = data[-self._limits[terminal_id] :].decode("utf-8", "ignore") if self._limits[terminal_id] else ""
        return TerminalOutputResponse(output=kept, truncated=len(kept.encode()) < len(data), exit_status=status)

    async def wait_for_terminal_exit(self, session_id: str, terminal_id: str, **_: Any) -> WaitForTerminalExitResponse:
        terminal = self._terminal(terminal_id)
        await asyncio.wait({terminal})
        status, _text = _status(terminal)
        return WaitForTerminalExitResponse(exit_code=status.exit_code, signal=status.signal)

    async def kill_terminal(self, session_id: str, terminal_id: str, **_: Any) -> None:
        terminal = self._terminal(terminal_id)
        terminal.cancel()
        await asyncio.wait({terminal})

    async def release_terminal(self, session_id: str, terminal_id: str, **_: Any) -> None:
        await self.kill_terminal(session_id, terminal_id)
        del self._terminals[terminal_id]

    def _terminal(self, name: str) -> asyncio.Task[ToolResult]:
        if name not in self._terminals:
            raise RequestError.resource_not_found(name)
        return self._terminals[name]

    # -- what is not offered

    def ext_method(self, method: str, params: dict[str, Any]) -> Coroutine[Any, Any, dict[str, Any]]:
        raise RequestError.method_not_found(method)


def refused(denial: PermissionDenied) -> RequestError:
    return RequestError(-32003, str(denial), {"rule": denial.rule})


def _read(scope: Scope, path: str) -> str:
    """A whole text file. Raises PermissionDenied, ToolError, OSError or ValueError."""
    real = scope.check_read(path)
    base, parts = scope.place(real)
    if not parts:
        raise ValueError("it is a directory")
    with open(open_file(base, parts), "rb") as file:
        mode = os.fstat(file.fileno())
        if not stat.S_ISREG(mode.st_mode) or mode.st_size > MAX_READ_BYTES:
            raise ValueError(f"it is not a regular file of at most {MAX_READ_BYTES // 2**20} MiB")
        return file.read(MAX_READ_BYTES).decode("utf-8", "replace")


def _command_line(command: str, args: list[str], env: Mapping[str, str], cwd: str | None) -> str:
    """One line for Bash. A command without arguments is a line of its own, as agents send it."""
    if wrong := next((name for name in env if _VARIABLE.fullmatch(name) is None), None):
        raise RequestError.invalid_params({"reason": f"{wrong[:60]!r} is not the name of a variable"})
    words = f"{shlex.quote(command)} {shlex.join(args)}" if args else command
    settings = "".join(f"export {name}={shlex.quote(value)}; " for name, value in env.items())
    place = f"cd {shlex.quote(cwd)} && " if cwd else ""
    return f"{settings}{place}{words}"


def _status(terminal: asyncio.Task[ToolResult]) -> tuple[TerminalExitStatus, str]:
    if terminal.cancelled():
        return TerminalExitStatus(signal="SIGKILL"), ""
    result = terminal.result()
    if not result.is_error:
        return TerminalExitStatus(exit_code=0), result.text
    found = _EXIT.match(result.text)
    return TerminalExitStatus(exit_code=int(found[1]) if found else 1), result.text
