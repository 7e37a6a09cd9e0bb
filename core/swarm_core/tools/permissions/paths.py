"""Path rules: patterns as in ``.gitignore``, and where they begin.

``//x`` is absolute, ``~/x`` begins at the home directory, ``/x`` where the rule's file stands, ``x`` and ``./x`` where
the agent works. A pattern without a slash matches at any depth, one that names a directory matches all below it.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .patterns import may_meet, unknowns, wildcards

_CLASS = re.compile(r"\[([!^]?)(\]?[^\]]*)\]")
_ONE_DIRECTORY = re.compile(r"[^/*?\[]+/(\*\*)?")
# A file system that takes SECRETS for secrets must not open what a rule keeps closed.
_FOLDS_CASE = sys.platform in ("darwin", "win32")


@dataclass(frozen=True, slots=True)
class Bases:
    """Where patterns begin: ``tree`` is the agent's worktree, ``root`` what ``/`` means, ``home`` what ``~`` means."""

    tree: str
    root: str
    home: str = ""

    @classmethod
    def of(cls, tree: Path) -> Bases:
        return cls(str(tree), str(tree), str(Path.home()))


def is_path(spec: str, path: str, bases: Bases, *, is_allow: bool) -> bool:
    """Whether an absolute path without ``..`` is one of ``spec``'s."""
    pattern = _compiled(spec, bases, is_allow)
    if _FOLDS_CASE and not is_allow:
        path = path.casefold()
    parts = tuple(part for part in path.split("/") if part)
    if parts[: len(pattern.base)] != pattern.base:
        return False
    return _meets(pattern.segments, parts[len(pattern.base) :])


def may_be_path(spec: str, path: str, bases: Bases) -> bool:
    """Whether an absolute path with unknown parts (``HOLE``) may be one of ``spec``'s."""
    base, text, is_anchored = _split(spec, bases, is_allow=False)
    if _FOLDS_CASE:
        base, text, path = base.casefold(), text.casefold(), path.casefold()
    pattern = re.sub(r"\*+|\?|\[[^\]/]+\]", "*", text.rstrip("/"))
    starts = ("/",) if is_anchored else ("/", "/*/")
    for start in starts:
        whole = [*base.rstrip("/"), *wildcards(start + pattern)]
        if may_meet(whole, unknowns(path)) or may_meet([*whole, *wildcards("/*")], unknowns(path)):
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Pattern:
    base: tuple[str, ...]
    segments: tuple[str, ...]


@lru_cache(4096)
def _compiled(spec: str, bases: Bases, is_allow: bool) -> _Pattern:
    base, text, is_anchored = _split(spec, bases, is_allow)
    if _FOLDS_CASE and not is_allow:
        base, text = base.casefold(), text.casefold()
    segments = tuple(part for part in text.split("/") if part not in ("", "."))
    return _Pattern(tuple(part for part in base.split("/") if part), segments if is_anchored else ("**", *segments))


def _split(spec: str, bases: Bases, is_allow: bool) -> tuple[str, str, bool]:
    """Where a pattern begins, the pattern, and whether it is bound to that place."""
    if spec.startswith("//"):
        return "/", spec[2:], True
    if spec.startswith("~/"):
        return bases.home or "/nonexistent", spec[2:], True
    if spec.startswith("/"):
        return bases.root, spec[1:], True
    if spec.startswith("./"):
        return bases.tree, spec[2:], True
    if _ONE_DIRECTORY.fullmatch(spec):  # one directory and all below it: narrow where it opens, wide where it closes
        return bases.tree, spec, is_allow
    return bases.tree, spec, "/" in spec.rstrip("/")


def _meets(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Whether the path, or a directory above it, is of the pattern: all places reached together, part by part."""
    places = _skipped({0}, pattern)
    for part in parts:
        if len(pattern) in places:
            return True  # it is below something that matched
        places = _skipped(
            {
                place if pattern[place] == "**" else place + 1
                for place in places
                if place < len(pattern) and (pattern[place] == "**" or _is_segment(pattern[place], part))
            }
            # `**` at the end is everything below, and at least something
            | {place + 1 for place in places if place == len(pattern) - 1 and pattern[place] == "**"},
            pattern,
        )
    return len(pattern) in places


def _skipped(places: set[int], pattern: tuple[str, ...]) -> set[int]:
    """With the places behind ``**``, which may be no directory at all; not at the end."""
    out = set(places)
    for place in places:
        while place < len(pattern) - 1 and pattern[place] == "**":
            place += 1
            out.add(place)
    return out


@lru_cache(4096)
def _tokens(segment: str) -> tuple[str | re.Pattern[str], ...]:
    out: list[str | re.Pattern[str]] = []
    index = 0
    while index < len(segment):
        char = segment[index]
        if char == "[" and (match := _CLASS.match(segment, index)):
            inside = re.sub(r"([\[\\&~|])", r"\\\1", match[2]).replace("]", "\\]")
            index = match.end()
            try:
                out.append(re.compile(f"[{'^' if match[1] else ''}{inside}]"))
            except re.error:  # such as a range that goes backwards: nothing is of it
                out.append(re.compile("(?!)"))
            continue
        if char == "\\" and index + 1 < len(segment):
            out.append("=" + segment[index + 1])
            index += 2
            continue
        if char == "*":
            if not out or out[-1] != "*":
                out.append("*")
        else:
            out.append("?" if char == "?" else "=" + char)
        index += 1
    return tuple(out)


@lru_cache(4096)
def _is_segment(segment: str, name: str) -> bool:
    tokens = _tokens(segment)
    places = {0, 1} if tokens[:1] == ("*",) else {0}
    for char in name:
        found: set[int] = set()
        for place in places:
            if place == len(tokens):
                continue
            token = tokens[place]
            if token == "*":
                found.add(place)
            elif (isinstance(token, re.Pattern) and token.match(char)) or token in ("?", "=" + char):
                found.add(place + 1)
        places = found | {place + 1 for place in found if place < len(tokens) and tokens[place] == "*"}
    return len(tokens) in places
