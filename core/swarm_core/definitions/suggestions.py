"""Commands that a repository's CLAUDE.md names and that could be checks. They are offered and never run by themselves.

Read is the section whose heading is "Commands" (or "Common commands", "Development commands"): lists such as
``- test: `npm test` ``, tables with a command in code marks, and fenced blocks with a comment or a heading as the name.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.ids import slug

FILE = "CLAUDE.md"
MAX_BYTES = 1 << 20
MAX_SUGGESTIONS = 20
MAX_COMMAND_CHARS = 300
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+\.|\|)\s*(.*)")
_CODE = re.compile(r"(`+)\s?(.+?)\s?\1")
_MEASURES = re.compile(
    r"(?i)\b(?:tests?|lint|type-?checks?|types|mypy|pyright|ruff|eslint|pylint|flake8|pytest|vet|clippy|audit|conventions?"
    r"|coverage|tsc|format-?check|bandit|semgrep|unittest|jest|vitest)\b"
)
_LASTS = re.compile(r"(?i)(?:--watch\b|:watch\b|\bwatch\b|\bserve\b|\bdev\b|--fix\b|--write\b|\bdeploy\b|\bpublish\b)")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A command that could be a check, and the line of the file that names it."""

    name: str
    command: str
    line: int

    @property
    def yaml(self) -> str:
        """As it would be written in ``checks:``."""
        return f"  - name: {self.name}\n    command: {json.dumps(self.command, ensure_ascii=False)}"


def suggested(root: Path) -> list[Suggestion]:
    """What the repository's CLAUDE.md suggests; nothing if there is none or it cannot be read."""
    try:
        fd = os.open(root / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            data = file.read(MAX_BYTES) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError:
        return []
    return commands_in(data.decode("utf-8", "replace"))


def commands_in(text: str) -> list[Suggestion]:
    """The commands of a document that measure something, in its order, each name once."""
    found: dict[str, Suggestion] = {}
    for line, name, command in _named(text):
        command = command.removeprefix("$ ").strip()
        if not command or len(command) > MAX_COMMAND_CHARS or clean_line(command) != command:
            continue
        if not _MEASURES.search(f"{name} {command}") or _LASTS.search(command):
            continue
        key = slug(name or command) or "check"
        number = 2
        while key in found and found[key].command != command:
            key, number = f"{slug(name or command)}-{number}", number + 1
        found.setdefault(key, Suggestion(key, command, line))
    return list(found.values())[:MAX_SUGGESTIONS]


def _named(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, name and command of everything in the section."""
    level, fence, above = 0, "", ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if fence:
            if stripped.startswith(fence):
                fence = ""
            elif stripped.startswith("#"):
                above = stripped.lstrip("# ")
            elif stripped and level:
                command, _, said = stripped.partition(" #")
                yield number, said.strip() or above, command
                above = ""
            continue
        if stripped.startswith(("```", "~~~")):
            fence = stripped[:3]
        elif heading := _HEADING.match(line):
            deep, title = len(heading[1]), heading[2]
            if re.search(r"(?i)\bcommands\b", title):
                level = deep
            elif level and deep <= level:
                level = 0
            above = title if level and deep > level else ""
        elif level and (item := _ITEM.match(line)) and (code := _CODE.search(item[1])):
            name = re.sub(r"[*_`|:–—-]+\s*$", "", item[1][: code.start()]).strip("*_ ")
            after = item[1][code.end() :].strip(" :|–—-*")
            yield number, name or after, code[2]
