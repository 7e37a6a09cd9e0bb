"""One child process in its own session: output gathered without blocking, and its group ends with the call."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from swarm_core.vocabulary.clock import Clock

from .jail import kin
from .jail.ladder import Prepared

TERM_GRACE_S = 2.0
DRAIN_S = 0.15
KILL_WAIT_S = 5.0
KEEP_BYTES = 8 * 1024 * 1024
TAIL_BYTES = 256 * 1024
FLOOD_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
Ending = Literal["exit", "timeout", "flood", "processes", "memory", "disk"]


class Captured:
    """Output: the first ``KEEP_BYTES``, the last ``TAIL_BYTES`` and the size of all of it."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.tail = bytearray()
        self.size_bytes = 0

    def feed(self, data: bytes) -> None:
        self.size_bytes += len(data)
        room = KEEP_BYTES - len(self.kept)
        self.kept += data[:room]
        if len(data) > room:
            self.tail += data[room:]
            del self.tail[:-TAIL_BYTES]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a process ended. ``exit_code`` is negative for a signal; ``holds_output``: children outlived it."""

    exit_code: int
    ended_by: Ending
    output: Captured
    holds_output: bool = False


@functools.cache
def _spawner() -> ThreadPoolExecutor:
    # A child's parent-death signal follows the thread that forked it: this thread lives as long as the process.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawn")


class Reader:
    """Gathers what comes out of a pipe, a chunk for each turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, captured: Captured) -> None:
        self.captured = captured
        self.ended: asyncio.Future[None] = loop.create_future()
        self.flooded: asyncio.Future[None] = loop.create_future()
        self._loop, self._fd = loop, fd
        os.set_blocking(fd, False)
        loop.add_reader(fd, self._take)

    def _take(self) -> bool:
        """Whether there may be more."""
        try:
            data = os.read(self._fd, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._fd)
            if not self.ended.done():
                self.ended.set_result(None)
            return False
        self.captured.feed(data)
        if self.captured.size_bytes > FLOOD_BYTES and not self.flooded.done():
            self.flooded.set_result(None)
        return True

    def sweep(self) -> None:
        """Take what is in the pipe now."""
        for _ in range(64):
            if self.ended.done() or not self._take():
                return

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self.ended.cancel()
        self.flooded.cancel()


class Exit:
    """Tells when a process is a zombie, before its number can belong to another one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, process: subprocess.Popen[bytes]) -> None:
        self.future: asyncio.Future[None] = loop.create_future()
        self._loop, self._fd = loop, -1
        if hasattr(os, "pidfd_open"):
            self._fd = os.pidfd_open(process.pid)
            loop.add_reader(self._fd, self._done)
        else:
            threading.Thread(target=self._wait, args=(process,), daemon=True).start()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._done)

    def _done(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
        if not self.future.done():
            self.future.set_result(None)

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
        self.future.cancel()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or (macOS) only a zombie is left
        os.killpg(process.pid, number)


def discard(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, all that came from it and is still below it, and bury it. Blocks until that is done."""
    kin.end_family(process.pid)
    _signal_group(process, signal.SIGKILL)
    process.wait()
    kin.LIVE.pids.discard(process.pid)


@dataclass(frozen=True, slots=True)
class Start:
    """What is forked, with the descriptors it alone closes: a cancelled caller may be gone by then.

    ``stdin`` is -1 for none; ``shared`` are descriptors the process gets under their own numbers.
    """

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    write_end: int
    jail: Callable[[], Prepared] | None
    stdin: int = -1
    shared: tuple[int, ...] = ()

    def __call__(self) -> subprocess.Popen[bytes]:
        try:
            with self.jail() if self.jail else contextlib.nullcontext() as jail, kin.LIVE.starting():
                process = subprocess.Popen(
                    jail.wrap(self.argv, self.cwd) if jail else self.argv,
                    cwd=self.cwd,
                    env=self.env,
                    stdin=subprocess.DEVNULL if self.stdin < 0 else self.stdin,
                    stdout=self.write_end,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=jail.in_child if jail else None,
                    pass_fds=(*self.shared, *(jail.pass_fds if jail else ())),
                )
                kin.LIVE.pids.add(process.pid)
                return process
        finally:
            self.close()

    def close(self) -> None:
        for fd in (self.write_end, self.stdin, *self.shared):
            if fd >= 0:
                os.close(fd)


async def spawn(start: Start) -> subprocess.Popen[bytes]:
    """Fork off the loop. Cancelled meanwhile, the process that comes out is killed and reaped."""
    starting = _spawner().submit(start)
    try:
        return await asyncio.shield(asyncio.wrap_future(starting))
    except asyncio.CancelledError:
        if starting.cancel():
            start.close()
        else:
            starting.add_done_callback(lambda done: None if done.exception() else discard(done.result()))
        raise


async def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    clock: Clock,
    timeout_s: float,
    jail: Callable[[], Prepared] | None = None,
    output: Captured | None = None,
) -> Outcome:
    """Run ``argv`` without input, in its own session; standard output and error are one stream.

    The call ends when the process itself ends: children that keep the output open are killed. At the timeout, and
    when it prints more than ``FLOOD_BYTES``, the group gets SIGTERM and 2 s later SIGKILL; cancelled, SIGKILL at once.
    ``jail`` is called off the loop, right before the fork; ``output`` can be looked at while the process runs. Raises
    what it raises, OSError or
    subprocess.SubprocessError if the process cannot be started.
    """
    loop = asyncio.get_running_loop()
    read_end, write_end = os.pipe()
    reader = Reader(loop, read_end, output or Captured())
    try:
        mark = secrets.token_hex(8)
        kin.adopt_orphans()
        process = await spawn(Start(argv, cwd, {**env, kin.MARK: mark}, write_end, jail))
        return await _watch(loop, process, reader, clock, timeout_s, mark)
    finally:
        reader.close()


async def _watch(
    loop: asyncio.AbstractEventLoop,
    process: subprocess.Popen[bytes],
    reader: Reader,
    clock: Clock,
    timeout_s: float,
    mark: str,
) -> Outcome:
    ended_by: Ending = "exit"
    holds_output = False
    gone = Exit(loop, process)
    timer = asyncio.ensure_future(clock.sleep(timeout_s))
    try:
        await asyncio.wait({gone.future, reader.flooded, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not gone.future.done():
            ended_by = "flood" if reader.flooded.done() else "timeout"
            _signal_group(process, signal.SIGTERM)
            await asyncio.wait({gone.future}, timeout=TERM_GRACE_S)
        else:
            await asyncio.wait({reader.ended}, timeout=DRAIN_S)
            reader.sweep()
            holds_output = not reader.ended.done()
    finally:
        timer.cancel()
        _signal_group(process, signal.SIGKILL)
        try:
            await asyncio.wait({gone.future}, timeout=KILL_WAIT_S)
        finally:
            gone.close()
            if process.poll() is None:
                threading.Thread(target=discard, args=(process,), daemon=True).start()
            else:
                kin.LIVE.pids.discard(process.pid)
            if kin.LIVE.strays(mark):
                threading.Thread(target=kin.end_strays, args=(mark,), daemon=True).start()
    reader.sweep()
    return Outcome(
        -signal.SIGKILL if process.returncode is None else process.returncode, ended_by, reader.captured, holds_output
    )
