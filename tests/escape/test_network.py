"""A command reaches the hosts its service names, through the engine's proxy, and there is no way past it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.escape import Site, prison

from swarm_core.tools.jail.confines import Confines
from swarm_core.tools.jail.proxy import Proxy, Verdict
from swarm_core.tools.scope import Scope
from swarm_core.tools.toolbox import Toolbox, standard_tools
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.network import Rule
from swarm_core.vocabulary.spec import ServiceSpec

ASK = """python3 - <<'EOF'
import os, socket
port = int(os.environ["https_proxy"].rpartition(":")[2])
s = socket.create_connection(("127.0.0.1", port), 5)
s.sendall(b"CONNECT {target} HTTP/1.1\\r\\n\\r\\n")
print(s.recv(100).split(b"\\r\\n")[0])
s.sendall(b"hello\\n")
print(s.recv(100))
EOF
"""


@pytest.fixture
async def server() -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as found:
        yield found.sockets[0].getsockname()[1]


async def test_named_hosts_are_reached_by_the_proxy_alone(site: Site, kind: str, server: int) -> None:
    heard: list[Verdict] = []

    async def hear(verdict: Verdict) -> None:
        heard.append(verdict)

    cell = await prison(site, kind)
    async with Proxy([Rule.read(f"127.0.0.1:{server}")], hear) as proxy:
        confines = Confines(kind, (site.layout.hub, site.store), (site.layout.repo.root,), proxy)
        spec = ServiceSpec("backend", directories=("backend",))
        scope = Scope(site.tree, spec, cell.scratch)
        cell.toolbox = Toolbox(scope, standard_tools(scope, cell.scratch, SystemClock(), confines), spec)
        try:
            named = await cell.bash(ASK.format(target=f"127.0.0.1:{server}"))
            assert "200 Connection established" in named.text
            assert "b'HELLO\\n'" in named.text
            other = await cell.bash(ASK.format(target="127.0.0.1:<tcp>"))
            assert "403 Forbidden" in other.text
            past = f"python3 -c \"import socket; socket.create_connection(('127.0.0.1', {server}), 2)\""
            assert (await cell.bash(past)).is_error, "the host is allowed, but not without the proxy"
            assert (
                await cell.bash("python3 -c \"import socket; socket.create_connection(('127.0.0.1', <tcp>), 2)\"")
            ).is_error
            await cell.check()
        finally:
            await cell.toolbox.close()
            cell.close()
    assert [(verdict.port == server, verdict.is_allowed) for verdict in heard] == [(True, True), (False, False)]
