"""Glob and Grep: find files by name and by content, within bounds of time and output."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import ToolError

from .base import Tool, ToolDefinition, ToolResult
from .confine import Jail
from .process import run
from .scope import Scope, is_git_name
from .spill import MAX_CHARS

MAX_PATHS = 100
MAX_ENTRIES = 200_000
GLOB_TIMEOUT_S = 10.0
GREP_TIMEOUT_S = 20.0
DEFAULT_HEAD_LIMIT = 250
MAX_HEAD_LIMIT = 2_000
MAX_OFFSET = 100_000
MAX_GREP_CHARS = MAX_CHARS - 200  # the notice about the rest has room
MAX_PATTERN_CHARS = 4_000
_MODES = ("files_with_matches", "content", "count")
TYPES: Mapping[str, tuple[str, ...]] = {
    "c": ("*.c", "*.h"),
    "cpp": ("*.cpp", "*.cc", "*.cxx", "*.hpp", "*.hh", "*.h"),
    "css": ("*.css", "*.scss"),
    "go": ("*.go",),
    "html": ("*.html", "*.htm"),
    "java": ("*.java",),
    "js": ("*.js", "*.jsx", "*.mjs", "*.cjs"),
    "json": ("*.json",),
    "md": ("*.md", "*.markdown"),
    "php": ("*.php",),
    "py": ("*.py", "*.pyi"),
    "ruby": ("*.rb",),
    "rust": ("*.rs",),
    "sh": ("*.sh", "*.bash"),
    "sql": ("*.sql",),
    "toml": ("*.toml",),
    "ts": ("*.ts", "*.tsx", "*.mts", "*.cts"),
    "xml": ("*.xml",),
    "yaml": ("*.yaml", "*.yml"),
}

GLOB = ToolDefinition(
    name="Glob",
    description=(
        "Find files by name, newest first. Patterns: *, ?, [abc], {a,b} and ** for any number of directories; a "
        f"pattern without a slash matches names at any depth. At most {MAX_PATHS} paths."
    ),
    input_schema={
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "description": "Such as **/*.py or src/**/test_*.{js,ts}."},
            "path": {"type": "string", "description": "The directory to search (default: the worktree)."},
        },
        "required": ["pattern"],
        "additionalProperties": False,
    },
)
GREP = ToolDefinition(
    name="Grep",
    description=(
        "Search the contents of files with a regular expression, line by line unless multiline is set. Ignored and "
        "generated files are left out where they are known as such."
    ),
    input_schema={
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "description": "The regular expression."},
            "path": {"type": "string", "description": "A file or directory (default: the worktree)."},
            "glob": {"type": "string", "description": "Only files whose names match, such as *.py or *.{ts,tsx}."},
            "type": {"type": "string", "enum": list(TYPES), "description": "Only files of this language."},
            "output_mode": {
                "type": "string",
                "enum": list(_MODES),
                "description": "Paths (default), lines with context, or counts by file.",
            },
            "-A": {"type": "integer", "minimum": 0, "description": "Lines shown after a match (content)."},
            "-B": {"type": "integer", "minimum": 0, "description": "Lines shown before a match (content)."},
            "-C": {"type": "integer", "minimum": 0, "description": "Lines shown around a match (content)."},
            "-n": {"type": "boolean", "description": "Show line numbers (content; default true)."},
            "context": {"type": "integer", "minimum": 0, "description": "The same as -C."},
            "-i": {"type": "boolean", "description": "Ignore case."},
            "-o": {"type": "boolean", "description": "Show only the parts of lines that match (content)."},
            "multiline": {
                "type": "boolean",
                "description": "The expression may match across lines, and . matches line ends (default false).",
            },
            "head_limit": {
                "type": "integer",
                "minimum": 0,
                "maximum": MAX_HEAD_LIMIT,
                "description": f"The most lines or paths to show (default {DEFAULT_HEAD_LIMIT}; 0: {MAX_HEAD_LIMIT}).",
            },
            "offset": {
                "type": "integer",
                "minimum": 0,
                "maximum": MAX_OFFSET,
                "description": "How many lines or paths of the result to leave out before the first.",
            },
        },
        "required": ["pattern"],
        "additionalProperties": False,
    },
)


def search_tools(scope: Scope, clock: Clock) -> list[Tool]:
    """Glob and Grep below what the scope may read."""

    async def glob(arguments: Mapping[str, Any]) -> ToolResult:
        return await asyncio.to_thread(_glob, scope, clock, arguments["pattern"], arguments.get("path"))

    async def grep(arguments: Mapping[str, Any]) -> ToolResult:
        return await _grep(scope, clock, arguments)

    return [Tool(GLOB, glob), Tool(GREP, grep)]


def _starts(scope: Scope, path: str | None) -> list[Path]:
    """Where a search begins; directories of the service that are not there yet are left out."""
    if path is not None:
        real = scope.check_read(path)
        if not real.exists():
            raise ToolError(f"{path} does not exist", hint="leave path out to search the worktree")
        return [real]
    starts = [scope.tree.joinpath(*parts) for parts in scope.readable]
    return [start for start in starts if start.exists() and not start.is_symlink()]


# -- Glob


def _alternatives(pattern: str, limit: int = 64) -> list[str]:
    """``{a,b}`` written out, innermost first. Raises ToolError if that makes more than ``limit``."""
    done, todo = [], [pattern]
    while todo:
        text = todo.pop()
        match = re.search(r"\{([^{}]*,[^{}]*)\}", text)
        if match is None:
            done.append(text)
        else:
            todo.extend(text[: match.start()] + part + text[match.end() :] for part in match[1].split(","))
        if len(done) + len(todo) > limit:
            raise ToolError(f"{pattern} stands for more than {limit} patterns", hint="use fewer alternatives")
    return done


class _Pattern:
    """A glob as one matcher for each component; ``**`` stands for any number of them."""

    def __init__(self, text: str) -> None:
        parts = [part for part in text.split("/") if part not in ("", ".")]
        parts = parts if "/" in text.strip("/") else ["**", *parts]
        self.parts = [None if part == "**" else re.compile(fnmatch.translate(part)) for part in parts]

    def matches(self, names: Sequence[str]) -> bool:
        # The set of pattern positions that the names so far can have reached: no backtracking.
        reached = self._spread({0})
        for name in names:
            reached = self._spread(
                {
                    at if part is None else at + 1
                    for at in reached
                    if at < len(self.parts) and ((part := self.parts[at]) is None or part.match(name))
                }
            )
            if not reached:
                return False
        return len(self.parts) in reached

    def _spread(self, reached: set[int]) -> set[int]:
        for at in sorted(reached):
            while at < len(self.parts) and self.parts[at] is None:
                at += 1
                reached.add(at)
        return reached


def _files(start: Path, deadline_s: float, clock: Clock) -> Iterator[tuple[tuple[str, ...], float]]:
    """Files below ``start`` with their times of change; links to directories are not followed."""
    if start.is_file():
        yield (start.name,), start.stat().st_mtime
        return
    todo: list[tuple[str, tuple[str, ...]]] = [(str(start), ())]
    seen = 0
    while todo:
        directory, parts = todo.pop()
        try:
            entries = list(os.scandir(directory))
        except OSError:
            continue
        seen += len(entries)
        if seen > MAX_ENTRIES or clock.monotonic_s() > deadline_s:
            raise ToolError("the search took too long", hint="search a smaller directory with path")
        for entry in entries:
            if is_git_name(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                todo.append((entry.path, (*parts, entry.name)))
            else:
                try:
                    yield (*parts, entry.name), entry.stat(follow_symlinks=False).st_mtime
                except OSError:
                    continue


def _glob(scope: Scope, clock: Clock, pattern: str, path: str | None) -> ToolResult:
    if not pattern.strip() or len(pattern) > MAX_PATTERN_CHARS:
        raise ToolError(
            f"the pattern is empty or longer than {MAX_PATTERN_CHARS} characters", hint="use a short pattern"
        )
    if pattern.startswith("/"):
        if not pattern.startswith(f"{scope.tree}/"):
            scope.check_read(pattern)
        pattern = pattern.removeprefix(f"{scope.tree}/")
    patterns = [_Pattern(text) for text in _alternatives(pattern)]
    deadline_s = clock.monotonic_s() + GLOB_TIMEOUT_S
    found: list[tuple[float, str]] = []
    for start in _starts(scope, path):
        lead = () if path is not None else start.relative_to(scope.tree).parts
        for parts, changed in _files(start, deadline_s, clock):
            if any(one.matches((*lead, *parts)) for one in patterns):
                full = start if start.is_file() else start.joinpath(*parts)
                found.append((-changed, scope.shown(full)))
    if not found:
        return ToolResult("No files found", target=pattern)
    found.sort()
    text = "\n".join(name for _, name in found[:MAX_PATHS])
    if len(found) > MAX_PATHS:
        text += f"\n[{MAX_PATHS} of {len(found)} files; use a narrower pattern]"
    return ToolResult(text, target=pattern)


# -- Grep


async def _grep(scope: Scope, clock: Clock, arguments: Mapping[str, Any]) -> ToolResult:
    pattern = str(arguments["pattern"])
    if not pattern or len(pattern) > MAX_PATTERN_CHARS or "\0" in pattern:
        raise ToolError(
            f"the pattern is empty or longer than {MAX_PATTERN_CHARS} characters", hint="use a short pattern"
        )
    starts = await asyncio.to_thread(_starts, scope, arguments.get("path"))
    if not starts:
        return ToolResult("No matches found", target=pattern)
    limit = int(arguments.get("head_limit", DEFAULT_HEAD_LIMIT)) or MAX_HEAD_LIMIT
    offset = int(arguments.get("offset", 0))
    around = int(arguments.get("-C", arguments.get("context", 0)))
    request = {
        "pattern": pattern,
        "starts": [scope.shown(start) for start in starts],
        "globs": _alternatives(arguments["glob"]) if arguments.get("glob") else [],
        "type": arguments.get("type", ""),
        "mode": arguments.get("output_mode", _MODES[0]),
        "before": int(arguments.get("-B", around)),
        "after": int(arguments.get("-A", around)),
        "numbers": bool(arguments.get("-n", True)),
        "ignore_case": bool(arguments.get("-i", False)),
        "only_matching": bool(arguments.get("-o", False)),
        "multiline": bool(arguments.get("multiline", False)),
        "limit": offset + limit + 1,
    }
    engine = shutil.which("rg")
    try:
        outcome = await run(
            _ripgrep(engine, request) if engine else _worker(request),
            cwd=scope.tree,
            env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": os.devnull},
            clock=clock,
            timeout_s=GREP_TIMEOUT_S,
            jail=lambda: Jail(()),
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ToolError(f"the search could not be started: {error}", hint="try again") from error
    text = bytes(outcome.output.kept[: MAX_GREP_CHARS * 8]).decode("utf-8", "replace")
    if outcome.ended_by == "timeout":
        raise ToolError(
            f"the search took longer than {GREP_TIMEOUT_S:g} s",
            hint="use a simpler pattern, or search less with path or glob",
        )
    if outcome.exit_code == 2 and (outcome.output.size_bytes == 0 or "regex parse error" in text):
        raise ToolError(
            f"the pattern is not a regular expression: {text.strip()[:500]}", hint="escape ( ) [ ] { } + * ? . |"
        )
    shown = _trimmed(text, limit, offset)
    if not shown and offset and text.strip():
        shown = f"[offset {offset} is past the last result]"
    return ToolResult(shown or "No matches found", target=pattern)


def _trimmed(text: str, limit: int, offset: int) -> str:
    lines = [line.removeprefix("./") for line in text.split("\n")][offset:]
    while lines and not lines[-1]:
        lines.pop()
    shown, size = [], 0
    for line in lines[:limit]:
        size += len(line) + 1
        if size > MAX_GREP_CHARS:
            break
        shown.append(line)
    if len(shown) < len(lines):
        more = f"go on with offset={offset + len(shown)}" if offset else "narrow the search or raise head_limit"
        shown.append(f"[cut after {len(shown)} lines; {more}]")
    return "\n".join(shown)


def _worker(request: Mapping[str, Any]) -> list[str]:
    globs = [*request["globs"], *TYPES.get(request["type"], ())]
    program = Path(__file__).with_name("grep_worker.py")
    return [sys.executable, "-I", "-S", str(program), json.dumps({**request, "globs": globs})]


def _ripgrep(engine: str, request: Mapping[str, Any]) -> list[str]:
    argv = [engine, "--no-config", "--no-messages", "--color=never", "--no-heading", "--with-filename", "--hidden"]
    argv += ["--no-require-git", "--no-ignore-parent", "--no-ignore-global", "--sort=path"]
    argv += ["--max-filesize=10M", "--max-columns=500", "--max-columns-preview"]
    argv += {"files_with_matches": ["--files-with-matches"], "count": ["--count"]}.get(
        request["mode"],
        [
            f"--before-context={request['before']}",
            f"--after-context={request['after']}",
            "--line-number" if request["numbers"] else "--no-line-number",
        ],
    )
    argv += ["--ignore-case"] if request["ignore_case"] else []
    argv += ["--only-matching"] if request["only_matching"] and request["mode"] == "content" else []
    argv += ["--multiline", "--multiline-dotall"] if request["multiline"] else []
    argv += [f"--type={request['type']}"] if request["type"] else []
    argv += [f"--glob={glob}" for glob in request["globs"]]
    return [*argv, "--iglob=!.git", f"--regexp={request['pattern']}", "--", *request["starts"]]
