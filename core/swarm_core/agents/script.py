"""Reads the scripts of ``ScriptedModel``: one YAML file a service, a list of turns.

::

    - when: {task: "Build the api*", iteration: 1}   # optional: a pattern for title or id; N or ">N"
      think: what it thinks
      say: what it says
      do:
        - {tool: Write, args: {file_path: backend/app.py}, file: files/app.py}   # the file becomes args.content
      usage: {in: 1200, out: 300}
      pause: 2            # seconds before the turn, times the speed
      fault: api_529      # the first attempt at this turn fails like this
      stop: refusal       # why the turn ends, if not for its calls (tool_use) or for having none (end_turn)

A turn needs at least one of think, say and do. Everything is checked when the file is read, so that a rehearsal never
fails halfway because of a misspelt key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import yaml

from swarm_core.vocabulary.errors import ConfigurationError

FAULTS = (
    "none",
    "api_529",
    "api_500",
    "api_429",
    "api_400",
    "api_401",
    "api_413",
    "spend_cap",
    "drop",
    "cut",
    "silent",
    "crash",
)
STOPS = (
    "end_turn",
    "tool_use",
    "max_tokens",
    "stop_sequence",
    "pause_turn",
    "refusal",
    "compaction",
    "model_context_window_exceeded",
)
_ITERATION = re.compile(r"(>?)\s*([0-9]+)")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class When:
    """Which turns of which work this is for. An empty ``task`` and a zero ``iteration`` fit everything."""

    task: str = ""
    iteration: int = 0
    is_later: bool = False

    def fits(self, task: str, title: str, iteration: int) -> bool:
        if self.task and not (fnmatchcase(title, self.task) or fnmatchcase(task, self.task)):
            return False
        if self.is_later:
            return iteration > self.iteration
        return self.iteration in (0, iteration)


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """A tool call; ``each_worker`` is the pattern of a planned task, see ``cast``."""

    tool: str
    args: Mapping[str, Any] = field(default_factory=dict)
    each_worker: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ScriptedTurn:
    """One turn; ``pause_s`` is at speed 1."""

    when: When = When()
    think: str = ""
    say: str = ""
    do: tuple[ScriptedCall, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    pause_s: float = 0.0
    fault: str = "none"
    stop: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """The turns of one service, in order. A pattern's turns still name ``{title}``."""

    service: str
    turns: tuple[ScriptedTurn, ...]
    is_pattern: bool = False

    def turns_for(self, task: str, title: str, iteration: int) -> tuple[ScriptedTurn, ...]:
        return tuple(turn for turn in self.turns if turn.when.fits(task, title, iteration))


def load_scripts(directory: Path) -> Mapping[str, Script]:
    """The scripts of ``directory/*.yaml`` by service, which is the file's name.

    Raises ConfigurationError with file and line for anything that is not a script.
    """
    if not directory.is_dir():
        raise ConfigurationError("there are no scripts here", path=directory, hint="set `script` in multi-agent.yaml")
    return {path.stem: _Reader(path, directory.resolve()).script() for path in sorted(directory.glob("*.yaml"))}


