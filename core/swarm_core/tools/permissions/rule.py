"""One permission rule: ``Tool`` or ``Tool(what)``, what it may name, and what a decision is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from swarm_core.vocabulary.spec import RuleText

from .commands import Command
from .patterns import HOLE, is_glob

Effect = Literal["deny", "ask", "allow"]
READ_TOOLS = frozenset({"Read", "Grep", "Glob", "NotebookRead", "LS"})
EDIT_TOOLS = frozenset({"Edit", "Write", "MultiEdit", "NotebookEdit"})
# The argument a rule's parentheses are about; `Tool(param:value)` is for the others.
SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "Bash": ("command",),
    "Read": ("file_path",),
    "Edit": ("file_path",),
    "Write": ("file_path",),
    "MultiEdit": ("file_path",),
    "NotebookEdit": ("notebook_path", "file_path"),
    "Grep": ("path",),
    "Glob": ("path",),
    "LS": ("path",),
    "WebFetch": ("url",),
    "WebSearch": ("query",),
    "Agent": ("subagent_type", "name"),
    "Skill": ("skill", "name", "command"),
}
MAX_RULE_CHARS = 2_000
PARAMETER = re.compile(r"\s*(\w+)\s*:\s*(.+)", re.S)
WRITTEN = re.compile(r"([A-Za-z_*][\w*.-]*)(?:\((.*)\))?", re.S)
ALIASES = {"Task": "Agent"}
_UNCONSULTED = EDIT_TOOLS - {"Edit"} | READ_TOOLS - {"Read"}


class BadRule(ValueError):
    """A text that is no rule, or one that could never match; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as read. ``spec`` is what stands in parentheses, empty for all calls of the tool."""

    tool: str
    spec: str
    source: RuleText

    @classmethod
    def parse(cls, source: RuleText) -> Rule:
        """Raises BadRule."""
        text = source.text.strip()
        match = WRITTEN.fullmatch(text)
        if match is None or len(text) > MAX_RULE_CHARS or HOLE in text:
            raise BadRule(f"{text[:80]!r} is not a rule: write Tool or Tool(what), such as Bash(npm run:*)")
        tool, spec = ALIASES.get(match[1], match[1]), (match[2] or "").strip()
        spec = "" if spec in ("*", ":*") else spec
        if spec and tool in _UNCONSULTED and PARAMETER.fullmatch(spec) is None:
            instead = "Edit" if tool in EDIT_TOOLS else "Read"
            raise BadRule(
                f"{text!r} would never match: files are ruled by Read(...) and Edit(...); write {instead}({spec})"
            )
        if spec.startswith("!") and tool in ("Read", "Edit"):
            raise BadRule(f"{text!r}: a pattern cannot be negated; write a rule into the other list")
        if tool == "WebFetch" and spec and not spec.startswith("domain:") and PARAMETER.fullmatch(spec) is None:
            raise BadRule(f"{text!r} would never match: write WebFetch(domain:{spec})")
        if source.effect == "allow" and "*" in tool and not re.match(r"mcp__[^*]+?__", tool):
            raise BadRule(f"{text!r}: an allow rule names its tool; only mcp__server__* may end in a wildcard")
        return cls(tool, spec, source)

    def __str__(self) -> str:
        return f"{self.tool}({self.spec})" if self.spec else self.tool

    @property
    def is_allow(self) -> bool:
        return self.source.effect == "allow"

    def names(self, tool: str) -> bool:
        """Whether the rule is about calls of this tool at all."""
        if self.tool == tool:
            return True
        if tool.startswith("mcp__"):
            return is_glob(self.tool, tool) or (self.tool.count("__") == 1 and tool.startswith(f"{self.tool}__"))
        if "*" in self.tool:
            return is_glob(self.tool, tool)
        if self.tool == "Edit":
            return tool in EDIT_TOOLS
        return self.tool == "Read" and (
            tool in READ_TOOLS or (not self.is_allow and bool(self.spec) and tool in EDIT_TOOLS)
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules say of a call. ``rule`` decided; without one it was the default, or ``why`` says what did.

    ``is_sure`` is False when a deny rule only may match, because a part of the command is known when it runs.
    """

    effect: Effect
    rule: Rule | None = None
    why: str = ""
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """A call as rules see it, read once for all of them."""

    tool: str
    arguments: Mapping[str, Any]
    subject: str = ""
    paths: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    unreadable: str = ""
