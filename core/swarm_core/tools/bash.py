"""The Bash tool: commands in a confined shell, with an environment built from an allow-list."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import PermissionDenied, ToolError

from .background import Background
from .base import Tool, ToolDefinition, ToolResult
from .beneath import open_directory
from .confine import Jail
from .jail.choice import choose
from .jail.confines import Confines
from .jail.ladder import Kind, grantable
from .jail.session import Shell
from .process import FLOOD_BYTES, KEEP_BYTES, Captured, Outcome
from .scope import Scope
from .shell import check_command, restricted_commands
from .shell_habits import is_no_failure, may_move_on
from .spill import PREVIEW_CHARS, fits, kept, preview

DEFAULT_TIMEOUT_MS = 120_000
MAX_TIMEOUT_MS = 600_000
MAX_COMMAND_CHARS = 64_000
BACKGROUND_LIMIT_S = 6 * 3600.0
_ADDED_CHARS = 600  # what a result says besides the output: how the command ended, what was refused

_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER", "LOGNAME")
_TOOLCHAINS = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT", "RUSTUP_HOME", "GOROOT", "JAVA_HOME", "NVM_DIR")
_EXCESS = {
    "processes": "it started too many processes",
    "memory": "its processes took too much memory",
    "disk": "it wrote too much, or the disk is nearly full",
}
_ABSENT = re.compile(
    r"""['"‘]?(/[^:'"‘’\n]+)['"’]?: No such file or directory|No such file or directory: ['"](/[^'"\n]+)"""
)
_BOXED = tuple(map(Path, ("/proc", "/dev", "/tmp")))
_REFUSED = re.compile(r"(?:^|: |\] )(?:Permission denied|Read-only file system)\b|PermissionError: \[Errno 13\]", re.M)
_REFUSED_PATH = re.compile(
    r"""['"‘]?([^\s:'"‘’]*/[^:'"‘’\n]*)['"’]?: (?:Permission denied|Read-only)|(?:denied|system): ['"]([^'"\n]+)"""
)

BASH = ToolDefinition(
    name="Bash",
    description=(
        "Run a Bash command in the worktree and return its output (standard output and error together). Each call "
        "begins in the directory where the last one ended; variables do not persist, and what it leaves running "
        "is ended with it. For a server or a long job set run_in_background, read it with BashOutput and end it with "
        "TaskStop. Commands write only below your directories and $TMPDIR; there is no network. git is for reading "
        "(status, diff, log, show, grep, blame); record work with the commit tool. Prefer Read, Edit, Write, Glob and "
        "Grep for files."
    ),
    input_schema={
        "type": "object",
        "properties": {
            "command": {"type": "string", "description": "The command."},
            "timeout": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_TIMEOUT_MS,
                "description": (
                    f"Milliseconds (default {DEFAULT_TIMEOUT_MS}). A command that takes longer goes on in the "
                    "background; one with sleep or git is stopped."
                ),
            },
            "description": {"type": "string", "description": "What the command does, in five to ten words."},
            "run_in_background": {"type": "boolean", "description": "Start it and go on at once (default false)."},
        },
        "required": ["command"],
        "additionalProperties": False,
    },
)


def environment(tree: Path, scratch: Path) -> dict[str, str]:
    """The variables of an agent's processes: no credential and no setting of the person gets in.

    Caches of common tools lead to the scratch directory, since the top of the tree may not be writable.
    """
    chosen = {name: value for name in (*_INHERITED, *_TOOLCHAINS) if (value := os.environ.get(name))}
    temporary, caches = scratch / "tmp", scratch / "cache"
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        **chosen,
        "HOME": str(scratch),
        "TMPDIR": str(temporary),
        "TERM": "dumb",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "GIT_CEILING_DIRECTORIES": str(tree.parent),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": shlex.join(["-o", f"cache_dir={caches / 'pytest'}"]),
        "MYPY_CACHE_DIR": str(caches / "mypy"),
        "RUFF_CACHE_DIR": str(caches / "ruff"),
        "COVERAGE_FILE": str(scratch / ".coverage"),
        "XDG_CACHE_HOME": str(caches),
    }


def proxied(port: int) -> dict[str, str]:
    """What tells programs to use the proxy on this port; nothing without one."""
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    return dict.fromkeys(names, f"http://127.0.0.1:{port}") if port else {}


def bash_tools(scope: Scope, scratch: Path, clock: Clock, confines: Confines | None = None) -> list[Tool]:
    """Bash in ``scope.tree``, judged as text first, then run in confinement; and the tools for its background."""
    background = Background(clock)
    commands = _Commands(scope, scratch, clock, background, confines or Confines())
    return [Tool(BASH, commands.call, close=commands.close), *background.tools()]


