"""Reading what another process writes: by byte cursor on an open file, never twice."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import JournalError
from swarm_core.vocabulary.events import Event

from .lines import decode

POLL_BYTES = 1 << 18
LOG_START_BYTES = 64 << 10
LOG_FAR_BYTES = 512 << 10


class _Lines:
    """Whole lines that were added to a file since the last look. A poll without news costs one read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._rest = b""
        self.offset = 0

    def poll(self, max_bytes: int, start_back: int | None = None) -> list[bytes]:
        """``start_back`` lets a first look begin this many bytes before the end, at a line's start."""
        if self._fd < 0 and not self._open(start_back):
            return []
        data = os.read(self._fd, max_bytes)
        if not data:
            return []
        self.offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    def _open(self, start_back: int | None) -> bool:
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return False
        size = os.fstat(self._fd).st_size
        if start_back is not None and size > start_back:
            os.lseek(self._fd, size - start_back, os.SEEK_SET)
            self.offset = size - start_back
            window = os.read(self._fd, start_back)
            begin = window.find(b"\n") + 1
            os.lseek(self._fd, self.offset + begin, os.SEEK_SET)
            self.offset += begin
        return True

    def size(self) -> int:
        return os.fstat(self._fd).st_size if self._fd >= 0 else 0

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def restart(self) -> None:
        """Forget the file, to open it anew: it was replaced or cut."""
        self.close()
        self._rest, self.offset = b"", 0

    def drop_rest(self) -> None:
        """Forget a line that was never finished: recovery cut it off."""
        self.offset -= len(self._rest)
        self._rest = b""
        os.lseek(self._fd, self.offset, os.SEEK_SET)

    @property
    def rest_bytes(self) -> int:
        return len(self._rest)

    def __del__(self) -> None:
        self.close()


class JournalReader:
    """The events of a run as they come. Data is as written: whoever shows it cleans it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = _Lines(path)
        self.seq = 0

    def poll(self, max_bytes: int = POLL_BYTES) -> list[Event]:
        """Events since the last look, at most about ``max_bytes`` of them; none while the file does not exist.

        Raises JournalError if what was delivered before is no longer what the file says.
        """
        lines = self._lines
        if lines.rest_bytes and lines.size() < lines.offset:
            lines.drop_rest()  # a restarted engine cut off the torn line of the one before
        if lines.size() < lines.offset - lines.rest_bytes:
            raise JournalError(f"{self.path} became shorter while it was read", hint="open the run again")
        events = []
        for line in lines.poll(max_bytes):
            try:
                event, _ = decode(line)
            except ValueError as error:
                raise JournalError(
                    f"{self.path}:{self.seq + 1}: not an event: {error}", hint="swarm-tui doctor names the damage"
                ) from None
            if event.seq != self.seq + 1:
                raise JournalError(f"{self.path}: seq {event.seq} follows {self.seq}", hint="open the run again")
            self.seq = event.seq
            events.append(event)
        return events

    def close(self) -> None:
        self._lines.close()


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of an instance's log; ``text`` is clean. Kinds: say think tool result denied note error operator."""

    ts: str
    kind: str
    text: str


class LogReader:
    """The log of one instance as it grows, beginning at most 64 KiB before its end.

    A reader that fell half a mebibyte behind goes on near the end and says so: it shows what is, not what was.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = _Lines(path)

    def poll(self, max_bytes: int = POLL_BYTES) -> list[LogLine]:
        """Lines since the last look; a line that is not ours is shown as an error, never dropped."""
        lines, notes = self._lines, []
        behind = lines.size() - lines.offset
        if behind < 0:
            lines.restart()  # logs may be deleted at any time
        elif behind > LOG_FAR_BYTES:
            lines.restart()
            notes = [LogLine("", "note", f"about {(behind - LOG_START_BYTES) >> 10} KiB of the log are left out here")]
        return notes + [_log_line(raw) for raw in lines.poll(max_bytes, LOG_START_BYTES) if raw]

    def has_news(self) -> bool:
        """Whether there is something to poll, for the price of one ``stat``."""
        if self._lines.offset == 0:
            return self.path.exists()
        return self._lines.size() != self._lines.offset

    def close(self) -> None:
        self._lines.close()


def _log_line(raw: bytes) -> LogLine:
    try:
        body = json.loads(raw)
        return LogLine(clean_line(str(body["ts"])), clean_line(str(body["kind"]), 16), clean_line(str(body["text"])))
    except (ValueError, KeyError, TypeError):
        return LogLine("", "error", clean_line(raw.decode("utf-8", "replace")))
