"""What the commands of a Bash text usually mean: exit codes that are answers, and commands that may run on."""

from __future__ import annotations

from collections.abc import Iterator

from .shell_syntax import parse
from .shell_words import Script, Simple, Unreadable

# Exit code 1 of these is "no", not "it failed".
_ASKS = frozenset(
    {"grep", "egrep", "fgrep", "zgrep", "rg", "ag", "git grep"}
    | {"diff", "cmp", "git diff", "test", "[", "[[", "pgrep", "which"}
)
_TALKS = frozenset({"echo", "printf", "true", "cd", "cat", "head", "tail", "sort", "uniq", "wc", ":"})
# Waiting longer for these is no use, and git must not run beside the engine's own.
_STAYS = frozenset({"sleep", "git"})


def is_no_failure(command: str, exit_code: int) -> bool:
    """Whether this exit code is an answer: 1 of a search or a comparison that found nothing, or a difference."""
    if exit_code != 1:
        return False
    names = _names(command)
    if not names:
        return False
    return names[-1] in _ASKS or (not _ASKS.isdisjoint(names) and all(n in _ASKS or n in _TALKS for n in names))


def may_move_on(command: str) -> bool:
    """Whether a command that takes too long goes on in the background rather than being stopped."""
    names = _names(command)
    return names is not None and bool(names) and not any(name.split()[0] in _STAYS for name in names)


def _names(command: str) -> list[str] | None:
    """The names of the simple commands in their order, None if the text cannot be read."""
    try:
        return list(_walk(parse(command)))
    except (Unreadable, RecursionError):
        return None


def _walk(script: Script) -> Iterator[str]:
    for item in script.items:
        if isinstance(item, Script):
            yield from _walk(item)
        elif (name := _name(item)) is not None:
            yield name


def _name(simple: Simple) -> str | None:
    if not simple.words:
        return "[[" if simple.data else None
    name = simple.words[0].name or "?"
    second = simple.words[1].text if len(simple.words) > 1 else ""
    return f"{name} {second}" if name == "git" and second else name
