"""The live log of one instance: JSON lines that a pane tails.

Logs are disposable. A log that cannot be written never stops an agent, nothing is synced, and the file is opened for
each append so that deleting the control directory under a running agent costs only what was in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.secrets import NO_SECRETS, Secrets

KINDS = ("say", "think", "tool", "result", "denied", "note", "error", "operator")
LEVELS: Mapping[str, str] = {"think": "DEBUG", "denied": "WARN", "error": "ERROR"}
LINE_CHARS = 400
MAX_LINES = 12


class AgentLog:
    """Appends lines with ``ts level kind text`` to ``path``; every text is cleaned and bounded here.

    ``about`` says what the lines are about, ``run task span instance`` as far as they are known; it is on every line.
    ``secrets`` are blotted out.
    """

    def __init__(
        self, path: Path, clock: Clock, about: Mapping[str, str] | None = None, secrets: Secrets = NO_SECRETS
    ) -> None:
        self.path = path
        self._secrets = secrets
        self._clock = clock
        self._about = {key: clean_line(value) for key, value in (about or {}).items() if value}
        self._kind = ""
        self._text = ""

    def write(self, kind: str, text: str, *, max_lines: int = MAX_LINES) -> None:
        """One log line for each line of ``text``, at most ``max_lines``; the last one says what was left out."""
        self.flush()
        lines = self._secrets.redact(text).split("\n")
        while len(lines) > 1 and not lines[-1].strip():
            lines.pop()
        if left := len(lines) - max_lines:
            lines[max_lines:] = [f"… {left} more lines"] if left > 0 else []
        self._append([(kind, line) for line in lines])

    def stream(self, kind: str, piece: str) -> None:
        """A piece of streamed text. Whole lines are written as they complete; ``flush`` writes the rest."""
        if kind != self._kind:
            self.flush()
            self._kind = kind
        *lines, rest = (self._text + piece).split("\n")
        lines = [part for line in lines for part in _parts(self._secrets.redact(line))]
        if len(rest) >= LINE_CHARS + self._secrets.longest_chars:  # a secret that has come in part is not cut in two
            *whole, rest = _parts(self._secrets.redact(rest))
            keep = LINE_CHARS + self._secrets.longest_chars
            while whole and len(rest) < keep - LINE_CHARS:
                rest = whole.pop() + rest
            lines += whole
        self._text = rest
        self._append([(kind, line) for line in lines])

    def flush(self) -> None:
        """Write the unfinished line of a stream, if there is one: the turn ended or something else is logged."""
        kind, text = self._kind, self._text
        self._kind = self._text = ""
        if text:
            self._append([(kind, part) for part in _parts(self._secrets.redact(text))])

    def _append(self, lines: list[tuple[str, str]]) -> None:
        if not lines:
            return
        ts = self._clock.now()
        data = "".join(self._line(ts, kind, text) for kind, text in lines).encode("utf-8", "replace")
        try:
            self._write(data)
        except FileNotFoundError:
            self._write_in_new_directory(data)
        except OSError:
            return

    def _line(self, ts: str, kind: str, text: str) -> str:
        body = {"ts": ts, "level": LEVELS.get(kind, "INFO"), **self._about}
        return json.dumps({**body, "kind": kind, "text": clean_line(text, LINE_CHARS)}, ensure_ascii=False) + "\n"

    def _write(self, data: bytes) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, data)
        finally:
            os.close(file)

    def _write_in_new_directory(self, data: bytes) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._write(data)
        except OSError:
            return


def _parts(line: str) -> list[str]:
    """A line as lines of bearable length, cut between words where there are any."""
    parts = []
    while len(line) > LINE_CHARS:
        cut = line.rfind(" ", LINE_CHARS // 2, LINE_CHARS) + 1 or LINE_CHARS
        parts.append(line[:cut])
        line = line[cut:]
    return [*parts, line]
