"""Spans over OTLP/HTTP, to a collector on loopback; without the extra there is one clear error."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.support.tales import RUN, a_run

from swarm_core.telemetry import export
from swarm_core.telemetry.trace import Trace
from swarm_core.vocabulary.errors import SwarmError, UsageError
from swarm_core.vocabulary.ids import span_id, trace_id

HAS_EXTRA = all(
    importlib.util.find_spec("opentelemetry") and importlib.util.find_spec(f"opentelemetry.{name}")
    for name in ("sdk", "exporter")
)
needs_extra = pytest.mark.skipif(not HAS_EXTRA, reason="the extra `otel` is not installed")


@contextmanager
def collector(status: int = 200) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A server that takes export requests; yields its address and what it got as (path, body)."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@needs_extra
def test_all_spans_reach_the_collector_with_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    trace = Trace.of(a_run().events)
    with collector() as (address, got):
        monkeypatch.setenv(export.ENDPOINT, address)
        assert export.send(trace, trace.now_ms) == (len(trace.spans), address)
    spans = []
    for path, body in got:
        assert path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(body)
        spans += [s for group in request.resource_spans for scope in group.scope_spans for s in scope.spans]

    assert {s.trace_id.hex() for s in spans} == {trace_id(RUN)}
    assert {s.span_id.hex() for s in spans} == set(trace.spans)
    root = next(s for s in spans if s.span_id.hex() == span_id(RUN))
    assert (root.name, root.parent_span_id) == ("invoke_workflow swarm", b"")
    assert root.end_time_unix_nano - root.start_time_unix_nano == 70 * 10**9


@needs_extra
def test_a_collector_that_refuses_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Trace.of(a_run().events)
    with collector(status=400) as (address, _):
        monkeypatch.setenv(export.ENDPOINT, address)
        with pytest.raises(SwarmError, match=address):
            export.send(trace, trace.now_ms)


def test_without_an_endpoint_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(export.ENDPOINT, raising=False)
    with pytest.raises(UsageError, match=export.ENDPOINT):
        export.send(Trace.of(a_run().events), 0)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(export.ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(UsageError, match=r"swarm-tui\[otel\]"):
        export.send(Trace.of(a_run().events), 0)
