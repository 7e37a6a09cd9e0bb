"""What well-known commands do with their words: which run another command, and which git commands only read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .shell_words import Hole, Word

Words = tuple[Word, ...]

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "rbash", "fish"})
_SHELL_VALUES = frozenset({"-o", "+o", "-O", "+O", "--rcfile", "--init-file"})
_INPUTS = re.compile(r"/dev/(stdin|fd/.*)|/proc/.*|-")

# Options that take the next word as their value. A command after them is what really runs.
WRAPPERS: Mapping[str, frozenset[str]] = {
    name: frozenset(options.split())
    for name, options in {
        "env": "-u --unset -C --chdir",
        "timeout": "-s --signal -k --kill-after",
        "time": "-f --format -o --output",
        "nice": "-n --adjustment",
        "ionice": "-c -n --class --classdata",
        "chrt": "",
        "taskset": "",
        "nohup": "",
        "setsid": "",
        "stdbuf": "-i -o -e --input --output --error",
        "command": "",
        "builtin": "",
        "exec": "-a",
        "noglob": "",
        "sudo": "-u -g -h -p -C -D -R -T -U -r -t --user --group --host --prompt --chdir --chroot",
        "doas": "-u -C",
        "su": "",
        "runuser": "-u",
        "chroot": "",
        "unshare": "",
        "nsenter": "-t",
        "xargs": "-I -i -n -P -L -s -d -a -E --max-args --max-procs --replace --delimiter --arg-file --max-lines",
        "parallel": "-j --jobs -a --arg-file",
        "watch": "-n --interval",
        "flock": "-w -E --timeout",
        "script": "",
        "strace": "-o -e -p -s",
        "ltrace": "-o -e -p -s",
        "busybox": "",
        "toybox": "",
        "caffeinate": "",
        "unbuffer": "",
        "setpriv": "",
        "prlimit": "",
        "faketime": "",
        "git-sh": "",
    }.items()
}
# Words between the options and the command: a duration, a mask, a lock file.
_LEADING = {"timeout": 1, "taskset": 1, "chrt": 1, "flock": 1, "chroot": 1, "faketime": 1}
_ASSIGNS = frozenset({"env", "sudo", "doas"})
_TEXT_AFTER_C = frozenset({"su", "runuser", "script", "flock"})
_FEEDS_WORDS = frozenset({"xargs", "parallel"})
RUNNERS = frozenset({"uv", "poetry", "pipenv", "pdm", "hatch", "rye", "pixi", "conda", "mise"})
_EXEC = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
ANYTHING = Word((Hole(),))


class Hidden(Exception):
    """What would run is not written in the command; the message says where."""


@dataclass(frozen=True, slots=True)
class Inner:
    """What a command runs: other commands as words, or texts for a shell. ``reads_input``: a shell without either."""

    commands: tuple[Words, ...] = ()
    texts: tuple[Word, ...] = ()
    reads_input: bool = False


def inner(name: str, args: Words) -> Inner | None:
    """What ``name`` runs with ``args``; None if it is what runs. Raises Hidden."""
    if name in SHELLS:
        return _shell(name, args)
    if name == "eval":
        return Inner(texts=(_joined(args[1:] if args and args[0].text == "--" else args),))
    if name == "trap":
        handlers = [word for word in args if not word.prefix.startswith("-") or word.splits]
        return Inner(texts=(_static(handlers[0], "trap"),) if len(handlers) > 1 else ())
    if name in (".", "source"):
        if args and (args[0].scripts or _INPUTS.fullmatch(args[0].text)):
            raise Hidden(f"{name} reads commands from a stream")
        return None
    if name == "alias" and args:
        raise Hidden("alias gives a command another name")
    if name in ("command", "exec") and args and args[0].text in ("-v", "-V"):
        return Inner()
    if name in RUNNERS:
        return _runner(args)
    if name in ("find", "fd", "fdfind"):
        return Inner(commands=tuple(_find(args)))
    if name in WRAPPERS:
        return _wrapper(name, args)
    return None


def _static(word: Word, where: str) -> Word:
    if not word.is_static:
        raise Hidden(f"the commands given to {where} are put together while it runs")
    return word


def _joined(args: Words) -> Word:
    return Word.of(" ".join(_static(word, "eval").text for word in args))


def _shell(name: str, args: Words) -> Inner:
    takes_text, index = False, 0
    while index < len(args):
        word = args[index]
        if not word.is_static:
            raise Hidden(f"what {name} runs is put together while it runs")
        text = word.text
        if text in ("--version", "--help"):
            return Inner()
        if text in ("--", "-"):
            index += 1
            break
        if not text.startswith(("-", "+")):
            break
        takes_text = takes_text or (not text.startswith(("--", "+")) and "c" in text)
        reads = not text.startswith(("--", "+")) and "s" in text and not takes_text
        if reads:
            return Inner(reads_input=True)
        index += 2 if text in _SHELL_VALUES else 1
    if index >= len(args):
        return Inner(reads_input=True)
    script = _static(args[index], name)
    if takes_text:
        return Inner(texts=(script,))
    if _INPUTS.fullmatch(script.text):
        return Inner(reads_input=True)
    return Inner()


def _runner(args: Words) -> Inner | None:
    """``uv run [options] command``: options are skipped with and without a value, since both occur."""
    if not args or args[0].text not in ("run", "exec", "x"):
        return None
    rest = args[1:]
    found: list[Words] = []
    while rest:
        if not rest[0].prefix.startswith("-") or rest[0].text == "--":
            found.append(rest[1:] if rest[0].text == "--" else rest)
            break
        if len(rest) > 1 and "=" not in rest[0].text and not rest[1].prefix.startswith("-"):
            found.append(rest[2:])
        rest = rest[1:]
    return Inner(commands=tuple(words for words in found if words))


def _find(args: Words) -> Iterator[Words]:
    index = 0
    while index < len(args):
        if args[index].text in (*_EXEC, "-x", "-X") and args[index].is_static:
            stop = index + 1
            while stop < len(args) and args[stop].text not in (";", "+"):
                stop += 1
            yield tuple(ANYTHING if "{}" in word.text else word for word in args[index + 1 : stop])
            index = stop
        index += 1


def _split_env(rest: Words) -> Words:
    """The words after ``env -S``, whose string is split by rules of its own: only plain ones are followed."""
    option = rest[0].text
    is_alone = option in ("-S", "--split-string")
    text = _static(rest[1] if len(rest) > 1 else ANYTHING, "env") if is_alone else _static(rest[0], "env")
    value = text.text if is_alone else option.removeprefix("--split-string=").removeprefix("-S")
    if re.search(r"[^\w\s./=:,@%+-]", value):
        raise Hidden("what env -S runs is quoted in a way of its own")
    return (*(Word.of(part) for part in value.split()), *rest[2 if is_alone else 1 :])


def _wrapper(name: str, args: Words) -> Inner | None:
    takes_value, rest, replaced = WRAPPERS[name], args, ""
    while rest and (rest[0].prefix.startswith("-") or (name in _ASSIGNS and "=" in rest[0].prefix)):
        if rest[0].splits:
            break
        option = rest[0].text
        if option == "--":
            rest = rest[1:]
            break
        if name == "env" and option.startswith(("-S", "--split-string")):
            rest = _split_env(rest)
            continue
        if option in takes_value and len(rest) > 1 and rest[1].splits:
            raise Hidden(f"the options of {name} are put together while it runs")
        if name in _TEXT_AFTER_C and option in ("-c", "--command") and len(rest) > 1:
            return Inner(texts=(_static(rest[1], name),))
        if name in _FEEDS_WORDS and option.startswith("-I"):
            replaced = option[2:] or (rest[1].text if len(rest) > 1 else "")
        rest = rest[2:] if option in takes_value else rest[1:]
        if rest and rest[0].splits:
            break
    for _ in range(_LEADING.get(name, 0)):
        if rest and not rest[0].splits:
            rest = rest[1:]
    if name == "flock" and len(rest) > 1 and rest[0].text == "-c":
        return Inner(texts=(_static(rest[1], name),))
    if name == "su":
        at = next((i for i, word in enumerate(args) if word.text in ("-c", "--command")), None)
        return Inner(texts=(_static(args[at + 1], name),)) if at is not None and at + 1 < len(args) else Inner()
    if not rest:
        return Inner()
    if name == "watch":
        return Inner(texts=(_joined(rest),))
    if name in _FEEDS_WORDS:
        rest = tuple(ANYTHING if replaced and replaced in word.text else word for word in rest)
        rest = rest if replaced else (*rest, ANYTHING)
    return Inner(commands=(rest,))


# -- git

READ_ONLY_GIT = re.compile(
    "status|diff|log|show|ls-files|grep|blame|annotate|rev-parse|cat-file|ls-tree|shortlog|describe|diff-tree|diff-index|"
    "diff-files|merge-base|rev-list|name-rev|for-each-ref|show-ref|check-ignore|check-attr|count-objects|range-diff|"
    "whatchanged|cherry|version|help"
)
_GIT_VALUES = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--super-prefix", "--config-env"})
_HARMLESS_SETTING = re.compile(
    r"(color|log|advice|user|author|committer|i18n)\..*|core\.(quotepath|abbrev|pager=cat|pager=)", re.I
)
_LISTS = {
    "branch": frozenset(
        {"--list", "-l", "-a", "--all", "-r", "--remotes", "-v", "-vv", "--show-current", "--no-color"}
    ),
    "tag": frozenset({"--list", "-l"}),
    "remote": frozenset({"-v", "--verbose"}),
}


def plain_git(args: Words) -> tuple[Words, bool]:
    """``git``'s words from the subcommand on, and whether the options before it only say where and how to print.

    Raises Hidden if the subcommand is not written out.
    """
    is_harmless, index = True, 0
    while index < len(args):
        word = args[index]
        if word.splits or (not word.is_static and not word.prefix.startswith("-")):
            raise Hidden("the git subcommand is put together while it runs")
        option = word.text
        if not option.startswith("-"):
            break
        if option == "-c" or option.startswith("--config-env"):
            value = args[index + 1].prefix if index + 1 < len(args) else ""
            is_harmless = is_harmless and option == "-c" and _HARMLESS_SETTING.match(value) is not None
        elif option.startswith("--exec-path="):
            is_harmless = False
        if option in _GIT_VALUES:
            if index + 1 < len(args) and args[index + 1].splits:
                raise Hidden("the git subcommand is put together while it runs")
            index += 1
        index += 1
    return args[index:], is_harmless


def reads_only(words: Words, *, is_harmless: bool) -> bool:
    """Whether a git subcommand with its words reads and prints, and nothing else."""
    if not words:
        return True
    name, args = words[0].text, words[1:]
    if name in _LISTS:
        return is_harmless and all(word.is_static and word.text in _LISTS[name] for word in args)
    if not READ_ONLY_GIT.fullmatch(name) or not is_harmless:
        return False
    return not any(
        word.prefix.startswith(("--open-files-in-pager", "--ext-diff"))
        or (name == "grep" and word.prefix.startswith("-O"))
        for word in args
    )
