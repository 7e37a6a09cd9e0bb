"""Bash text as commands, without running anything.

Only as much grammar as a judge needs: which simple commands a text can run, with which words and redirections, in
the order they run in. What is not understood raises ``Unreadable``.
Grammar: the Bash Reference Manual, chapter 3.
"""

from __future__ import annotations

import re

from .shell_reader import Builder, WordReader
from .shell_words import Hole, Redirect, Script, Simple, Unreadable, Word

MAX_COMMAND_CHARS = 64_000

# `time` is a keyword, behind which assignments and `!` may stand, unless an option of the program follows it.
_KEYWORD = re.compile(
    r"(?:if|then|else|elif|fi|while|until|do|done|!|\{|\}|time(?:[ \t]+-p)?(?:[ \t]+--)?(?![ \t]*-))(?=[\s;&|()<>]|$)"
)
_HEADER = re.compile(r"(for|select|case|esac|function|coproc)(?=[\s;&|()<>]|$)")
_IN = re.compile(r"in(?=[ \t\n;]|$)")
_CONDITION = re.compile(r"\[\[(?=[ \t\n])")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*(?:\[[^\]\s]*\])?\+?=")
_REDIRECT = re.compile(r"(?:\d+|\{[A-Za-z_]\w*\})?(<<<|<<-?|<>|<&|>>|>\||>&|<|>)|(&>>?)")


def parse(text: str, depth: int = 0) -> Script:
    """The commands of a Bash text. Raises Unreadable."""
    if len(text) > MAX_COMMAND_CHARS:
        raise Unreadable(f"it is longer than {MAX_COMMAND_CHARS} characters")
    reader = _Reader(text, depth)
    try:
        script = reader.script()
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    if reader.documents:
        raise Unreadable("a here-document has no end")
    if reader.position < len(text):
        raise Unreadable(f"unexpected {text[reader.position]!r}{reader.where()}")
    return script


