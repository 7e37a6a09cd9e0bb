"""Tools of MCP servers: found, called and bounded; a server that hangs, dies or lies costs an error and no more."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.tools import Bench, bench, is_running, until

from swarm_core.tools import mcp
from swarm_core.tools.base import ToolResult
from swarm_core.tools.confine import confinement
from swarm_core.tools.mcp import Server, mcp_tools
from swarm_core.tools.toolbox import Toolbox
from swarm_core.vocabulary.spec import McpServerSpec, ServiceSpec

pytest.importorskip("mcp")
CHILD = Path(__file__).parents[2] / "support" / "mcp_child.py"
pytestmark = pytest.mark.timeout(60)


class Table:
    """Servers of one agent, and what was said about those that did not work."""

    def __init__(self, room: Bench) -> None:
        self.room = room
        self.said: list[str] = []
        self.boxes: list[Toolbox] = []

    async def lay(self, mood: str = "plain", **changes: Any) -> Toolbox:
        spec = McpServerSpec("t", sys.executable, ("-I", str(CHILD), mood), timeout_s=20.0)
        return await self.serve(replace(spec, **changes))

    async def serve(self, *specs: McpServerSpec, service: ServiceSpec | None = None) -> Toolbox:
        tools = await mcp_tools(specs, self.room.scope, self.room.scratch, say=self.said.append)
        box = Toolbox(self.room.scope, tools, service or ServiceSpec("backend", tools_allowed=("Read",)))
        self.boxes.append(box)
        return box


def pids(box: Toolbox) -> list[int]:
    """The processes behind a box's tools."""
    found = {
        cell.cell_contents._child.pid
        for tool in box._tools.values()
        for cell in (tool.run.__closure__ or ())
        if isinstance(cell.cell_contents, Server) and cell.cell_contents._child is not None
    }
    return sorted(found)


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[Table]:
    made = Table(bench(tmp_path))
    yield made
    for box in made.boxes:
        await box.close()


async def test_tools_are_named_by_server_and_called(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "canary-77aa")
    box = await table.lay(env={"GREETING": "hello"})
    assert [one.name for one in box.definitions] == [
        f"mcp__t__{name}" for name in ("die", "echo", "flood", "hang", "reach", "refuse", "shapes")
    ]
    assert (box.is_read_only("mcp__t__echo"), box.is_read_only("mcp__t__reach")) == (True, False)
    echoed = await box.call("mcp__t__echo", {"text": "a\nb"})
    assert (echoed.text, echoed.is_error, echoed.target) == ("a\nb hello", False, "t echo")
    assert "must be string" in (await box.call("mcp__t__echo", {"text": 3})).text
    refused = await box.call("mcp__t__refuse", {})
    assert (refused.text, refused.is_error) == ("I will not", True)
    shapes = await box.call("mcp__t__shapes", {})
    assert shapes.text == "[image (image/png) not shown]\ninside\n[resource https://example.org/b]"
    (pid,) = pids(box)
    await box.close()
    await until(lambda: not is_running(pid))
    assert (await box.call("mcp__t__echo", {"text": "x"})).is_error


async def test_the_output_is_bounded(table: Table) -> None:
    box = await table.lay()
    flood = await box.call("mcp__t__flood", {})
    assert len(flood.text) < 40_000
    server = Server(
        McpServerSpec("t", sys.executable, ("-I", str(CHILD), "plain")), table.room.scope, table.room.scratch
    )
    direct = await {tool.definition.name: tool for tool in await server.tools()}["mcp__t__flood"].run({})
    await server.close()
    assert len(direct.text) < mcp.MAX_OUTPUT_CHARS + 100
    assert "more characters were cut" in direct.text


@pytest.mark.skipif(confinement() == "none", reason="the kernel has no Landlock")
async def test_a_server_is_confined_like_a_command(table: Table) -> None:
    box = await table.lay()
    inside = await box.call("mcp__t__reach", {"text": str(table.room.tree / "backend/new")})
    assert inside.text == "written"
    for path in (table.room.outside / "new", table.room.tree / "frontend/new"):
        outside = await box.call("mcp__t__reach", {"text": str(path)})
        assert outside.is_error
        assert "Permission denied" in outside.text
        assert not path.exists()


