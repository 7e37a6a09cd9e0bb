"""Grep where ripgrep is not installed: a program of its own, because a regular expression can run for ever.

Run as ``python -I -S grep_worker.py REQUEST`` in the directory that relative starts belong to; REQUEST is JSON.
Prints what ripgrep would and exits 0 (found), 1 (nothing) or 2 (the first line says why).
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_COLUMNS = 500
SKIPPED = frozenset({".git", "node_modules", "__pycache__", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache"})


def _names(starts: list[str]) -> Iterator[tuple[str, str, int | None]]:
    """Paths as they are shown, with the name and the directory they are opened by. Links are not followed."""
    for start in starts:
        if os.path.isfile(start) and not os.path.islink(start):  # noqa: PTH113, PTH114 - pathlib costs start-up time
            yield start, start, None
            continue
        for top, directories, files, fd in os.fwalk(start, follow_symlinks=False):
            directories[:] = sorted(name for name in directories if name.casefold() not in SKIPPED)
            for name in sorted(files):
                if name.casefold() != ".git":
                    yield os.path.normpath(os.path.join(top, name)), name, fd  # noqa: PTH118 - as above


def _lines(name: str, fd: int | None) -> list[str] | None:
    """The lines of a text file, None for anything else."""
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    except OSError:
        return None
    with open(opened, "rb") as file:
        if not os.path.isfile(f"/dev/fd/{opened}") or os.fstat(opened).st_size > MAX_FILE_BYTES:  # noqa: PTH113
            return None
        data = file.read(MAX_FILE_BYTES)
    if b"\0" in data[:8192]:
        return None
    return data.decode("utf-8", "replace").splitlines()


def _print_content(path: str, lines: list[str], hits: list[int], request: dict[str, Any], room: int) -> int:
    """Print matching lines with their context; returns how many lines were printed."""
    matched, shown, last = set(hits), 0, -1
    for hit in hits:
        for number in range(max(last + 1, hit - request["before"]), min(len(lines), hit + request["after"] + 1)):
            if shown >= room:
                return shown
            if (request["before"] or request["after"]) and last >= 0 and number > last + 1:
                print("--")  # noqa: T201
            mark = ":" if number in matched else "-"
            place = f"{number + 1}{mark}" if request["numbers"] else ""
            print(f"{path}{mark}{place}{lines[number][:MAX_COLUMNS]}")  # noqa: T201
            shown, last = shown + 1, number
    return shown


def _print_parts(path: str, found: list[tuple[int, str]], request: dict[str, Any], room: int) -> int:
    """Print the matching parts alone, line by line; returns how many lines were printed."""
    rows = [(at + more, part) for at, text in found for more, part in enumerate(text.splitlines() or [""])]
    for number, part in rows[:room]:
        place = f"{number + 1}:" if request["numbers"] else ""
        print(f"{path}:{place}{part[:MAX_COLUMNS]}")  # noqa: T201
    return min(len(rows), room)


def _found(pattern: re.Pattern[str], lines: list[str], multiline: bool) -> Iterator[tuple[int, str]]:
    """Each match with the number of the line it begins in. An empty match of an expression counts for its line."""
    if not multiline:
        for number, line in enumerate(lines):
            yield from ((number, match[0]) for match in pattern.finditer(line))
        return
    text, number, seen = "\n".join(lines), 0, 0
    for match in pattern.finditer(text):
        number += text.count("\n", seen, match.start())
        seen = match.start()
        yield number, match[0]


def main() -> int:
    request = json.loads(sys.argv[1])
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        flags = re.IGNORECASE if request["ignore_case"] else re.NOFLAG
        flags |= re.MULTILINE | re.DOTALL if request["multiline"] else re.NOFLAG
        pattern = re.compile(request["pattern"], flags)
    except (re.error, OverflowError, RecursionError) as error:
        print(f"regex parse error: {error}")  # noqa: T201
        return 2
    globs: list[str] = request["globs"]
    printed = 0
    for path, name, fd in _names(request["starts"]):
        if globs and not any(
            fnmatch.fnmatchcase(path if "/" in glob else path.rsplit("/", 1)[-1], glob) for glob in globs
        ):
            continue
        lines = _lines(name, fd)
        if not lines:
            continue
        if request["multiline"] or request["only_matching"]:
            found = list(_found(pattern, lines, request["multiline"]))
            hits = sorted({number + more for number, text in found for more in range(text.count("\n") + 1)})
        else:
            found, hits = [], [number for number, line in enumerate(lines) if pattern.search(line)]
        if not hits:
            continue
        if request["mode"] == "content" and request["only_matching"]:
            printed += _print_parts(path, found, request, request["limit"] - printed)
        elif request["mode"] == "content":
            printed += _print_content(path, lines, hits, request, request["limit"] - printed)
        else:
            print(f"{path}:{len(hits)}" if request["mode"] == "count" else path)  # noqa: T201
            printed += 1
        if printed >= request["limit"]:
            break
    return 0 if printed else 1


if __name__ == "__main__":
    sys.exit(main())
