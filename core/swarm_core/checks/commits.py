"""Messages of the commits in question: Conventional Commits 1.0.0 in the first line, and the trailers asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from .measured import Found, Measured, not_measured, verdict
from .site import Site

TYPES = ("feat", "fix", "docs", "style", "refactor", "perf", "test", "build", "ci", "chore", "revert")
MAX_SUBJECT_CHARS = 100
_SUBJECT = re.compile(r"([A-Za-z]+)(\([^()\r\n]{1,50}\))?!?: (\S.*)")
_TRAILER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*): \S")
_GENERATED = re.compile(r'(?:Merge |Revert "|fixup! |squash! )')


async def measure(site: Site) -> Measured:
    messages = site.around.messages
    if not messages:
        return not_measured(
            "there is no commit to look at", "it is measured at a merge, or with swarm-tui check --base"
        )
    options = site.spec.options
    return judge(messages, options.get("types", TYPES), options.get("trailers", ()))


def judge(messages: Sequence[str], types: Sequence[str] = TYPES, trailers: Sequence[str] = ()) -> Measured:
    """Merges and other generated messages are let pass but for their trailers. Pure."""
    found: list[Found] = []
    for message in messages:
        subject = message.partition("\n")[0].strip()
        found += [Found(f"{subject[:80]!r}: {why}", severity="LOW") for why in wrong(message, types, trailers)]
    return verdict(found, f"{len(messages)} commits", Fraction(len(found)))


def wrong(message: str, types: Sequence[str], trailers: Sequence[str]) -> list[str]:
    """What is wrong with one message."""
    lines = message.rstrip().split("\n")
    subject = lines[0].strip()
    why: list[str] = []
    if not _GENERATED.match(subject):
        match = _SUBJECT.fullmatch(subject)
        if match is None:
            why.append("is not of the form type(scope): what it does")
        elif match[1].lower() not in types:
            why.append(f"{match[1]} is not one of {', '.join(types)}")
        if len(subject) > MAX_SUBJECT_CHARS:
            why.append(f"is longer than {MAX_SUBJECT_CHARS} characters")
        if len(lines) > 1 and lines[1].strip():
            why.append("has no blank line after the first")
    last = "\n".join(lines).rpartition("\n\n")[2].split("\n") if len(lines) > 1 else []
    given = {match[1].lower() for line in last if (match := _TRAILER.match(line))}
    why += [f"has no trailer {name}" for name in trailers if name.lower() not in given]
    return why
