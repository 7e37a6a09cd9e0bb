"""One function that runs git: hardened, off the event loop, at most one process a core."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.errors import GitFailed

from .hardening import ALWAYS, SETTINGS, leaked

TIMEOUT_S = 600.0
_STDERR_CHARS = 600
_POOL = ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2), thread_name_prefix="git")


@dataclass(frozen=True, slots=True)
class Output:
    """What a git command wrote. ``is_cut`` says that ``stdout`` ends at the limit that was asked for."""

    stdout: bytes
    code: int
    stderr: str = ""
    is_cut: bool = False

    @property
    def text(self) -> str:
        """Standard output without its last line break; bytes that are no UTF-8 survive a round trip."""
        return os.fsdecode(self.stdout).removesuffix("\n")

    @property
    def fields(self) -> list[str]:
        """The NUL-terminated fields of a ``-z`` command."""
        return os.fsdecode(self.stdout).split("\0")[:-1] if self.stdout else []


async def git(
    *args: str,
    dir: Path,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    ok: Collection[int] = (0,),
    limit_bytes: int | None = None,
) -> Output:
    """Run ``git ARGS`` in ``dir`` and return what it wrote.

    ``env`` is added to the hardened environment; ``input`` goes to standard input; ``limit_bytes`` stops a command
    that writes more. Raises GitFailed with the command, its status and the end of its messages if the status is not
    in ``ok``. A cancelled caller still waits for the process, so that no two commands ever meet on one ref or index.
    """
    command = ["git", *SETTINGS, "-C", str(dir), *args]

    def run() -> Output:
        with _started(command, dir, env or {}, takes_input=input is not None) as process:
            return _finished(process, input) if limit_bytes is None else _cut(process, limit_bytes)

    work = asyncio.get_running_loop().run_in_executor(_POOL, run)
    try:
        output = await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise
    if output.code not in ok and not output.is_cut:
        tail = clean(output.stderr[-_STDERR_CHARS:].strip()) or "no message"
        shown = clean(shlex.join(("git", *args)))[:300]
        raise GitFailed(f"{shown} ended with {output.code} in {clean(str(dir))}: {tail}")
    return output


def _started(command: list[str], dir: Path, env: Mapping[str, str], *, takes_input: bool) -> subprocess.Popen[bytes]:
    from git.cmd import Git  # 50 ms that a process without a repository need not pay
    from git.exc import GitCommandNotFound

    # GitPython can add to the inherited environment but not take away from it.
    unset = [part for name in leaked() if name not in env for part in ("-u", name)]
    try:
        # As a process: to wait with its own time limit, the library starts a thread for each command.
        started: Any = Git(str(dir)).execute(
            ["env", *unset, *command] if unset else command,
            istream=subprocess.PIPE if takes_input else None,
            env={**ALWAYS, **env},
            as_process=True,
            start_new_session=True,  # Ctrl-C in a terminal must not stop a command between two files
        )
    except GitCommandNotFound as error:
        raise GitFailed("git is not on the PATH", hint="install git 2.38 or newer") from error
    process: subprocess.Popen[bytes] = started.proc
    started.proc = None  # it would kill what it lets go of
    return process


def _finished(process: subprocess.Popen[bytes], input: bytes | None) -> Output:
    try:
        stdout, stderr = process.communicate(input, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        stderr += b"\nit was ended after %g s" % TIMEOUT_S
    return Output(stdout, process.returncode, os.fsdecode(stderr))


def _cut(process: subprocess.Popen[bytes], limit_bytes: int) -> Output:
    """The first ``limit_bytes`` of a command that takes no input; the rest is never made."""
    assert process.stdout is not None
    assert process.stderr is not None
    watchdog = threading.Timer(TIMEOUT_S, process.kill)
    watchdog.start()
    try:
        stdout = process.stdout.read(limit_bytes + 1)
        if len(stdout) > limit_bytes:
            process.kill()
            return Output(stdout[:limit_bytes], process.wait(), "", is_cut=True)
        stderr = process.stderr.read()
        return Output(stdout, process.wait(), os.fsdecode(stderr))
    finally:
        watchdog.cancel()
