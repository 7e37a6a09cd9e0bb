"""A service really started and really asked: how long its answers take, and how much memory it holds.

The engine asks and looks at the processes itself, from outside: nothing the service says about itself counts. It is
confined as every check is, and ended with all it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from swarm_core.tools.bash import environment
from swarm_core.tools.child import Child
from swarm_core.tools.confine import landlock_abi
from swarm_core.tools.jail.choice import choose
from swarm_core.vocabulary.errors import PermissionDenied
from swarm_core.vocabulary.ids import ulid

from .confined import NOT_A_PROGRAM, NOT_FOUND, confinement
from .measured import Found, Measured, broken, not_measured
from .site import Site

REQUESTS = 50
WARM_UP = 3
READY_S = 30.0
ANSWER_S = 10.0
POLL_S = 0.02
MAX_ANSWER_BYTES = 16 << 20
SAMPLE_EVERY = 10
PERCENTILE = 95
MARK = "SWARM_SERVICE"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """What a series of requests came to: milliseconds of each, what went wrong, the most memory that was held."""

    times_ms: tuple[Fraction, ...]
    wrong: tuple[str, ...]
    peak_bytes: int


async def measure(site: Site) -> Measured:
    if site.spec.kind == "memory" and sys.platform != "linux":
        return not_measured("memory of processes can be seen on Linux only", "measure it there")
    try:
        kind = await asyncio.to_thread(choose, site.around.confines.setting)
    except PermissionDenied as error:
        return broken(f"the service could not be started: {error}", "swarm-tui doctor says what holds here")
    if kind == "bubblewrap":  # in a box of its own it could listen, and nobody outside could ask it
        if not landlock_abi():
            return not_measured("a service in a box cannot be asked", "measure it where the kernel has Landlock")
        kind = "landlock"
    port = int(site.spec.options.get("port", 0)) or _free_port()
    if await _answers(port):
        return not_measured(f"port {port} is taken", "stop what listens there, or leave port out and start on $PORT")
    mark = ulid()
    env = {**environment(site.tree, site.scratch), "PORT": str(port), MARK: mark}
    command = str(site.spec.options["start"]).replace("{port}", str(port))
    try:
        child = await Child.start(
            ["/bin/sh", "-c", command],
            cwd=site.tree,
            env=env,
            jail=confinement(site, site.tree, kind),
        )
    except (OSError, subprocess.SubprocessError, PermissionDenied) as error:
        return broken(f"the service could not be started: {error}", "see whether the tree is in order")
    said: list[bytes] = []
    listening = asyncio.create_task(_drain(child, said))
    asked, is_late = None, False
    try:
        async with asyncio.timeout(site.spec.timeout_s):
            if await _is_ready(site, child, port):
                asked = await _ask(site, port, mark)
            is_late = asked is None and not await child.ended(0)
    except TimeoutError:
        is_late = True
    finally:
        code = await child.end()
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
    output = b"\n".join([*said, bytes(child.complaints)]).decode("utf-8", "replace")
    if asked is not None:
        return _judged(site.spec.kind, asked, output)
    if is_late:
        hint = "let it listen on 127.0.0.1 at $PORT, or say port"
        return broken(f"nothing listened on port {port}, or it answered too slowly", hint, output)
    if code in (NOT_FOUND, NOT_A_PROGRAM):
        hint = "install what it needs, or correct start"
        return not_measured(f"the service is not installed here (exit {code})", hint, output, code)
    return broken(f"the service ended with exit {code} before it listened", "see its output for why", output, code)


def _judged(kind: str, asked: Asked, output: str) -> Measured:
    if asked.wrong:
        found = tuple(Found(text, severity="HIGH") for text in dict.fromkeys(asked.wrong))
        note = f"{len(asked.wrong)} of {len(asked.wrong) + len(asked.times_ms)} requests went wrong"
        return Measured("fail", None, "", found, note, output=output)
    if kind == "memory":
        if not asked.peak_bytes:
            return not_measured("its processes cannot be seen", "measure it where /proc shows them", output)
        return Measured(
            "", Fraction(asked.peak_bytes), "bytes", note=f"after {len(asked.times_ms)} requests", output=output
        )
    middle, high = percentile(asked.times_ms, 50), percentile(asked.times_ms, PERCENTILE)
    note = f"p95 of {len(asked.times_ms)} requests, half within {float(middle):.1f} ms"
    return Measured("", high, "ms", note=note, output=output)


def percentile(values: Sequence[Fraction], part: int) -> Fraction:
    """The smallest value that ``part`` per cent of all do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(len(values) * part / 100) - 1)]


# -- starting


async def _is_ready(site: Site, child: Child, port: int) -> bool:
    """Whether it listens before it ends, and in time."""
    until_s = site.clock.monotonic_s() + float(site.spec.options.get("ready", READY_S))
    while not await _answers(port):
        if await child.ended(POLL_S) or site.clock.monotonic_s() >= until_s:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _drain(child: Child, said: list[bytes]) -> None:
    """Its pipe never fills; the last lines are kept."""
    while (line := await child.line()) is not None:
        said.append(line.data[:500])
        del said[:-100]


# -- asking


async def _ask(site: Site, port: int, mark: str) -> Asked:
    options = site.spec.options
    path, count = str(options.get("path", "/")), int(options.get("requests", REQUESTS))
    times: list[Fraction] = []
    wrong: list[str] = []
    peak = 0
    for number in range(-WARM_UP, count):
        began_s = site.clock.monotonic_s()
        answer = await request(port, path)
        took_ms = Fraction(site.clock.monotonic_s() - began_s) * 1000
        if number >= 0:
            if answer:
                wrong.append(answer)
            else:
                times.append(took_ms)
        if number % SAMPLE_EVERY == 0 or number == count - 1:
            peak = max(peak, await asyncio.to_thread(resident_bytes, mark))
    return Asked(tuple(times), tuple(wrong), peak)


async def request(port: int, path: str) -> str:
    """One GET, read to its end. Why it went wrong, "" if it did not."""
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
                return await _answer(reader)
            finally:
                writer.close()
    except TimeoutError:
        return f"no answer within {ANSWER_S:g} s"
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        return f"no whole answer: {type(error).__name__}"


async def _answer(reader: asyncio.StreamReader) -> str:
    first = (await reader.readline()).split()
    if len(first) < 2 or not first[0].startswith(b"HTTP/") or not first[1].isdigit():
        return "the answer is not HTTP"
    length = -1
    while (line := await reader.readline()).strip():
        key, _, value = line.partition(b":")
        if key.strip().lower() == b"content-length" and value.strip().isdigit():
            length = min(int(value.strip()[:12]), MAX_ANSWER_BYTES)
    read = 0
    while read != length and (piece := await reader.read(1 << 16)):
        read += len(piece)
        if read > MAX_ANSWER_BYTES:
            return f"the answer is longer than {MAX_ANSWER_BYTES >> 20} MiB"
    return "" if first[1][:1] in (b"2", b"3") else f"status {int(first[1][:3])}"


def resident_bytes(mark: str) -> int:
    """Memory of all processes that carry the mark in their environment: what they hold in memory, shared parts once
    for each."""
    wanted = f"{MARK}={mark}".encode()
    total = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (place / "environ").read_bytes().split(b"\0"):
                total += int((place / "statm").read_text().split()[1]) * PAGE_BYTES
        except (OSError, ValueError, IndexError):
            continue
    return total
