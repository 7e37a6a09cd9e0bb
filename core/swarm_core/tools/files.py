"""Read, Write and Edit: files of the tree, opened without following a link and written whole."""

from __future__ import annotations

import asyncio
import difflib
import errno
import io
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from swarm_core.vocabulary.errors import PermissionDenied, ToolError

from .base import Tool, ToolDefinition, ToolResult
from .beneath import Changed, open_directory, open_file, replace_file
from .notebook import as_text
from .scope import Scope
from .spill import MAX_CHARS

MAX_LINES = 2_000
_PAGE_CHARS = MAX_CHARS - 200  # the notice about the rest has room
MAX_LINE_CHARS = 2_000
MAX_SCAN_BYTES = 64 * 1024 * 1024
MAX_EDIT_BYTES = 8 * 1024 * 1024
_SNIFF_BYTES = 8 * 1024
_EDIT_TRIES = 3
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM")
_CONTEXT_LINES = 3
_PATH = {
    "type": "string",
    "maxLength": 4096,
    "description": "The file, relative to the worktree or absolute.",
}

READ = ToolDefinition(
    name="Read",
    description=(
        f"Read a text file with numbered lines. Shows at most {MAX_LINES} lines or {MAX_CHARS} characters at a "
        "time; continue with offset. A notebook (.ipynb) is shown as the text of its cells; pictures, PDF and other "
        "binary files are refused."
    ),
    input_schema={
        "type": "object",
        "properties": {
            "file_path": _PATH,
            "offset": {"type": "integer", "minimum": 1, "description": "The first line to show, counted from 1."},
            "limit": {"type": "integer", "minimum": 1, "description": "How many lines to show."},
        },
        "required": ["file_path"],
        "additionalProperties": False,
    },
)
WRITE = ToolDefinition(
    name="Write",
    description="Write a whole file, new or replaced; missing directories are created. To change a part, use Edit.",
    input_schema={
        "type": "object",
        "properties": {"file_path": _PATH, "content": {"type": "string", "description": "All of the file's text."}},
        "required": ["file_path", "content"],
        "additionalProperties": False,
    },
)
EDIT = ToolDefinition(
    name="Edit",
    description=(
        "Replace text in a file. old_string must match exactly, with its indentation and without line numbers, and "
        "occur once; give more context if it does not, or set replace_all."
    ),
    input_schema={
        "type": "object",
        "properties": {
            "file_path": _PATH,
            "old_string": {"type": "string", "description": "The text to replace."},
            "new_string": {"type": "string", "description": "What takes its place."},
            "replace_all": {"type": "boolean", "description": "Replace every occurrence (default false)."},
        },
        "required": ["file_path", "old_string", "new_string"],
        "additionalProperties": False,
    },
)


def file_tools(scope: Scope) -> list[Tool]:
    """Read, Write and Edit. Writers take turns, so that two edits of one file never lose one."""
    turn = asyncio.Lock()

    async def read(arguments: Mapping[str, Any]) -> ToolResult:
        return await asyncio.to_thread(
            _read,
            scope,
            arguments["file_path"],
            int(arguments.get("offset", 1)),
            int(arguments.get("limit", MAX_LINES)),
        )

    async def write(arguments: Mapping[str, Any]) -> ToolResult:
        async with turn:
            return await asyncio.to_thread(_write, scope, arguments["file_path"], arguments["content"])

    async def edit(arguments: Mapping[str, Any]) -> ToolResult:
        async with turn:
            return await asyncio.to_thread(
                _edit,
                scope,
                arguments["file_path"],
                arguments["old_string"],
                arguments["new_string"],
                bool(arguments.get("replace_all", False)),
            )

    return [Tool(READ, read), Tool(WRITE, write), Tool(EDIT, edit)]


