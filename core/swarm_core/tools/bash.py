"""The Bash tool: a confined shell for each agent, with an environment built from an allow-list."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import PermissionDenied, ToolError
from swarm_core.vocabulary.ids import ulid

from .base import Tool, ToolDefinition, ToolResult
from .jail.choice import choose
from .jail.confines import Confines
from .jail.session import Shell
from .process import FLOOD_BYTES, KEEP_BYTES, Captured, Outcome
from .scope import Scope
from .shell import check_command, restricted_commands

DEFAULT_TIMEOUT_MS = 120_000
MAX_TIMEOUT_MS = 600_000
MAX_OUTPUT_CHARS = 30_000
MAX_COMMAND_CHARS = 64_000

_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER", "LOGNAME")
_TOOLCHAINS = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT", "RUSTUP_HOME", "GOROOT", "JAVA_HOME", "NVM_DIR")
_EXCESS = {
    "processes": "it started too many processes",
    "memory": "its processes took too much memory",
    "disk": "it wrote too much, or the disk is nearly full",
}
_REFUSED = re.compile(r"(?:^|: |\] )(?:Permission denied|Read-only file system)\b|PermissionError: \[Errno 13\]", re.M)
_REFUSED_PATH = re.compile(
    r"""['"‘]?([^\s:'"‘’]*/[^:'"‘’\n]*)['"’]?: (?:Permission denied|Read-only)|(?:denied|system): ['"]([^'"\n]+)"""
)
_ABSENT = re.compile(
    r"""['"‘]?(/[^:'"‘’\n]+)['"’]?: No such file or directory|No such file or directory: ['"](/[^'"\n]+)"""
)
_BOXED = tuple(map(Path, ("/proc", "/dev", "/tmp")))

