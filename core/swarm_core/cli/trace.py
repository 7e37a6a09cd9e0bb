"""``swarm-tui trace``: what a run did and what it waited for, as a tree of spans with its critical path.

Of an artifact, where it comes from: see ``lineage``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm_core.client import SwarmClient
from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.errors import UsageError

from . import lineage
from .common import Parsers, add_run_option, chosen_run, here

if TYPE_CHECKING:
    from swarm_core.telemetry.path import Link
    from swarm_core.telemetry.trace import Span, Trace

DEPTH = 2
NAME_CELLS = 52
BAR_CELLS = 32
READ_BYTES = 1 << 22
RUN_ID = re.compile(r"\d{8}-\d{6}-")
WAITING = frozenset({"queue", "gate", "merge_queue", "rate_limit", "backoff", "held", "down"})
COLUMNS = ("work", "evaluate", "merge", "queue", "gate", "merge_queue", "rate_limit", "backoff", "down", "lost")


def add(parsers: Parsers) -> None:
    parser = parsers.add_parser("trace", help="show what took a run's time; of an artifact, where it came from")
    parser.add_argument(
        "what", nargs="?", metavar="RUN|ARTIFACT", help="a run's id (default: the latest); or an artifact, or any path"
    )
    add_run_option(parser)
    parser.add_argument("--json", action="store_true", dest="as_json", help="as one JSON document")
    parser.add_argument("--depth", type=int, default=DEPTH, metavar="N", help="1 tasks, 2 their stations, 3 each call")
    parser.add_argument("--task", metavar="T", help="only this task, or `landing`")
    parser.add_argument("--slowest", action="store_true", help="the slowest first, not the earliest")
    parser.add_argument("--otlp", type=Path, metavar="FILE", help="write the spans as OTLP JSON lines")
    parser.add_argument("--export", action="store_true", help="send the spans to $OTEL_EXPORTER_OTLP_ENDPOINT")


def run(options: argparse.Namespace) -> int:
    client = here()
    what = options.what
    if what is not None and what not in client.runs() and not RUN_ID.match(what):
        _require_no_option_of_runs(options)
        return lineage.show(client, chosen_run(client, options.run), what, as_json=options.as_json)
    run_id = chosen_run(client, what or options.run)
    trace = read_trace(client, run_id)
    now_ms = present(client, trace)
    if options.otlp is not None or options.export:
        return _pass_on(trace, now_ms, options.otlp, is_exporting=options.export)
    root = _root(trace, options.task)
    if options.as_json:
        print(json.dumps(document(trace, now_ms, root), ensure_ascii=False, indent=2))
    else:
        for line in lines(trace, now_ms, root, depth=options.depth, is_slowest_first=options.slowest):
            print(line)
    return 0


def _require_no_option_of_runs(options: argparse.Namespace) -> None:
    """Raises UsageError if an option was given that says nothing about a file."""
    given = {
        "--task": options.task,
        "--slowest": options.slowest,
        "--otlp": options.otlp,
        "--export": options.export,
        "--depth": options.depth != DEPTH,
    }
    if wrong := next((name for name, value in given.items() if value), ""):
        raise UsageError(f"{wrong} is about a run, not about an artifact", hint="swarm-tui trace ARTIFACT [--json]")


def read_trace(client: SwarmClient, run: str) -> Trace:
    """The spans of a run's whole journal. Raises JournalError."""
    from swarm_core.telemetry.trace import Trace

    trace, reader = Trace(), client.reader(run)
    while events := reader.poll(READ_BYTES):
        for event in events:
            trace.apply(event)
    reader.close()
    return trace


def present(client: SwarmClient, trace: Trace) -> int:
    """Until when an unfinished run is measured: now if an engine works on it, else its last event; milliseconds."""
    from swarm_core.telemetry.moments import milliseconds

    if trace.stations.is_over or not client.engine().is_alive:
        return trace.now_ms
    return max(trace.now_ms, milliseconds(client.clock.now()))


def _root(trace: Trace, task: str | None) -> Span:
    spans = trace.spans.values()
    if not spans:
        raise UsageError("the run has no events yet", hint="swarm-tui doctor")
    if task is None:
        return next(iter(spans))
    found = next((span for span in spans if span.task == task and span.kind in ("task", "landing")), None)
    if found is None:
        known = ", ".join(sorted(trace.stations.tasks)) or "none"
        raise UsageError(f"there is no task {clean_line(task, 80)!r} in this run", hint=f"tasks: {known}")
    return found


def _pass_on(trace: Trace, now_ms: int, file: Path | None, *, is_exporting: bool) -> int:
    if file is not None:
        from swarm_core.telemetry.otlp import write_file

        count = write_file(file, trace, now_ms)
        print(f"{count} spans in {file}")
    if is_exporting:
        from swarm_core.telemetry.export import send

        count, endpoint = send(trace, now_ms)
        print(f"{count} spans sent to {endpoint}")
    return 0


# -- as JSON