def _open(scope: Scope, path_text: str, real: Path) -> IO[bytes]:
    """A regular file for reading, at the place that was judged."""
    base, parts = scope.place(real)
    if not parts:
        raise ToolError(f"{path_text} is a directory", hint="list it with Glob")
    try:
        fd = open_file(base, parts)
    except FileNotFoundError:
        raise ToolError(f"{path_text} does not exist", hint=_similar(base, parts)) from None
    except OSError as error:
        raise _failed(path_text, error) from error
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        what = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
        raise ToolError(f"{path_text} is {what}", hint="list a directory with Glob")
    return open(fd, "rb")


def _failed(path_text: str, error: OSError) -> PermissionDenied | ToolError:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return PermissionDenied(
            f"{path_text} has a symbolic link or a file where a directory should be",
            rule="symlink",
            target=path_text,
            hint="name the file by its real path",
        )
    return ToolError(f"{path_text}: {error.strerror or error}", hint="choose another path")


def _similar(base: Path, parts: tuple[str, ...]) -> str:
    """A next step for a file that is not there: the likeliest name beside it."""
    try:
        parent = open_directory(base, parts[:-1])
    except OSError:
        return "find it with Glob"
    try:
        listing = Path(f"/proc/self/fd/{parent}")
        names = [path.name for path in listing.iterdir()] if listing.exists() else []
    except OSError:
        names = []
    finally:
        os.close(parent)
    close = difflib.get_close_matches(parts[-1], [name for name in names if name != ".git"], 1)
    return f"did you mean {'/'.join((*parts[:-1], close[0]))}?" if close else "find it with Glob"


def _read(scope: Scope, path_text: str, offset: int, limit: int) -> ToolResult:
    real = scope.check_read(path_text)
    target = scope.shown(real)
    with _open(scope, path_text, real) as file:
        _refuse_binary(path_text, file.read(_SNIFF_BYTES))
        file.seek(0)
        source: IO[bytes] = file
        if real.suffix == ".ipynb" and (cells := as_text(file.read(MAX_EDIT_BYTES))) is not None:
            source = io.BytesIO(cells.encode("utf-8", "replace"))
        file.seek(0)
        number, size, notice = 0, 0, ""
        shown: list[str] = []
        while raw := source.readline(MAX_SCAN_BYTES):
            number += 1
            if source.tell() > MAX_SCAN_BYTES and number < offset:
                raise ToolError(f"line {offset} of {path_text} is too far in", hint="use sed -n or Grep")
            if number < offset:
                continue
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if len(line) > MAX_LINE_CHARS:
                line = f"{line[:MAX_LINE_CHARS]} [… cut, {len(line)} characters]"
            text = f"{number:6}\t{line}"
            size += len(text) + 1
            if len(shown) >= min(limit, MAX_LINES) or (size > _PAGE_CHARS and shown):
                notice = f"\n[PARTIAL view: lines {offset} to {number - 1}; continue with offset={number}]"
                break
            shown.append(text)
    if number == 0:
        return ToolResult("[the file exists and is empty]", target=target)
    if not shown:
        return ToolResult(f"[the file has {number} lines: offset {offset} is past its end]", target=target)
    return ToolResult("\n".join(shown) + notice, target=target)


def _refuse_binary(path_text: str, begin: bytes) -> None:
    if begin.startswith(_PICTURES) and b"\0" in begin:
        raise ToolError(f"{path_text} is a picture, and pictures cannot be shown here", hint="ask for its text form")
    if begin.startswith(b"%PDF-"):
        raise ToolError(f"{path_text} is a PDF", hint="turn it into text with a command, such as pdftotext")
    if b"\0" in begin:
        raise ToolError(f"{path_text} is a binary file", hint="look at it with a command, such as file or xxd | head")


