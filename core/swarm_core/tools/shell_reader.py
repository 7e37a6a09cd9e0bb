"""Reads the words of Bash, character by character, without expanding anything."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from .shell_words import MAX_DEPTH, Hole, Script, Unreadable, Word

META = " \t\n;&|()<>"
_PLAIN = re.compile(r"[^ \t\n;&|()<>\\'\"$`*?\[{~]+")
_QUOTED_PLAIN = {'"': re.compile(r'[^"$`\\]+'), "": re.compile(r"[^$`\\]+")}
_VARIABLE = re.compile(r"[A-Za-z_]\w*|[0-9@*#?$!_-]")
_ESCAPE = re.compile(
    r"\\(?:([abeEfnrtv\\'\"?])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|c(.))", re.S
)
_CONTROLS = dict(zip("abeEfnrtv", "\a\b\x1b\x1b\f\n\r\t\v", strict=True))


def _unescape(match: re.Match[str]) -> str:
    plain, octal, hexadecimal, short, long, control = match.groups()
    if plain:
        return _CONTROLS.get(plain, plain)
    if control:
        return chr(ord(control) & 0x1F)
    code = int(octal, 8) & 0xFF if octal else int(hexadecimal or short or long, 16)
    return chr(code) if 0 < code < 0x110000 else "\ufffd"


@dataclass(slots=True)
class Builder:
    parts: list[str | Hole] = field(default_factory=list)
    scripts: list[Script] = field(default_factory=list)

    def add(self, text: str) -> None:
        if self.parts and isinstance(self.parts[-1], str):
            self.parts[-1] += text
        else:
            self.parts.append(text)

    def word(self) -> Word:
        return Word(tuple(self.parts), tuple(self.scripts))


class WordReader(ABC):
    """A reader with a position; every method starts at it and leaves it behind what it read."""

    def __init__(self, text: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Unreadable(f"it is nested deeper than {MAX_DEPTH} levels")
        self.text, self.position, self.depth = text, 0, depth

    @abstractmethod
    def substituted(self) -> Script:
        """``( … )`` behind ``$``, ``<`` or ``>``."""

    @abstractmethod
    def nested(self, text: str) -> Script:
        """The commands of a text inside this one."""

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(f"it is nested deeper than {MAX_DEPTH} levels")

    def word(self) -> Word:
        builder, start = Builder(), self.position
        while (char := self.peek()) and (char not in META or self.at("<(") or self.at(">(")):
            if char in "<>":
                self.position += 1
                builder.parts.append(Hole(splits=False))
                builder.scripts.append(self.substituted())
            elif char == "\\":
                if self.at("\\\n"):  # the joined word may be a keyword or an assignment
                    raise Unreadable(f"a line is broken inside a word{self.where()}; put a space before the backslash")
                builder.add(self.next() or "\\")
                self.position += 2
            elif char == "'":
                builder.add(self.until("'"))
            elif char == '"':
                self.position += 1
                builder.add("")
                self.quoted(builder, end='"')
            elif char in "$`":
                self.expansion(builder, splits=True)
            elif char in "*?[{" and not self.is_literal(char):
                self.position += 1
                builder.parts.append(Hole())
            elif char == "~" and self.position == start:
                self.position += 1
                builder.parts.append(Hole("HOME" if self.peek() in ("", "/", *META) else "", splits=False))
            else:
                match = self.match(_PLAIN)
                run = match[0] if match else char
                self.position += len(run)
                builder.add(run)
        self.position = min(self.position, len(self.text))
        if self.position == start:
            raise Unreadable(f"a word is missing{self.where()}")
        return builder.word()

    def is_literal(self, char: str) -> bool:
        """Whether a bracket or brace stands for itself, as in ``[ -f x ]`` and ``{}``."""
        return char in "[{" and self.next() in ("", *META, *("}" if char == "{" else ""))

    def quoted(self, builder: Builder, end: str) -> None:
        """Text in which only ``$``, backquotes and some backslashes mean something, up to ``end``."""
        while (char := self.peek()) != end:
            if char == "":
                raise Unreadable(f"a {end} is not closed")
            if char == "\\" and self.next() in ("$", "`", '"', "\\", "\n"):
                if self.next() != "\n":
                    builder.add(self.next())
                self.position += 2
            elif char in "$`":
                self.expansion(builder, splits=False)
            else:
                match = self.match(_QUOTED_PLAIN[end])
                run = match[0] if match else char
                self.position += len(run)
                builder.add(run)
        self.position += len(end)

    def expansion(self, builder: Builder, *, splits: bool) -> None:
        """What starts with ``$`` or a backquote; ``splits``: outside double quotes."""
        if self.at("`"):
            builder.parts.append(Hole(splits=splits))
            builder.scripts.append(self.nested(self.backquoted(in_quotes=not splits)))
        elif splits and self.at("$'"):
            self.position += 1
            builder.add(self.ansi_quoted())
        elif splits and self.at('$"'):
            self.position += 2
            builder.add("")
            self.quoted(builder, end='"')
        elif self.at("$(("):
            self.position += 1
            if not self.arithmetic(builder):
                builder.parts.append(Hole(splits=splits))
                builder.scripts.append(self.substituted())
        elif self.at("$("):
            self.position += 1
            builder.parts.append(Hole(splits=splits))
            builder.scripts.append(self.substituted())
        elif self.at("${"):
            self.parameter(builder, splits=splits)
        elif self.at("$[") or self.at("$\\\n"):
            raise Unreadable(f"$[ ] and a line broken behind $ are not supported{self.where()}")
        elif match := _VARIABLE.match(self.text, self.position + 1):
            self.position = match.end()
            # "$@" is as many words as there are arguments, quoted or not.
            builder.parts.append(Hole(match[0], splits or match[0] == "@"))
        else:
            self.position += 1
            builder.add("$")

    def parameter(self, builder: Builder, *, splits: bool) -> None:
        """``${…}``: only its substitutions matter, unless it is a plain variable.

        Quotes inside follow rules that depend on the operator and on quotes outside: refused rather than guessed.
        """
        self.position += 2
        self.deeper()
        start, inner = self.position, Builder()
        if self.peek() in (" ", "\t", "\n", "|"):
            raise Unreadable(f"${{ }} with a command is not supported{self.where()}")
        while (char := self.peek()) != "}":
            if char == "":
                raise Unreadable("${ is not closed")
            if char in "'\"":
                raise Unreadable(f"quotes inside ${{ }} are not supported{self.where()}")
            if char == "\\":
                self.position += 2
            elif char in "$`":
                self.expansion(inner, splits=False)
            else:
                self.position += 1
        name = self.text[start : self.position]
        self.position += 1
        self.depth -= 1
        builder.parts.append(Hole(name if _VARIABLE.fullmatch(name) else "", splits or "@" in name))
        builder.scripts.extend(inner.scripts)

    def arithmetic(self, builder: Builder) -> bool:
        """``(( … ))``; False, at the same position, if it is a subshell in a subshell."""
        start, level, inner = self.position, 0, Builder()
        self.deeper()
        while True:
            char = self.peek()
            if char in ("", "'", '"'):
                raise Unreadable(f"(( is not closed, or holds quotes{self.where()}")
            if char in "$`":
                self.expansion(inner, splits=False)
                continue
            if char == "\\":
                self.position += 1
            elif char == "(":
                level += 1
            elif char == ")":
                level -= 1
                if level == 1:
                    break
            self.position += 1
        self.depth -= 1
        if not self.at("))"):
            self.position = start
            return False
        self.position += 2
        builder.parts.append(Hole())
        builder.scripts.extend(inner.scripts)
        return True

    def until(self, end: str) -> str:
        stop = self.text.find(end, self.position + 1)
        if stop < 0:
            raise Unreadable(f"a {end} is not closed")
        found = self.text[self.position + 1 : stop]
        self.position = stop + 1
        return found

    def ansi_quoted(self) -> str:
        match = re.compile(r"'((?:[^'\\]|\\.)*)'", re.S).match(self.text, self.position)
        if match is None:
            raise Unreadable("a $' is not closed")
        self.position = match.end()
        return _ESCAPE.sub(_unescape, match[1])

    def backquoted(self, *, in_quotes: bool) -> str:
        match = re.compile(r"`((?:[^`\\]|\\.)*)`", re.S).match(self.text, self.position)
        if match is None:
            raise Unreadable("a ` is not closed")
        self.position = match.end()
        return re.sub(r"\\([$`\\\"])" if in_quotes else r"\\([$`\\])", r"\1", match[1])

    # -- characters

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def next(self) -> str:
        return self.text[self.position + 1 : self.position + 2]

    def at(self, text: str) -> bool:
        return self.text.startswith(text, self.position)

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        return pattern.match(self.text, self.position)

    def blanks(self) -> None:
        """Blanks, joined lines, and a comment if a word could start here."""
        while True:
            if self.peek() in (" ", "\t"):
                self.position += 1
            elif self.at("\\\n"):
                self.position += 2
            else:
                break
        before = self.text[self.position - 1 : self.position]
        if self.peek() == "#" and before in ("", *META):
            stop = self.text.find("\n", self.position)
            self.position = len(self.text) if stop < 0 else stop

    def expect(self, char: str) -> None:
        if not self.at(char):
            raise Unreadable(f"{char} is missing{self.where()}")
        self.position += len(char)

    def where(self) -> str:
        return f" at character {self.position + 1}" + (
            f", near {rest!r}" if (rest := self.text[self.position :][:20]) else ""
        )
