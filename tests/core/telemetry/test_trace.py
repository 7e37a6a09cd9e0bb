"""Spans: one for every stretch of the journal, in the right place, with the same ids every time."""

from __future__ import annotations

import pytest
from tests.support.tales import RUN, START_MS, Tale, a_run

from swarm_core.telemetry.trace import Span, Trace
from swarm_core.vocabulary.ids import attempt_span_id, span_id, trace_id


def seconds(span: Span) -> tuple[float, float | None]:
    end = None if span.end_ms is None else (span.end_ms - START_MS) / 1000
    return (span.start_ms - START_MS) / 1000, end


def spans(trace: Trace, kind: str, task: str | None = None) -> list[Span]:
    return [s for s in trace.spans.values() if s.kind == kind and (task is None or s.task == task)]


def test_ids_are_functions_of_their_parts_and_of_nothing_else() -> None:
    assert (len(trace_id("r")), len(span_id("r", "t", 1))) == (32, 16)
    assert span_id("r", "t", 1) == span_id("r", "t", "1")
    different = {
        span_id("r"),
        span_id("r", "ab", "c"),
        span_id("r", "a", "bc"),
        span_id("ra", "bc"),
        trace_id("r")[:16],
    }
    assert len(different) == 5
    assert [*Trace.of(a_run().events).spans] == [*Trace.of(a_run().events).spans]


def test_every_claim_is_a_span_with_its_length_and_outcome() -> None:
    trace = Trace.of(a_run().events)
    attempts = spans(trace, "attempt", "task_002")

    assert [seconds(span) for span in attempts] == [(22, 30), (34, 40), (46, 50)]
    assert [span.status for span in attempts] == ["error", "ok", "ok"]
    assert [span.id for span in attempts] == [attempt_span_id(RUN, "task_002", number) for number in (1, 2, 3)]
    assert {span.parent for span in attempts} == {span_id(RUN, "task_002")}


def test_waits_are_spans_of_their_own() -> None:
    trace = Trace.of(a_run().events)

    assert [seconds(s) for s in spans(trace, "queue", "task_002")] == [(20, 22), (33, 34), (45, 46)]
    assert [seconds(s) for s in spans(trace, "gate", "task_002")] == [(31, 33), (41, 45), (52, 55)]
    assert [s.attributes["outcome"] for s in spans(trace, "gate", "task_002")] == ["approve", "reject", "approve"]
    assert [seconds(s) for s in spans(trace, "merge_queue")] == [(18, 19), (55, 57)]
    assert [seconds(s) for s in spans(trace, "merge")] == [(19, 20), (57, 60)]


def test_calls_tools_and_checks_lie_in_the_span_that_made_them() -> None:
    trace = Trace.of(a_run().events)
    chat = spans(trace, "chat", "task_002")[0]
    limit = spans(trace, "rate_limit")[0]
    tool, denied = spans(trace, "tool", "task_001")[0], spans(trace, "tool", "task_003")[0]

    assert seconds(chat) == (22.5, 30)
    assert trace.spans[chat.parent].kind == "attempt"
    assert (limit.parent, seconds(limit)) == (chat.id, (23, 28))
    assert (tool.status, seconds(tool)) == ("ok", (15, 16))
    assert (denied.status, denied.attributes["error"]) == ("error", "policy.denied")
    checks = spans(trace, "check")
    assert [(c.name, c.status, trace.spans[c.parent].kind) for c in checks] == [
        ("lint", "error", "evaluate"),
        ("tests", "ok", "evaluate"),
    ]


def test_the_run_is_the_root_and_nothing_is_orphaned() -> None:
    trace = Trace.of(a_run().events)
    root, *others = trace.spans.values()

    assert (root.id, root.parent, root.status, seconds(root)) == (span_id(RUN), "", "ok", (0, 70))
    assert all(span.parent in trace.spans for span in others)
    assert all(span.end_ms is not None and span.end_ms >= span.start_ms for span in others)


def test_the_critical_path_is_the_chain_that_finished_last_and_adds_up() -> None:
    path = Trace.of(a_run().events).critical_path()

    assert [link.task for link in path] == ["task_000", "task_001", "task_002", "landing"]
    assert [link.total_s for link in path] == [10, 10, 40, 10]
    for link in path:
        assert sum(link.spent_s.values()) == pytest.approx(link.total_s)
        assert link.worked_s + link.waited_s == pytest.approx(link.total_s)
    api = path[2].spent_s
    assert api == {
        "queue": 4,
        "work": 13,
        "rate_limit": 5,
        "evaluate": 4,
        "gate": 9,
        "merge_queue": 2,
        "merge": 3,
    }


def test_a_run_under_way_has_open_spans_and_a_path_up_to_now() -> None:
    events = a_run().events
    cut = next(i for i, e in enumerate(events) if e.kind == "llm.retry")
    trace = Trace.of(events[:cut])
    now_ms = START_MS + 100_000
    still = [span for span in trace.spans.values() if span.end_ms is None]

    assert {(span.kind, span.task) for span in still} == {("run", ""), ("task", "task_002"), ("attempt", "task_002")}
    assert still[-1].length_s(now_ms) == 78
    path = trace.critical_path(now_ms)
    assert [(link.task, link.is_open) for link in path][-1] == ("task_002", True)
    assert path[-1].spent_s == {"queue": 2, "work": 78}


def test_an_ended_run_leaves_no_span_open() -> None:
    events = a_run().events
    cut = next(i for i, e in enumerate(events) if e.kind == "llm.retry")
    tale = Tale()
    tale.events = events[:cut]
    trace = Trace.of(tale.at(30)("run.aborted", reason="enough").events)

    assert all(span.end_ms is not None for span in trace.spans.values())
    assert {s.status for s in trace.spans.values() if s.kind in ("run", "attempt") and seconds(s)[1] == 30} == {"error"}