class _Loader(yaml.SafeLoader):
    """YAML as the API can carry it: a date stays the text it is written as."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Reader:
    """Walks the nodes of one file, so that every complaint knows its line."""

    def __init__(self, path: Path, top: Path) -> None:
        self._path = path
        self._top = top

    def script(self) -> Script:
        try:
            loader = _Loader(self._path.read_text(encoding="utf-8"))
            node = loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else None
            raise ConfigurationError(f"not YAML: {error.problem}", path=self._path, line=line) from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigurationError(f"cannot be read: {error}", path=self._path) from None
        if node is None:
            return Script(self._path.stem, ())
        self._values = loader
        return Script(self._path.stem, tuple(self._turn(item) for item in self._items(node, "a script")))

    def _turn(self, node: yaml.Node) -> ScriptedTurn:
        parts = self._parts(node, "a turn", ("when", "think", "say", "do", "usage", "pause", "fault", "stop"))
        usage = self._parts(parts.get("usage"), "usage", ("in", "out"))
        turn = ScriptedTurn(
            when=self._when(parts.get("when")),
            think=self._scalar(parts.get("think"), "think", str, ""),
            say=self._scalar(parts.get("say"), "say", str, ""),
            do=tuple(self._call(item) for item in self._items(parts["do"], "do")) if "do" in parts else (),
            input_tokens=self._scalar(usage.get("in"), "usage.in", int, 0),
            output_tokens=self._scalar(usage.get("out"), "usage.out", int, 0),
            pause_s=self._scalar(parts.get("pause"), "pause", float, 0.0),
            fault=self._scalar(parts.get("fault"), "fault", str, "none"),
            stop=self._scalar(parts.get("stop"), "stop", str, ""),
        )
        if turn.stop and turn.stop not in STOPS:
            raise self._wrong(parts["stop"], f"stop {turn.stop!r} is not one of {', '.join(STOPS)}")
        if turn.fault not in FAULTS:
            raise self._wrong(parts["fault"], f"fault {turn.fault!r} is not one of {', '.join(FAULTS)}")
        if not (turn.think or turn.say or turn.do):
            raise self._wrong(node, "a turn needs at least one of think, say and do")
        return turn

    def _when(self, node: yaml.Node | None) -> When:
        parts = self._parts(node, "when", ("task", "iteration"))
        task = self._scalar(parts.get("task"), "when.task", str, "")
        if "iteration" not in parts:
            return When(task)
        match = _ITERATION.fullmatch(str(self._value(parts["iteration"])))
        if match is None or (number := int(match[2])) < 1:
            raise self._wrong(parts["iteration"], 'when.iteration must be a number from 1 or like ">1"')
        return When(task, number, bool(match[1]))

    def _call(self, node: yaml.Node) -> ScriptedCall:
        parts = self._parts(node, "a call", ("tool", "args", "file", "each_worker"))
        if "tool" not in parts:
            raise self._wrong(node, "a call needs a tool")
        tool = self._scalar(parts["tool"], "tool", str, "")
        if "each_worker" in parts:
            if "args" in parts or "file" in parts:
                raise self._wrong(node, "a call has either each_worker or args and file")
            return ScriptedCall(tool, each_worker=self._arguments(parts["each_worker"], "each_worker"))
        args = self._arguments(parts["args"], "args") if "args" in parts else {}
        if "file" in parts:
            if "content" in args:
                raise self._wrong(parts["file"], "a call has either args.content or file")
            args["content"] = self._file(parts["file"])
        return ScriptedCall(tool, args)

    def _arguments(self, node: yaml.Node, what: str) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise self._wrong(node, f"{what} must be a mapping")
        self._parts(node, what, None)
        args: dict[str, Any] = self._value(node)
        if place := _not_json(args):
            raise self._wrong(node, f"{what}{place} cannot be sent as JSON")
        return args

    def _file(self, node: yaml.Node) -> str:
        name = self._scalar(node, "file", str, "")
        path = (self._top / name).resolve()
        if not name or not path.is_relative_to(self._top):
            raise self._wrong(node, f"file {name!r} is not inside the directory of the scripts")
        try:
            return path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._wrong(node, f"file {name!r} cannot be read: {error}") from None

    # -- nodes

    def _items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._wrong(node, f"{what} must be a list")
        return list(node.value)

    def _parts(self, node: yaml.Node | None, what: str, known: tuple[str, ...] | None) -> dict[str, yaml.Node]:
        """The values of a mapping by key; ``known`` None accepts every key."""
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise self._wrong(node, f"{what} must be a mapping")
        parts: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._value(key)
            if not isinstance(name, str) or (known is not None and name not in known):
                expected = f"; known: {', '.join(known)}" if known else ""
                raise self._wrong(key, f"{what} has an unknown key {name!r}{expected}")
            if name in parts:
                raise self._wrong(key, f"{what} has the key {name!r} twice")
            parts[name] = value
        return parts

    def _scalar(self, node: yaml.Node | None, what: str, kind: type[T], default: T) -> T:
        if node is None:
            return default
        value = self._value(node)
        wanted: Any = (int, float) if kind is float else kind
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise self._wrong(node, f"{what} must be {_WORDS[kind]}, not {value!r:.60}")
        if isinstance(value, (int, float)) and not 0 <= value < float("inf"):
            raise self._wrong(node, f"{what} must not be negative or endless")
        return kind(value)  # type: ignore[call-arg]

    def _value(self, node: yaml.Node) -> Any:
        try:
            return self._values.construct_object(node, deep=True)
        except yaml.YAMLError as error:
            raise self._wrong(node, f"cannot be read: {error}") from None

    def _wrong(self, node: yaml.Node, message: str) -> ConfigurationError:
        return ConfigurationError(message, path=self._path, line=node.start_mark.line + 1)


_WORDS: Mapping[Any, str] = {str: "a text", int: "a whole number", float: "a number"}


def _not_json(value: Any, place: str = "") -> str:
    """Where ``value`` holds something JSON cannot carry, empty if it does not."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return f"{place}.{key}"
            if found := _not_json(item, f"{place}.{key}"):
                return found
        return ""
    if isinstance(value, list):
        return next((found for i, item in enumerate(value) if (found := _not_json(item, f"{place}[{i}]"))), "")
    return "" if value is None or isinstance(value, (str, int, float, bool)) else (place or " ")