class _Commands:
    """The commands of one agent. What lasts from one to the next is the directory, and the shell that runs them.

    A command that goes on in the background keeps the shell it runs in; the next one gets another.
    """

    def __init__(self, scope: Scope, scratch: Path, clock: Clock, background: Background, confines: Confines) -> None:
        self._confines = confines
        self._shell: Shell | None = None
        self._scratch = Path(os.path.realpath(scratch))
        self._scope = replace(scope, scratch=self._scratch)
        self._clock, self._background = clock, background
        self._restricted = restricted_commands(scope.service.tools_restricted)
        self._variables = {"HOME": str(self._scratch), "TMPDIR": str(self._scratch / "tmp")}
        self._directory = self._scope.tree
        self._kind: Kind = "none"
        self._roots: tuple[Path, ...] = ()

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        command = str(arguments["command"])
        if "\0" in command or len(command) > MAX_COMMAND_CHARS or not command.strip():
            raise ToolError(
                f"the command is empty, holds a NUL character or is longer than {MAX_COMMAND_CHARS} characters",
                hint="write a long script to a file with Write and run that",
            )
        timeout_s = min(int(arguments.get("timeout", DEFAULT_TIMEOUT_MS)), MAX_TIMEOUT_MS) / 1000
        start = await asyncio.to_thread(self._judged, command)
        goes_on = bool(arguments.get("run_in_background")) and self._may_run_on()
        try:
            if goes_on:
                return await self._begin(command, start)
            if may_move_on(command) and not self._background.is_full:
                return await self._run_or_move_on(command, start, timeout_s)
            outcome, place = await self._run(command, start, timeout_s, Captured())
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise ToolError(
                f"the command could not be started: {error}", hint="try again; report it if it persists"
            ) from error
        return await asyncio.to_thread(self._finished, outcome, command, timeout_s, place)

    def _judged(self, command: str) -> Path:
        """The directory in which the command begins, if it may run there. Raises PermissionDenied."""
        try:
            self._scope.check_read(self._directory)
            is_there = self._directory.is_dir()
        except PermissionDenied:
            is_there = False
        if not is_there:  # it was removed, or replaced by a link, since
            self._directory = self._scope.tree
        check_command(
            command,
            scope=self._scope,
            restricted=self._restricted,
            variables=self._variables,
            directory=str(self._directory),
        )
        return self._directory

    def _may_run_on(self) -> bool:
        if self._background.is_full:
            raise ToolError("too many commands run in the background", hint="end one with TaskStop first")
        return True

    async def _run(self, command: str, start: Path, limit_s: float, output: Captured) -> tuple[Outcome, str]:
        """Run to the end; also where it ended, empty if it did not tell."""
        shell, self._shell = self._shell or await self._new_shell(), None
        outcome, place = await shell.run(command, start, timeout_s=limit_s, output=output)
        if self._shell is None and shell.is_alive:
            self._shell = shell
        else:
            await shell.close()
        return outcome, place

    async def _new_shell(self) -> Shell:
        """Raises PermissionDenied if commands cannot be confined here."""
        kind = await asyncio.to_thread(choose, self._confines.setting)
        reach = await asyncio.to_thread(self._confines.reach, self._scope, self._scratch)
        env = environment(self._scope.tree, self._scratch) | proxied(reach.port)
        self._kind, self._roots = kind, reach.roots
        return Shell(_bash(), kind, reach, env, self._clock, self._confines.gateway)

    async def close(self) -> None:
        """End the shell."""
        if self._shell is not None:
            shell, self._shell = self._shell, None
            await shell.close()

    async def _begin(self, command: str, start: Path) -> ToolResult:
        output = Captured()
        name = self._background.adopt(command, output, asyncio.create_task(self._alone(command, start, output)))
        text = f"It runs in the background as {name}. Read it with BashOutput, end it with TaskStop; it ends with you."
        return ToolResult(text, target=clean_line(command, 200))

    async def _alone(self, command: str, start: Path, output: Captured) -> Outcome:
        return (await self._run(command, start, BACKGROUND_LIMIT_S, output))[0]

    async def _run_or_move_on(self, command: str, start: Path, timeout_s: float) -> ToolResult:
        """Wait for the command; past its time it goes on in the background."""
        output, where = Captured(), list[str]()

        async def to_the_end() -> Outcome:
            outcome, place = await self._run(command, start, BACKGROUND_LIMIT_S, output)
            where.append(place)
            return outcome

        job = asyncio.create_task(to_the_end())
        timer = asyncio.ensure_future(self._clock.sleep(timeout_s))
        try:
            await asyncio.wait({job, timer}, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            job.cancel()
            await asyncio.wait({job})
            raise
        finally:
            timer.cancel()
        if job.done():
            return await asyncio.to_thread(self._finished, job.result(), command, timeout_s, where[0])
        shown = await asyncio.to_thread(_shown, output, self._scratch, False)
        name = self._background.adopt(command, output, job)
        text = f"Still running after {timeout_s:g} s: it goes on in the background as {name}. Read it with BashOutput, "
        return ToolResult(f"{text}end it with TaskStop. So far:\n{shown}", target=clean_line(command, 200))

    def _finished(self, outcome: Outcome, command: str, timeout_s: float, place: str) -> ToolResult:
        result = _result(outcome, command, timeout_s, self._scratch, self._moved(place))
        denied = self._denial(result.text) if self._kind != "none" else None
        if denied is None:
            return result
        return replace(result, text=f"{result.text}\n[{denied.message}. {denied.hint}.]", denied=denied)

    def _denial(self, text: str) -> PermissionDenied | None:
        """The refusal that the confinement put into the output, if it looks like one."""
        if _REFUSED.search(text) is not None:
            return _refusal(text, self._scope, self._scratch)
        own = (self._scope.tree, self._scratch, *_BOXED, *self._roots)
        return _absence(text, own) if self._kind == "bubblewrap" else None

    def _moved(self, place: str) -> str:
        """Take over the directory in which a command ended; a notice if that changes something."""
        if not place or place == str(self._directory):
            return ""
        try:
            self._directory = self._scope.check_read(place)
        except (PermissionDenied, ToolError):
            self._directory = self._scope.tree
            return f"\n[{clean_line(place, 200)} is outside your worktree: the next command begins at its top]"
        return f"\n[the next command begins in {clean_line(self._scope.shown(self._directory), 200)}]"


def _bash() -> str:
    found = shutil.which("bash") or ("/bin/bash" if Path("/bin/bash").exists() else None)
    if found is None:
        raise ToolError("bash is not installed on this machine", hint="use the file tools")
    return found


def jail_for(scope: Scope, scratch: Path, *, connects: bool = False) -> Jail:
    """A confinement to the service's directories, created where they are missing, and the scratch directory.

    ``connects`` leaves TCP open, for a process that has to reach a model.
    """
    for directory in (scratch, scratch / "tmp", scratch / "cache"):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    held: list[int] = []
    try:
        for parts in scope.writable:
            if (fd := grantable(scope.tree, parts)) is not None:
                held.append(fd)
        held.append(open_directory(scratch, ()))
        return Jail(held, connects=connects)
    finally:
        for fd in held:
            os.close(fd)


def _result(outcome: Outcome, command: str, timeout_s: float, scratch: Path, moved: str) -> ToolResult:
    """The text for the model. Runs off the loop: it may decode megabytes and write a file."""
    failed = outcome.ended_by != "exit" or outcome.exit_code != 0
    text = _shown(outcome.output, scratch, failed)
    if outcome.holds_output:
        text += "\n[processes it left in the background were ended with it]"
    text += moved
    is_error = True
    if outcome.ended_by == "timeout":
        text = f"Stopped after {timeout_s:g} s (timeout).\n{text}"
    elif outcome.ended_by == "flood":
        text = f"Stopped: it printed more than {FLOOD_BYTES // 2**20} MiB.\n{text}"
    elif outcome.ended_by != "exit":
        text = f"Stopped: {_EXCESS[outcome.ended_by]}.\n{text}"
    elif outcome.exit_code < 0:
        text = f"Ended by signal {-outcome.exit_code} ({signal.strsignal(-outcome.exit_code)}).\n{text}"
    elif outcome.exit_code:
        text = f"Exit code {outcome.exit_code}\n{text}"
        is_error = not is_no_failure(command, outcome.exit_code)
    else:
        is_error = False
    return ToolResult(text, is_error, target=clean_line(command, 200))


def _shown(output: Captured, scratch: Path, failed: bool) -> str:
    """Output as text; what is too long is cut in the middle and kept in a file that Read and Grep reach."""
    text = output.kept.decode("utf-8", "replace")
    if output.size_bytes <= KEEP_BYTES and fits(text + " " * _ADDED_CHARS, is_error=failed):
        return text.rstrip("\n") or "(no output)"
    tail = text[-PREVIEW_CHARS:] + output.tail.decode("utf-8", "replace")
    path = kept(output.kept, scratch)
    where = (
        f"all of it is in {path}"
        if output.size_bytes <= KEEP_BYTES
        else f"its first {KEEP_BYTES // 2**20} MiB are in {path}"
    )
    return preview(text, tail.rstrip("\n"), f"{output.size_bytes} bytes of output; {where}")


def _refusal(text: str, scope: Scope, scratch: Path) -> PermissionDenied:
    where = _REFUSED_PATH.search(text)
    target = clean_line((where[1] or where[2]) if where else "", 200)
    allowed = [f"{scope.shown(scope.tree.joinpath(*parts))}" for parts in scope.writable]
    return PermissionDenied(
        f"a write{' to ' + target if target else ''} or a connection was refused by the confinement",
        rule="confined",
        target=target,
        hint=f"commands write only below {', '.join([*allowed, str(scratch)])} and have no network",
    )


def _absence(text: str, own: Sequence[Path]) -> PermissionDenied | None:
    """In a box, what is outside is not there. Said of every such place, whether there is something or not."""
    for found in _ABSENT.finditer(text):
        path = os.path.normpath(found[1] or found[2])
        if not any(Path(path).is_relative_to(top) for top in own):
            return PermissionDenied(
                f"{clean_line(path, 200)} is outside what commands can see",
                rule="confined",
                target=clean_line(path, 200),
                hint="commands see the worktree, $TMPDIR and the installed programs",
            )
    return None
