"""The engine's log and all agents' logs as one, in the order of time, without holding more than a block of each."""

from __future__ import annotations

import heapq
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.layout import RepoLayout

LEVELS = ("DEBUG", "INFO", "WARN", "ERROR")
ENGINE = "engine"
BLOCK_BYTES = 32 << 10
MAX_LINE_BYTES = 256 << 10
_TS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line of a log. Every text is clean and one line; ids that are not known are empty."""

    ts: str
    level: str
    run: str
    task: str
    span: str
    instance: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines somebody asks for; ``level`` is the least, an empty field means all."""

    level: str = "DEBUG"
    run: str = ""
    instance: str = ""
    task: str = ""

    def takes(self, record: LogRecord) -> bool:
        """What belongs to no run in particular (the engine's own start, say) is shown with every run."""
        return (
            LEVELS.index(record.level) >= LEVELS.index(self.level)
            and (not self.run or record.run in ("", self.run))
            and (not self.instance or record.instance == self.instance)
            and (not self.task or record.task == self.task)
        )


class LogFile:
    """One log, read in blocks from where the last one ended; the file is open only while it is read."""

    def __init__(self, path: Path, run: str = "", instance: str = ENGINE) -> None:
        self.path, self.run, self.instance = path, run, instance
        self.offset = 0
        self._rest = b""
        self._ts = ""

    def read(self) -> list[LogRecord] | None:
        """The records of the next block, maybe none of them whole yet; None at the end of the file."""
        data = self._block()
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest[:MAX_LINE_BYTES])
            self._rest = b""
        return [self._record(line) for line in lines if line]

    def records(self) -> Iterator[LogRecord]:
        """All records up to the present end."""
        while (block := self.read()) is not None:
            yield from block

    def _block(self) -> bytes:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return b""
        try:
            if os.fstat(fd).st_size < self.offset:  # logs may be deleted or turned over at any time
                self.offset, self._rest = 0, b""
            data = os.pread(fd, BLOCK_BYTES, self.offset)
        except OSError:
            return b""
        finally:
            os.close(fd)
        self.offset += len(data)
        return data

    def _record(self, line: bytes) -> LogRecord:
        """A line that is not ours is shown as an error, at the time of the line before it."""
        try:
            body = json.loads(line)
            text = str(body["text"] if "text" in body else body["message"])
            if trace := body.get("traceback"):
                text = f"{text} | {trace}"
            level = str(body.get("level", "INFO")).upper()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            body, text, level = {"kind": "error"}, line.decode("utf-8", "replace"), "ERROR"
        ts = str(body.get("ts", ""))
        if _TS.fullmatch(ts):
            self._ts = max(self._ts, ts)
        return LogRecord(
            self._ts,
            {"WARNING": "WARN"}.get(level, level if level in LEVELS else "INFO"),
            _id(body.get("run"), self.run),
            _id(body.get("task")),
            _id(body.get("span")),
            _id(body.get("instance"), self.instance),
            _id(body.get("kind"), ENGINE),
            clean_line(text),
        )


def _id(value: object, default: str = "") -> str:
    return clean_line(str(value), 80) if value else default


def log_files(layout: RepoLayout, run: str = "", instance: str = "") -> list[LogFile]:
    """The logs of one run, or of all: the engine's (with the one before it) and each instance's."""
    files = [LogFile(layout.engine_log.with_suffix(".jsonl.1")), LogFile(layout.engine_log)]
    directories = [layout.run(run).logs] if run else sorted(layout.logs.glob("*"))
    for directory in directories:
        files += [LogFile(path, directory.name, path.stem) for path in sorted(directory.glob("*.log"))]
    if not instance:
        return files
    # The engine says something about an instance too, hence its log is looked through for every instance.
    return [file for file in files if file.instance in (ENGINE, instance)]


def merged(files: Iterable[LogFile], wanted: Wanted) -> Iterator[LogRecord]:
    """The wanted records of all files in the order of time; memory is a block for each file."""
    streams = [file.records() for file in files]
    return filter(wanted.takes, heapq.merge(*streams, key=lambda record: record.ts))


class Follower:
    """What is added to the logs from now on, files that appear later included."""

    def __init__(self, layout: RepoLayout, wanted: Wanted) -> None:
        self._layout, self._wanted = layout, wanted
        self._files: dict[Path, LogFile] = {}

    def poll(self) -> Iterator[LogRecord]:
        """The wanted records since the last look, in the order of time; all there are at the first look."""
        for file in log_files(self._layout, self._wanted.run, self._wanted.instance):
            if not file.path.name.endswith(".1") or not self._files:
                self._files.setdefault(file.path, file)
        return merged(list(self._files.values()), self._wanted)
