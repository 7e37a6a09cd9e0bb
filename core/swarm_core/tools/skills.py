"""The Skill tool: instructions that an agent loads when it needs them.

They come from ``.claude/skills/<name>/SKILL.md`` of the repository and from those we ship; the repository's win. A
repository's skill is text like any other file of it: commands inside it (``!`cmd` ``) are not run.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from swarm_core.definitions.frontmatter import Document, read
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import PermissionDenied, ToolError

from .base import Tool, ToolDefinition, ToolResult
from .beneath import open_file
from .scope import Scope

DIRECTORY = (".claude", "skills")
FILE = "SKILL.md"
MAX_SKILLS = 500
MAX_SKILL_BYTES = 256 * 1024
MAX_ARGS_CHARS = 8_000
MAX_LISTED_CHARS = 200
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")
_INLINE = re.compile(r"(^|(?<=\s))!`([^`\n]+)`", re.M)
_BLOCK = re.compile(r"^```!\s*\n(.*?)^```[ \t]*$", re.M | re.S)
_PLACE = re.compile(
    r"\\\$(?=[A-Za-z0-9{])|\$ARGUMENTS\[(\d{1,3})\]|\$(ARGUMENTS)\b|\$(\d{1,3})\b|\$\{CLAUDE_(\w+)\}|\$([a-z_][\w-]*)"
)

SKILL = ToolDefinition(
    name="Skill",
    description=(
        "Load a skill: instructions for one kind of work, written by people who know this repository or shipped with "
        "the swarm. Call it with skill=list to see which there are."
    ),
    input_schema={
        "type": "object",
        "properties": {
            "skill": {"type": "string", "maxLength": 64, "description": "The skill's name, or list."},
            "args": {
                "type": "string",
                "maxLength": MAX_ARGS_CHARS,
                "description": "Arguments for it, if it takes any.",
            },
        },
        "required": ["skill"],
        "additionalProperties": False,
    },
)


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill; its name is its directory's."""

    name: str
    directory: Path
    document: Document
    is_shipped: bool = False

    @property
    def summary(self) -> str:
        said = " ".join(filter(None, (self.document.text("description"), self.document.text("when_to_use"))))
        first = next((line for line in self.document.body.splitlines() if line.strip("# ")), "")
        return clean_line(said or first.strip("# "), MAX_LISTED_CHARS)

    @property
    def is_for_people(self) -> bool:
        return self.document.flag("disable-model-invocation")

    def filled(self, args: str, project: Path) -> str:
        """The body with ``args`` in their places, and appended where it has none."""
        body = _BLOCK.sub(lambda m: _not_run(m[1].strip()), self.document.body)
        body = _INLINE.sub(lambda m: f"{m[1]}{_not_run(m[2])}", body)
        words, names, is_used = _words(args), self.document.texts("arguments"), False
        places = {"SKILL_DIR": str(self.directory), "PROJECT_DIR": str(project)}

        def place(match: re.Match[str]) -> str:
            nonlocal is_used
            at, every, number, variable, name = match.groups()
            if match[0].startswith("\\"):
                return "$"
            if variable is not None:
                return places.get(variable, match[0])
            if name is not None and name not in names:
                return match[0]
            is_used = True
            if every is not None:
                return args
            index = names.index(name) if name is not None else int(at if at is not None else number)
            return words[index] if index < len(words) else ""

        text = _PLACE.sub(place, body).strip()
        return text if is_used or not args.strip() else f"{text}\n\nARGUMENTS: {args.strip()}"


def skill_tools(scope: Scope) -> list[Tool]:
    """Skill, for whoever may read the repository's skills; the shipped ones are for everybody."""

    async def call(arguments: Mapping[str, Any]) -> ToolResult:
        return await asyncio.to_thread(_load, scope, str(arguments["skill"]), str(arguments.get("args", "")))

    return [Tool(SKILL, call, is_read_only=True)]


def _load(scope: Scope, name: str, args: str) -> ToolResult:
    name = name.strip().removeprefix("/")
    skill = None if name == "list" else find(scope, name)
    if skill is None or skill.is_for_people:
        lines = [f"- {one.name}: {one.summary}" for one in sorted(known(scope), key=lambda one: one.name)]
        listed = "\n".join(lines) or "none"
        if name == "list":
            return ToolResult(f"Skills:\n{listed}", target="list")
        why = "is for people to use" if skill else "does not exist"
        raise ToolError(f"the skill {clean_line(name, 60)} {why}", hint=f"choose one of these:\n{listed}")
    origin = "shipped with the swarm" if skill.is_shipped else f"of this repository, {scope.shown(skill.directory)}"
    return ToolResult(f"Skill {skill.name} ({origin}):\n\n{skill.filled(args, scope.tree)}", target=skill.name)


def find(scope: Scope, name: str) -> Skill | None:
    """The repository's skill of that name, or the shipped one."""
    if _NAME.fullmatch(name) is None:
        return None
    return _own(scope, name) or _read(_shipped(), (name,), name, is_shipped=True)


def known(scope: Scope) -> Iterator[Skill]:
    """All skills an agent may load."""
    seen: set[str] = set()
    for base in (scope.tree.joinpath(*DIRECTORY), _shipped()):
        try:
            names = sorted(entry.name for entry in os.scandir(base) if entry.is_dir(follow_symlinks=False))
        except OSError:
            continue
        for name in names[:MAX_SKILLS]:
            if name not in seen and (skill := find(scope, name)) is not None:
                seen.add(name)
                if not skill.is_for_people:
                    yield skill


def _shipped() -> Path:
    return Path(str(files("swarm_core"))) / "catalog" / "skills"


def _own(scope: Scope, name: str) -> Skill | None:
    try:
        scope.check_read("/".join((*DIRECTORY, name, FILE)))
    except (PermissionDenied, ToolError):
        return None
    return _read(scope.tree, (*DIRECTORY, name), name)


def _read(base: Path, parts: tuple[str, ...], name: str, *, is_shipped: bool = False) -> Skill | None:
    try:
        with open(open_file(base, (*parts, FILE)), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            data = file.read(MAX_SKILL_BYTES)
    except OSError:
        return None
    return Skill(name, base.joinpath(*parts), read(data.decode("utf-8", "replace")), is_shipped)


def _words(args: str) -> list[str]:
    try:
        return shlex.split(args)
    except ValueError:
        return args.split()


def _not_run(command: str) -> str:
    return f"[not run: `{command}`. Run it yourself with Bash if you need what it prints and it is safe]"