class _Reader(WordReader):
    """Reads lists of commands; here-documents wait for the end of their line."""

    def __init__(self, text: str, depth: int) -> None:
        super().__init__(text, depth)
        self.documents: list[tuple[Redirect, bool]] = []

    def nested(self, text: str) -> Script:
        return parse(text, self.depth + 1)

    def script(self, *, is_subshell: bool = True) -> Script:
        """Commands up to the end, an unmatched ``)``, ``;;`` or ``esac``, none of which is consumed."""
        items: list[Simple | Script] = []
        while True:
            self.blanks()
            char = self.peek()
            if char == "\n":
                self.newline()
            elif self.at(";;") or self.at(";&") or char in ("", ")"):
                break
            elif (char == "&" and not self.at("&>")) or char in (";", "|"):
                self.position += 1
            elif self.at("(("):
                items.append(self.arithmetic_or_subshell())
            elif char == "(":
                items.append(self.parenthesized())
            elif match := self.match(_KEYWORD):
                self.position = match.end()
            elif match := self.match(_HEADER):
                if match[1] == "esac":
                    break
                self.position = match.end()
                items.append(self.compound(match[1]))
            elif self.match(_CONDITION):
                items.append(self.condition())
            else:
                items.append(self.simple())
        return Script(tuple(items), is_subshell)

    def parenthesized(self) -> Script:
        """``( … )``."""
        self.position += 1
        self.deeper()
        inner = self.script()
        self.depth -= 1
        self.expect(")")
        return inner

    def substituted(self) -> Script:
        """``( … )`` behind ``$``, ``<`` or ``>``. Where a pending here-document would begin is anybody's guess."""
        outer = len(self.documents)
        inner = self.parenthesized()
        if outer or self.documents:
            raise Unreadable(f"a here-document and a substitution share a line{self.where()}")
        return inner

    def arithmetic_or_subshell(self) -> Simple | Script:
        builder = Builder()
        if self.arithmetic(builder):
            return Simple(data=(builder.word(),))
        return self.parenthesized()

    def compound(self, keyword: str) -> Simple | Script:
        if keyword == "coproc":
            raise Unreadable("coproc is not supported")
        if keyword == "function":
            self.blanks()
            self.word()
            self.blanks()
            if self.at("("):
                self.position += 1
                self.blanks()
                self.expect(")")
            return Simple()
        if keyword == "case":
            return self.case()
        self.blanks()
        if self.at("(("):
            return self.arithmetic_or_subshell()
        words = [self.word()]
        self.space()
        if self.match(_IN):
            while True:
                self.blanks()
                if self.peek() in ("", "\n", ";"):
                    break
                words.append(self.word())
        return Simple(data=tuple(words))

    def case(self) -> Script:
        """``case WORD in PATTERN) … ;; esac``."""
        self.blanks()
        data = [self.word()]
        self.space()
        if self.word().text != "in":
            raise Unreadable(f"case without in{self.where()}")
        items: list[Simple | Script] = []
        while True:
            self.space()
            match = self.match(_HEADER)
            if match and match[1] == "esac":
                self.position = match.end()
                return Script((Simple(data=tuple(data)), *items), is_subshell=False)
            if self.peek() == "(":
                self.position += 1
            while not self.at(")"):
                self.blanks()
                data.append(self.word())
                self.blanks()
                if self.peek() == "|":
                    self.position += 1
            self.position += 1
            items.append(self.script(is_subshell=False))
            for mark in (";;&", ";;", ";&"):
                if self.at(mark):
                    self.position += len(mark)
                    break

    def simple(self) -> Simple:
        words: list[Word] = []
        assignments: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            self.blanks()
            char = self.peek()
            match = self.match(_REDIRECT)
            if match and not (self.text.startswith(("<(", ">("), self.position)):
                self.position = match.end()
                redirects.append(self.redirect(match[1] or match[2]))
            elif char == "(" and len(words) == 1 and not assignments and not redirects:
                self.position += 1
                self.blanks()
                self.expect(")")  # a function: its body follows as commands
                return Simple()
            elif char in ("", *"\n;&|)"):
                return Simple(tuple(words), tuple(assignments), tuple(redirects))
            elif char == "(":
                raise Unreadable(f"unexpected '('{self.where()}")
            elif not words and (match := self.match(_ASSIGNMENT)):
                assignments.append(self.assignment(match.end()))
            else:
                words.append(self.word())

    def assignment(self, value_at: int) -> Word:
        if not self.text.startswith("(", value_at):
            return self.word()
        builder = Builder([self.text[self.position : value_at], Hole()])
        self.position = value_at + 1
        while True:
            self.space()
            if self.at(")"):
                self.position += 1
                return builder.word()
            builder.scripts.extend(self.word().scripts)

    def condition(self) -> Simple:
        """``[[ … ]]``, whose operators are not redirections."""
        words: list[Word] = []
        self.position += 2
        while True:
            self.space()
            if self.peek() == "":
                raise Unreadable("[[ without ]]")
            if self.peek() in "()<>&|":
                self.position += 1
                continue
            words.append(self.word())
            if words[-1].parts == ("]]",):
                return Simple(data=tuple(words))

    def redirect(self, op: str) -> Redirect:
        self.blanks()
        is_quoted = self.peek() in ("'", '"', "\\")
        if self.peek() in ("", "\n", *";&|)"):
            raise Unreadable(f"{op} without a target{self.where()}")
        found = Redirect(op, self.word())
        if op in ("<<", "<<-"):
            if not found.target.is_static or "\n" in found.target.text:
                raise Unreadable(f"the end of a here-document is not a plain word{self.where()}")
            self.documents.append((found, is_quoted))
        return found

    def newline(self) -> None:
        """The end of a line, and the here-documents that start behind it."""
        self.position = min(self.position + 1, len(self.text))
        documents, self.documents = self.documents, []
        for found, is_quoted in documents:
            end, lines = found.target.text, []
            while self.position < len(self.text):
                stop = self.text.find("\n", self.position)
                stop = len(self.text) if stop < 0 else stop
                line = self.text[self.position : stop]
                self.position = min(stop + 1, len(self.text))
                if found.op == "<<-":
                    line = line.lstrip("\t")
                if line == end:
                    break
                if not is_quoted and line.endswith("\\"):
                    raise Unreadable(
                        f"a line of the here-document {end!r} ends in a backslash; quote the {end!r} behind <<"
                    )
                lines.append(line)
            else:
                raise Unreadable(f"the here-document {end!r} has no end")
            body = "\n".join(lines)
            found.body = Word.of(body) if is_quoted else self.expanded(body)

    def expanded(self, body: str) -> Word:
        inner, builder = _Reader(body, self.depth + 1), Builder()
        inner.quoted(builder, end="")
        return builder.word()

    def space(self) -> None:
        """Blanks and line ends."""
        self.blanks()
        while self.peek() == "\n":
            self.newline()
            self.blanks()
