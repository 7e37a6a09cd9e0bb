"""Spans of a run, derived from its journal: nothing is stored, nothing is sampled, ids are the same every time.

::

    run
    ├── task                      from the end of what it depends on to its own end
    │   ├── queue                 ready → claimed
    │   ├── attempt               claimed → submitted, released, failed: one for each claim
    │   │   ├── chat              a model call, with its waits (rate_limit, backoff) in it
    │   │   └── tool              a tool call; a denied one has no length
    │   ├── evaluate              the engine gathers evidence
    │   │   └── check             a measurement
    │   ├── gate                  opened → decided: somebody is waited for
    │   ├── merge_queue           queued → looked at
    │   └── merge                 looked at → merged, conflicted, rejected
    ├── landing                   a task of the engine's own
    ├── held                      paused or halted
    └── down                      no engine was there
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from swarm_core.vocabulary.events import Event
from swarm_core.vocabulary.ids import attempt_span_id, span_id, trace_id

from .moments import amount
from .path import Link, critical_path
from .stations import ENDS, LANDING, RUN_ENDS, Stations, Stay

SHOWN = frozenset({"queue", "work", "evaluate", "gate", "merge_queue", "merge"})
SENT_BACK = ("reject", "request_changes", "abort")
BAD_ENDS = frozenset({"task.failed", "merge.conflicted", "merge.rejected", "run.failed", "run.aborted"})


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of time; milliseconds since 1970. ``end_ms`` is None while it goes on, ``status`` ok, error or open.

    ``attributes`` hold what the journal says, uncleaned; ``seq`` is the event at which the span was last changed.
    """

    id: str
    parent: str
    name: str
    kind: str
    start_ms: int
    end_ms: int | None = None
    status: str = "open"
    task: str = ""
    seq: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def length_s(self, now_ms: int) -> float:
        """How long it took, or takes up to ``now_ms``."""
        return max(0, (now_ms if self.end_ms is None else self.end_ms) - self.start_ms) / 1000