def _encoded(path_text: str, text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ToolError(
            f"the text for {path_text} holds half a character ({error.reason})", hint="send it again"
        ) from error


def _replace(scope: Scope, path_text: str, real: Path, data: bytes, expected: bytes | None = None) -> bool:
    base, parts = scope.place(real)
    if not parts:
        raise ToolError(f"{path_text} is a directory", hint="name a file in it")
    try:
        return replace_file(base, parts, data, expected=expected)
    except FileExistsError:
        raise ToolError(f"{path_text} is not a regular file", hint="choose another path") from None
    except OSError as error:
        raise _failed(path_text, error) from error


def _touched(scope: Scope, real: Path) -> tuple[str, ...]:
    return (scope.shown(real),) if real.is_relative_to(scope.tree) else ()


def _write(scope: Scope, path_text: str, content: str) -> ToolResult:
    real = scope.check_write(path_text)
    data = _encoded(path_text, content)
    is_new = _replace(scope, path_text, real, data)
    lines = content.count("\n") + (not content.endswith("\n") and bool(content))
    done = "Created" if is_new else "Replaced"
    shown = scope.shown(real)
    return ToolResult(f"{done} {shown} ({lines} lines, {len(data)} bytes)", target=shown, touched=_touched(scope, real))


def _edit(scope: Scope, path_text: str, old: str, new: str, replace_all: bool) -> ToolResult:
    """Edit what is in the file now. A command may write it meanwhile: then the edit is tried on what it wrote."""
    for _ in range(_EDIT_TRIES):
        try:
            return _edit_once(scope, path_text, old, new, replace_all)
        except Changed:
            continue
    raise ToolError(f"{path_text} keeps changing while it is edited", hint="end what writes it, then read it again")


def _edit_once(scope: Scope, path_text: str, old: str, new: str, replace_all: bool) -> ToolResult:
    real = scope.check_write(path_text)
    shown = scope.shown(real)
    if old == new:
        raise ToolError("old_string and new_string are the same", hint="nothing needs to change")
    if not old:
        raise ToolError("old_string is empty", hint="create or replace a whole file with Write")
    with _open(scope, path_text, real) as file:
        raw = file.read(MAX_EDIT_BYTES + 1)
    if len(raw) > MAX_EDIT_BYTES:
        raise ToolError(f"{path_text} is larger than {MAX_EDIT_BYTES // 2**20} MiB", hint="change it with a command")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ToolError(f"{path_text} is not UTF-8 text", hint="change it with a command") from None
    if old not in text and "\r\n" in text:
        old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
    count = text.count(old)
    if count == 0:
        raise ToolError(f"old_string does not occur in {shown}", hint=_nearest(text, old))
    if count > 1 and not replace_all:
        lines = ", ".join(str(line) for line in _lines_of(text, old, 5))
        raise ToolError(
            f"old_string occurs {count} times in {shown} (lines {lines}{', …' if count > 5 else ''})",
            hint="add surrounding lines until it occurs once, or set replace_all",
        )
    line = text.count("\n", 0, text.index(old)) + 1
    edited = text.replace(old, new)
    _replace(scope, path_text, real, _encoded(path_text, edited), raw)
    first = max(0, line - 1 - _CONTEXT_LINES)
    around = edited.splitlines()[first : line - 1 + new.count("\n") + 1 + _CONTEXT_LINES]
    preview = "\n".join(
        f"{number:6}\t{content[:MAX_LINE_CHARS]}" for number, content in enumerate(around[:40], first + 1)
    )
    done = f"{count} replacements in {shown}" if count > 1 else f"Edited {shown} at line {line}"
    return ToolResult(f"{done}:\n{preview}", target=shown, touched=_touched(scope, real))


def _lines_of(text: str, part: str, limit: int) -> list[int]:
    lines: list[int] = []
    at = text.find(part)
    while at >= 0 and len(lines) < limit:
        lines.append(text.count("\n", 0, at) + 1)
        at = text.find(part, at + len(part))
    return lines


def _nearest(text: str, old: str) -> str:
    """Where the text was probably meant: the place that differs only in blanks, or holds its longest line."""
    wanted = [line.strip() for line in old.splitlines() if line.strip()]
    if not wanted:
        return "read the file again and copy the text exactly"
    anchor = max(wanted, key=len)
    found = [number for number, line in enumerate(text.splitlines(), 1) if anchor in line.strip()]
    if not found:
        return "read the file again and copy the text exactly, without line numbers"
    return f"line {found[0]} is close: compare its indentation and the lines around it, and copy them exactly"
