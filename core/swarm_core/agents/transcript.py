"""The transcript of one instance's work on one task: append-only JSON lines from which the history is rebuilt.

Lines, by their ``line`` field::

    opened      iteration, text             the message that opened a quality round
    user        text                        a later message of ours: a nudge
    assistant   content, stop_reason, usage, model, asked (the name of the model in the request), and stop_details and
                context_tokens if there are any
    told        the turn before it is in the journal, with what it cost
    begun       tool_use_id, mark           written before a call that must not be made twice; see ``calls``
    tool_result tool_use_id, text, is_error written as soon as that tool finished

Blocks are kept as they came. What was said is never rewritten: a model's signed thinking is bound to the messages
before it. A line is one write, so a killed process leaves at most a torn last line, which is cut off when the file is
opened again. Nothing is synced; after a power loss the worst case is a turn that is asked for twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.errors import JournalCorrupt, JournalError

from .model import Message, Turn


class Transcript:
    """History of one task, on disk and as messages. ``load`` reads what is there; until then it is empty.

    ``prompt_tokens`` are the tokens of the history up to and with the last turn, ``unseen_bytes`` what came after it.
    ``begun`` are the marks of the last turn's calls that were begun, ``tool_ids`` the ids of all calls there ever were,
    ``untold`` the last turn if the journal may not know of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn_bytes = 0
        self._file = -1
        self._size_bytes = 0
        self._forget()

    def _forget(self) -> None:
        self.iteration = 0
        self.turns = 0
        self.nudges = 0
        self.last: Turn | None = None
        self.untold: Turn | None = None
        self.results: dict[str, Mapping[str, Any]] = {}
        self.begun: dict[str, str] = {}
        self.tool_ids: set[str] = set()
        self.prompt_tokens = 0
        self.unseen_bytes = 0
        self._messages: list[Message] = []
        self._open_ids: dict[str, None] = {}
        self._makers: list[str] = []

    @property
    def messages(self) -> list[Message]:
        """The history as the Messages API takes it; complete when nothing is ``pending``."""
        return list(self._messages)

    def makers(self, default: str) -> list[str]:
        """The model that was asked for each assistant message; ``default`` where that was not written down."""
        return [asked or default for asked in self._makers]

    @property
    def pending(self) -> list[Mapping[str, Any]]:
        """The tool calls of the last turn that have no result yet, in the order of the turn."""
        calls = self.last.tool_calls if self._open_ids and self.last else []
        return [call for call in calls if call["id"] in self._open_ids]

    # -- writing

    def open_iteration(self, iteration: int, text: str) -> None:
        self._add({"line": "opened", "iteration": iteration, "text": text})

    def add_nudge(self, text: str) -> None:
        self._add({"line": "user", "text": text})

    def add_turn(self, turn: Turn) -> None:
        usage = asdict(turn.usage)
        line: dict[str, Any] = {"line": "assistant", "content": list(turn.content), "stop_reason": turn.stop_reason}
        line |= {"usage": usage, "model": turn.model, "asked": turn.asked}
        more = {"stop_details": dict(turn.stop_details), "context_tokens": turn.context_tokens}
        self._add({**line, **{key: value for key, value in more.items() if value}})

    def add_told(self) -> None:
        self._add({"line": "told"})

    def add_begun(self, tool_use_id: str, mark: str) -> None:
        self._add({"line": "begun", "tool_use_id": tool_use_id, "mark": mark})

    def add_result(self, tool_use_id: str, text: str, *, is_error: bool) -> None:
        self._add({"line": "tool_result", "tool_use_id": tool_use_id, "text": text, "is_error": is_error})

    def _add(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        self._write(text)
        self._take(line, len(text))

    def _write(self, data: bytes) -> None:
        try:
            if self._file < 0:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
                self._file = os.open(self.path, flags, 0o600)
            written = os.write(self._file, data)
            if written < len(data):
                os.ftruncate(self._file, self._size_bytes)
                raise OSError(f"only {written} of {len(data)} bytes fit")
        except OSError as error:
            raise JournalError(
                f"{self.path}: the transcript cannot be written: {error}", hint="make space, then reassign the task"
            ) from error
        self._size_bytes += len(data)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # -- reading

    def load(self) -> None:
        """Rebuild the history from the file, if there is one; cut off a torn last line (``torn_bytes`` says how much).

        Raises JournalCorrupt, naming file and line, for damage anywhere else.
        """
        self.close()
        self._forget()
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            raw = b""
        whole, end, torn = raw.rpartition(b"\n")
        self._size_bytes, self.torn_bytes = len(whole) + len(end), len(torn)
        if torn:
            os.truncate(self.path, self._size_bytes)
        for number, text in enumerate(whole.split(b"\n") if whole else (), start=1):
            try:
                self._take(json.loads(text), len(text))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise JournalCorrupt(
                    f"{self.path}:{number}: not a line of a transcript: {error!r}",
                    hint="move the file away; the task then starts again from its first turn",
                ) from None

    def _take(self, line: Mapping[str, Any], size_bytes: int) -> None:
        self.unseen_bytes += size_bytes
        match line["line"]:
            case "opened":
                self.iteration, self.turns, self.nudges, self.last = line["iteration"], 0, 0, None
                self._open_ids = {}
                self._messages.append({"role": "user", "content": line["text"]})
            case "user":
                self.nudges += 1
                self.last, self._open_ids = None, {}
                self._messages.append({"role": "user", "content": line["text"]})
            case "assistant":
                self._take_turn(line)
            case "told":
                self.untold = None
            case "begun":
                self.begun[str(line["tool_use_id"])] = str(line["mark"])
            case "tool_result":
                self._take_result(line)
            case other:
                raise ValueError(f"unknown line {other!r}")

    def _take_turn(self, line: Mapping[str, Any]) -> None:
        self.last = turn = Turn(
            line["content"],
            line["stop_reason"],
            Usage(**line["usage"]),
            line["model"],
            line.get("asked", ""),
            line.get("stop_details", {}),
            line.get("context_tokens", 0),
        )
        self.untold = turn
        self.results, self.begun = {}, {}
        self._open_ids = {call["id"]: None for call in turn.tool_calls}
        self.tool_ids.update(self._open_ids)
        self.turns += 1
        usage = turn.usage
        prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        self.prompt_tokens, self.unseen_bytes = turn.context_tokens or prompt + usage.output_tokens, 0
        if turn.tool_calls:
            self.nudges = 0
        # A refused turn must not be shown again.
        if turn.stop_reason != "refusal" and (content := _sent_back(turn)):
            self._messages.append({"role": "assistant", "content": content})
            self._makers.append(self.last.asked)

    def _take_result(self, line: Mapping[str, Any]) -> None:
        if line["tool_use_id"] not in self._open_ids:
            raise ValueError(f"a result for {line['tool_use_id']!r}, which nobody waits for")
        self.results[line["tool_use_id"]] = line
        del self._open_ids[line["tool_use_id"]]
        if self._open_ids or self.last is None:
            return
        # One message with all results, in the order of the calls whatever finished first, and nothing after them.
        if self.last.stop_reason != "refusal":
            ids = dict.fromkeys(call["id"] for call in self.last.tool_calls)
            self._messages.append({"role": "user", "content": [_result_block(self.results[id]) for id in ids]})


def _sent_back(turn: Turn) -> list[Mapping[str, Any]]:
    """The blocks of a turn that the API takes back, each as it came.

    It takes no empty text, no thinking that was cut off before its signature, and no message that ends in thinking,
    unless the turn is one that goes on.
    """
    content = [block for block in turn.content if not _is_unfinished(block)]
    while content and not turn.goes_on and content[-1].get("type") in ("thinking", "redacted_thinking"):
        content.pop()
    return content


def _is_unfinished(block: Mapping[str, Any]) -> bool:
    kind = block.get("type")
    return (kind == "text" and not block.get("text")) or (kind == "thinking" and not block.get("signature"))


def _result_block(line: Mapping[str, Any]) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": line["tool_use_id"], "content": line["text"]}
    return {**block, "is_error": True} if line["is_error"] else block