class Trace:
    """Builds the spans as events come. ``spans`` holds them by id in the order in which they were first known.

    ``keeps_ended=False`` is for whoever passes spans on and must not grow: ``spans`` then holds the open ones alone.
    """

    def __init__(self, *, keeps_ended: bool = True) -> None:
        self.run = ""
        self.spans: dict[str, Span] = {}
        self.stations = Stations()
        self._keeps_ended = keeps_ended
        self._open: dict[str, str] = {}  # a task's key -> the span of its present station
        self._pauses: dict[str, list[Stay]] = {}
        self._services: dict[str, str] = {}
        self._models: dict[str, str] = {}
        self._ended: list[Span] = []

    @classmethod
    def of(cls, events: Iterable[Event]) -> Trace:
        trace = cls()
        for event in events:
            trace.apply(event)
        return trace

    @property
    def id(self) -> str:
        """32 hex digits."""
        return trace_id(self.run)

    @property
    def now_ms(self) -> int:
        return self.stations.moments.now

    def critical_path(self, now_ms: int | None = None) -> list[Link]:
        return critical_path(self.stations, now_ms)

    def apply(self, event: Event) -> list[Span]:
        """Take the next event; the spans that are complete now."""
        self._ended = []
        before, down, held_since = self.now_ms, self.stations.moments.down, self.stations.moments.held_since
        stays = self.stations.apply(event)
        if not self.run:
            self._begin_run(event)
        if gap := self.stations.moments.down - down:
            key = span_id(self.run, "down", event.seq)
            self._add(Span(key, span_id(self.run), "no engine", "down", before, before + gap, "error", seq=event.seq))
        if held_since and not self.stations.moments.held_since:
            key = span_id(self.run, "held", held_since)
            self._add(Span(key, span_id(self.run), "held", "held", held_since, self.now_ms, "ok", seq=event.seq))
        for stay in stays:
            self._leave(stay, event)
        self._task_span(event)
        self._enter(event)
        if leaf := _LEAVES.get(event.kind):
            self._add(leaf(self, event))
        if event.kind == "agent.starting" and event.agent:
            self._services[event.agent] = str(event.data.get("service", ""))
            self._models[event.agent] = str(event.data.get("model", ""))
        self._end_tasks(event)
        return self._ended

    # -- run and tasks

    def _begin_run(self, event: Event) -> None:
        self.run = event.run
        title = str(event.data.get("title", "")) or event.run
        self._add(Span(span_id(self.run), "", title, "run", self.now_ms, seq=event.seq))

    def _task_span(self, event: Event) -> None:
        key = event.task or (LANDING if event.kind == "gate.evaluating" else "")
        times = self.stations.tasks.get(key)
        if times is None or event.kind not in ("task.created", "task.ready", "gate.evaluating"):
            return
        span = self._task_id(key)
        if (known := self.spans.get(span)) is None:
            kind = "landing" if key == LANDING else "task"
            about = {} if key == LANDING else {"service": times.service, "dependencies": list(times.dependencies)}
            name = times.title or key
            self._add(Span(span, span_id(self.run), name, kind, times.began, None, "open", key, event.seq, about))
        elif event.kind == "task.ready" and known.end_ms is None:
            self.spans[span] = replace(known, start_ms=times.began)

    def _end_tasks(self, event: Event) -> None:
        if event.kind in ENDS and event.task:
            self._end_task(event.task, event)
        elif event.kind == "rollback.done":
            self._close_lives(event)
        elif event.kind in RUN_ENDS:
            for span in [span for span in self.spans.values() if span.kind in ("task", "landing")]:
                self._end_task(span.task, event)
            status = "error" if event.kind in BAD_ENDS else "ok"
            outcome = str(event.data.get("outcome") or event.kind.partition(".")[2])
            self._finish(span_id(self.run), self.now_ms, status, event.seq, {"outcome": outcome})

    def _close_lives(self, event: Event) -> None:
        """What was taken back ends here as a span; a task that was done before keeps the end that it had."""
        taken = event.data.get("tasks")
        names = {LANDING, *(taken if isinstance(taken, Mapping) else ())}
        for span in [span for span in self.spans.values() if span.kind in ("task", "landing") and span.task in names]:
            self._finish(span.id, self.now_ms, "error", event.seq, {"outcome": "rolled back"})

    def _task_id(self, key: str) -> str:
        """The span of a task; each life of one that was rolled back has its own."""
        life = self.stations.tasks[key].life if key in self.stations.tasks else 1
        return span_id(self.run, key) if life == 1 else span_id(self.run, key, "life", life)

    def _end_task(self, key: str, event: Event) -> None:
        times = self.stations.tasks.get(key)
        if times is not None:
            status = "ok" if times.outcome == "done" else "error"
            more = {"outcome": times.outcome, "claims": times.claims}
            self._finish(self._task_id(key), self.now_ms, status, event.seq, more)

    # -- stations

    def _enter(self, event: Event) -> None:
        times = self.stations.unfinished.get(event.task or LANDING)
        stay = times.stay if times is not None else None
        if times is None or stay is None or stay.seq != event.seq or stay.station not in SHOWN:
            return
        span, about = self._stay_id(stay), dict[str, Any]()
        name = stay.station.replace("_", " ")
        if stay.station == "work":
            name = f"{stay.agent or times.service} · attempt {stay.number}"
            about = {"agent": stay.agent, "service": times.service, "attempt": stay.number}
            about["model"] = self._models.get(stay.agent, "")
        elif stay.station == "gate":
            name, about = stay.gate or "gate", {"gate": stay.gate, "summary": str(event.data.get("summary", ""))}
        self._open[times.key] = span
        kind = "attempt" if stay.station == "work" else stay.station
        parent = self._task_id(times.key)
        self._add(Span(span, parent, name, kind, stay.start, None, "open", times.key, event.seq, about))

    def _leave(self, stay: Stay, event: Event) -> None:
        if stay.station in ("rate_limit", "backoff"):
            if stay.agent:
                self._pauses.setdefault(stay.task, []).append(stay)
            else:  # it rests in the queue after a failure that may pass
                self._add(self._pause_span(stay, self._open.get(stay.task, self._task_id(stay.task)), event))
            return
        for pause in self._pauses.pop(stay.task, []) if stay.station == "work" else []:
            self._add(self._pause_span(pause, self._stay_id(stay), event))
        if stay.station in SHOWN:
            self._open.pop(stay.task, None)
            more: dict[str, Any] = {"ended_by": stay.by}
            if stay.outcome:
                more["outcome"] = stay.outcome
            if stay.down:
                more["down_s"] = stay.down / 1000
            is_bad = stay.by in BAD_ENDS or stay.outcome in SENT_BACK or (stay.by == "task.released" and stay.outcome)
            status = "error" if is_bad else "ok"
            self._finish(self._stay_id(stay), stay.end or self.now_ms, status, event.seq, more)

    def _stay_id(self, stay: Stay) -> str:
        if stay.station == "work":
            return attempt_span_id(self.run, stay.task, stay.number)
        return span_id(self.run, stay.task, stay.station, stay.seq)

    def _pause_span(self, pause: Stay, parent: str, event: Event) -> Span:
        span = span_id(self.run, pause.task, pause.station, pause.start)
        name = pause.station.replace("_", " ")
        return Span(span, parent, name, pause.station, pause.start, pause.end, "ok", pause.task, event.seq)

    # -- leaves

    def _leaf(self, event: Event, name: str, kind: str, length_ms: float, is_ok: bool, about: dict[str, Any]) -> Span:
        key = event.task or LANDING
        parent = self._open.get(key, self._task_id(key) if key in self.stations.tasks else span_id(self.run))
        holder = self.spans.get(parent)
        start = max(self.now_ms - round(length_ms), holder.start_ms if holder else 0)
        about["agent"] = event.agent or ""
        status = "ok" if is_ok else "error"
        span = span_id(self.run, "event", event.seq)
        return Span(span, parent, name, kind, start, self.now_ms, status, event.task or "", event.seq, about)

    def _chat(self, event: Event) -> Span:
        data = event.data
        names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cost_usd", "stop_reason")
        about = {name: data[name] for name in names if name in data}
        about["model"] = str(data.get("model", ""))
        about["served_by"] = self._models.get(event.agent or "", "")
        span = self._leaf(event, f"chat {about['model']}", "chat", amount(data.get("ms")), True, about)
        for pause in self._pauses.pop(event.task or "", []):
            self._add(self._pause_span(pause, span.id, event))
        return span

    def _tool(self, event: Event) -> Span:
        data, name = event.data, str(event.data.get("name", "tool"))
        about = {"tool": name, "target": str(data.get("target", ""))}
        return self._leaf(event, name, "tool", amount(data.get("ms")), bool(data.get("ok", True)), about)

    def _denied(self, event: Event) -> Span:
        data, name = event.data, str(event.data.get("tool", "tool"))
        about = {"tool": name, "target": str(data.get("target", "")), "rule": str(data.get("rule", ""))}
        return self._leaf(event, f"{name} denied", "tool", 0, False, {**about, "error": "policy.denied"})

    def _check(self, event: Event) -> Span:
        name, is_ok = str(event.data.get("name", "check")), event.kind == "check.passed"
        about = {"check": name, "tree": event.data.get("tree", ""), "exit_code": event.data.get("exit_code", 0)}
        return self._leaf(event, name, "check", amount(event.data.get("seconds")) * 1000, is_ok, about)

    # -- writing down

    def _add(self, span: Span) -> None:
        if span.end_ms is not None:
            self._ended.append(span)
        if span.end_ms is None or self._keeps_ended:
            self.spans[span.id] = span

    def _finish(self, key: str, end_ms: int, status: str, seq: int, more: Mapping[str, Any]) -> None:
        span = self.spans.get(key)
        if span is None or span.end_ms is not None:
            return
        end_ms = max(end_ms, span.start_ms)
        span = replace(span, end_ms=end_ms, status=status, seq=seq, attributes={**span.attributes, **more})
        if not self._keeps_ended:
            del self.spans[key]
        self._add(span)


_LEAVES = {
    "llm.call": Trace._chat,
    "tool.used": Trace._tool,
    "policy.denied": Trace._denied,
    "check.passed": Trace._check,
    "check.failed": Trace._check,
    "check.not_measured": Trace._check,
}
