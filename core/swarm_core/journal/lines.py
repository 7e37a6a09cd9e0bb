"""One event, one line: the journal's format (version 1).

A line is a JSON object without spaces: ``v seq ts run kind actor phase task agent cause data epoch batch prev sum``;
fields that are not set are left out. ``epoch`` counts the times the journal was opened for writing. ``batch`` is the
first seq of those that were written together, on all but that first. ``prev`` is the SHA-256 of the bytes of the line
before, without its newline; the first line has 64 zeros. ``sum`` is the beginning of the SHA-256 of the line up to it,
so that the last line, which no ``prev`` covers yet, is covered too. A changed, lost or inserted byte anywhere is found
at its place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.errors import JournalCorrupt
from swarm_core.vocabulary.events import FORMAT_VERSION, Event

GENESIS = "0" * 64
SUM_HEX = 16
_SUM_AT = -(len(',"sum":""}') + SUM_HEX)
_OPTIONAL = ("phase", "task", "agent", "cause")
_SCALARS = frozenset({int, bool, type(None)})
_text = json.encoder.encode_basestring
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode_body(event: Event) -> dict[str, Any]:
    """The event as a JSON object, without the chain."""
    body: dict[str, Any] = {"v": event.v, "seq": event.seq, "ts": event.ts, "run": event.run, "kind": event.kind}
    body["actor"] = event.actor
    for name in _OPTIONAL:
        if (value := getattr(event, name)) is not None:
            body[name] = value
    body["data"] = dict(event.data)
    return body


def encode(event: Event, prev: str, epoch: int = 0, batch: int = 0) -> tuple[bytes, str]:
    """The event as a line with its newline, and the ``prev`` of the line that will follow it.

    The text is ``encode_body`` and the chain as JSON; put together by hand, because every fact of every agent passes
    here.
    """
    text = f'{{"v":{event.v},"seq":{event.seq},"ts":{_text(event.ts)},"run":{_text(event.run)}'
    text += f',"kind":{_text(event.kind)},"actor":{_text(event.actor)}'
    if event.phase is not None:
        text += f',"phase":{_text(event.phase)}'
    if event.task is not None:
        text += f',"task":{_text(event.task)}'
    if event.agent is not None:
        text += f',"agent":{_text(event.agent)}'
    if event.cause is not None:
        text += f',"cause":{event.cause}'
    text += f',"data":{_JSON.encode(dict(event.data))}'
    if epoch:
        text += f',"epoch":{epoch}'
    if batch and batch != event.seq:
        text += f',"batch":{batch}'
    line = f'{text},"prev":"{prev}"'.encode("utf-8", "replace")
    whole = hashlib.sha256(line)
    tail = b',"sum":"%s"}' % whole.hexdigest()[:SUM_HEX].encode()
    whole.update(tail)
    return line + tail + b"\n", whole.hexdigest()


def as_read(data: Mapping[str, Any]) -> dict[str, Any]:
    """An event's data as whoever reads it back will see it: lists for tuples, text for keys.

    Raises TypeError or ValueError for what JSON cannot hold.
    """
    if type(data) is dict and all(map(_stays, data, data.values())):
        return data.copy()
    found = json.loads(_JSON.encode(data).encode("utf-8", "replace"))
    if not isinstance(found, dict):
        raise TypeError("an event's data must be an object")
    return found


def _stays(key: object, value: object) -> bool:
    """Whether an entry is the same after it was written and read; most of an agent's facts are of this kind."""
    if type(key) is not str or not key.isascii():
        return False
    kind = type(value)
    return value.isascii() if kind is str else kind in _SCALARS  # type: ignore[attr-defined]


def _sum(line: bytes) -> bytes:
    return hashlib.sha256(line).hexdigest()[:SUM_HEX].encode()


def is_whole(line: bytes) -> bool:
    """Whether a line without its newline ends in its own checksum."""
    return line[_SUM_AT:] == b',"sum":"%s"}' % _sum(line[:_SUM_AT])


