"""YAML with places: every value knows its line, so that an error can name ``file:line``."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

import yaml

from swarm_core.vocabulary.errors import ConfigurationError

MAX_FILE_BYTES = 1 << 20
TEXT = "save it as UTF-8 text"
EVERY_KEY = "swarm-tui init --print shows every key explained"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}


class Marked:
    """A YAML node with typed readers; each raises ConfigurationError with the file and line of what is wrong."""

    def __init__(self, node: yaml.Node, path: Path | str, name: str) -> None:
        self.node, self.path, self.name = node, path, name

    @property
    def line(self) -> int:
        return self.node.start_mark.line + 1 if self.node.start_mark else 1

    def wrong(self, message: str, hint: str = "") -> ConfigurationError:
        hint = hint or EVERY_KEY
        return ConfigurationError(f"{self.name}: {message}", path=self.path, line=self.line, hint=hint)

    def items(self) -> Iterator[tuple[str, Marked]]:
        """The entries of a mapping; keys must be unique text."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.wrong(f"must be a mapping of keys to values, not {_kind(self.node)}")
        seen: set[str] = set()
        for key, value in self.node.value:
            child = Marked(value, self.path, f"{self.name}.{key.value}" if self.name else str(key.value))
            if not isinstance(key, yaml.ScalarNode):
                raise child.wrong("a key must be plain text")
            if key.value in seen:
                raise Marked(key, self.path, child.name).wrong("is given twice")
            seen.add(key.value)
            yield key.value, child

    def fields(self, known: Collection[str]) -> dict[str, Marked]:
        """The entries of a mapping whose keys must be among ``known``."""
        found: dict[str, Marked] = {}
        for key, value in self.items():
            if key not in known:
                close = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(known))}"
                raise value.wrong("unknown key", hint)
            found[key] = value
        return found

    def sequence(self) -> list[Marked]:
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.wrong(f"must be a list, not {_kind(self.node)}")
        return [Marked(item, self.path, f"{self.name}[{i}]") for i, item in enumerate(self.node.value)]

    def text(self) -> str:
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag == "tag:yaml.org,2002:null":
            raise self.wrong(f"must be text, not {_kind(self.node)}")
        return str(self.node.value)

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.sequence())

    def choice(self, options: Collection[str]) -> str:
        value = self.text()
        if value not in options:
            raise self.wrong(f"{value!r} is not one of {', '.join(options)}")
        return value

    def whole(self, low: int, high: int) -> int:
        value = self.text()
        if not value.isdecimal() or not low <= int(value) <= high:
            raise self.wrong(f"{value!r} is not a whole number from {low} to {high}")
        return int(value)

    def seconds(self) -> float:
        """A duration: ``90``, ``90s``, ``5m``, ``2h``."""
        value = self.text()
        match = _DURATION.fullmatch(value.strip())
        if match is None or float(match[1]) <= 0:
            raise self.wrong(f"{value!r} is not a duration", "write it as 90s, 5m or 2h")
        return float(match[1]) * _UNITS_S[match[2]]


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "nothing" if node.tag == "tag:yaml.org,2002:null" else f"the value {node.value!r}"


def compose(text: str, path: Path | str) -> Marked:
    """Parse ``text`` into its root node; an empty document is an empty mapping.

    Aliases are refused: they are not needed here and can blow up a reader.
    """
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else None
                hint = "write the value out where it is used"
                raise ConfigurationError("aliases (*name) are not supported", path=path, line=line, hint=hint)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise ConfigurationError(
            f"is not valid YAML: {error.problem}", path=path, line=line, hint="check indentation, quotes and colons"
        ) from error
    except yaml.reader.ReaderError as error:  # a character that no YAML may hold, such as a NUL byte
        line = text.count("\n", 0, error.position) + 1
        shown = f"#x{ord(text[error.position]):04x}"
        raise ConfigurationError(
            f"is not text: it holds the character {shown}", path=path, line=line, hint=TEXT
        ) from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"is not valid YAML: {error}", path=path, line=1) from error
    except RecursionError:
        raise ConfigurationError("is nested too deep to be read", path=path, line=1) from None
    return Marked(node or yaml.MappingNode("tag:yaml.org,2002:map", []), path, "")


def read(path: Path) -> Marked:
    """Read and parse a file of at most 1 MiB."""
    return compose(decoded(contents(path), path), path)


def contents(path: Path, shown: Path | str = "") -> bytes:
    """The bytes of a plain file of at most 1 MiB; a link is followed, a pipe is not waited for.

    Raises ConfigurationError, which calls the file ``shown``.
    """
    shown = shown or path
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigurationError("is not a plain file", path=shown, line=1, hint="put the file itself there")
            raw = file.read(MAX_FILE_BYTES + 1)
    except IsADirectoryError:
        raise ConfigurationError("is a directory", path=shown, line=1, hint="put the file itself there") from None
    except OSError as error:
        hint = "look at who may read it"
        raise ConfigurationError(f"cannot be read: {error.strerror}", path=shown, line=1, hint=hint) from error
    if len(raw) > MAX_FILE_BYTES:
        raise too_large(shown)
    return raw


def too_large(path: Path | str) -> ConfigurationError:
    return ConfigurationError(f"is larger than {MAX_FILE_BYTES} bytes", path=path, line=1, hint="it is a page of text")


def decoded(raw: bytes, path: Path | str) -> str:
    """Raises ConfigurationError with the line where the bytes are no text."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8 text (byte {error.start})"
        raise ConfigurationError(message, path=path, line=line, hint=TEXT) from error
