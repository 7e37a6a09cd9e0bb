"""The rule an operator may grant instead of being asked again: as narrow as it can be and still be of use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from swarm_core.tools.shell_commands import SHELLS
from swarm_core.vocabulary.spec import RuleText

from .patterns import HOLE
from .rule import EDIT_TOOLS, READ_TOOLS, BadRule, Call, Rule
from .rules import RuleSet

MAX_PROPOSED = 5
# These run what follows: a rule with their beginning would open everything.
_INTERPRETERS = SHELLS | frozenset(
    [
        "python",
        "python3",
        "node",
        "deno",
        "bun",
        "ruby",
        "perl",
        "php",
        "lua",
        "awk",
        "gawk",
        "eval",
        "exec",
        "source",
        ".",
        "env",
        "sudo",
        "doas",
        "su",
        "xargs",
        "ssh",
        "npx",
        "uvx",
        "pipx",
        "docker",
        "podman",
        "kubectl",
        "make",
        "find",
        "git",
    ]
)
# Programs whose second and third words say what they do.
_SUBCOMMANDS = {"npm": 3, "pnpm": 3, "yarn": 3, "cargo": 2, "go": 2, "uv": 3, "poetry": 3, "dotnet": 2, "gh": 3}
_NAME = re.compile(r"[A-Za-z][\w.:-]*")


def propose(rules: RuleSet, tool: str, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """Rules that together would let this call pass, empty if only this one call can be allowed."""
    call = rules.read(tool, arguments)
    if call.unreadable:
        return ()
    parts = [Call(call.tool, arguments, commands=(part,)) for part in call.commands] or [call]
    out: dict[str, None] = {}
    for part in parts:
        decision = rules.decide_part(part)
        if decision.effect != "ask":
            continue
        text = _proposal(part, rules) if decision.is_sure else ""
        if not text or not _would_cover(rules, text, part):
            return ()
        out[text] = None
    return tuple(out) if len(out) <= MAX_PROPOSED else ()


def _would_cover(rules: RuleSet, text: str, call: Call) -> bool:
    try:
        rule = Rule.parse(RuleText("allow", text, "grant"))
    except BadRule:
        return False
    return rules.opens(rule, call)


def _proposal(call: Call, rules: RuleSet) -> str:
    if call.commands:
        command = call.commands[0]
        return f"Bash({found})" if (found := _command([*command.exact, *command.open][-1], bool(command.exact))) else ""
    if call.tool in READ_TOOLS | EDIT_TOOLS:
        return _file("Edit" if call.tool in EDIT_TOOLS else "Read", call.paths, rules.bases.tree)
    if call.tool == "WebFetch":
        try:
            host = urlsplit(call.subject).hostname or ""
        except ValueError:
            host = ""
        return f"WebFetch(domain:{host})" if host and "*" not in host else ""
    if call.tool in ("Agent", "Skill"):
        return f"{call.tool}({call.subject})" if _NAME.fullmatch(call.subject) else ""
    return call.tool


def _command(text: str, is_whole: bool) -> str:
    """``npm run test:*`` for a command whose first words say what it does, else its whole text."""
    words = text.split(" ")
    count = _SUBCOMMANDS.get(words[0], 2 if len(words) > 1 and _NAME.fullmatch(words[1]) else 1)
    head = words[:count]
    if not is_whole and words[0] not in _INTERPRETERS and len(head) == count and all(map(_NAME.fullmatch, head)):
        return f"{' '.join(head)}:*"
    if HOLE in text or "*" in text or "\n" in text or text.startswith(("/", "(")):
        return "" if HOLE in text or "*" in text or "\n" in text else text
    return text


def _file(tool: str, paths: tuple[str, ...], tree: str) -> str:
    path = PurePosixPath(paths[0]) if paths else None
    if path is None or not path.is_relative_to(tree) or path == PurePosixPath(tree):
        return ""
    relative = path.relative_to(tree)
    parent = relative.parent.as_posix()
    escaped = re.sub(r"([*?\[\\!])", r"\\\1", relative.as_posix() if parent == "." else parent)
    return f"{tool}(/{escaped})" if parent == "." else f"{tool}(/{escaped}/**)"
