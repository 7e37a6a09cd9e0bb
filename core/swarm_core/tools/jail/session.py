"""One confined shell for an agent: a command costs a fork instead of a confinement.

The shell reads requests from a pipe, runs each in a subshell and answers on another pipe with the number that came
with the request and the exit code. Commands have neither pipe. A command that forges an answer all the same (it may
look into the shell: both are in the same confinement) lies about itself alone: confinement, limits and the sweep of
what it left running do not rest on the answer.

The directory persists as far as the command told it; the engine gives it to the next one. Variables, options and
functions end with the subshell. A command that takes too long, too much, or the shell's life ends the shell, and the
next command gets a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shlex
import signal
import socket
import stat
import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from swarm_core.tools.beneath import open_file
from swarm_core.tools.process import TERM_GRACE_S, Captured, Ending, Exit, Outcome, Reader, Start, discard, spawn
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import PermissionDenied, ToolError

from . import kin
from .canary import Canaries
from .group import Group
from .ladder import Kind, prepare
from .reach import Reach

WATCH_EVERY_S = 0.25
START_TIMEOUT_S = 30.0
SPARE_PROCESSES = 64  # until it is counted that there are too many
MAX_DIRECTORY_BYTES = 4096
_PIPE_BYTES = 4096
_SHARED_MEMORY = Path("/dev/shm")
# One line, so that the line numbers in messages are those of the command.
_DRIVER = (
    "while IFS= read -r -d '' token && IFS= read -r -d '' place && IFS= read -r -d '' text; do "
    '( exec {status}>&- </dev/null >/dev/fd/1 2>&1; cd -- "$place" || exit 1; '
    "trap {told} EXIT; "
    'eval "set --; unset -v token place text; $text" ); '
    'echo "$token $?" >&{status}; done'
)

# Makes a listening socket in the network it runs in and hands it out.
_LISTEN = """\
import socket, sys
there = socket.socket(fileno=int(sys.argv[1]))
listener = socket.socket()
listener.bind(("127.0.0.1", int(sys.argv[2])))
listener.listen(64)
socket.send_fds(there, [b"x"], [listener.fileno()])
"""


@dataclass(slots=True)
class _Living:
    """A shell that runs: its process, the ends of its pipes that are ours, and the processes that make it up."""

    process: subprocess.Popen[bytes]
    requests: int
    answers: int
    output: int
    mark: str
    handover: socket.socket | None
    there: int
    group: Group | None
    own: frozenset[int] = field(default_factory=frozenset)

    def end(self) -> None:
        """Kill it with all that came from it. Blocks until that is done."""
        for fd in (self.requests, self.answers, self.output):
            with contextlib.suppress(OSError):
                os.close(fd)
        if self.handover is not None:
            self.handover.close()
        discard(self.process)
        kin.LIVE.marks.discard(self.mark)
        kin.end_strays(self.mark)
        if self.group is not None:
            self.group.close()


class Gateway(Protocol):
    """The way to the network: a proxy on loopback at ``port``."""

    port: int

    async def attach(self, listener: socket.socket) -> None:
        """Serve a further listening socket, made in a network of its own."""
        ...


class Shell:
    """The shell of one agent. ``run`` starts it when there is none; ``close`` ends it, and so does forgetting it."""

    def __init__(
        self,
        bash: str,
        kind: Kind,
        reach: Reach,
        env: Mapping[str, str],
        clock: Clock,
        gateway: Gateway | None = None,
    ) -> None:
        self._bash = bash
        self.kind, self.reach, self._gateway = kind, reach, gateway
        self._env, self._clock = env, clock
        self._living: _Living | None = None
        self._finalizer: Callable[[], object] = lambda: None
        self._turn = asyncio.Lock()

    @property
    def is_alive(self) -> bool:
        return self._living is not None

    async def run(
        self, command: str, directory: Path, *, timeout_s: float, output: Captured | None = None
    ) -> tuple[Outcome, str]:
        """Run ``command`` in ``directory``; also where it said it ended, empty if it did not.

        ``output`` can be looked at meanwhile. Raises PermissionDenied if the confinement does not hold here,
        ToolError if no shell can be started.
        """
        async with self._turn:
            living = self._living or await self._start()
            try:
                outcome, is_alive = await self._command(living, command, directory, timeout_s, output or Captured())
            except BaseException:
                await self._end()
                raise
            if not is_alive:
                await self._end()
            return outcome, await asyncio.to_thread(self._told, living.mark)

    async def close(self) -> None:
        """End the shell and everything in it."""
        async with self._turn:
            await self._end()

    # -- life and death

    async def _start(self) -> _Living:
        """A new shell, trusted after its first command tried to get out and could not."""
        kin.adopt_orphans()
        living = await self._spawn()
        self._living, self._finalizer = living, weakref.finalize(self, living.end)
        try:
            canaries = await asyncio.to_thread(Canaries, self.reach)
            try:
                outcome, is_alive = await self._alone(living, canaries.script)
                proof = await asyncio.to_thread(
                    canaries.proof, self.kind, outcome.output.kept.decode("utf-8", "replace")
                )
            finally:
                await asyncio.to_thread(canaries.close)
            if is_alive and self._gateway is not None and self.kind == "bubblewrap":
                await self._open_gateway(living, self._gateway)
        except BaseException:
            await self._end()
            raise
        if not is_alive or (self.kind != "none" and not proof.holds):
            await self._end()
            said = clean_line(outcome.output.kept.decode("utf-8", "replace").strip(), 300)
            raise PermissionDenied(
                f"the confinement ({self.kind}) was tried and failed: {', '.join(proof.broken)}. {said}".strip(),
                rule="unconfined",
                hint="use the file tools, and say in your handoff that commands cannot run here",
            )
        return living

    async def _open_gateway(self, living: _Living, gateway: Gateway) -> None:
        """Have the gateway listen inside the box's own network, where nothing else listens."""
        assert living.handover is not None
        words = [sys.executable, "-I", "-S", "-c", _LISTEN, str(living.there), str(gateway.port)]
        outcome, _ = await self._alone(living, shlex.join(words))
        try:
            _, fds, _, _ = socket.recv_fds(living.handover, 1, 1)
            await gateway.attach(socket.socket(fileno=fds[0]))
        except (OSError, IndexError) as error:
            said = clean_line(outcome.output.kept.decode("utf-8", "replace").strip(), 300)
            raise ToolError(f"the network could not be opened: {error} {said}", hint="work without it") from error

    async def _spawn(self) -> _Living:
        mark = secrets.token_hex(8)
        (take, give), (hear, answer), (read, write) = os.pipe(), os.pipe(), os.pipe()
        told = shlex.quote(f"pwd -P >{shlex.quote(str(self.reach.scratch / f'cwd-{mark}'))}")
        driver = _DRIVER.format(status=answer, told=told)
        ours, theirs = socket.socketpair() if self._gateway is not None else (None, None)
        there = theirs.detach() if theirs is not None else -1
        if ours is not None:
            ours.setblocking(False)
        group = await asyncio.to_thread(Group.make, self.reach.limits.processes + SPARE_PROCESSES)
        start = Start(
            [self._bash, "--noprofile", "--norc", "-c", driver, "bash"],
            self.reach.tree,
            {**self._env, kin.MARK: mark},
            write,
            lambda: prepare(self.kind, self.reach, group.join if group else None),
            take,
            (answer,) if there < 0 else (answer, there),
        )
        kin.LIVE.marks.add(mark)
        try:
            process = await spawn(start)
        except BaseException as error:
            for fd in (give, hear, read):
                os.close(fd)
            kin.LIVE.marks.discard(mark)
            if group is not None:
                group.close()
            if isinstance(error, (OSError, subprocess.SubprocessError)):
                hint = "try again; report it if it persists"
                raise ToolError(f"the command could not be started: {error}", hint=hint) from error
            raise
        for fd in (give, hear, read):
            os.set_blocking(fd, False)
        return _Living(process, give, hear, read, mark, ours, there, group)

    async def _end(self) -> None:
        if self._living is not None:
            self._living = None
            await asyncio.shield(asyncio.to_thread(self._finalizer))

    # -- one command

    async def _alone(self, living: _Living, command: str) -> tuple[Outcome, bool]:
        return await self._command(living, command, self.reach.tree, START_TIMEOUT_S, Captured())

    async def _command(
        self, living: _Living, command: str, directory: Path, timeout_s: float, output: Captured
    ) -> tuple[Outcome, bool]:
        """What came of it, and whether the shell is still there."""
        loop = asyncio.get_running_loop()
        token = secrets.token_hex(8)
        reader = Reader(loop, os.dup(living.output), output)
        answer = _Answer(loop, living.answers, token)
        gone = Exit(loop, living.process)
        timer = asyncio.ensure_future(self._clock.sleep(timeout_s))
        watch = asyncio.ensure_future(self._watch(living))
        asking = asyncio.ensure_future(_ask(living.requests, f"{token}\0{directory}\0{command}\0"))
        try:
            waited: set[asyncio.Future[Any]] = {answer.future, gone.future, reader.flooded, timer, watch}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            ended_by: Ending = "exit"
            if not answer.future.done() and not gone.future.done():
                ended_by = "flood" if reader.flooded.done() else watch.result() if watch.done() else "timeout"
                if ended_by == "timeout":
                    await asyncio.to_thread(_ask_to_end, living)
                    await asyncio.wait(waited - {timer}, timeout=TERM_GRACE_S, return_when=asyncio.FIRST_COMPLETED)
            if not answer.future.done():
                await asyncio.wait({gone.future}, timeout=0.2)
            has_left = False
            if ended_by == "exit" and answer.future.done():
                has_left = await self._sweep(living)
            reader.sweep()
            if ended_by != "exit" or not answer.future.done():
                code = answer.future.result() if answer.future.done() else _code(living.process)
                return Outcome(code, ended_by, reader.captured), False
            return Outcome(answer.future.result(), ended_by, reader.captured, has_left), True
        finally:
            for task in (timer, watch, asking):
                task.cancel()
            await asyncio.gather(timer, watch, asking, return_exceptions=True)
            answer.close()
            gone.close()
            reader.close()

    async def _sweep(self, living: _Living) -> bool:
        """End what the command left running; whether there was anything."""
        own = kin.family(living.process.pid)
        if not living.own:
            # The first answer: nothing but the shell itself is there yet.
            living.own = frozenset(own)
            return False
        left = 0
        if any(pid not in living.own for pid in own):
            left = await asyncio.to_thread(kin.end_family, living.process.pid, spare=living.own)
        if kin.LIVE.strays(living.mark):
            left += await asyncio.to_thread(kin.end_strays, living.mark)
        return left > 0

    async def _watch(self, living: _Living) -> Ending:
        """Return when the command takes more than its limits allow; until then, measure now and then."""
        free_bytes = 0
        while True:
            await self._clock.sleep(WATCH_EVERY_S)
            free_bytes = free_bytes or await asyncio.to_thread(_free_bytes, self.reach.tree)
            if ending := await asyncio.to_thread(self._excess, living, free_bytes):
                return ending

    def _excess(self, living: _Living, free_before_bytes: int) -> Ending | None:
        limits, reach = self.reach.limits, self.reach
        pids = kin.family(living.process.pid, *kin.LIVE.strays(living.mark))
        if len(pids) > limits.processes:
            return "processes"
        if kin.memory_bytes(pids) > limits.memory_bytes:
            return "memory"
        if self.kind != "bubblewrap" and _is_half_full(_SHARED_MEMORY):
            return "memory"
        free_bytes = _free_bytes(reach.tree)
        if free_bytes < limits.free_bytes and free_bytes < free_before_bytes:
            return "disk"
        if free_before_bytes - free_bytes > limits.disk_bytes:
            own = (*(reach.tree.joinpath(*parts) for parts in reach.writable), reach.scratch)
            return "disk" if kin.disk_bytes(*own) > limits.disk_bytes else None
        return None

    def _told(self, mark: str) -> str:
        """Where the last command said it ended, in a file of the scratch directory that goes with it."""
        name = f"cwd-{mark}"
        try:
            with open(open_file(self.reach.scratch, (name,)), "rb") as file:
                data = file.read(MAX_DIRECTORY_BYTES) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
            (self.reach.scratch / name).unlink()
        except OSError:
            return ""
        text = os.fsdecode(data)
        return text.removesuffix("\n") if text.startswith("/") and text.endswith("\n") else ""


