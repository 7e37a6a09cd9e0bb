"""One function that runs git: hardened, off the event loop, at most one process a core."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.errors import GitFailed

from .hardening import ALWAYS, SETTINGS, environment, leaked

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
    run: Callable[[], Output]
    if input is None and limit_bytes is None:

        def run() -> Output:
            return _through_gitpython(command, dir, env or {})
    else:

        def run() -> Output:
            return _through_subprocess(command, env or {}, input or b"", limit_bytes)

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


def _through_gitpython(command: list[str], dir: Path, env: Mapping[str, str]) -> Output:
    from git.cmd import Git  # 50 ms that a process without a repository need not pay
    from git.exc import GitCommandNotFound

    # GitPython can add to the inherited environment but not take away from it.
    unset = [part for name in leaked() if name not in env for part in ("-u", name)]
    try:
        code, stdout, stderr = Git(str(dir)).execute(
            ["env", *unset, *command] if unset else command,
            env={**ALWAYS, **env},
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
            kill_after_timeout=TIMEOUT_S,
            start_new_session=True,  # Ctrl-C in a terminal must not stop a command between two files
        )
    except GitCommandNotFound as error:
        raise GitFailed("git is not on the PATH", hint="install git 2.38 or newer") from error
    return Output(bytes(stdout), int(code), stderr if isinstance(stderr, str) else os.fsdecode(stderr))


def _through_subprocess(command: list[str], env: Mapping[str, str], input: bytes, limit_bytes: int | None) -> Output:
    try:
        process = subprocess.Popen(
            command,
            env=environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise GitFailed("git is not on the PATH", hint="install git 2.38 or newer") from error
    with process:
        watchdog = threading.Timer(TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            if limit_bytes is None:
                stdout, stderr = process.communicate(input)
                return Output(stdout, process.returncode, os.fsdecode(stderr))
            return _read_some(process, limit_bytes)
        finally:
            watchdog.cancel()


def _read_some(process: subprocess.Popen[bytes], limit_bytes: int) -> Output:
    """The first ``limit_bytes`` of a command that takes no input; the rest is never made."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.close()
    stdout = process.stdout.read(limit_bytes + 1)
    if len(stdout) > limit_bytes:
        process.kill()
        return Output(stdout[:limit_bytes], process.wait(), "", is_cut=True)
    stderr = process.stderr.read()
    return Output(stdout, process.wait(), os.fsdecode(stderr))