@dataclass(frozen=True, slots=True)
class Line:
    """What a line says: an event and its place. ``batch`` is the first seq of those written together with it."""

    event: Event
    prev: str
    epoch: int
    batch: int


def decode(line: bytes) -> tuple[Event, str]:
    """The event of a line without its newline, and its ``prev``. Raises ValueError as ``parse`` does."""
    found = parse(line)
    return found.event, found.prev


def parse(line: bytes) -> Line:
    """What a line without its newline says. Raises ValueError if it is not an event.

    A field that a newer version added is ignored; a newer version itself is refused.
    """
    if not is_whole(line):
        raise ValueError("its checksum does not match")
    body = json.loads(line)
    if not isinstance(body, dict):
        raise ValueError("not an object")
    if body.get("v") != FORMAT_VERSION:
        raise ValueError(f"version {body.get('v')!r}, this program reads {FORMAT_VERSION}")
    try:
        event = Event(
            seq=body["seq"],
            ts=body["ts"],
            run=body["run"],
            kind=body["kind"],
            data=body["data"],
            actor=body["actor"],
            task=body.get("task"),
            agent=body.get("agent"),
            phase=body.get("phase"),
            cause=body.get("cause"),
        )
        prev = body["prev"]
    except KeyError as error:
        raise ValueError(f"no {error.args[0]}") from None
    epoch, batch = body.get("epoch", 0), body.get("batch", event.seq)
    texts, numbers = (event.ts, event.run, event.kind, event.actor, prev), (event.seq, epoch, batch)
    if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
        raise ValueError("a field has the wrong type")
    if not isinstance(event.data, dict):
        raise ValueError("data is not an object")
    return Line(event, prev, epoch, batch)


def digest(line: bytes) -> str:
    """What the next line's ``prev`` must be; ``line`` without its newline."""
    return hashlib.sha256(line).hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two lines: ``seq``, ``prev`` and ``epoch`` of the line before it, and where it is.

    ``first`` is the first seq of its segment, ``offset`` a byte of that.
    """

    seq: int = 0
    prev: str = GENESIS
    epoch: int = 0
    first: int = 1
    offset: int = 0


class Chain:
    """Reads lines in order and holds them against the chain. ``offset`` is the byte after the last good line."""

    def __init__(self, path: Path, place: Place | None = None) -> None:
        place = place or Place()
        self.path = path
        self.seq, self.prev, self.epoch = place.seq, place.prev, place.epoch
        self.first, self.offset = place.first, place.offset
        self.left: set[int] = set()  # the first seqs of the segments that were read to their end

    @property
    def place(self) -> Place:
        return Place(self.seq, self.prev, self.epoch, self.first, self.offset)

    def enter(self, path: Path) -> None:
        """Go on with the next segment."""
        self.left.add(self.first)
        self.path, self.first, self.offset = path, self.seq + 1, 0

    def take(self, line: bytes) -> Event:
        """The next event; ``line`` without its newline. Raises JournalCorrupt naming file, line and byte."""
        try:
            found = parse(line)
        except ValueError as error:
            raise self.corrupt(f"is not an event: {error}") from None
        event = found.event
        if event.seq != self.seq + 1:
            raise self.corrupt(f"has seq {event.seq} where {self.seq + 1} belongs")
        if found.prev != self.prev:
            raise self.corrupt("does not follow from the line before: one of the two was changed")
        if found.epoch < self.epoch:
            raise self.corrupt(f"has epoch {found.epoch} after {self.epoch}: a writer that was replaced went on")
        self.seq, self.prev, self.epoch = event.seq, digest(line), found.epoch
        self.offset += len(line) + 1
        return event

    def take_all(self, data: bytes) -> Iterator[Event]:
        """The events of whole lines; what follows the last line's end is left."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            yield self.take(data[start:end])
            start = end + 1

    def corrupt(self, what: str) -> JournalCorrupt:
        line = self.seq + 2 - self.first
        return JournalCorrupt(
            f"{self.path}:{line}: the line at byte {self.offset} {what}",
            hint="keep the file; the events before that line are intact",
        )