class _Answer:
    """Waits on the pipe of answers for the line that begins with ``token``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, token: str) -> None:
        self.future: asyncio.Future[int] = loop.create_future()
        self._loop, self._fd, self._token, self._text = loop, fd, token.encode(), b""
        loop.add_reader(fd, self._take)

    def _take(self) -> None:
        try:
            data = os.read(self._fd, _PIPE_BYTES)
        except BlockingIOError:
            return
        *lines, self._text = (self._text + data)[-_PIPE_BYTES:].split(b"\n")
        for line in lines:
            words = line.split()
            if len(words) == 2 and words[0] == self._token and words[1].isdigit() and not self.future.done():
                self.future.set_result(int(words[1]) & 0xFF)
        if not data or self.future.done():
            self._loop.remove_reader(self._fd)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        self.future.cancel()


async def _ask(fd: int, text: str) -> None:
    """Write a request. A shell that does not read it is a shell that does not answer: others see to that."""
    loop, data = asyncio.get_running_loop(), text.encode("utf-8", "surrogateescape")
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            await _writable(loop, fd)
        except OSError:
            return


async def _writable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    room = asyncio.Event()
    loop.add_writer(fd, room.set)
    try:
        await room.wait()
    finally:
        loop.remove_writer(fd)


def _ask_to_end(living: _Living) -> None:
    for pid in kin.family(living.process.pid):
        if pid not in living.own:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGTERM)


def _code(process: subprocess.Popen[bytes]) -> int:
    code = process.poll()
    return -signal.SIGKILL if code is None else code


def _is_half_full(path: Path) -> bool:
    try:
        found = os.statvfs(path)
    except OSError:
        return False
    return found.f_bavail * 2 < found.f_blocks


def _free_bytes(path: Path) -> int:
    try:
        found = os.statvfs(path)
    except OSError:
        return 1 << 62
    return found.f_bavail * found.f_frsize
