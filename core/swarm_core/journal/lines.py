"""One event, one line: the journal's format (version 1).

A line is a JSON object without spaces: ``v seq ts run kind actor phase task agent cause data prev sum``; fields that
are not set are left out. ``prev`` is the SHA-256 of the bytes of the line before, without its newline; the first line
has 64 zeros. ``sum`` is the beginning of the SHA-256 of the line up to it, so that the last line, which no ``prev``
covers yet, is covered too. A changed, lost or inserted byte anywhere is found at its place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from swarm_core.vocabulary.errors import JournalCorrupt
from swarm_core.vocabulary.events import FORMAT_VERSION, Event

GENESIS = "0" * 64
SUM_HEX = 16
_SUM_AT = -(len(',"sum":""}') + SUM_HEX)
_OPTIONAL = ("phase", "task", "agent", "cause")


def encode_body(event: Event) -> dict[str, Any]:
    """The event as a JSON object, without the chain."""
    body: dict[str, Any] = {"v": event.v, "seq": event.seq, "ts": event.ts, "run": event.run, "kind": event.kind}
    body["actor"] = event.actor
    for name in _OPTIONAL:
        if (value := getattr(event, name)) is not None:
            body[name] = value
    body["data"] = dict(event.data)
    return body


def encode(event: Event, prev: str) -> bytes:
    """The event as a line with its newline."""
    body = encode_body(event)
    body["prev"] = prev
    line = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")[:-1]
    return line + b',"sum":"%s"}\n' % _sum(line)


def _sum(line: bytes) -> bytes:
    return hashlib.sha256(line).hexdigest()[:SUM_HEX].encode()


def decode(line: bytes) -> tuple[Event, str]:
    """The event of a line without its newline, and its ``prev``. Raises ValueError for anything else.

    A field that a newer version added is ignored; a newer version itself is refused.
    """
    if line[_SUM_AT:] != b',"sum":"%s"}' % _sum(line[:_SUM_AT]):
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
    texts = (event.ts, event.run, event.kind, event.actor, prev)
    if not isinstance(event.seq, int) or not all(isinstance(text, str) for text in texts):
        raise ValueError("a field has the wrong type")
    if not isinstance(event.data, dict):
        raise ValueError("data is not an object")
    return event, prev


def digest(line: bytes) -> str:
    """What the next line's ``prev`` must be; ``line`` without its newline."""
    return hashlib.sha256(line).hexdigest()


class Chain:
    """Reads lines in order and holds them against the chain. ``offset`` is the byte after the last good line."""

    def __init__(self, path: Path) -> None:
        self.path, self.seq, self.prev, self.offset = path, 0, GENESIS, 0

    def take(self, line: bytes) -> Event:
        """The next event; ``line`` without its newline. Raises JournalCorrupt naming file, line and byte."""
        try:
            event, prev = decode(line)
        except ValueError as error:
            raise self._corrupt(f"is not an event: {error}") from None
        if event.seq != self.seq + 1:
            raise self._corrupt(f"has seq {event.seq} where {self.seq + 1} belongs")
        if prev != self.prev:
            raise self._corrupt("does not follow from the line before: one of the two was changed")
        self.seq, self.prev = event.seq, digest(line)
        self.offset += len(line) + 1
        return event

    def take_all(self, data: bytes) -> Iterator[Event]:
        """The events of whole lines; ``data`` must end with a newline."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            yield self.take(data[start:end])
            start = end + 1

    def _corrupt(self, what: str) -> JournalCorrupt:
        return JournalCorrupt(
            f"{self.path}:{self.seq + 1}: the line at byte {self.offset} {what}",
            hint="keep the file; the events before that line are intact",
        )