def test_time_without_an_engine_is_nobodys_work() -> None:
    tale = Tale()("run.created")("engine.started", pid=1)("task.created", "task_000", title="P", assigned_to="a")
    tale("task.ready", "task_000")("task.claimed", "task_000", "a-1", attempt=1).at(4)
    tale("tool.used", "task_000", "a-1", name="Read", ok=True, ms=1).at(1004)("engine.crash_detected", pid=1)
    tale("engine.started", pid=2).at(1006)("task.submitted", "task_000", "a-1")
    trace = Trace.of(tale.events)

    assert [seconds(span) for span in spans(trace, "down")] == [(4, 1004)]
    attempt = spans(trace, "attempt")[0]
    assert (seconds(attempt), attempt.attributes["down_s"]) == ((0, 1006), 1000)
    assert trace.critical_path()[0].spent_s == {"work": 6, "down": 1000}


def test_a_clock_that_was_set_back_makes_no_negative_lengths() -> None:
    tale = Tale().at(50)("run.created")("task.created", "task_000", title="P")("task.ready", "task_000")
    tale.at(10)("task.claimed", "task_000", "a-1", attempt=1).at(60)("task.submitted", "task_000", "a-1")
    trace = Trace.of(tale.events)

    assert all(span.length_s(trace.now_ms) >= 0 for span in trace.spans.values())
    assert seconds(spans(trace, "attempt")[0]) == (50, 60)


def test_passing_spans_on_keeps_only_the_open_ones() -> None:
    trace, passed = Trace(keeps_ended=False), list[Span]()
    most = 0
    for event in a_run().events:
        passed += trace.apply(event)
        most = max(most, len(trace.spans))

    assert {span.id for span in passed} == set(Trace.of(a_run().events).spans)
    assert len(passed) == len({span.id for span in passed})
    assert trace.spans == {}
    assert most <= 8


def test_a_rest_after_a_failure_that_may_pass_is_no_wait_for_an_agent() -> None:
    tale = Tale()("run.created")("task.created", "task_000", title="P", assigned_to="a")("task.ready", "task_000")
    tale("task.claimed", "task_000", "a-1", attempt=1).at(2)
    tale("task.released", "task_000", "a-1", kind="transport", wait_s=5.0, reason="r").at(10)
    tale("task.claimed", "task_000", "a-1", attempt=2).at(11)("task.submitted", "task_000", "a-1")
    trace = Trace.of(tale.events)

    assert trace.critical_path()[0].spent_s == {"work": 3, "backoff": 5, "queue": 3}
    rest = spans(trace, "backoff")[0]
    assert (seconds(rest), trace.spans[rest.parent].kind) == ((2, 7), "queue")
    assert [span.status for span in spans(trace, "attempt")] == ["error", "ok"]


def test_a_rolled_back_task_has_another_life_and_the_first_one_is_lost_time() -> None:
    tale = a_run()
    cut = next(i for i, e in enumerate(tale.events) if e.kind == "run.completed")
    tale.events = tale.events[:cut]
    tale.at(70)("run.halted", reason="r").at(75)("recovery.started", to_seq=5)
    tale("rollback.done", tasks={"task_002": "again", "task_003": "drop"})("recovery.completed").at(76)
    tale("task.ready", "task_002").at(77)("task.claimed", "task_002", "backend-1", attempt=4)
    tale.at(80)("task.submitted", "task_002", "backend-1")("gate.evaluating", "task_002", gate="gate_008")
    tale.at(81)("gate.opened", "task_002", gate="gate_008").at(82)
    tale("gate.decided", "task_002", gate="gate_008", verdict="approve")("task.done", "task_002")
    tale.at(83)("gate.evaluating", gate="gate_009", place="landing")("gate.opened", gate="gate_009").at(84)
    tale("gate.decided", gate="gate_009", verdict="approve").at(85)("run.completed", outcome="clean")
    trace = Trace.of(tale.events)
    path = trace.critical_path()

    assert [(seconds(s), s.status) for s in spans(trace, "task", "task_002")] == [((20, 60), "ok"), ((20, 82), "ok")]
    assert [seconds(span) for span in spans(trace, "landing")] == [(60, 75), (82, 85)]
    assert [seconds(span) for span in spans(trace, "held")] == [(70, 75)]
    assert [link.task for link in path] == ["task_000", "task_001", "task_002", "landing"]
    assert sum(link.total_s for link in path) == 85
    assert path[2].spent_s == {"lost": 55, "pending": 1, "queue": 1, "work": 3, "evaluate": 1, "gate": 1}
    assert all(span.parent in trace.spans and span.end_ms is not None for span in [*trace.spans.values()][1:])


def test_a_task_of_a_later_plan_is_not_late_before_that_plan() -> None:
    tale = a_run()
    tale.events = tale.events[
        : next(i for i, e in enumerate(tale.events) if e.kind == "task.ready" and e.task == "task_002")
    ]
    tale.at(100)("task.created", "task_009", title="Replan", kind="plan")("task.ready", "task_009")
    tale("task.claimed", "task_009", "architect-1", attempt=1).at(110)("task.submitted", "task_009", "architect-1")
    tale("task.created", "task_010", title="More", dependencies=["task_001"])("task.done", "task_009")
    trace = Trace.of(tale("task.ready", "task_010").at(115)("task.claimed", "task_010", "x-1", attempt=1).events)
    times = trace.stations.tasks["task_010"]

    assert (times.after, times.began) == ("task_009", START_MS + 110_000)
