"""Measures: every number follows from the journal, adds up, and survives a snapshot at any event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.tales import RUN, Tale, a_run

from swarm_core.telemetry.metrics import FORMAT, MAX_KINDS, Metrics, document
from swarm_core.telemetry.spending import COUNTS
from swarm_core.telemetry.trace import Trace
from swarm_core.vocabulary.events import Event


def measured(tale: Tale) -> dict[str, Any]:
    return Metrics.of(tale.events).document()


def test_a_known_run_has_known_measures() -> None:
    d = measured(a_run())

    assert (d["run"], d["status"], d["wall_s"], d["down_s"]) == (RUN, "completed", 70, 0)
    assert d["tasks"]["duration"]["count"] == 4
    by_service = {key: each["max_s"] for key, each in d["tasks"]["duration_by_service"].items()}
    assert by_service == {"architect": 7, "frontend": 4, "database": 9, "backend": 38}
    assert (d["tasks"]["claims"], d["tasks"]["retries"], d["tasks"]["reopened"]) == (6, 2, 1)
    waits = {name: (each["count"], each["sum_s"]) for name, each in d["waits"].items()}
    assert waits == {
        "queue": (6, 2 + 1 + 1 + 2 + 1 + 1),
        "gate": (7, 4 + 1 + 1 + 2 + 4 + 3 + 6),
        "merge": (2, 3),
        "rate_limit": (1, 5),
        "backoff": (0, 0),
    }
    assert d["gates"] == {
        "opened": 7,
        "decided": 7,
        "approved": 6,
        "rejected": 1,
        "invalidated": 0,
        "aborted": 0,
        "decisions_refused": 0,
    }
    assert d["errors"] == {
        "check.failed": {"lint": 1},
        "llm.retry": {"limit": 1},
        "policy.denied": {"tools_restricted": 1},
        "task.failed": {"stalled": 1},
    }
    assert d["error_rates"]["check"] == 0.5
    assert d["error_rates"]["llm"] == pytest.approx(1 / 3, abs=1e-4)


def test_parallelism_is_busy_time_by_the_time_in_which_anybody_was_busy() -> None:
    d = measured(a_run())
    # architect 3-5, database 11-16 beside frontend 11-14, backend 22-23 and 28-30 (between is a limit), 34-40, 46-50
    assert d["busy_s"] == 2 + 5 + 3 + 3 + 6 + 4
    assert d["active_s"] == 2 + 5 + 3 + 6 + 4
    assert d["parallelism"] == pytest.approx(23 / 20)


def test_the_critical_path_is_that_of_the_trace() -> None:
    events = a_run().events
    for cut in range(1, len(events) + 1):
        path = Trace.of(events[:cut]).critical_path()
        d = Metrics.of(events[:cut]).document()["critical_path"]
        assert d["tasks"] == [link.task for link in path]
        assert d["length_s"] == pytest.approx(sum(link.total_s for link in path))
        assert d["work_s"] + d["wait_s"] == pytest.approx(d["length_s"])


def test_a_crash_is_counted_and_the_time_after_it_is_nobodys() -> None:
    tale = Tale()("run.created")("engine.started", pid=1)("task.created", "task_001", title="T", assigned_to="db")
    tale("task.ready", "task_001")("task.claimed", "task_001", "db-1", attempt=1).at(4)
    tale("tool.used", "task_001", "db-1", name="Read", ok=True, ms=1)
    tale.at(1004)("engine.crash_detected", pid=1)("engine.started", pid=2).at(1006)(
        "task.submitted", "task_001", "db-1"
    )
    d = measured(tale("task.done", "task_001"))

    assert (d["crashes"], d["engine_starts"], d["down_s"]) == (1, 2, 1000)
    assert (d["busy_s"], d["active_s"], d["tasks"]["duration"]["max_s"]) == (6, 6, 6)


AMOUNTS = st.fixed_dictionaries(
    {name: st.integers(0, 10**7) for name in COUNTS[1:]} | {"cost_usd": st.floats(0, 100).map(lambda x: round(x, 6))}
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from([None, "task_000", "task_001", "task_002"]), st.sampled_from([None, "a-1", "b-1"]), AMOUNTS
    )
)


@given(CALLS)
def test_tokens_and_cost_add_up_however_they_are_grouped(calls: list[tuple[str | None, str | None, Any]]) -> None:
    tale = Tale()("run.created")("agent.starting", None, "a-1", service="a")
    tale("task.created", "task_001", title="T", assigned_to="c")
    for task, agent, amounts in calls:
        tale("llm.call", task, agent, **amounts)
    usage = measured(tale)["usage"]

    assert usage["run"]["calls"] == len(calls)
    assert usage["run"]["cost_usd"] == pytest.approx(sum(amounts["cost_usd"] for *_, amounts in calls))
    for group in ("by_service", "by_task", "by_phase", "by_feature"):
        rows = usage[group].values()
        assert {name: sum(row[name] for row in rows) for name in (*COUNTS, "tokens")} == {
            name: usage["run"][name] for name in (*COUNTS, "tokens")
        }
        assert sum(round(row["cost_usd"] * 1e6) for row in rows) == round(usage["run"]["cost_usd"] * 1e6)


def test_a_snapshot_at_any_event_goes_on_to_the_same_measures() -> None:
    events = a_run().events
    whole = Metrics.of(events).document()
    for cut in range(len(events)):
        frozen = json.loads(json.dumps(Metrics.of(events[:cut]).freeze()))
        metrics = Metrics.thaw(frozen)
        assert metrics.freeze() == frozen
        for event in events[cut:]:
            metrics.apply(event)
        assert metrics.document() == whole


@pytest.mark.parametrize(
    "damage", [{"format": FORMAT + 1}, {"spending": {"total": [1], "groups": {}}}, {"lengths": {}}]
)
def test_a_snapshot_of_something_else_is_refused(damage: dict[str, Any]) -> None:
    frozen = Metrics.of(a_run().events).freeze() | damage
    with pytest.raises((KeyError, TypeError, ValueError)):
        Metrics.thaw(frozen)


def test_strange_events_are_counted_and_never_stop_the_fold() -> None:
    strange: list[Any] = [None, "x", -1, float("nan"), float("inf"), [], {}, True, 10**400]
    metrics = Metrics()
    for seq, value in enumerate(strange, 1):
        data = dict.fromkeys(("ms", "cost_usd", "input_tokens", "wait_s", "kind", "name", "attempt", "verdict"), value)
        for kind in ("task.created", "task.claimed", "llm.call", "llm.retry", "tool.used", "gate.decided", "new.kind"):
            metrics.apply(Event(seq, "not a time", RUN, kind, data, task="t"))

    assert metrics.document()["usage"]["run"]["calls"] == len(strange)
    assert json.loads(json.dumps(metrics.freeze()))["seq"] == len(strange)


def test_names_that_agents_make_up_do_not_grow_the_measures() -> None:
    tale = Tale()
    for number in range(MAX_KINDS * 3):
        tale("llm.retry", None, "a-1", kind=f"kind-{number}", wait_s=0)
    errors = measured(tale)["errors"]["llm.retry"]

    assert len(errors) <= MAX_KINDS + 1
    assert sum(errors.values()) == MAX_KINDS * 3


def test_the_document_is_plain_json_of_an_empty_run_too() -> None:
    assert json.loads(json.dumps(document(Metrics())))["tasks"]["duration"]["count"] == 0


def test_a_paused_run_is_held_and_a_snapshot_survives_a_rollback() -> None:
    tale = a_run()
    tale.events = [event for event in tale.events if event.kind != "run.completed"]
    tale.at(80)("run.paused", mode="pause").at(90)("run.halted", mode="halt").at(95)
    tale("rollback.done", tasks={"task_002": "again", "task_001": "drop"})("recovery.completed").at(96)
    tale("task.ready", "task_002").at(97)("task.claimed", "task_002", "backend-1", attempt=4).at(99)
    tale("task.released", "task_002", "backend-1", kind="stalled", wait_s=1)("run.aborted", reason="r")
    whole = measured(tale)

    assert whole["held_s"] == 15
    assert whole["errors"]["task.released"] == {"stalled": 1}
    for cut in range(len(tale.events)):
        metrics = Metrics.thaw(json.loads(json.dumps(Metrics.of(tale.events[:cut]).freeze())))
        for event in tale.events[cut:]:
            metrics.apply(event)
        assert metrics.document() == whole
