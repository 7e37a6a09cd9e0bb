"""Reading what another process writes: by byte cursor on an open file, never twice."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import JournalError
from swarm_core.vocabulary.events import Event

from .disk import Disk, RealDisk
from .lines import Place, parse
from .segments import HEAD_BYTES, closed_path, first_seq

POLL_BYTES = 1 << 18
FIND_TRIES = 1_000  # more than a writer can close segments between two looks
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

    def __del__(self) -> None:
        self.close()


class JournalReader:
    """The events of a run as they come, through all segments. Data is as written: whoever shows it cleans it.

    Its place is the first seq of a segment and a byte in it. That holds when the segment is closed and moved, and when
    recovery puts a copy into its place, so the file may be looked up again at any time.
    """

    def __init__(self, path: Path, disk: Disk | None = None, place: Place | None = None) -> None:
        self.path, self.disk = path, disk or RealDisk()
        place = place or Place()
        self.seq, self._epoch, self._first, self._offset = place.seq, place.epoch, place.first, place.offset
        self._fd = -1

    def poll(self, max_bytes: int = POLL_BYTES) -> list[Event]:
        """Events since the last look, at most about ``max_bytes`` of them; none while the file does not exist.

        A poll without news costs two system calls. Raises JournalError if what was delivered before is no longer what
        the file says.
        """
        try:
            while self._fd >= 0 or self._find():
                if events := self._read(max_bytes):
                    return events
                if not self._is_left():
                    return []
                # What was written between the two looks is the last of this file.
                if events := self._read(max_bytes):
                    return events
                self.close()
        except OSError as error:
            raise JournalError(f"{self.path} cannot be read: {error.strerror}") from error
        return []

    def close(self) -> None:
        """Let go of the file; the next poll finds it again."""
        if self._fd >= 0:
            self.disk.close(self._fd)
            self._fd = -1

    def _read(self, max_bytes: int) -> list[Event]:
        data = self.disk.read(self._fd, self._offset, max_bytes)
        while b"\n" not in data:
            if len(data) < max_bytes:
                if not data and self.disk.size(self._fd) < self._offset:
                    raise JournalError(f"{self.path} became shorter while it was read", hint="open the run again")
                return []
            max_bytes *= 2  # one line that is longer than that
            data = self.disk.read(self._fd, self._offset, max_bytes)
        events: list[Event] = []
        for line in data.split(b"\n")[:-1]:
            try:
                found = parse(line)
            except ValueError as error:
                if events:
                    break  # deliver these first; the next poll stands before the bad line
                raise JournalError(
                    f"{self.path}:{self.seq + 2 - self._first}: not an event: {error}",
                    hint="swarm-tui doctor names the damage",
                ) from None
            event = found.event
            if event.seq != self.seq + 1 or found.epoch < self._epoch:
                if event.seq > self.seq + 1 and not self._offset and self._has_closed(self.seq + 1):
                    self.close()  # another segment was closed while this one was looked up
                    return self._read(max_bytes) if self._find() else []
                raise JournalError(
                    f"{self.path}: seq {event.seq} of epoch {found.epoch} follows {self.seq} of {self._epoch}",
                    hint="open the run again",
                )
            self.seq, self._epoch = event.seq, found.epoch
            self._offset += len(line) + 1
            events.append(event)
        return events

    def _is_left(self) -> bool:
        """Whether nothing more will be written to the open file: the active segment is another one."""
        return self.disk.identity(self.path) != self.disk.identity(self._fd)

    def _has_closed(self, first: int) -> bool:
        return self.disk.identity(closed_path(self.path, first)) is not None

    def _find(self) -> bool:
        """Open the file in which the next event is or will be."""
        for _ in range(FIND_TRIES):
            fd = self._open(closed_path(self.path, self._first))
            if fd >= 0:
                size = self.disk.size(fd)
                if size > self._offset:
                    self._fd = fd
                    return True
                self.disk.close(fd)
                if size < self._offset:
                    raise JournalError(f"{self.path} became shorter while it was read", hint="open the run again")
                self._first, self._offset = self.seq + 1, 0
                continue
            fd = self._open(self.path)
            if fd < 0 and not self._has_closed(self._first):
                return False
            if fd >= 0 and self._is_next(fd):
                self._fd = fd
                return True
        raise JournalError(f"the events of {self.path} after {self.seq} are missing", hint="swarm-tui doctor")

    def _is_next(self, fd: int) -> bool:
        """Whether the active segment goes on where this reader stands; closes it if it does not."""
        first = first_seq(self.disk.read(fd, 0, HEAD_BYTES))
        is_next = first == self._first or (first is None and not self._offset)
        if first is not None and first == self.seq + 1 != self._first:
            self._first, self._offset, is_next = first, 0, True
        if not is_next:
            self.disk.close(fd)
        return is_next

    def _open(self, path: Path) -> int:
        try:
            return self.disk.open_read(path)
        except OSError:
            return -1

    def __del__(self) -> None:
        self.close()


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
