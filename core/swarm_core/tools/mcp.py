"""Tools of MCP servers (Model Context Protocol): started or reached for one agent, named ``mcp__server__tool``.

A server is a stranger. One that speaks over stdio runs in the confinement of Bash's commands; what it says about its
tools is bounded and checked; one that hangs, dies or answers nonsense costs one error result and is started again a
few times. The library is imported with the first server, in a thread: it takes seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.clean import clean, clean_line
from swarm_core.vocabulary.errors import ToolError
from swarm_core.vocabulary.spec import McpServerSpec

from .base import Tool, ToolDefinition, ToolResult
from .bash import environment, jail_for
from .child import Child
from .scope import Scope

START_S = 30.0
STOP_S = 5.0
MAX_STARTS = 4
MAX_TOOLS = 100
MAX_PAGES = 20
MAX_DESCRIPTION_CHARS = 2_000
MAX_SCHEMA_CHARS = 20_000
MAX_OUTPUT_CHARS = 25_000 * 4  # the documented limit is 25,000 tokens; a token is about four characters
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_CLEAN_NAME = re.compile(r"[^a-zA-Z0-9_-]")

Connect = Callable[[], AbstractAsyncContextManager[Any]]


async def mcp_tools(
    servers: Sequence[McpServerSpec], scope: Scope, scratch: Path, *, say: Callable[[str], None]
) -> list[Tool]:
    """The tools of all servers, connected side by side, in the order of their names.

    A server that cannot be reached has none; ``say`` is told why. Each tool's ``close`` ends its server.
    """
    if not servers:
        return []
    try:
        await asyncio.to_thread(import_module, "mcp")
    except ImportError:
        say("MCP servers need the extra `mcp`: pip install 'swarm-tui[mcp]'")
        return []
    made = [Server(spec, scope, scratch) for spec in servers]
    try:
        found = await asyncio.gather(*(server.tools() for server in made), return_exceptions=True)
    except BaseException:
        await asyncio.gather(*(server.close() for server in made), return_exceptions=True)
        raise
    tools: list[Tool] = []
    for server, result in zip(made, found, strict=True):
        if isinstance(result, BaseException):
            say(f"the MCP server {server.spec.name} gives no tools: {clean_line(str(result), 300)}")
            await server.close()
        else:
            tools += result
    return sorted(tools, key=lambda tool: tool.definition.name)


class Server:
    """One server for one agent. It lives in a task of its own, because its connection must end where it began."""

    def __init__(self, spec: McpServerSpec, scope: Scope, scratch: Path) -> None:
        self.spec = spec
        self._scope, self._scratch = scope, scratch
        self._turn = asyncio.Lock()
        self._client: Any = None
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None
        self._leave, self._gone = asyncio.Event(), asyncio.Event()
        self._starts = 0

    # -- its life

    async def _connected(self) -> Any:
        """The client of the running server; starts it if it does not run. Raises ToolError."""
        async with self._turn:
            if self._client is not None and self._is_alive(self._client):
                return self._client
            await self._end()
            if self._starts >= MAX_STARTS:
                raise ToolError(
                    f"the MCP server {self.spec.name} ended {self._starts} times and is not started again",
                    hint="do without it, and say so in your handoff",
                )
            self._starts += 1
            ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._leave, self._gone, self._child = asyncio.Event(), asyncio.Event(), None
            self._task = asyncio.create_task(self._live(ready, self._leave), name=f"mcp {self.spec.name}")
            try:
                async with asyncio.timeout(START_S):
                    self._client = await asyncio.shield(ready)
            except TimeoutError:
                await self._end(at_once=True)
                raise ToolError(f"it did not answer within {START_S:g} s{self._last_words()}") from None
            return self._client

    async def _live(self, ready: asyncio.Future[Any], leave: asyncio.Event) -> None:
        try:
            library = import_module("mcp")
            async with library.Client(self._transport(), read_timeout_seconds=self.spec.timeout_s) as client:
                if not ready.done():
                    ready.set_result(client)
                await self._until(leave)
        except Exception as error:  # noqa: BLE001 - whatever a stranger does is told to whoever waits for it
            if not ready.done():
                ready.set_exception(ToolError(f"it cannot be reached: {_reason(error)}{self._last_words()}"))
        finally:
            self._client = None
            if not ready.done():
                ready.cancel()

    async def _until(self, leave: asyncio.Event) -> None:
        """Until it is to leave, or its process ended."""
        waiting = {asyncio.create_task(leave.wait()), asyncio.create_task(self._gone.wait())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _end(self, *, at_once: bool = False) -> None:
        task, self._client = self._task, None
        if task is not None and not task.done():
            self._leave.set()
            await asyncio.wait({task}, timeout=0 if at_once else STOP_S)
            task.cancel()
            await asyncio.wait({task}, timeout=STOP_S)

    async def close(self) -> None:
        """End the connection and the process. May be called again."""
        self._starts = MAX_STARTS
        await self._end()

    def _last_words(self) -> str:
        said = clean_line(self._child.complaints.decode("utf-8", "replace").strip()[-300:]) if self._child else ""
        return f" ({said})" if said else ""

    # -- how it is spoken with

    def _transport(self) -> AbstractAsyncContextManager[Any]:
        return self._over_http() if self.spec.url else self._over_stdio()

    @asynccontextmanager
    async def _over_http(self) -> AsyncIterator[Any]:
        http = import_module("mcp.client.streamable_http")
        headers = dict(self.spec.headers)
        async with (
            http.create_mcp_http_client(headers=headers) as client,
            http.streamable_http_client(self.spec.url, http_client=client) as streams,
        ):
            yield streams

    @asynccontextmanager
    async def _over_stdio(self) -> AsyncIterator[Any]:
        """A confined child; lines that are no messages are skipped."""
        anyio, types = import_module("anyio"), import_module("mcp.types")
        message = import_module("mcp.shared.message").SessionMessage
        gone = self._gone
        child = self._child = await Child.start(
            [self.spec.command, *self.spec.args],
            cwd=self._scope.tree,
            env={**environment(self._scope.tree, self._scratch), **self.spec.env},
            jail=lambda: jail_for(self._scope, self._scratch),
        )
        from_server, to_client = anyio.create_memory_object_stream(0)
        to_server, from_client = anyio.create_memory_object_stream(0)

        async def listen() -> None:
            with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                while (line := await child.line()) is not None:
                    if line.is_cut or not line.data.strip():
                        continue
                    try:
                        parsed = types.jsonrpc_message_adapter.validate_json(line.data, by_name=False)
                    except ValueError:
                        continue
                    await from_server.send(message(parsed))
            gone.set()
            from_server.close()

        async def speak() -> None:
            with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
                async for one in from_client:
                    text = one.message.model_dump_json(by_alias=True, exclude_unset=True)
                    await child.write(text.encode() + b"\n")

        tasks = [asyncio.create_task(listen()), asyncio.create_task(speak())]
        try:
            yield to_client, to_server
        finally:
            for stream in (from_server, to_client, to_server, from_client):
                stream.close()
            child.close_input()
            await child.end()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # -- its tools

    async def tools(self) -> list[Tool]:
        """What it offers, as far as it makes sense. Raises ToolError, or what the library raises."""
        client = await self._connected()
        found: dict[str, Tool] = {}
        cursor: str | None = None
        async with asyncio.timeout(START_S):
            for _ in range(MAX_PAGES):
                page = await client.list_tools(cursor=cursor)
                for offered in page.tools:
                    tool = self._tool(offered)
                    if tool is not None and len(found) < MAX_TOOLS:
                        found.setdefault(tool.definition.name, tool)
                cursor = page.next_cursor
                if not cursor:
                    break
        return list(found.values())

    def _tool(self, offered: Any) -> Tool | None:
        name = f"mcp__{_CLEAN_NAME.sub('_', self.spec.name)}__{offered.name}"
        schema = offered.input_schema
        if _NAME.fullmatch(name) is None or not isinstance(schema, dict) or schema.get("type") != "object":
            return None
        if len(json.dumps(schema)) > MAX_SCHEMA_CHARS:
            return None
        said = clean(offered.description or offered.name)[:MAX_DESCRIPTION_CHARS]
        notes = offered.annotations
        is_read_only = bool(notes and notes.read_only_hint)

        async def run(arguments: Mapping[str, Any]) -> ToolResult:
            return await self._call(str(offered.name), arguments)

        definition = ToolDefinition(name, f"{said}\n(From the MCP server {self.spec.name}.)", schema)
        return Tool(definition, run, close=self.close, is_read_only=is_read_only)

    async def _call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        target = f"{self.spec.name} {name}"
        client = await self._connected()
        try:
            async with asyncio.timeout(self.spec.timeout_s):
                result = await client.call_tool(name, dict(arguments))
            return ToolResult(_text(result), is_error=bool(result.is_error), target=target)
        except TimeoutError:
            why = f"did not answer within {self.spec.timeout_s:g} s"
        except Exception as error:  # noqa: BLE001 - whatever a stranger does is an answer for the model
            if self._is_alive(client):
                return ToolResult(
                    f"the MCP server {self.spec.name} refused: {_reason(error)}", is_error=True, target=target
                )
            why = f"ended during the call: {_reason(error)}{self._last_words()}"
        async with self._turn:
            if self._client is client:
                await self._end()
        text = f"the MCP server {self.spec.name} {why}\n  next: try once more, it is started again; or do without it"
        return ToolResult(text, is_error=True, target=target)

    def _is_alive(self, client: Any) -> bool:
        return self._client is client and self._task is not None and not self._task.done() and not self._gone.is_set()


def _text(result: Any) -> str:
    """What a call gave back as text: its blocks, or its structured content."""
    parts = [_block(block) for block in result.content]
    if not any(parts) and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False)]
    text = "\n".join(part for part in parts if part) or "(no output)"
    if len(text) > MAX_OUTPUT_CHARS:
        left = len(text) - MAX_OUTPUT_CHARS
        return f"{text[:MAX_OUTPUT_CHARS]}\n[… {left} more characters were cut; ask for less]"
    return text


def _block(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{block.type} ({clean_line(str(block.mime_type), 80)}) not shown]"
        case "resource":
            text = getattr(block.resource, "text", None)
            return str(text) if text is not None else f"[binary resource {clean_line(str(block.resource.uri), 300)}]"
        case "resource_link":
            return f"[resource {clean_line(str(block.uri), 300)}]"
        case other:
            return f"[{clean_line(str(other), 60)} not shown]"


def _reason(error: BaseException) -> str:
    """The innermost error of a group that has only one, in words."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return clean_line(str(error) or type(error).__name__, 300)
