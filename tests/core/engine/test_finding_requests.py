"""What the operator says about findings and questions is taken once, and reaches who has to hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.crew import Crew, Run, eventually
from tests.support.story import planned, spec

from swarm_core.engine.inbox import Verdict
from swarm_core.engine.notices import latest_notes, worklist
from swarm_core.engine.requests import handle
from swarm_core.policy.effects import RunAgent
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.findings import Finding
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.view import RunView


async def forever(crew: Crew, act: RunAgent) -> None:
    await asyncio.Event().wait()


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """A run whose only task is under way; W-1 is raised at no place that anybody owns."""
    opened = await Run.open(tmp_path, spec("a", "b"), planned(1, "a"), work=forever)
    opened.drive()
    await eventually(lambda: RunAgent("task_001", "a-1", 1, 1) in opened.runner.jobs, "the first task")
    finding = {"finding": "W-1", "title": "t", "severity": "HIGH", "location": "elsewhere"}
    question = {"question": "OQ-BUILD-001", "text": "Which rate?", "default": "19 %"}
    await opened.runner.record(Draft("finding.opened", finding, actor="b-1", task="task_001"))
    await opened.runner.record(Draft("question.raised", question, task="task_001", agent="a-1"))
    yield opened
    await opened.stop()


async def say(run: Run, kind: str, item: str = "", **data: Any) -> Verdict:
    return await handle(run.runner, InboxItem(item or ulid(), kind, run.runner.view.run.id, data=data))


async def test_an_answer_becomes_a_note_of_the_task_and_counts_once(run: Run) -> None:
    item, answer = ulid(), {"question": "OQ-BUILD-001", "answer": "7 %"}
    assert (await say(run, "question.answer", item, **answer)).is_applied
    assert (await say(run, "question.answer", item, **answer)).is_applied  # found again after a crash
    view = run.runner.view
    assert view.tasks["task_001"].notes == ("You asked (OQ-BUILD-001): Which rate?\nThe answer: 7 %",)
    again = await say(run, "question.answer", **{**answer, "answer": "8 %"})
    assert (again.is_applied, "is not open" in again.reason) == (False, True)
    assert "7 %" in view.questions["OQ-BUILD-001"]["answer"]


@pytest.mark.parametrize("data", [{"question": "OQ-9", "answer": "x"}, {"question": "OQ-BUILD-001", "answer": "  "}])
async def test_an_answer_to_nothing_or_with_nothing_is_refused(run: Run, data: dict[str, str]) -> None:
    assert not (await say(run, "question.answer", **data)).is_applied


@pytest.mark.parametrize("resolution", ["accepted", "rejected", "backlog"])
async def test_the_operator_closes_a_finding_with_a_reason(run: Run, resolution: str) -> None:
    verdict = await say(run, "finding.close", finding="W-1", resolution=resolution, note="seen")
    found = run.runner.view.findings["W-1"]
    assert verdict.is_applied
    assert (found.status, found.resolution, found.reason) == ("closed", resolution, "seen")
    assert not (await say(run, "finding.close", finding="W-1", resolution=resolution)).is_applied


@pytest.mark.parametrize(("finding", "resolution"), [("W-1", "verified"), ("W-9", "accepted")])
async def test_what_cannot_be_closed_so_is_refused(run: Run, finding: str, resolution: str) -> None:
    assert not (await say(run, "finding.close", finding=finding, resolution=resolution)).is_applied
    assert run.runner.view.findings["W-1"].status == "open"


async def test_a_finding_that_is_being_fixed_can_be_closed_too(run: Run) -> None:
    await run.runner.record(Draft("finding.fix_started", {"finding": "W-1", "owner": "a", "task": "task_001"}))
    assert (await say(run, "finding.close", finding="W-1", resolution="accepted")).is_applied
    assert run.runner.view.findings["W-1"].status == "closed"


def test_an_answer_is_not_lost_behind_a_later_note_and_the_worklist_follows_from_facts() -> None:
    view, task = RunView(), Task("task_001", "t", notes=("the answer", "shorter"))
    view.questions["OQ-BUILD-001"] = {"task": "task_001", "text": "Which?", "answer": "7"}
    view.questions["OQ-BUILD-002"] = {"task": "task_002", "text": "Other?", "answer": "8"}
    assert latest_notes(view, task) == ["You asked (OQ-BUILD-001): Which?\nThe answer: 7", "shorter"]
    assert worklist(view, task) == []
    found = Finding(
        "W-1", "No\x1b[2J limit", "HIGH", "fixing", "a.py:1", issue="Endless", fix="Bound", about="task_001"
    )
    view.findings["W-1"] = found
    view.index.finding(found)
    (item,) = worklist(view, task)
    assert "W-1 (HIGH) a.py:1" in item
    assert "To do: Bound" in item
    assert "\x1b" not in item