BASH = ToolDefinition(
    name="Bash",
    description=(
        "Run a Bash command in the worktree and return its output (standard output and error together). The "
        "directory persists between calls, variables do not, and what a call leaves running is ended with it. Commands "
        "write only below your directories and $TMPDIR; there is no network. git is for reading (status, diff, log, "
        "show, grep, blame); record work with the commit tool. Prefer Read, Edit, Write, Glob and Grep for files."
    ),
    input_schema={
        "type": "object",
        "properties": {
            "command": {"type": "string", "description": "The command."},
            "timeout": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_TIMEOUT_MS,
                "description": f"Milliseconds until it is stopped (default {DEFAULT_TIMEOUT_MS}).",
            },
            "description": {"type": "string", "description": "What the command does, in five to ten words."},
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


def _proxied(port: int) -> dict[str, str]:
    """What tells programs to use the proxy; nothing without one."""
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    return dict.fromkeys(names, f"http://127.0.0.1:{port}") if port else {}


def bash_tool(scope: Scope, scratch: Path, clock: Clock, confines: Confines | None = None) -> Tool:
    """Bash in ``scope.tree``: judged as text first, then run in confinement."""
    scratch = Path(os.path.realpath(scratch))
    scope = replace(scope, scratch=scratch)
    confines = confines or Confines()
    restricted = restricted_commands(scope.service.tools_restricted)
    variables = {"HOME": str(scratch), "TMPDIR": str(scratch / "tmp")}
    shell: Shell | None = None
    opening = asyncio.Lock()

    async def its_shell() -> Shell:
        nonlocal shell
        async with opening:
            if shell is None:
                _bash()
                kind = await asyncio.to_thread(choose, confines.setting)
                reach = await asyncio.to_thread(confines.reach, scope, scratch)
                env = environment(scope.tree, scratch) | _proxied(reach.port)
                shell = Shell(kind, reach, env, clock, confines.gateway)
        return shell

    async def call(arguments: Mapping[str, Any]) -> ToolResult:
        command = str(arguments["command"])
        if "\0" in command or len(command) > MAX_COMMAND_CHARS or not command.strip():
            raise ToolError(
                f"the command is empty, holds a NUL character or is longer than {MAX_COMMAND_CHARS} characters",
                hint="write a long script to a file with Write and run that",
            )
        timeout_s = min(int(arguments.get("timeout", DEFAULT_TIMEOUT_MS)), MAX_TIMEOUT_MS) / 1000
        its = await its_shell()
        await asyncio.to_thread(
            check_command, command, scope=scope, restricted=restricted, variables=variables, directory=its.directory
        )
        outcome = await its.run(command, timeout_s=timeout_s)
        return await asyncio.to_thread(_result, outcome, command, timeout_s, scope, its)

    async def close() -> None:
        if shell is not None:
            await shell.close()

    return Tool(BASH, call, close=close)


def _bash() -> str:
    found = shutil.which("bash") or ("/bin/bash" if Path("/bin/bash").exists() else None)
    if found is None:
        raise ToolError("bash is not installed on this machine", hint="use the file tools")
    return found


def _result(outcome: Outcome, command: str, timeout_s: float, scope: Scope, shell: Shell) -> ToolResult:
    """The text for the model. Runs off the loop: it may decode megabytes and write a file."""
    text = _shown(outcome.output, shell.reach.scratch)
    if outcome.holds_output:
        text += "\n[processes it left in the background were ended with it]"
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
    else:
        is_error = False
    denied = _denial(text, scope, shell) if shell.kind != "none" else None
    if denied is not None:
        text += f"\n[{denied.message}. {denied.hint}.]"
    return ToolResult(text, is_error, target=clean_line(command, 200), denied=denied)


def _shown(output: Captured, scratch: Path) -> str:
    """Output as text; what is too long is cut in the middle and kept in a file that Read and Grep reach."""
    text = output.kept.decode("utf-8", "replace")
    if output.size_bytes <= KEEP_BYTES and len(text) <= MAX_OUTPUT_CHARS:
        return text.rstrip("\n") or "(no output)"
    half = MAX_OUTPUT_CHARS // 2
    tail = output.tail.decode("utf-8", "replace")
    tail = tail if len(tail) >= half else text + tail
    path = scratch / f"output-{ulid().lower()}.txt"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(output.kept)
    kept = (
        f"all of it is in {path}"
        if output.size_bytes <= KEEP_BYTES
        else f"its first {KEEP_BYTES // 2**20} MiB are in {path}"
    )
    notice = f"\n\n[… cut: {output.size_bytes} bytes of output; {kept} …]\n\n"
    return text[:half] + notice + tail[-half:].rstrip("\n")


def _denial(text: str, scope: Scope, shell: Shell) -> PermissionDenied | None:
    """The refusal that the confinement put into the output, if it looks like one."""
    if _REFUSED.search(text) is None:
        return _absence(text, shell) if shell.kind == "bubblewrap" else None
    where = _REFUSED_PATH.search(text)
    target = clean_line((where[1] or where[2]) if where else "", 200)
    allowed = [f"{scope.shown(scope.tree.joinpath(*parts))}" for parts in scope.writable]
    return PermissionDenied(
        f"a write{' to ' + target if target else ''} or a connection was refused by the confinement",
        rule="confined",
        target=target,
        hint=f"commands write only below {', '.join([*allowed, str(shell.reach.scratch)])} and have no network",
    )


def _absence(text: str, shell: Shell) -> PermissionDenied | None:
    """In a box, what is outside is not there. Said of every such place, whether there is something or not."""
    for found in _ABSENT.finditer(text):
        path = os.path.normpath(found[1] or found[2])
        if not any(Path(path).is_relative_to(top) for top in (shell.reach.tree, shell.reach.scratch, *_BOXED)):
            if any(Path(path).is_relative_to(root) for root in shell.reach.roots):
                continue
            return PermissionDenied(
                f"{clean_line(path, 200)} is outside what commands can see",
                rule="confined",
                target=clean_line(path, 200),
                hint="commands see the worktree, $TMPDIR and the installed programs",
            )
    return None
