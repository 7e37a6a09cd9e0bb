"""Spans as OpenTelemetry understands them: OTLP JSON, one export request a line (the file exporter's format).

What leaves is a list of names, not a list of exceptions: no prompt, no argument of a tool, no title, no note of the
operator and no text of an agent is among them. The run's id is, and it begins with words of the goal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from swarm_core import __version__
from swarm_core.journal.tail import JournalReader
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import SwarmError
from swarm_core.vocabulary.ids import trace_id

from . import semconv
from .trace import Span, Trace

SPANS_PER_LINE = 512
READ_BYTES = 1 << 20
VALUE_CHARS = 200
TAIL_BYTES = 1 << 22
INTERNAL, CLIENT = 1, 3
OK, ERROR, UNSET = 1, 2, 0
Value = str | int | float | bool | list[str]


@dataclass(frozen=True, slots=True)
class Published:
    """A span in OpenTelemetry's terms; times in nanoseconds since 1970."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status: int
    attributes: dict[str, Value]


def published(run: str, span: Span, now_ms: int) -> Published:
    """What others may know of a span. One that goes on ends ``now`` and says so."""
    about = attributes(run, span)
    end_ms = span.end_ms
    if end_ms is None:
        end_ms, about[semconv.IS_OPEN] = max(now_ms, span.start_ms), True
    status = {"ok": OK, "error": ERROR}.get(span.status, UNSET)
    kind = CLIENT if span.kind == "chat" else INTERNAL
    start_ns, end_ns = span.start_ms * 1_000_000, end_ms * 1_000_000
    return Published(trace_id(run), span.id, span.parent, _name(span), kind, start_ns, end_ns, status, about)


def _name(span: Span) -> str:
    about = span.attributes
    match span.kind:
        case "run":
            return f"{semconv.INVOKE_WORKFLOW} swarm"
        case "attempt":
            return _text(f"{semconv.INVOKE_AGENT} {about.get('agent', '')}").strip()
        case "chat":
            return _text(f"{semconv.CHAT} {about.get('model', '')}").strip()
        case "tool":
            return _text(f"{semconv.EXECUTE_TOOL} {about.get('tool', '')}").strip()
        case "check":
            return _text(f"check {about.get('check', '')}").strip()
        case _:
            return span.kind


def attributes(run: str, span: Span) -> dict[str, Value]:
    """The attributes of a span that may be published, by their published names."""
    about = span.attributes
    out: dict[str, Value] = {semconv.RUN_ID: run, semconv.SPAN_KIND: span.kind, semconv.JOURNAL_SEQ: span.seq}
    if span.task:
        out[semconv.TASK_ID] = _text(span.task)
    if agent := about.get("agent"):
        out[semconv.AGENT_ID] = _text(agent)
    match span.kind:
        case "run":
            out |= {semconv.OPERATION_NAME: semconv.INVOKE_WORKFLOW, semconv.WORKFLOW_NAME: "swarm"}
        case "attempt":
            out |= {semconv.OPERATION_NAME: semconv.INVOKE_AGENT, semconv.PROVIDER_NAME: _provider(about.get("model"))}
            out |= {semconv.AGENT_NAME: _text(about.get("service", "")), semconv.ATTEMPT: int(about.get("attempt", 0))}
        case "chat":
            out |= _chat(about)
        case "tool":
            out |= {semconv.OPERATION_NAME: semconv.EXECUTE_TOOL, semconv.TOOL_NAME: _text(about.get("tool", ""))}
        case "gate":
            out[semconv.GATE_ID] = _text(about.get("gate", ""))
        case "check":
            out[semconv.CHECK_NAME] = _text(about.get("check", ""))
    if "outcome" in about:
        out[semconv.OUTCOME] = _text(about["outcome"])
    if "down_s" in about:
        out[semconv.DOWN_S] = about["down_s"]
    if span.status == "error":
        out[semconv.ERROR_TYPE] = _text(about.get("error") or about.get("outcome") or "_OTHER")
    return out


def _chat(about: Any) -> dict[str, Value]:
    def count(name: str) -> int:
        value = about.get(name, 0)
        return value if isinstance(value, int) else 0

    read, written = count("cache_read_tokens"), count("cache_write_tokens")
    return {
        semconv.OPERATION_NAME: semconv.CHAT,
        semconv.PROVIDER_NAME: _provider(about.get("served_by")),
        semconv.REQUEST_MODEL: _text(about.get("model", "")),
        semconv.FINISH_REASONS: [_text(about.get("stop_reason", ""))],
        semconv.USAGE_INPUT_TOKENS: count("input_tokens") + read + written,
        semconv.USAGE_OUTPUT_TOKENS: count("output_tokens"),
        semconv.USAGE_CACHE_READ_TOKENS: read,
        semconv.USAGE_CACHE_WRITE_TOKENS: written,
        semconv.COST_USD: float(about.get("cost_usd", 0.0)),
    }


