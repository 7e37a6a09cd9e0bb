"""Sends spans over OTLP/HTTP with OpenTelemetry's own exporter: the extra ``otel``, imported when it is asked for."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from swarm_core import __version__
from swarm_core.vocabulary.errors import SwarmError, UsageError

from . import semconv
from .otlp import CLIENT, ERROR, OK, Published, batches
from .trace import Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
TIMEOUT_S = 10.0


def send(trace: Trace, now_ms: int) -> tuple[int, str]:
    """Send all spans of a trace; how many and where to. The exporter's usual environment variables are obeyed.

    Raises UsageError without the extra or without an endpoint, SwarmError if the other side does not take them.
    """
    endpoint = os.environ.get(TRACES_ENDPOINT) or os.environ.get(ENDPOINT)
    if not endpoint:
        raise UsageError(f"${ENDPOINT} is not set", hint=f"{ENDPOINT}=http://localhost:4318 swarm-tui trace --export")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import SpanExportResult
    except ImportError as error:
        raise UsageError(
            f"--export needs the extra `otel`: {error}",
            hint="pip install 'swarm-tui[otel]', or --otlp FILE, which needs nothing",
        ) from None
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what failed is said below, once
    has_own = any(name in os.environ for name in ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"))
    exporter: Any = OTLPSpanExporter(timeout=None if has_own else TIMEOUT_S)
    resource = Resource({semconv.SERVICE_NAME: "swarm-tui", semconv.SERVICE_VERSION: __version__})
    count = 0
    try:
        for batch in batches(trace, now_ms):
            if exporter.export([_readable(span, resource) for span in batch]) is not SpanExportResult.SUCCESS:
                sent = f" (after {count} spans)" if count else ""
                raise SwarmError(f"{endpoint} did not take the spans{sent}", hint="is a collector listening there?")
            count += len(batch)
    finally:
        exporter.shutdown()
    return count, endpoint


def _readable(span: Published, resource: Resource) -> ReadableSpan:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def context(id: str) -> SpanContext:
        return SpanContext(int(span.trace, 16), int(id, 16), is_remote=False, trace_flags=TraceFlags(1))

    code = {OK: StatusCode.OK, ERROR: StatusCode.ERROR}.get(span.status, StatusCode.UNSET)
    return ReadableSpan(
        span.name,
        context(span.id),
        context(span.parent) if span.parent else None,
        resource,
        span.attributes,
        kind=SpanKind.CLIENT if span.kind == CLIENT else SpanKind.INTERNAL,
        status=Status(code),
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=InstrumentationScope("swarm_core.telemetry", __version__, semconv.SCHEMA_URL),
    )
