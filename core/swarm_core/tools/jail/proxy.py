"""The only way to the network that an agent may have: an HTTP CONNECT proxy that knows names and says what it decided.

Names are looked up here, and what they lead to has to be a public address: a name in somebody
else's hands must not reach this machine or its network. An address written out, or a name with ``localhost``, is
reached only if it is the rule itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Self

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.network import Rule

HEAD_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 20.0
MAX_HEAD_BYTES = 16 * 1024
MAX_CONNECTIONS = 64
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about ``host:port``; ``why`` names the rule, or what is missing."""

    host: str
    port: int
    is_allowed: bool
    why: str

    @property
    def target(self) -> str:
        return f"{self.host}:{self.port}"


Hear = Callable[[Verdict], Awaitable[None]]


class Proxy:
    """Serves one agent. ``port`` is where it listens on loopback; ``hear`` is told of every decision before it counts.

    ``attach`` takes a further listening socket: one that was made inside an agent's own network.
    """

    def __init__(self, rules: Sequence[Rule], hear: Hear) -> None:
        self._rules, self._hear = tuple(rules), hear
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        await self.attach(listener)
        return self

    async def __aexit__(self, *what: object) -> None:
        for server in self._servers:
            server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def attach(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        self._servers.append(await asyncio.start_server(self._taken, sock=listener, limit=MAX_HEAD_BYTES))

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._open.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            return
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            head = await reader.readuntil(b"\r\n\r\n")
        method, target, *_ = (*head.split(b"\r\n", 1)[0].decode("latin-1").split(" "), "", "")
        found = _host_and_port(target) if method == "CONNECT" else None
        if found is None:
            await _answer(writer, "405 Method Not Allowed", "this proxy takes CONNECT host:port (https) only")
            return
        verdict, addresses = await self._judge(*found)
        await self._hear(verdict)
        if not verdict.is_allowed:
            await _answer(writer, "403 Forbidden", f"{verdict.target}: {verdict.why}")
            return
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                far_reader, far_writer = await _first(addresses, verdict.port)
        except (OSError, TimeoutError) as error:
            await _answer(writer, "502 Bad Gateway", f"{verdict.target}: {error}")
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))
        finally:
            far_writer.close()

    async def _judge(self, host: str, port: int) -> tuple[Verdict, list[str]]:
        rule = next((rule for rule in self._rules if rule.covers(host, port)), None)
        if rule is None:
            return Verdict(host, port, False, "no rule of this service's network allows it"), []
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            return Verdict(host, port, False, f"the name leads nowhere ({error.strerror or error})"), []
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        is_meant = host in ("localhost", *addresses) and rule.host == host
        if not is_meant and not all(_is_public(address) for address in addresses):
            return Verdict(host, port, False, "the name leads to an address that is not public"), []
        return Verdict(host, port, True, f"by {rule.host}:{rule.port}"), addresses


def _host_and_port(target: str) -> tuple[str, int] | None:
    host, colon, port = target.rpartition(":")
    host = clean_line(host.strip("[]").rstrip(".").casefold(), 253)
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        return None
    return host, int(port)


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None) or found
    return bool(inner.is_global) and not inner.is_multicast


async def _first(addresses: Sequence[str], port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the first of the addresses that were judged; the name is not looked up again."""
    last: OSError = OSError("it has no address")
    for address in addresses:
        try:
            return await asyncio.open_connection(address, port)
        except OSError as error:
            last = error
    raise last


async def _answer(writer: asyncio.StreamWriter, status: str, text: str) -> None:
    body = (clean_line(text, 300) + "\n").encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    with contextlib.suppress(OSError):
        await writer.drain()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, until it ends."""
    try:
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof() if writer.can_write_eof() else writer.close()
