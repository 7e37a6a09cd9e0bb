"""The failure ladder: it passes by itself, somebody else tries, or everything stops."""

from __future__ import annotations

from datetime import datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.policy.failures import (
    BACKOFF_S,
    CRITICAL,
    MAX_BACKOFF_S,
    TRANSIENT,
    after_failure,
    backoff_s,
    halting,
    is_tried_again,
)
from swarm_core.vocabulary.entities import Instance, Run, Task
from swarm_core.vocabulary.errors import RETRYABLE, ModelFailure
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.findings import Incident
from swarm_core.vocabulary.view import RunView

NOW = "2026-11-21T10:00:00.000Z"


def at_work(failures: int = 0, run: str = "running") -> RunView:
    view = RunView()
    view.run = Run("r1", status=run)
    task = Task("task_001", "one", "", "running", "api", instance="api-1", attempt=1, failures=failures)
    view.index.task(None, task)
    view.tasks[task.id] = task
    view.instances["api-1"] = Instance("api-1", "api", "busy", "task_001")
    return view


def fails(view: RunView, kind: str, *, retries: int = 3, random: Random | None = None) -> tuple[Draft, ...]:
    task = view.tasks["task_001"]
    drafts = after_failure(view, task, kind, "it broke", retries=retries, now=NOW, random=random or Random(1))
    for draft in drafts:  # as the engine does: all must fit before any is applied
        view.check(draft)
    for draft in drafts:
        event = Event(view.last_seq + 1, NOW, "r1", draft.kind, draft.data, task=draft.task, agent=draft.agent)
        view.apply(event)
    return drafts


def again(view: RunView) -> None:
    attempt = view.tasks["task_001"].attempt + 1
    view.apply(
        Event(view.last_seq + 1, NOW, "r1", "task.claimed", {"attempt": attempt}, task="task_001", agent="api-1")
    )


@pytest.mark.parametrize("kind", sorted(TRANSIENT))
def test_what_may_pass_is_tried_three_times_more_and_then_the_task_has_failed(kind: str) -> None:
    view, waits = at_work(), []
    for retry in (1, 2, 3):
        (released,) = fails(view, kind)
        assert (released.kind, released.data["failures"], released.agent) == ("task.released", retry, "api-1")
        waits.append(released.data["wait_s"])
        left_s = datetime.fromisoformat(released.data["not_before"]) - datetime.fromisoformat(NOW)
        assert left_s.total_seconds() == pytest.approx(released.data["wait_s"], abs=0.001)
        again(view)
    (failed,) = fails(view, kind)

    assert (failed.kind, failed.data["kind"], failed.data["reason"]) == ("task.failed", kind, "it broke")
    assert view.tasks["task_001"].status == "failed"
    assert view.tasks["task_001"].avoid == ("api-1",)
    for number, wait_s in enumerate(waits):
        whole = BACKOFF_S * 2**number
        assert 0.75 * whole <= wait_s <= whole


@given(st.integers(1, 100_000), st.integers())
def test_a_wait_doubles_up_to_five_minutes_less_a_quarter_at_most(failures: int, seed: int) -> None:
    wait_s = backoff_s(failures, Random(seed))
    whole = min(MAX_BACKOFF_S, BACKOFF_S * 2.0 ** min(failures - 1, 60))

    assert 0.75 * whole <= wait_s <= whole


def test_two_agents_that_failed_together_do_not_come_back_together() -> None:
    waits = {backoff_s(3, Random(seed)) for seed in range(50)}

    assert len(waits) == 50
    assert max(waits) - min(waits) > 1.0


@pytest.mark.parametrize("kind", ["gave_up", "request", "engine", "something new"])
def test_what_would_fail_the_same_way_again_is_not_tried_again(kind: str) -> None:
    (failed,) = fails(at_work(), kind)

    assert failed.kind == "task.failed"


def test_no_retries_means_none() -> None:
    assert [draft.kind for draft in fails(at_work(), "overload", retries=0)] == ["task.failed"]


@pytest.mark.parametrize("kind", sorted(CRITICAL))
@pytest.mark.parametrize("failures", [0, 3])
def test_what_nobody_could_do_better_stops_the_run_and_costs_the_task_nothing(kind: str, failures: int) -> None:
    view = at_work(failures)
    drafts = fails(view, kind)

    assert [draft.kind for draft in drafts] == ["task.released", "incident.opened", "run.halted"]
    task = view.tasks["task_001"]
    assert (task.status, task.failures, task.wait_s, task.avoid) == ("ready", failures, 0.0, ())
    assert (view.run.status, view.run.pause) == ("halted", "halt")
    assert "task_001: it broke" in view.run.reason
    (incident,) = view.incidents.values()
    assert (incident.status, incident.trigger) == ("open", kind)


@pytest.mark.parametrize("status", ["paused", "halted"])
def test_a_run_that_is_held_already_is_not_halted_a_second_time(status: str) -> None:
    view = at_work(run=status)

    assert [draft.kind for draft in fails(view, "auth")] == ["task.released"]
    assert view.run.status == status


def test_every_way_a_model_call_fails_has_its_place_on_the_ladder() -> None:
    for kind in ModelFailure:
        assert (kind in TRANSIENT) == (kind in RETRYABLE), f"{kind} is retried by the loop and not by the engine"
        assert kind in TRANSIENT or kind in CRITICAL or kind in (ModelFailure.REQUEST, ModelFailure.CONTEXT)
    assert TRANSIENT.isdisjoint(CRITICAL)


def test_retries_are_counted_within_one_round_of_work() -> None:
    assert is_tried_again(Task("t", "", failures=2), "lost", 3)
    assert not is_tried_again(Task("t", "", failures=3), "lost", 3)
    view = at_work(failures=3)
    view.apply(Event(1, NOW, "r1", "task.submitted", {"commit": "c"}, task="task_001", agent="api-1"))

    assert view.tasks["task_001"].failures == 0


def test_incidents_are_numbered_on() -> None:
    view = at_work()
    view.incidents["incident_001"] = Incident("incident_001")
    opened, halted = halting(view, "three at once", trigger="failures", scope="phase", subject="a b c")

    assert opened.data["incident"] == "incident_002"
    assert (opened.data["scope"], opened.data["subject"]) == ("phase", "a b c")
    assert halted.data == {"mode": "halt", "reason": "three at once"}
