"""A glance tells how the run is held and why a task does not go on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.room import FixedClock, Visit, visit
from textual.color import Color

from swarm_core.vocabulary.events import Draft
from swarm_tui.panes.board import TaskBoard
from swarm_tui.theme import DARK, LIGHT

WIDE = (200, 40)
INCIDENT = {"incident": "incident_001", "scope": "run", "trigger": "auth"}
WHY = "task_003: the API answered 401 (invalid x-api-key)"
CLAIM = {"attempt": 1, "base": "b2c3d4"}


def banner(at: Visit) -> str:
    return at.text.splitlines()[1]


def row(at: Visit, task: str) -> str:
    """The board's row of a task, as far as the board goes."""
    (line,) = [line for line in at.text.splitlines() if re.match(f"│ . {task} ", line)]
    return line.split("││")[0]


def edge(at: Visit) -> str:
    """What stands in the board's lower edge."""
    return str(at.room.screen.query_one(TaskBoard).border_subtitle)


class RunningClock(FixedClock):
    """Wall time that goes on when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.time = "2026-11-21T10:04:05.000Z"

    def now(self) -> str:
        return self.time


# -- the run


async def test_a_run_at_work_has_no_banner(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        assert not at.room.screen.query_one("#banner").display


async def test_a_limit_stands_in_the_banner_until_it_has_passed(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        clock = at.room.clock = RunningClock()
        until = "2026-11-21T10:05:00.000Z"
        data = {"gate": "p/m\x1b[31m", "until": until, "wait_s": 55.0, "reason": "429"}
        await at.happen(Draft("limit.reached", data))
        assert "◔ p/m" in banner(at)
        assert "is limited until 10:05:00" in banner(at)
        clock.time = "2026-11-21T10:05:01.000Z"
        at.room.screen.pulse()  # type: ignore[attr-defined]
        assert not at.room.screen.query_one("#banner").display


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            Draft("run.paused", {"mode": "pause", "reason": "the operator paused the run"}),
            ("‖ paused · r resumes · the operator paused the run", "2 agents stop at their next step"),
        ),
        (
            Draft("run.paused", {"mode": "drain", "reason": "the operator paused the run"}),
            ("‖ draining · r resumes", "2 tasks are finished, nothing begins"),
        ),
        (Draft("run.halted", {"mode": "halt", "reason": WHY}), (f"■ halted · r resumes · {WHY} · incident_001",)),
        (Draft("run.halted", {"mode": "stop", "reason": "the operator"}), ("■ stopped · r resumes · the operator",)),
    ],
)
async def test_how_a_run_is_held_is_said_with_the_reason_and_the_key(
    tmp_path: Path, event: Draft, words: tuple[str, ...]
) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        await at.happen(Draft("incident.opened", {**INCIDENT, "reason": WHY}), event)
        for word in words:
            assert word in banner(at)
        assert words[0].split(" · ")[0] in at.text.splitlines()[0]
        await at.happen(Draft("run.resumed", {}))
        assert not at.room.screen.query_one("#banner").display
        assert "running" in at.text.splitlines()[0]


async def test_agents_that_stopped_are_not_counted_any_more(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        paused = Draft("agent.paused", {"reason": "the run is paused"}, agent="testing-1")
        await at.happen(Draft("run.paused", {"mode": "pause"}), paused)
        assert "1 agent stops at its next step" in banner(at)
        assert "testing-1 ‖ paused (the run is paused)" in at.text
        await at.happen(Draft("agent.paused", agent="frontend-1"))
        assert "next step" not in banner(at)


async def test_a_rollback_under_way_is_said_without_a_key_that_would_be_refused(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        reason = "the operator rolls back to event 12"
        await at.happen(
            Draft("run.halted", {"mode": "stop"}), Draft("recovery.started", {"to_seq": 12, "reason": reason})
        )
        assert f"↺ rolling back · {reason}" in banner(at)
        assert "resumes" not in banner(at)


async def test_a_reason_too_long_for_a_small_terminal_breaks_between_words(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=(80, 24)) as at:
        reason = "task_003: the API answered 401 … the key that was given is not one of this organisation's keys"
        await at.happen(Draft("run.halted", {"mode": "halt", "reason": reason}))
        assert reason in " ".join(" ".join(at.text.splitlines()[1:3]).split())
        assert "Tasks" in at.text


async def test_drift_says_which_file_and_that_the_run_keeps_its_own(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        await at.happen(Draft("spec.drift", {"path": "multi-agent.yaml", "sha256": "f00d"}))
        assert "multi-agent.yaml changed since the run began; this run goes on with its own copy" in banner(at)


async def test_a_held_service_is_said_with_the_key_that_frees_it(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        await at.happen(Draft("service.paused", {"service": "testing", "reason": "the database is down"}))
        assert "‖ testing is held · S frees it · the database is down" in banner(at)
        assert "testing is held, S frees it" in row(at, "004")


# -- a task


async def test_a_failed_task_counts_down_to_its_next_attempt(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        clock = at.room.clock = RunningClock()
        data = {
            "reason": "the API answered 529 (overloaded)", "kind": "overload", "failures": 1,
            "wait_s": 4.0, "not_before": "2026-11-21T10:04:09.000Z",
        }  # fmt: skip
        await at.happen(Draft("task.released", data, task="task_003", agent="frontend-1"))
        await at.press("b", "G", "k")
        assert "again in 4 s, attempt 2: the API answered" in row(at, "003")
        assert edge(at).strip() == "003 again in 4 s, attempt 2: the API answered 529 (overloaded)"
        clock.time = "2026-11-21T10:04:06.500Z"
        at.room.pulse()
        assert "again in 3 s" in edge(at)
        clock.time = "2026-11-21T10:04:09.500Z"
        at.room.pulse()
        assert "again" not in edge(at)


async def test_the_number_of_attempts_is_said_where_the_journal_knows_it(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        assert at.room.store is not None
        services = at.room.store.view.run.services
        assert isinstance(services, dict)
        services["frontend"] = {"retries": 3}
        data = {"reason": "overloaded", "failures": 1, "wait_s": 4.0, "not_before": "2026-11-21T10:04:09.000Z"}
        await at.happen(Draft("task.released", data, task="task_003", agent="frontend-1"))
        assert "again in 4 s, attempt 2 of 4" in row(at, "003")


async def test_a_task_that_failed_for_good_says_who_decides(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        await at.press("b", "G", "k")
        await at.happen(Draft("task.failed", {"reason": "no answer", "kind": "timeout"}, task="task_003"))
        assert edge(at).strip() == "003 no answer"
        plan = {"title": "task_003 failed: who goes on with it?", "assigned_to": "architect", "kind": "plan"}
        await at.happen(Draft("task.created", {**plan, "about": "task_003"}, task="task_005"))
        assert "architect decides who goes on: no answer" in edge(at)
        assert "plan: task_003 failed: who goes on with it?" in row(at, "005")
        gate = {"gate": "gate_009", "place": "escalation", "title": "t", "round": 1}
        opened = Draft("gate.opened", {"gate": "gate_009", "evidence": "0" * 64}, task="task_003")
        await at.happen(Draft("gate.evaluating", gate, task="task_003"), opened)
        assert "gate_009 asks you: no answer" in edge(at)


async def test_a_held_task_has_a_mark_and_says_how_it_is_freed(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        await at.happen(Draft("task.paused", {"reason": "wait for the schema"}, task="task_004"))
        assert "‖ 004" in row(at, "004")
        await at.press("b", "G")
        assert edge(at).strip() == "004 held, h frees it: wait for the schema"


async def test_a_task_waits_for_the_one_that_holds_its_path(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        one = {"title": "Routes", "assigned_to": "backend", "writes": ["src/api/*.py"]}
        start = {"service": "backend", "branch": "agent/backend-2", "worktree": "/t/backend-2"}
        await at.happen(
            Draft("task.created", one, task="task_005"),
            Draft("task.ready", task="task_005"),
            Draft("agent.starting", start, agent="backend-2"),
            Draft("agent.ready", agent="backend-2"),
            Draft("task.claimed", CLAIM, task="task_005", agent="backend-2"),
            Draft("task.created", {**one, "title": "Auth", "writes": ["src/api/auth.py"]}, task="task_006"),
            Draft("task.ready", task="task_006"),
        )
        assert "waits for task_005, which holds src/api/*.py" in row(at, "006")


async def test_a_task_at_a_gate_says_which_in_the_edge_and_its_size_in_the_row(tmp_path: Path) -> None:
    async with visit(tmp_path, "backend gate", size=WIDE) as at:
        await at.press("b", "down", "down")
        assert edge(at).strip() == "002 waits at gate_003 for your decision"
        assert "+22 −2" in row(at, "002")


async def test_a_dropped_task_says_why(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        await at.happen(Draft("task.cancelled", {"reason": "the operator dropped it"}, task="task_004"))
        assert "the operator dropped it" in row(at, "004")


async def test_a_worker_outside_goes_by_its_own_name(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        await at.happen(
            Draft("task.released", {"reason": ""}, task="task_004", agent="testing-1"),
            Draft("task.claimed", {**CLAIM, "attempt": 2, "worker": "ada"}, task="task_004", agent="testing-1"),
        )
        assert "↗ ada" in row(at, "004")
        assert "5 testing-1 ● busy · ↗ ada" in at.text


# -- agents


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("status", ["stalled", "paused", "failed"])
async def test_an_agent_in_trouble_is_told_by_mark_word_and_edge(tmp_path: Path, status: str, theme: str) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        at.room.theme = theme
        await at.settled()
        calm = at.room.screen.query_one("#agent-testing-1").styles.border_top
        await at.happen(Draft(f"agent.{status}", {"reason": "no sign of life"}, agent="testing-1"))
        mark = {"stalled": "◍", "paused": "‖", "failed": "✗"}[status]
        assert f"5 testing-1 {mark} {status} (no sign of life)" in at.text
        pane = at.room.screen.query_one("#agent-testing-1")
        assert pane.styles.border_top != calm
        await at.press("5")
        assert pane.styles.border_top[1] == Color.parse(at.room.theme_variables["primary"]), "the focus is still seen"


async def test_after_an_emergency_stop_nobody_is_said_to_work(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=WIDE) as at:
        await at.happen(Draft("run.halted", {"mode": "stop"}))
        assert "5 testing-1 ■ stopped" in at.text
        assert "■ 004" in row(at, "004")
        assert "stopped" in row(at, "004")
        assert "busy" not in at.text
