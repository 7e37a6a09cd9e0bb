"""The proxy reaches what a service's network names, says what it decided, and leads nowhere else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.tools import until

from swarm_core.tools.jail.proxy import MAX_CONNECTIONS, Proxy, Verdict
from swarm_core.vocabulary.network import Rule


@pytest.fixture
async def server() -> AsyncIterator[int]:
    """Answers every line with its capitals."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as found:
        yield found.sockets[0].getsockname()[1]


class Told:
    """A proxy and what it decided."""

    def __init__(self, *rules: str) -> None:
        self.heard: list[Verdict] = []
        self.proxy = Proxy([Rule.read(rule) for rule in rules], self.hear)

    async def hear(self, verdict: Verdict) -> None:
        self.heard.append(verdict)

    async def ask(self, head: bytes, more: bytes = b"") -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        writer.write(head + b"\r\n\r\n")
        answer = await reader.readuntil(b"\r\n\r\n")
        if more and b" 200 " in answer:
            writer.write(more)
            answer = await reader.readline()
        writer.close()
        return answer


@pytest.mark.parametrize(
    ("rule", "host", "port", "covers"),
    [
        ("pypi.org", "pypi.org", 443, True),
        ("PyPI.org", "pypi.org", 443, True),
        ("pypi.org", "pypi.org", 80, False),
        ("pypi.org", "evil-pypi.org", 443, False),
        ("pypi.org", "pypi.org.evil.example", 443, False),
        ("pypi.org", "www.pypi.org", 443, False),
        ("*.python.org", "docs.python.org", 443, True),
        ("*.python.org", "a.b.python.org", 443, True),
        ("*.python.org", "python.org", 443, False),
        ("*.python.org", "evilpython.org", 443, False),
        ("pypi.org:8443", "pypi.org", 8443, True),
        ("pypi.org:8443", "pypi.org", 443, False),
    ],
)
def test_a_rule_covers_what_it_names(rule: str, host: str, port: int, covers: bool) -> None:
    assert Rule.read(rule).covers(host, port) is covers


@pytest.mark.parametrize("text", ["", "*", "*.", "a/b", "http://a", "a:0", "a:99999", "a:x", "a b", "*.*.a", "u@a"])
def test_what_is_no_host_is_no_rule(text: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        Rule.read(text)


async def test_what_a_rule_names_is_reached_and_told(server: int) -> None:
    told = Told(f"127.0.0.1:{server}")
    async with told.proxy:
        assert await told.ask(f"CONNECT 127.0.0.1:{server} HTTP/1.1".encode(), b"hello\n") == b"HELLO\n"
    assert [(v.target, v.is_allowed) for v in told.heard] == [(f"127.0.0.1:{server}", True)]


@pytest.mark.parametrize(
    ("rule", "target"),
    [
        ("pypi.org", "127.0.0.1:{port}"),
        ("*.example.org:{port}", "example.org:{port}"),
        ("127.0.0.1", "127.0.0.1:{port}"),
    ],
)
async def test_what_no_rule_names_is_refused_and_told(server: int, rule: str, target: str) -> None:
    told = Told(rule.format(port=server))
    async with told.proxy:
        assert b" 403 " in await told.ask(f"CONNECT {target.format(port=server)} HTTP/1.1".encode(), b"hello\n")
    assert [v.is_allowed for v in told.heard] == [False]


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:127.0.0.1"])
async def test_a_name_that_leads_into_this_network_is_refused(
    server: int, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def looked_up(*names: Any, **more: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", looked_up)
    told = Told(f"rebound.example.org:{server}")
    async with told.proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", told.proxy.port)
        writer.write(f"CONNECT rebound.example.org:{server} HTTP/1.1\r\n\r\n".encode())
        assert b" 403 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert "not public" in told.heard[0].why


@pytest.mark.parametrize(
    "head",
    [b"GET http://127.0.0.1/ HTTP/1.1", b"CONNECT nowhere", b"CONNECT :80 HTTP/1.1", b"CONNECT a:0 x", b"\xff\x00"],
)
async def test_other_requests_are_told_what_it_takes(head: bytes) -> None:
    told = Told("pypi.org")
    async with told.proxy:
        assert b" 405 " in await told.ask(head)
    assert told.heard == []


async def test_connections_are_counted_and_heads_are_short() -> None:
    told = Told("pypi.org")
    async with told.proxy:
        held = [await asyncio.open_connection("127.0.0.1", told.proxy.port) for _ in range(MAX_CONNECTIONS + 4)]
        await until(lambda: len(told.proxy._open) == MAX_CONNECTIONS)
        reader, writer = held[0]
        writer.write(b"CONNECT " + b"a" * 100_000 + b"\r\n")
        assert await reader.read() == b""
        for _, each in held:
            each.close()


async def test_it_serves_a_listening_socket_it_is_given(server: int) -> None:
    told = Told(f"127.0.0.1:{server}")
    async with told.proxy:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        await told.proxy.attach(listener)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"CONNECT 127.0.0.1:{server} HTTP/1.1\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()
