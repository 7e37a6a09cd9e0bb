"""The places that well-known commands write, as far as their words say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .shell_commands import Words
from .shell_words import Word

_POSITIONALS: Mapping[str, tuple[frozenset[str], int, bool]] = {
    # name: options with a value, words that are no targets, whether a link is followed
    "tee": (frozenset(), 0, True),
    "touch": (frozenset({"-d", "-r", "-t", "--date", "--reference"}), 0, True),
    "truncate": (frozenset({"-s", "-r", "--size", "--reference"}), 0, True),
    "mkdir": (frozenset({"-m", "--mode"}), 0, True),
    "mkfifo": (frozenset({"-m", "--mode"}), 0, True),
    "shred": (frozenset({"-n", "-s"}), 0, True),
    "chmod": (frozenset(), 1, True),
    "chown": (frozenset(), 1, True),
    "chgrp": (frozenset(), 1, True),
    "rm": (frozenset(), 0, False),
    "rmdir": (frozenset(), 0, False),
    "unlink": (frozenset(), 0, False),
}
_COPIES = frozenset({"cp", "install", "mv", "ln", "rsync"})
_OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "sort": ("-o", "--output"),
    "curl": ("-o", "--output"),
    "wget": ("-O", "--output-document", "-P", "--directory-prefix"),
    "git": ("--output",),
    "script": ("--log-out",),
}


def targets(name: str, args: Words) -> list[tuple[Word, bool]]:
    """The places a command writes, as far as its words say, each with whether a final link is followed."""
    if name in _POSITIONALS:
        takes_value, skipped, follows = _POSITIONALS[name]
        return [(word, follows) for word in _positionals(args, takes_value)[skipped:]]
    if name in _COPIES:
        return _copies(name, args)
    if name == "dd":
        return [(_after(word, 3), True) for word in args if word.prefix.startswith("of=")]
    if name in ("sed", "perl"):
        return [(word, True) for word in _edited_in_place(name, args)]
    return [(word, True) for word in _values(args, _OUTPUTS.get(name, ()))]


def _after(word: Word, count: int) -> Word:
    """The word without its first ``count`` literal characters."""
    first, *rest = word.parts
    return Word((first[count:] if isinstance(first, str) else first, *rest), word.scripts)


def _positionals(args: Sequence[Word], takes_value: frozenset[str]) -> list[Word]:
    found: list[Word] = []
    index = 0
    while index < len(args):
        text = args[index].prefix
        if text == "--":
            return [*found, *args[index + 1 :]]
        if text.startswith("-") and text != "-":
            index += 2 if args[index].text in takes_value else 1
            continue
        found.append(args[index])
        index += 1
    return found


def _copies(name: str, args: Words) -> list[tuple[Word, bool]]:
    values = {"-t", "--target-directory", "-S", "--suffix", "-m", "-o", "-g", "--mode", "-e", "--exclude", "--include"}
    into = _values(args, ("-t", "--target-directory")) if name != "rsync" else []
    words = _positionals(args, frozenset(values))
    sources, last = (words, into) if into else (words[:-1], words[-1:])
    if name == "ln" and not into and len(words) == 1:
        target = words[0].name
        return [(Word.of(target), False)] if target else []
    found = [(word, name != "ln") for word in last if not (name == "rsync" and ":" in word.prefix)]
    return [*found, *((word, False) for word in sources)] if name == "mv" else found


def _edited_in_place(name: str, args: Words) -> list[Word]:
    flags = [word.prefix for word in args if word.prefix.startswith("-")]
    if not any(re.match(r"-[a-zA-Z0-9]*i|--in-place", flag) for flag in flags):
        return []
    words = _positionals(args, frozenset({"-e", "-f", "--expression", "--file", "-l", "-pe", "-pie", "-ne", "-i -e"}))
    has_script = any(
        flag in ("-e", "-f", "-pe", "-ne", "-pie") or flag.startswith(("--expression", "--file")) for flag in flags
    )
    return words if has_script else words[1:]


def _values(args: Words, options: tuple[str, ...]) -> list[Word]:
    """The values of options, written as ``--name=value``, ``-ovalue`` or in the next word."""
    found: list[Word] = []
    for index, word in enumerate(args):
        for option in options:
            if word.text == option and index + 1 < len(args):
                found.append(args[index + 1])
            elif option.startswith("--") and word.prefix.startswith(option + "="):
                found.append(_after(word, len(option) + 1))
            elif not option.startswith("--") and word.prefix.startswith(option) and len(word.prefix) > 2:
                found.append(_after(word, 2))
    return found
