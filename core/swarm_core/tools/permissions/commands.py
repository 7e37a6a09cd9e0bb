"""A Bash text as the commands that rules are about.

Each command comes in several spellings. A rule that opens must match the command as it is written, or behind the few
words that change nothing (``timeout 5``, ``nohup``). A rule that closes matches any spelling: behind every wrapper,
inside ``sh -c``, by its full path, with git's own options between.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from swarm_core.tools.shell_commands import Hidden, inner, plain_git, reads_only
from swarm_core.tools.shell_syntax import parse
from swarm_core.tools.shell_targets import targets
from swarm_core.tools.shell_walk import Walk
from swarm_core.tools.shell_words import MAX_DEPTH, Hole, Redirect, Simple, Unreadable, Word

from .patterns import HOLE, squeezed

__all__ = ["Command", "Hidden", "Unreadable", "read_commands"]

Words = tuple[Word, ...]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Variables that change how much a program says or how it looks, and not what it runs.
SAFE_VARIABLES = _words(
    """
    CI COLUMNS DEBIAN_FRONTEND FORCE_COLOR LANG LANGUAGE LC_ALL LC_CTYPE LINES NODE_ENV NO_COLOR
    PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED RUST_BACKTRACE RUST_LOG TERM TZ
    """
)
# What stands before a command without changing it. `xargs` is one of them only without options.
WRAPPERS = frozenset({"timeout", "time", "nice", "nohup", "stdbuf", "command", "builtin", "noglob", "xargs"})
# What runs another command so that a beginning says nothing: only the whole text opens it.
EXECUTORS = frozenset({"watch", "setsid", "ionice", "flock"})
READERS = _words(
    """
    cat head tail sed grep egrep fgrep rg less more awk gawk cut sort uniq wc diff cmp od xxd hexdump
    strings base64 base32 tac nl cp mv ln install rsync tar zip gzip jq yq source . file stat readlink tee
    dd openssl
    """
)
READ_ONLY = _words(
    """
    ls cat head tail grep find wc diff stat du cd pwd echo printf true false which sort uniq cut
    """
)
_UNSAFE_OPTIONS = re.compile(r"-(?:o.*|-output.*|exec|execdir|ok|okdir|delete|fprint.*|fls)")
_WRITES = frozenset({">", ">>", ">|", "&>", "&>>", "<>", ">&"})
_TO_NOWHERE = re.compile(r"/dev/null|/dev/std(out|err)")
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(slots=True)
class Command:
    """One command that a text runs itself.

    ``open`` are the spellings a rule that opens may match, ``exact`` those only a rule without a wildcard opens,
    ``closed`` all that a rule that closes may match. ``written`` is the whole text if it is this command alone.
    ``reads`` and ``writes`` are absolute paths, unknown parts as ``HOLE``.
    """

    open: list[str] = field(default_factory=list)
    exact: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    written: str = ""
    is_read_only: bool = False


def read_commands(text: str, tree: str) -> list[Command]:
    """The commands of a text that starts in the directory ``tree``. Raises Unreadable or Hidden."""
    reader = _Reader(tree)
    try:
        reader.script(parse(text), 0)
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    if len(reader.commands) == 1:  # as written, for rules that quote
        only = reader.commands[0]
        only.written = squeezed(text)
        only.closed.append(only.written)
    return reader.commands


class _Reader(Walk):
    def __init__(self, tree: str) -> None:
        super().__init__(tree)
        self.tree = tree
        self.commands: list[Command] = []

    def simple(self, simple: Simple, depth: int) -> None:
        found = self.command(simple.words, simple.assignments, simple.redirects)
        if found is None:
            return
        self.commands.append(found)
        if simple.words:
            self.closed(found, simple.words, simple.redirects, depth)
            self.move(simple.words)

    def command(self, words: Words, assignments: Words, redirects: Sequence[Redirect]) -> Command | None:
        """The spellings that are written; None if nothing runs and nothing is changed."""
        found = Command()
        outputs = [r for r in redirects if r.op in _WRITES and not _is_harmless(r)]
        kept = [word for word in assignments if word.prefix.partition("=")[0].rstrip("+") not in SAFE_VARIABLES]
        tail = "".join(f" {redirect.op} {_shown(redirect.target)}" for redirect in outputs)
        if not words and not kept and not outputs:
            return None
        for stripped in _open_forms(words) if words else [()]:
            text = " ".join(_shown(word) for word in (*kept, *stripped)) + tail
            is_exact = bool(stripped) and _needs_whole_text(stripped)
            (found.exact if is_exact else found.open).append(text.strip())
        if found.exact:
            found.open = []
        for redirect in redirects:
            if redirect.op == "<":
                found.reads += self.path(redirect.target)
            elif redirect.op in _WRITES and not _is_harmless(redirect):
                found.writes += self.path(redirect.target)
        found.is_read_only = bool(words) and not kept and not outputs and _is_read_only(words)
        return found

    def closed(self, found: Command, words: Words, redirects: Sequence[Redirect], depth: int) -> None:
        """Every spelling of what these words run, wrappers and inner shells included."""
        if depth > MAX_DEPTH:
            raise Unreadable(f"it is nested deeper than {MAX_DEPTH} levels")
        found.closed += _spellings(words)
        name = words[0].name
        if name is None:
            return  # its first word is unknown: the spellings say so
        name = name.casefold()
        self.paths(found, name, words[1:])
        if name == "git" or name.startswith("git-"):
            return
        runs = inner(name, words[1:])
        if runs is None:
            return
        texts = [*runs.texts, *(_input_of(name, redirects) if runs.reads_input else ())]
        for text in texts:
            before, self.commands, directory = self.commands, [], self.directory
            self.script(parse(text.text, depth + 1), depth + 1)
            parts, self.commands, self.directory = self.commands, before, directory
            for part in parts:
                found.closed += [*part.open, *part.exact, *part.closed]
                found.reads += part.reads
                found.writes += part.writes
        for command in filter(None, runs.commands):
            self.closed(found, command, redirects, depth + 1)

    # -- places

    def paths(self, found: Command, name: str, args: Words) -> None:
        if name in READERS:
            for word in args:
                text = word.prefix
                if not text.startswith("-"):
                    found.reads += self.path(word)
                elif "=" in text:
                    found.reads += self.path(Word((text.partition("=")[2], *word.parts[1:])))
        for word, _ in targets(name, args):
            found.writes += self.path(word)

    def path(self, word: Word) -> list[str]:
        text = _raw(word)
        if not text or text == "-":
            return []
        if text.startswith("~"):
            text = os.path.expanduser(text)  # noqa: PTH111 - a text that may hold unknown parts
        if not text.startswith("/"):
            text = f"{self.directory or self.tree + '/' + HOLE}/{text}"
        return [os.path.normpath(text)] if HOLE not in text else [text]

    def move(self, words: Words) -> None:
        if words[0].name not in ("cd", "pushd", "popd"):
            return
        args = [word for word in words[1:] if word.prefix not in ("-L", "-P", "-e", "--")]
        if words[0].name == "popd" or not args or not args[0].is_static or args[0].text.startswith(("-", "+")):
            self.directory = None
        elif args[0].text.startswith("/"):
            self.directory = os.path.normpath(args[0].text)
        elif self.directory is not None:
            self.directory = os.path.normpath(f"{self.directory}/{args[0].text}")


# -- spellings


def _raw(word: Word) -> str:
    """The word with ``HOLE`` for what is unknown; a tilde stays a tilde."""
    out = ""
    for index, part in enumerate(word.parts):
        if isinstance(part, Hole):
            is_home = index == 0 and part.name == "HOME" and not part.splits
            out += "~" if is_home else HOLE
        else:
            out += part
    return out


def _shown(word: Word) -> str:
    """As one word of a text: quoted where it would fall apart."""
    text = _raw(word)
    return shlex.quote(text) if not text or re.search(r"[\s;&|()<>]", text) else text


def _open_forms(words: Words) -> Iterator[Words]:
    """The command as written, then without each word before it that changes nothing."""
    while words:
        yield words
        name = words[0].text if words[0].is_static else ""
        if name not in WRAPPERS or len(words) < 2:
            return
        rest = words[1:]
        if name in ("command", "builtin", "xargs") and rest[0].prefix.startswith("-"):
            return
        if name in ("timeout", "nice", "stdbuf", "time"):
            rest = _behind_options(name, rest)
        words = rest


def _behind_options(name: str, rest: Words) -> Words:
    takes_value = {"timeout": ("-s", "-k", "--signal", "--kill-after"), "nice": ("-n", "--adjustment")}.get(name, ())
    takes_value = ("-i", "-o", "-e") if name == "stdbuf" else takes_value
    while rest and rest[0].is_static and rest[0].text.startswith("-"):
        if rest[0].text == "--":
            rest = rest[1:]
            break
        rest = rest[2:] if rest[0].text in takes_value else rest[1:]
    return rest[1:] if name == "timeout" else rest


def _needs_whole_text(words: Words) -> bool:
    """Whether only a rule with the whole text opens this command."""
    if not words[0].is_static:
        return True
    if words[0].text in EXECUTORS:
        return True
    return words[0].text == "find" and any(
        not word.is_static or re.fullmatch(r"-(exec|execdir|ok|okdir|delete|fprint.*|fls)", word.text)
        for word in words[1:]
        if not word.is_static or word.text.startswith("-")
    )


def _spellings(words: Words) -> list[str]:
    """What a rule that closes may have written for these words."""
    plain = " ".join(_raw(word) for word in words)
    out = [plain, " ".join(_shown(word) for word in words)]
    name = words[0].name
    if name is None:
        return out
    rest = words[1:]
    folded = name.casefold()
    out.append(" ".join((name, *(_raw(word) for word in rest))))
    out.append(" ".join((folded, *(_raw(word) for word in rest))))
    if folded == "git" or folded.startswith("git-"):
        words = rest if folded == "git" else (Word.of(folded[4:]), *rest)
        out.append(" ".join(("git", *(_raw(word) for word in plain_git(words)[0]))))
    return [squeezed(text) for text in dict.fromkeys(out)]


def _is_harmless(redirect: Redirect) -> bool:
    target = redirect.target
    if redirect.op == ">&" and re.fullmatch(r"\d+-?|-", target.text):
        return True
    return target.is_static and _TO_NOWHERE.fullmatch(target.text) is not None


def _is_read_only(words: Words) -> bool:
    if not words[0].is_static or any(word.scripts for word in words):
        return False
    if words[0].text == "git":
        plain, is_harmless = plain_git(words[1:])
        return reads_only(plain, is_harmless=is_harmless)
    return words[0].text in READ_ONLY and not any(
        (not word.prefix and not word.is_static) or _UNSAFE_OPTIONS.fullmatch(word.text) for word in words[1:]
    )


def _input_of(name: str, redirects: Sequence[Redirect]) -> list[Word]:
    found = [
        r.body if r.op in ("<<", "<<-") and r.body is not None else r.target for r in redirects if r.op[:2] == "<<"
    ]
    if not found and any(r.op == "<" and not r.target.scripts for r in redirects):
        return []
    if not found or not all(word.is_static for word in found):
        raise Hidden(f"{name} reads commands from a stream")
    return found
