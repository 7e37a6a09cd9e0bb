"""Judge a Bash command before it runs: restricted commands, raw git writes, and writes to places outside the scope.

The analysis reads the text; it runs and expands nothing. It is a signpost that answers a model in words before
anything happened. What it cannot see (a script file, a program that writes) meets the confinement of the process.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import PermissionDenied

from .scope import Scope
from .shell_commands import Hidden, inner, plain_git, reads_only
from .shell_syntax import parse
from .shell_targets import targets
from .shell_walk import Walk
from .shell_words import MAX_DEPTH, Redirect, Simple, Unreadable, Word

TARGET_CHARS = 200
_DEVICES = re.compile(r"/dev/(null|zero|full|tty|stdout|stderr|fd/\d+|shm/(?!.*\.\.).+)")
_WRITES = frozenset({">", ">>", ">|", "&>", "&>>", "<>", ">&"})
_TOOL = re.compile(r"[A-Z]\w*|mcp__\S*|\w+_\w+|commit|handoff")
_NAME = re.compile(r"[A-Za-z_]\w*")
_DECLARES = frozenset(
    {"export", "declare", "typeset", "local", "readonly", "read", "unset", "mapfile", "readarray", "getopts"}
)
_WRITE_OUT = "write the command's name and subcommand out, one command at a time"

Words = tuple[Word, ...]


def restricted_commands(entries: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """The entries of ``tools_restricted`` that are beginnings of commands; the others are names of tools.

    ``WebFetch``, ``mcp__x`` and ``plan_tasks`` are tools; ``git commit`` and ``curl`` are commands.
    """
    return tuple(tuple(shlex.split(entry)) for entry in entries if entry.strip() and not _TOOL.fullmatch(entry))


def check_command(
    command: str,
    *,
    scope: Scope,
    restricted: Sequence[Sequence[str]] = (),
    variables: Mapping[str, str] | None = None,
    directory: str | None = None,
) -> None:
    """Refuse what may not run. ``variables`` are values of the environment that paths are written with,
    ``directory`` is where it begins if not at the top of the tree.

    Raises PermissionDenied with ``rule`` ``tools_restricted``, ``raw_git``, ``unreadable``, ``hidden_command``, or the
    rule of the scope that a written place breaks.
    """
    judge = _Judge(command, scope, restricted, dict(variables or {}))
    judge.directory = directory or judge.directory
    try:
        judge.script(parse(command), 0)
    except Unreadable as error:
        raise judge.denied(f"the command cannot be read: {error}", "unreadable", "write it in simpler Bash") from None
    except Hidden as error:
        raise judge.denied(f"the command cannot be judged: {error}", "hidden_command", _WRITE_OUT) from None
    except RecursionError:
        raise judge.denied("the command is nested too deeply", "unreadable", "write it in simpler Bash") from None


def begins_with(words: Words, prefix: Sequence[str], *, is_first: bool = True) -> bool:
    """Whether the words may begin with ``prefix``, options between skipped; a hole may be any words."""
    if not prefix:
        return True
    if not words:
        return False
    word, rest = words[0], words[1:]
    if not is_first and word.splits:
        return True
    name = (word.name or "").casefold() if is_first else word.text
    if (name == prefix[0].casefold() if is_first else (not word.is_static or word.text == prefix[0])) and begins_with(
        rest, prefix[1:], is_first=False
    ):
        return True
    if is_first or not word.text.startswith("-"):
        return False
    return begins_with(rest, prefix, is_first=False) or (
        "=" not in word.text and begins_with(rest[1:], prefix, is_first=False)
    )


class _Judge(Walk):
    def __init__(
        self, command: str, scope: Scope, restricted: Sequence[Sequence[str]], variables: dict[str, str]
    ) -> None:
        self.command, self.scope, self.restricted, self.variables = command, scope, restricted, variables
        super().__init__(str(scope.tree))

    def denied(self, message: str, rule: str, hint: str) -> PermissionDenied:
        return PermissionDenied(message, rule=rule, target=clean_line(self.command, TARGET_CHARS), hint=hint)

    # -- what runs

    def simple(self, simple: Simple, depth: int) -> None:
        for word in simple.assignments:
            self.forget(word.prefix)
        words = tuple(word.fill(self.known) for word in simple.words)
        for redirect in simple.redirects:
            self.redirect(redirect)
        if words:
            self.run(words, simple.redirects, depth)

    def run(self, words: Words, redirects: Sequence[Redirect], depth: int) -> None:
        """One command, and the commands it runs in turn."""
        if depth > MAX_DEPTH:
            raise Unreadable(f"it is nested deeper than {MAX_DEPTH} levels")
        name = words[0].name
        if name is None:
            raise Hidden("the name of a command is put together while it runs")
        name, args = name.casefold(), words[1:]
        self.refuse_restricted(words)
        if name == "git" or name.startswith("git-"):
            self.git(words if name == "git" else (Word.of("git"), Word.of(name[4:]), *args))
            return
        found = inner(name, args)
        if found is None:
            self.effects(name, args)
            return
        texts = [*found.texts, *(self.input_of(name, redirects) if found.reads_input else ())]
        for text in texts:
            self.script(parse(text.text, depth + 1), depth + 1)
        for command in filter(None, found.commands):
            self.run(command, redirects, depth + 1)

    def input_of(self, name: str, redirects: Sequence[Redirect]) -> list[Word]:
        """The text a shell reads from a here-document. Raises Hidden if it comes from somewhere else."""
        found = [
            r.body if r.op.startswith("<<") and r.body is not None else r.target for r in redirects if r.op[:2] == "<<"
        ]
        if not found and any(redirect.op == "<" and not redirect.target.scripts for redirect in redirects):
            return []
        if not found or not all(word.is_static for word in found):
            raise Hidden(f"{name} reads commands from a stream")
        return found

    def refuse_restricted(self, words: Words) -> None:
        name, spelled = (words[0].name or "").casefold(), words
        if name == "git":
            spelled = (words[0], *plain_git(words[1:])[0])
        elif name.startswith("git-"):
            spelled = (Word.of("git"), Word.of(name[4:]), *words[1:])
        for prefix in self.restricted:
            if begins_with(spelled, prefix):
                text = " ".join(prefix)
                hint = (
                    "record work with the commit tool" if prefix[0] == "git" else "leave it, and say so in your handoff"
                )
                message = f"`{text}` is restricted for service {self.scope.service.key}"
                raise self.denied(message, "tools_restricted", hint)

    def git(self, words: Words) -> None:
        plain, is_harmless = plain_git(words[1:])
        if not reads_only(plain, is_harmless=is_harmless):
            text = clean_line(" ".join(word.text for word in plain[:2]) or "with these settings", 60)
            raise self.denied(
                f"`git {text}` may change the repository or run other programs; the engine owns it",
                "raw_git",
                "record work with the commit tool; git status, diff, log, show, grep, blame and ls-files are open",
            )
        self.effects("git", plain)

    # -- what it writes

    @property
    def known(self) -> dict[str, str]:
        return self.variables | ({"PWD": self.directory} if self.directory else {})

    def forget(self, text: str) -> None:
        if match := _NAME.match(text):
            self.variables.pop(match[0], None)

    def effects(self, name: str, args: Words) -> None:
        if name in ("cd", "pushd", "popd"):
            self.directory = self.moved(args) if name != "popd" else None
        elif name in _DECLARES:
            for word in args:
                self.forget(word.prefix)
        for word, follows in targets(name, args):
            self.place(word, follow=follows)

    def moved(self, args: Words) -> str | None:
        words = [word for word in args if word.prefix not in ("-L", "-P", "-e", "--")]
        if not words:
            return self.variables.get("HOME")
        if self.directory is None or not words[0].is_static or words[0].text.startswith(("-", "+")):
            return words[0].text if words[0].is_static and words[0].text.startswith("/") else None
        return os.path.join(self.directory, words[0].text)  # noqa: PTH118 - the shell's own way of joining

    def redirect(self, redirect: Redirect) -> None:
        target = redirect.target.fill(self.known)
        if redirect.op not in _WRITES or (redirect.op == ">&" and re.fullmatch(r"\d+-?|-", target.text)):
            return
        if not target.scripts:
            self.place(target, follow=True)

    def place(self, word: Word, *, follow: bool) -> None:
        """Refuse a place outside the scope, as far as its literal beginning tells where it is."""
        text = word.text if word.is_static else word.prefix.rpartition("/")[0] + "/" if "/" in word.prefix else ""
        if not text or _DEVICES.fullmatch(text):
            return
        if not text.startswith("/"):
            if self.directory is None:
                return
            path = os.path.join(self.directory, text)  # noqa: PTH118 - the shell's own way of joining
        else:
            path = text
        if not word.is_static and self.may_meet(path):
            return
        try:
            self.scope.check_write(path, follow=follow)
        except PermissionDenied as error:
            hint = "for temporary files use $TMPDIR" if text.startswith(("/tmp", "/var/tmp")) else error.hint
            shown, why = clean_line(text, TARGET_CHARS), error.message.removeprefix(path).strip()
            message = f"the command writes to {shown}, which {why}"
            raise PermissionDenied(message, rule=error.rule, target=shown, hint=hint) from None

    def may_meet(self, beginning: str) -> bool:
        """Whether something below this directory may be the service's to write."""
        try:
            base, parts = self.scope.place(self.scope.resolve(beginning))
        except PermissionDenied:
            return False
        roots = self.scope.writable
        return base != self.scope.tree or any(parts[: len(r)] == r or r[: len(parts)] == parts for r in roots)