def document(trace: Trace, now_ms: int, root: Span) -> dict[str, Any]:
    """The spans below ``root`` and the critical path; times as text, lengths in seconds."""
    from swarm_core.telemetry.moments import stamp

    path = trace.critical_path(now_ms)
    critical = {link.task for link in path}
    children = _children(trace)
    spans = [
        {
            "id": span.id,
            "parent": span.parent,
            "name": span.name,
            "kind": span.kind,
            "task": span.task,
            "start": stamp(span.start_ms),
            "end": None if span.end_ms is None else stamp(span.end_ms),
            "length_s": span.length_s(now_ms),
            "status": span.status,
            "is_critical": span.kind in ("task", "landing") and span.task in critical,
            "seq": span.seq,
            "attributes": dict(span.attributes),
        }
        for span, _ in _walk(root, children, depth=None, is_slowest_first=False, now_ms=now_ms)
    ]
    links = [
        {
            "task": link.task,
            "title": link.title,
            "service": link.service,
            "start": stamp(link.start_ms),
            "end": None if link.is_open else stamp(link.end_ms),
            "total_s": link.total_s,
            "worked_s": round(link.worked_s, 3),
            "waited_s": round(link.waited_s, 3),
            "spent_s": dict(link.spent_s),
        }
        for link in path
    ]
    return {"run": trace.run, "trace_id": trace.id, "now": stamp(now_ms), "spans": spans, "critical_path": links}


# -- as text


def lines(trace: Trace, now_ms: int, root: Span, *, depth: int, is_slowest_first: bool) -> Iterator[str]:
    """Clean lines: the tree with lengths and bars, then the critical path."""
    path = trace.critical_path(now_ms)
    critical = {link.task for link in path}
    end_ms = root.end_ms or now_ms
    yield clean_line(f"{trace.run}  trace {trace.id}")
    yield f"  {'':{NAME_CELLS}} {'SECONDS':>10}  # work   . waiting   x failed   > goes on"
    for span, level in _walk(root, _children(trace), depth, is_slowest_first, now_ms):
        mark = "*" if span.kind in ("run", "task", "landing") and (span.task in critical or span is root) else " "
        name = clean_line(f"{'  ' * level}{_label(span)}", NAME_CELLS)
        bar = _bar(span, root.start_ms, end_ms, now_ms)
        yield f"{mark} {name:<{NAME_CELLS}} {span.length_s(now_ms):>10.3f}  |{bar}|"
    if path and root.kind == "run":
        yield ""
        yield from _path_lines(path)


def _label(span: Span) -> str:
    about = span.attributes
    match span.kind:
        case "task":
            return f"{span.task} {about.get('service', '')} · {span.name}"
        case "gate":
            return f"gate {span.name} {about.get('outcome') or '(waits)'}"
        case "tool":
            return f"{span.name} {about.get('target', '')}"
        case "check":
            return f"check {span.name}"
        case _:
            return span.name


def _bar(span: Span, start_ms: int, end_ms: int, now_ms: int) -> str:
    """Where in the run the span lies; everything has at least one character."""
    whole = max(1, end_ms - start_ms)
    last = now_ms if span.end_ms is None else span.end_ms
    begin = min(BAR_CELLS - 1, max(0, (span.start_ms - start_ms) * BAR_CELLS // whole))
    cells = max(1, min(BAR_CELLS - begin, round((last - span.start_ms) * BAR_CELLS / whole)))
    mark = "." if span.kind in WAITING else "x" if span.status == "error" else "#"
    drawn = mark * cells if span.end_ms is not None else mark * (cells - 1) + ">"
    return f"{' ' * begin}{drawn}".ljust(BAR_CELLS)


def _path_lines(path: Sequence[Link]) -> Iterator[str]:
    total, waited = sum(link.total_s for link in path), sum(link.waited_s for link in path)
    share = f" ({waited / total:.0%})" if total else ""
    yield f"CRITICAL PATH  {total:.3f} s: {total - waited:.3f} s work, {waited:.3f} s waiting{share}"
    used = [name for name in COLUMNS if any(link.spent_s.get(name) for link in path)]
    heads = "".join(f"{name.replace('_', ' '):>12}" for name in used)
    yield f"  {'':<10} {'SECONDS':>10}{heads}{'other':>12}"
    for link in path:
        shown = [link.spent_s.get(name, 0.0) for name in used]
        cells = "".join(f"{seconds:>12.3f}" for seconds in (*shown, abs(link.total_s - sum(shown))))
        title = f"{link.title}{' (goes on)' if link.is_open else ''}"
        yield clean_line(f"* {link.task:<10} {link.total_s:>10.3f}{cells}  {title}")


# -- the tree


def _children(trace: Trace) -> dict[str, list[Span]]:
    children: dict[str, list[Span]] = defaultdict(list)
    for span in trace.spans.values():
        if span.parent:
            children[span.parent].append(span)
    return children


def _walk(
    root: Span, children: dict[str, list[Span]], depth: int | None, is_slowest_first: bool, now_ms: int
) -> Iterator[tuple[Span, int]]:
    """Each span with its level below ``root``, parents first, as deep as ``depth`` levels below the run."""
    base = 0 if root.kind == "run" else 1
    waiting = [(root, 0)]
    while waiting:
        span, level = waiting.pop()
        yield span, level
        if depth is not None and level + base >= depth:
            continue
        below = children.get(span.id, [])
        order = sorted(below, key=lambda each: (-each.length_s(now_ms) if is_slowest_first else 0, each.start_ms))
        waiting += [(each, level + 1) for each in reversed(order)]