async def test_a_server_that_dies_is_started_again_a_few_times(table: Table) -> None:
    box = await table.lay()
    before = pids(box)
    died = await box.call("mcp__t__die", {})
    assert died.is_error
    assert "the MCP server t ended during the call" in died.text
    assert "next: try once more" in died.text
    assert (await box.call("mcp__t__echo", {"text": "back"})).text == "back"
    assert pids(box) != before
    for _ in range(mcp.MAX_STARTS - 2):
        await box.call("mcp__t__die", {})
        assert not (await box.call("mcp__t__echo", {"text": "back"})).is_error
    await box.call("mcp__t__die", {})
    gone = await box.call("mcp__t__echo", {"text": "back"})
    assert gone.is_error
    assert "is not started again" in gone.text


async def test_a_server_that_hangs_costs_its_time_and_is_replaced(table: Table) -> None:
    box = await table.lay(timeout_s=0.5)
    (pid,) = pids(box)
    hung = await asyncio.wait_for(box.call("mcp__t__hang", {}), 20)
    assert hung.is_error
    assert "did not answer within 0.5 s" in hung.text
    await until(lambda: not is_running(pid))
    assert (await box.call("mcp__t__echo", {"text": "again"})).text == "again"


async def test_a_server_that_lies_about_its_tools_is_believed_where_it_makes_sense(table: Table) -> None:
    box = await table.lay("lies")
    assert table.said == []
    names = [one.name for one in box.definitions]
    assert names == sorted({*names})
    assert {name.rpartition("__")[2] for name in names} == {
        *("die", "echo", "flood", "hang", "odd", "reach", "refuse", "shapes")
    }
    by_name = {one.name: one for one in box.definitions}
    assert by_name["mcp__t__echo"].description.startswith("Say it again.")
    odd = by_name["mcp__t__odd"]
    assert len(odd.description) < 2_100
    assert "\x1b" not in odd.description
    assert (await box.call("mcp__t__odd", {"a": 1, "b": 2, "c": [3]})).text == "I will not"


@pytest.mark.parametrize("mood", ["junk", "endless"])
async def test_noise_and_endless_lists_do_no_harm(table: Table, mood: str) -> None:
    box = await table.lay(mood)
    assert len(box.definitions) == 7
    assert (await box.call("mcp__t__echo", {"text": "x"})).text == "x"


async def test_servers_that_cannot_be_reached_are_named_and_the_others_work(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp, "START_S", 3.0)
    argv = ("-I", str(CHILD))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    box = await asyncio.wait_for(
        table.serve(
            McpServerSpec("dead", sys.executable, (*argv, "dead")),
            McpServerSpec("silent", sys.executable, (*argv, "silent")),
            McpServerSpec("nonsense", sys.executable, (*argv, "nonsense")),
            McpServerSpec("missing", "/no/such/program"),
            McpServerSpec("closed", url=f"http://127.0.0.1:{port}/mcp"),
            McpServerSpec("good", sys.executable, (*argv, "plain")),
        ),
        40,
    )
    assert {one.name.split("__")[1] for one in box.definitions} == {"good"}
    said = "\n".join(table.said)
    for name in ("dead", "silent", "nonsense", "missing", "closed"):
        assert f"the MCP server {name} gives no tools" in said
    assert "no such database" in said


async def test_a_restricted_server_is_closed_and_an_unlisted_tool_needs_no_list(table: Table) -> None:
    spec = McpServerSpec("t", sys.executable, ("-I", str(CHILD), "plain"))
    for entry in ("mcp__t", "mcp__t__*", "mcp__t__echo"):
        service = ServiceSpec("backend", tools_restricted=(entry,))
        box = await table.serve(spec, service=service)
        assert (await box.call("mcp__t__echo", {"text": "x"})).denied is not None
        await box.close()


HTTP = """
import sys
from mcp.server import MCPServer
server = MCPServer("web")
@server.tool()
def add(a: int, b: int) -> int:
    "Add two numbers."
    return a + b
server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
"""


async def test_a_server_over_http_is_called_and_missed_when_it_is_gone(table: Table) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HTTP, str(port), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        box = await table.serve(McpServerSpec("web", url=f"http://127.0.0.1:{port}/mcp", timeout_s=5.0))
        assert table.said == []
        result: ToolResult = await box.call("mcp__web__add", {"a": 2, "b": 3})
        assert (result.text, result.is_error) == ("5", False)
        wrong = await box.call("mcp__web__add", {"a": 2})
        assert wrong.is_error
        process.kill()
        await process.wait()
        gone = await asyncio.wait_for(box.call("mcp__web__add", {"a": 2, "b": 3}), 30)
        assert gone.is_error
        assert "the MCP server web" in gone.text
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def test_the_library_is_not_imported_with_this_module() -> None:
    code = "import swarm_core.tools.mcp, sys; sys.exit('mcp' in sys.modules or 'anyio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0
