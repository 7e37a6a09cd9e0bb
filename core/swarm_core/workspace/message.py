"""Commit messages: foreign prose above, our own trailers as the last block."""

from __future__ import annotations

import re
from collections.abc import Mapping

from swarm_core.vocabulary.clean import clean, clean_line

TRAILERS = ("Run-Id", "Task-Id", "Agent")
MAX_CHARS = 20_000
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


def compose(message: str, trailers: Mapping[str, str]) -> str:
    """``message`` made safe to print, an empty line, then the trailers, as ``git interpret-trailers`` reads them.

    A line of the prose that claims to be one of our trailers, or that would end the message for git (``---``), is
    quoted. Raises ValueError for a trailer key that is not one.
    """
    ours = {key.lower() for key in (*TRAILERS, *trailers)}
    prose = clean(message.replace("\r\n", "\n").strip()[:MAX_CHARS]) or "Work in progress"
    lines = [_harmless(line.rstrip(), ours) for line in prose.split("\n")]
    if not trailers:
        return "\n".join(lines) + "\n"
    for key in trailers:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a trailer key")
    block = [f"{key}: {clean_line(' '.join(value.split()), 200)}" for key, value in trailers.items()]
    return "\n".join([*lines, "", *block]) + "\n"


def _harmless(line: str, ours: set[str]) -> str:
    key = line.partition(":")[0].strip().lower()
    return f"> {line}" if line.startswith("---") or key in ours else line


def person(author: str) -> tuple[str, str]:
    """Name and address for git from ``backend-1`` or ``Ada <ada@example.org>``; never empty, never two lines."""
    match = re.fullmatch(r"\s*(.*?)\s*<([^<>]*)>\s*", author, re.DOTALL)
    name, address = (match[1], match[2]) if match else (author, "")
    plain = clean_line(" ".join(re.sub("[<>]", " ", name).split()), 100)
    name = plain.strip(" .,:;'\"") or "agent"  # git refuses a name of nothing but these
    word = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "agent"
    address = re.sub(r"[^\x21-\x7e]", "", address)[:200]
    return name, address or f"{word}@swarm-tui.invalid"
