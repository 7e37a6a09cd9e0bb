"""A confined process that is spoken with line by line, and that leaves nothing behind when it ends.

It runs in its own session. What it starts may leave that session, so every process it begets is also known by a mark
in its environment, by which the rest is found and ended (Linux; elsewhere only the session's group is ended).
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from swarm_core.vocabulary.ids import ulid

from .jail.ladder import Prepared
from .process import Exit, _signal_group, _spawner

MARK = "SWARM_CHILD"
MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_OUTPUT_BYTES = 256 * 1024 * 1024
STDERR_TAIL_BYTES = 4 * 1024
TERM_GRACE_S = 1.0
KILL_WAIT_S = 5.0
MAX_SWEEPS = 10
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end. ``is_cut``: it was longer than ``MAX_LINE_BYTES``, and only its beginning is here."""

    data: bytes
    is_cut: bool = False


class Child:
    """One process; ``start`` makes it. ``complaints`` is the end of what it wrote to standard error."""

    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        assert process.stdin
        self._process, self._mark = process, mark
        self._loop = asyncio.get_running_loop()
        self._gone = Exit(self._loop, process)
        self._input = process.stdin.fileno()
        os.set_blocking(self._input, False)
        self._turn = asyncio.Lock()
        self._buffer = bytearray()
        self._is_skipping = False
        self._is_at_end = False
        self._stdout = asyncio.StreamReader(_CHUNK_BYTES)
        self._transports: list[asyncio.BaseTransport] = []
        self._listening: asyncio.Task[None] | None = None
        self.complaints = bytearray()
        self.size_bytes = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(
        cls, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], jail: Callable[[], Prepared] | None = None
    ) -> Child:
        """Start ``argv`` with three pipes. ``jail`` is called off the loop, right before the fork.

        Raises what it raises, OSError or subprocess.SubprocessError if the process cannot be started.
        """
        mark = ulid()
        starting = _spawner().submit(_fork, argv, cwd, {**env, MARK: mark}, jail)
        try:
            process = await asyncio.shield(asyncio.wrap_future(starting))
        except asyncio.CancelledError:
            if not starting.cancel():
                starting.add_done_callback(lambda done: None if done.exception() else _discard(done.result()))
            raise
        child = cls(process, mark)
        try:
            await child._connect()
        except BaseException:
            await child.end()
            raise
        return child

    async def _connect(self) -> None:
        complaints = asyncio.StreamReader(_CHUNK_BYTES)
        for reader, pipe in ((self._stdout, self._process.stdout), (complaints, self._process.stderr)):
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await self._loop.connect_read_pipe(lambda p=protocol: p, pipe)  # type: ignore[misc]
            self._transports.append(transport)
        self._listening = asyncio.create_task(self._listen(complaints))

    async def _listen(self, complaints: asyncio.StreamReader) -> None:
        while data := await complaints.read(_CHUNK_BYTES):
            self.complaints += data
            del self.complaints[:-STDERR_TAIL_BYTES]

    # -- speaking

    async def line(self) -> Line | None:
        """The next line of its standard output, None at the end of it or when it wrote more than is bearable."""
        while not self._is_at_end:
            head, found, rest = self._buffer.partition(b"\n")
            if found:
                self._buffer = rest
                if not self._is_skipping:
                    return Line(bytes(head))
                self._is_skipping = False
                continue
            if self._is_skipping:
                self._buffer.clear()
            elif len(self._buffer) > MAX_LINE_BYTES:
                cut = Line(bytes(self._buffer[:_CHUNK_BYTES]), is_cut=True)
                self._buffer.clear()
                self._is_skipping = True
                return cut
            data = await self._stdout.read(_CHUNK_BYTES)
            self.size_bytes += len(data)
            self._is_at_end = not data or self.has_flooded
            self._buffer += data
        if self._buffer and not self._is_skipping and not self.has_flooded:
            last = Line(bytes(self._buffer[:MAX_LINE_BYTES]))
            self._buffer.clear()
            return last
        return None

    @property
    def has_flooded(self) -> bool:
        return self.size_bytes > MAX_OUTPUT_BYTES

    async def write(self, data: bytes) -> None:
        """Write all of ``data`` to its standard input. Raises BrokenPipeError if it takes no more."""
        async with self._turn:
            rest = memoryview(data)
            while rest:
                if self._input < 0:
                    raise BrokenPipeError("its input is closed")
                try:
                    rest = rest[os.write(self._input, rest) :]
                except BlockingIOError:
                    await self._writable()

    async def _writable(self) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        fd = self._input
        self._loop.add_writer(fd, lambda: None if ready.done() else ready.set_result(None))
        try:
            await asyncio.wait({ready, self._gone.future}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._loop.remove_writer(fd)

    def close_input(self) -> None:
        if self._input >= 0:
            self._loop.remove_writer(self._input)
            self._input = -1
            assert self._process.stdin
            self._process.stdin.close()

    # -- holding and ending

    def freeze(self) -> None:
        """Stop the processes of its session where they are."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:  # a number that was reaped may be another's
            _signal_group(self._process, number)

    async def ended(self, timeout_s: float) -> bool:
        """Whether the process itself ends in time; ``end`` tells how it did."""
        await asyncio.wait({self._gone.future}, timeout=timeout_s)
        return self._gone.future.done()

    async def end(self, grace_s: float = TERM_GRACE_S) -> int:
        """End it and everything it started: SIGTERM, then SIGKILL. Returns the exit code, negative for a signal.

        May be called again.
        """
        try:
            if not self._gone.future.done() and grace_s > 0:
                self.thaw()
                _signal_group(self._process, signal.SIGTERM)
                await asyncio.wait({self._gone.future}, timeout=grace_s)
        finally:
            # The leader is reaped last: until then its number, and so its group, belongs to nobody else.
            if self._process.returncode is None:
                _signal_group(self._process, signal.SIGKILL)
            await asyncio.shield(self._leave())
        code = self._process.poll()
        return -signal.SIGKILL if code is None else code

    async def _leave(self) -> None:
        await asyncio.wait({self._gone.future}, timeout=KILL_WAIT_S)
        self._process.poll()
        await asyncio.to_thread(_end_marked, f"{MARK}={self._mark}".encode())
        self.close_input()
        if self._listening is not None:
            await asyncio.wait({self._listening}, timeout=TERM_GRACE_S)
            self._listening.cancel()
        for transport in self._transports:
            transport.close()
        self._transports.clear()
        self._gone.close()


def _fork(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], jail: Callable[[], Prepared] | None
) -> subprocess.Popen[bytes]:
    made = jail() if jail else None
    try:
        return subprocess.Popen(
            made.wrap(argv, cwd) if made else argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=made.in_child if made else None,
            pass_fds=made.pass_fds if made else (),
        )
    finally:
        if made is not None:
            made.close()


def _discard(process: subprocess.Popen[bytes]) -> None:
    _signal_group(process, signal.SIGKILL)
    process.communicate()


def _end_marked(mark: bytes) -> None:
    """Kill every process that carries the mark, and those they start meanwhile."""
    for _ in range(MAX_SWEEPS):
        if not (found := _marked(mark)):
            return
        for pid in found:
            _kill_if_marked(pid, mark)


def _marked(mark: bytes) -> list[int]:
    try:
        names = [entry.name for entry in os.scandir("/proc") if entry.name.isdecimal()]
    except OSError:
        return []
    return [int(name) for name in names if _carries(int(name), mark)]


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False  # gone, a zombie, or somebody else's


def _kill_if_marked(pid: int, mark: bytes) -> None:
    """Hold the process while it is judged, so that its number cannot have become another's."""
    try:
        held = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _carries(pid, mark):
            signal.pidfd_send_signal(held, signal.SIGKILL)
    except OSError:
        return
    finally:
        os.close(held)
