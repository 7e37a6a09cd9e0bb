"""Measures of a run as a fold of its journal: each event costs the same, however long the run is.

Times are wall time without the time in which no engine was there (``down_s``). Busy is an agent that has claimed a task
and is not waiting for a rate limit to pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from swarm_core.vocabulary.events import Event

from .distribution import Distribution
from .moments import amount
from .path import critical_path
from .spending import Spending
from .stations import ENDS, RUN_ENDS, Stations, Stay

FORMAT = 1
LENGTHS = (
    "task",
    "attempt",
    "queue",
    "gate",
    "merge_queue",
    "merge",
    "evaluate",
    "rate_limit",
    "backoff",
    "llm",
    "tool",
)
WAITS = {"queue": "queue", "gate": "gate", "merge": "merge_queue", "rate_limit": "rate_limit", "backoff": "backoff"}
COUNTED = frozenset(
    {
        "task.created",
        "task.claimed",
        "task.released",
        "task.reopened",
        "task.done",
        "task.failed",
        "task.cancelled",
        "llm.call",
        "llm.retry",
        "tool.used",
        "policy.denied",
        "check.passed",
        "check.failed",
        "check.not_measured",
        "gate.opened",
        "gate.invalidated",
        "gate.aborted",
        "task.skipped",
        "decision.refused",
        "merge.completed",
        "merge.conflicted",
        "merge.rejected",
        "commit.created",
    }
)
# An error's kind is named by this field of its data.
ERRORS = {
    "task.failed": "kind",
    "task.released": "kind",
    "llm.retry": "kind",
    "policy.denied": "rule",
    "check.failed": "name",
}
MAX_KINDS = 100
RETRY = "retry"  # a claim of a task that was claimed before


class Metrics:
    """``apply`` every event in order; ``document()`` whenever somebody looks."""

    def __init__(self) -> None:
        self.run, self.status, self.seq = "", "created", 0
        self.stations = Stations()
        self.spending = Spending()
        self.lengths = {name: Distribution() for name in LENGTHS}
        self.by_service: dict[str, Distribution] = {}
        self.counts: dict[str, int] = {}
        self.errors: dict[str, dict[str, int]] = {}
        self.verdicts: dict[str, int] = {}
        self._services: dict[str, str] = {}
        self._busy: set[str] = set()
        self._limited: set[str] = set()
        self._busy_ms = self._active_ms = self._at_ms = 0

    @classmethod
    def of(cls, events: Iterable[Event]) -> Metrics:
        metrics = cls()
        for event in events:
            metrics.apply(event)
        return metrics

    def apply(self, event: Event) -> None:
        kind, data = event.kind, event.data
        self.run, self.seq = event.run, event.seq
        ended = self.stations.apply(event)
        self._pass_time()
        for stay in ended:
            self._take(stay)
        if kind in COUNTED:
            self.counts[kind] = self.counts.get(kind, 0) + 1
        if (field := ERRORS.get(kind)) is not None and (data.get(field) or kind != "task.released"):
            _count(self.errors.setdefault(kind, {}), str(data.get(field) or "unknown"))
        if kind == "llm.call":
            self._called(event)
        elif kind == "tool.used":
            self.lengths["tool"].add(round(amount(data.get("ms"))))
            if not data.get("ok", True):
                _count(self.errors.setdefault("tool.failed", {}), str(data.get("name") or "unknown"))
        elif kind == "gate.decided":
            _count(self.verdicts, str(data.get("verdict") or "unknown"))
        elif kind == "agent.starting" and event.agent:
            self._services[event.agent] = str(data.get("service", ""))
        elif kind in ENDS and event.task:
            self._ended(event.task)
        elif kind == "task.claimed" and self._claims(event) > 1:
            _count(self.counts, RETRY)
        elif kind == "run.started":
            self.status = "running"
        elif kind in RUN_ENDS:
            self.status = kind.partition(".")[2]
        self._watch(event)

    # -- time

    def _pass_time(self) -> None:
        """The agents that were busy until now were so since the last event, as far as an engine was there."""
        at_ms = self.stations.moments.now - self.stations.moments.down
        passed = max(0, at_ms - self._at_ms) if self._at_ms else 0
        self._at_ms = max(at_ms, self._at_ms)
        working = len(self._busy) - len(self._limited)
        self._busy_ms += passed * working
        self._active_ms += passed if working else 0

    def _watch(self, event: Event) -> None:
        """Who is busy from now on."""
        if event.kind in RUN_ENDS:
            self._busy.clear()
            self._limited.clear()
            return
        task = event.task or ""
        times = self.stations.unfinished.get(task)
        if times is not None and times.stay is not None and times.stay.station == "work":
            self._busy.add(task)
        else:
            self._busy.discard(task)
        if event.kind == "agent.waiting" and task in self._busy:
            self._limited.add(task)
        elif event.kind != "llm.retry":
            self._limited.discard(task)

    def _take(self, stay: Stay) -> None:
        name = "attempt" if stay.station == "work" else stay.station
        if name in self.lengths and not (stay.station == "queue" and stay.by in RUN_ENDS):
            self.lengths[name].add(stay.net)

    def _ended(self, task: str) -> None:
        """A task that was worked on: from its first claim to its end, gates and merging included."""
        times = self.stations.tasks.get(task)
        if times is None or not times.claimed or times.outcome != "done":
            return
        length = times.net - times.unclaimed
        self.lengths["task"].add(length)
        self.by_service.setdefault(times.service or "unknown", Distribution()).add(length)

    def _claims(self, event: Event) -> int:
        times = self.stations.tasks.get(event.task or "")
        return times.claims if times is not None else 0

    def _called(self, event: Event) -> None:
        task = event.task or ""
        times = self.stations.tasks.get(task)
        service = self._services.get(event.agent or "") or (times.service if times is not None else "") or "unknown"
        phase = event.phase or (times.kind if times is not None else "work")
        self.spending.add(event.data, service=service, task=task or "none", phase=phase)
        self.lengths["llm"].add(round(amount(event.data.get("ms"))))

    # -- looking

    def document(self) -> dict[str, Any]:
        """All measures as one JSON document; lengths in seconds, money in US dollars."""
        moments, count = self.stations.moments, self.counts.get
        wall_s, down_s = (moments.now - moments.start) / 1000, moments.down / 1000
        busy_s, active_s = self._busy_ms / 1000, self._active_ms / 1000
        path = critical_path(self.stations)
        claims, done, merged = count("task.claimed", 0), count("task.done", 0), count("merge.completed", 0)
        return {
            "format": FORMAT,
            "run": self.run,
            "seq": self.seq,
            "status": self.status,
            "wall_s": wall_s,
            "down_s": down_s,
            "held_s": (moments.held + (moments.now - moments.held_since if moments.held_since else 0)) / 1000,
            "busy_s": busy_s,
            "active_s": active_s,
            "parallelism": _ratio(busy_s, active_s),
            "crashes": moments.crashes,
            "engine_starts": moments.engines,
            "critical_path": {
                "length_s": round(sum(link.total_s for link in path), 3),
                "work_s": round(sum(link.worked_s for link in path), 3),
                "wait_s": round(sum(link.waited_s for link in path), 3),
                "tasks": [link.task for link in path],
            },
            "tasks": {
                "created": count("task.created", 0),
                "done": done,
                "cancelled": count("task.cancelled", 0),
                "skipped": count("task.skipped", 0),
                "claims": claims,
                "retries": count(RETRY, 0),
                "reopened": count("task.reopened", 0),
                "released": count("task.released", 0),
                "duration": self.lengths["task"].document(),
                "duration_by_service": {key: each.document() for key, each in sorted(self.by_service.items())},
                "attempt": self.lengths["attempt"].document(),
            },
            "waits": {name: self.lengths[key].document() for name, key in WAITS.items()},
            "engine": {name: self.lengths[name].document() for name in ("evaluate", "merge")},
            "latency": {name: self.lengths[name].document() for name in ("llm", "tool")},
            "usage": self.spending.document(),
            "errors": {kind: dict(sorted(kinds.items())) for kind, kinds in sorted(self.errors.items())},
            "error_rates": self._error_rates(claims),
            "gates": {
                "opened": count("gate.opened", 0),
                "decided": sum(self.verdicts.values()),
                "approved": self.verdicts.get("approve", 0),
                "rejected": self.verdicts.get("reject", 0) + self.verdicts.get("request_changes", 0),
                "invalidated": count("gate.invalidated", 0),
                "aborted": count("gate.aborted", 0),
                "decisions_refused": count("decision.refused", 0),
            },
            "merges": {
                "completed": merged,
                "conflicted": count("merge.conflicted", 0),
                "rejected": count("merge.rejected", 0),
            },
            "throughput": {
                "tasks_per_hour": _ratio(3600 * done, wall_s - down_s),
                "merges_per_hour": _ratio(3600 * merged, wall_s - down_s),
                "commits_per_hour": _ratio(3600 * count("commit.created", 0), wall_s - down_s),
                "llm_calls_per_minute": _ratio(60 * count("llm.call", 0), active_s),
                "tokens_per_s": _ratio(self.spending.tokens, active_s),
            },
        }

    def _error_rates(self, claims: int) -> dict[str, float]:
        """Errors of a kind as a share of all that could have gone wrong, 0 to 1."""
        count = self.counts.get
        failed_tools = sum(self.errors.get("tool.failed", {}).values())
        retries, denied, failed = count("llm.retry", 0), count("policy.denied", 0), count("check.failed", 0)
        return {
            "task": _ratio(count("task.failed", 0) + sum(self.errors.get("task.released", {}).values()), claims),
            "llm": _ratio(retries, retries + count("llm.call", 0)),
            "tool": _ratio(failed_tools, count("tool.used", 0)),
            "policy": _ratio(denied, denied + count("tool.used", 0)),
            "check": _ratio(failed, failed + count("check.passed", 0)),
        }

    # -- snapshots

    def freeze(self) -> dict[str, Any]:
        """Plain JSON data; ``Metrics.thaw`` makes a fold of it that goes on as if it had seen every event."""
        return {
            "format": FORMAT,
            "run": self.run,
            "status": self.status,
            "seq": self.seq,
            "stations": self.stations.freeze(),
            "spending": self.spending.freeze(),
            "lengths": {name: each.freeze() for name, each in self.lengths.items()},
            "by_service": {name: each.freeze() for name, each in self.by_service.items()},
            "counts": dict(self.counts),
            "errors": {kind: dict(kinds) for kind, kinds in self.errors.items()},
            "verdicts": dict(self.verdicts),
            "services": dict(self._services),
            "busy": sorted(self._busy),
            "limited": sorted(self._limited),
            "times_ms": [self._busy_ms, self._active_ms, self._at_ms],
        }

    @classmethod
    def thaw(cls, frozen: Mapping[str, Any]) -> Metrics:
        """Raises KeyError, TypeError or ValueError for what ``freeze`` of this version did not make."""
        if frozen["format"] != FORMAT:
            raise ValueError(f"measures of format {frozen['format']!r}, this program reads {FORMAT}")
        made = cls()
        made.run, made.status, made.seq = str(frozen["run"]), str(frozen["status"]), int(frozen["seq"])
        made.stations = Stations.thaw(frozen["stations"])
        made.spending = Spending.thaw(frozen["spending"])
        made.lengths = {name: Distribution.thaw(frozen["lengths"][name]) for name in LENGTHS}
        made.by_service = {name: Distribution.thaw(each) for name, each in frozen["by_service"].items()}
        made.counts = dict(frozen["counts"])
        made.errors = {kind: dict(kinds) for kind, kinds in frozen["errors"].items()}
        made.verdicts, made._services = dict(frozen["verdicts"]), dict(frozen["services"])
        made._busy, made._limited = set(frozen["busy"]), set(frozen["limited"])
        made._busy_ms, made._active_ms, made._at_ms = (int(value) for value in frozen["times_ms"])
        return made


def document(metrics: Metrics) -> dict[str, Any]:
    """What ``.multi-agent/metrics.json`` holds: the measures of the latest run."""
    return metrics.document()


def _count(kinds: dict[str, int], kind: str) -> None:
    """Names come from agents and servers too: past ``MAX_KINDS`` they are counted together."""
    kind = kind[:100] if kind in kinds or len(kinds) < MAX_KINDS else "other"
    kinds[kind] = kinds.get(kind, 0) + 1


def _ratio(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole > 0 else 0.0