def _provider(model: Any) -> str:
    return "scripted" if model == "scripted" else "anthropic"


def _text(value: Any) -> str:
    return clean_line(str(value), VALUE_CHARS)


# -- lines


def line(spans: Sequence[Published]) -> bytes:
    """One ``ExportTraceServiceRequest`` as JSON, with its newline."""
    resource = {semconv.SERVICE_NAME: "swarm-tui", semconv.SERVICE_VERSION: __version__}
    scope = {"scope": {"name": "swarm_core.telemetry", "version": __version__}, "spans": [_span(s) for s in spans]}
    group = {
        "resource": {"attributes": _pairs(resource)},
        "scopeSpans": [{**scope, "schemaUrl": semconv.SCHEMA_URL}],
    }
    return json.dumps({"resourceSpans": [group]}, separators=(",", ":")).encode() + b"\n"


def _span(span: Published) -> dict[str, Any]:
    body: dict[str, Any] = {"traceId": span.trace, "spanId": span.id}
    if span.parent:
        body["parentSpanId"] = span.parent
    body |= {"name": span.name, "kind": span.kind}
    body |= {"startTimeUnixNano": str(span.start_ns), "endTimeUnixNano": str(span.end_ns)}
    body["attributes"] = _pairs(span.attributes)
    body["status"] = {"code": span.status} if span.status else {}
    return body


def _pairs(values: Any) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Value) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [{"stringValue": text} for text in value]}}
        case _:
            return {"stringValue": value}


def batches(trace: Trace, now_ms: int) -> Iterator[list[Published]]:
    """All spans of a trace, at most ``SPANS_PER_LINE`` at a time."""
    spans = (published(trace.run, span, now_ms) for span in trace.spans.values())
    while batch := list(islice(spans, SPANS_PER_LINE)):
        yield batch


def write_file(path: Path, trace: Trace, now_ms: int) -> int:
    """Replace ``path`` by the spans of a trace; how many they are. Raises SwarmError."""
    count, temporary = 0, path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            for batch in batches(trace, now_ms):
                file.write(line(batch))
                count += len(batch)
        temporary.replace(path)
    except OSError as error:
        raise SwarmError(
            f"{path} cannot be written: {error.strerror}", hint="name a file in a directory of yours"
        ) from error
    return count


# -- as they come


class LiveTraces:
    """Follows a journal and appends each span to a file when it ends. A reader: the engine does not wait for it.

    Everything is derived, so that one that was killed goes on where the file ends: the last whole line names the event
    up to which spans were written, and what belongs to one event is in one line. Memory is bounded by open spans.
    """

    def __init__(self, reader: JournalReader, path: Path) -> None:
        self._reader, self._path = reader, path
        self._trace = Trace(keeps_ended=False)
        self._written_seq = -1

    @property
    def is_over(self) -> bool:
        return self._trace.stations.is_over

    def poll(self) -> int:
        """Write what ended since the last look; how many events were new. Raises OSError and JournalError."""
        if self._written_seq < 0:
            self._written_seq = _resume(self._path)
        events = self._reader.poll(READ_BYTES)
        batch: list[Published] = []
        for event in events:
            ended = self._trace.apply(event)
            if event.seq > self._written_seq:
                batch += [published(self._trace.run, span, self._trace.now_ms) for span in ended]
            if len(batch) >= SPANS_PER_LINE:
                self._append(batch)
                batch = []
        if batch:
            self._append(batch)
        return len(events)

    def _append(self, batch: Iterable[Published]) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "ab") as stream:
            stream.write(line(list(batch)))


def _resume(path: Path) -> int:
    """The event up to which the file is complete, after a torn last line was cut off; 0 for a new file."""
    try:
        with open(path, "rb+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            tail = file.read()
            end = tail.rfind(b"\n") + 1
            file.truncate(size - len(tail) + end)
            last = tail[:end].rstrip(b"\n").rpartition(b"\n")[2]
    except FileNotFoundError:
        return 0
    if not last:
        return 0
    try:
        spans = json.loads(last)["resourceSpans"][0]["scopeSpans"][0]["spans"]
        found = [pair for span in spans for pair in span["attributes"] if pair["key"] == semconv.JOURNAL_SEQ]
        return max(int(pair["value"]["intValue"]) for pair in found)
    except (ValueError, KeyError, IndexError, TypeError):
        os.truncate(path, 0)  # not ours, or damaged: it is derived, so it is written anew
        return 0
