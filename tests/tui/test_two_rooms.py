"""Two rooms on one run: what is decided in one is seen in the other, and nothing is decided twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.recorded import record_run
from tests.support.room import Visit, visit

from swarm_core.vocabulary.events import Draft


@asynccontextmanager
async def two_rooms(root: Path, until: str) -> AsyncIterator[tuple[Visit, Visit]]:
    record_run(root, until)
    async with visit(root, None) as one, visit(root, None) as other:
        yield one, other


def decided(command: str, verdict: str = "approve") -> Draft:
    data = {"gate": "gate_003", "verdict": verdict, "by": "operator", "command": command, "note": ""}
    return Draft("gate.decided", data, actor="operator", task="task_002")


async def test_a_decision_made_in_one_appears_in_the_other(tmp_path: Path) -> None:
    async with two_rooms(tmp_path, "backend gate") as (one, other):
        assert "⚑ 1 gate" in other.text
        await one.press("n")
        one.clock.seconds += 1
        await one.press("a")
        await one.happen(decided(one.inbox()[0]["id"]))
        await other.settled()
        assert "approve: accepted" in one.text
        assert "⚑ 1 gate" not in other.text
        assert "none waits" in other.text


async def test_what_somebody_else_decided_is_said_at_once_and_ends_the_question(tmp_path: Path) -> None:
    async with two_rooms(tmp_path, "backend gate") as (one, other):
        for at in (one, other):
            await at.press("n")
            at.clock.seconds += 1
        await one.press("a")
        await one.happen(decided(one.inbox()[0]["id"]))
        await other.settled()
        assert "approve by operator" in other.text
        await other.press("a", "x")
        assert len(other.inbox()) == 1
        assert "gate_003 is passed (approve by operator): there is nothing to decide any more." in other.text


async def test_of_two_decisions_on_their_way_the_second_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with two_rooms(tmp_path, "backend gate") as (one, other):
        for at in (one, other):
            await at.press("n")
            at.clock.seconds += 1
        await one.press("a")
        await other.press("x", *"no", "enter")
        first, second = other.inbox()
        assert (first["data"]["verdict"], second["data"]["verdict"]) == ("approve", "reject")
        reason = "gate_003 is passed (approve by operator), not open"
        refused = Draft("decision.refused", {"command": second["id"], "gate": "gate_003", "reason": reason})
        await one.happen(decided(first["id"]), refused)
        await other.settled()
        assert "approve: accepted" in one.text
        assert "refused" not in one.text
        assert f"refused: {reason}" in other.text


async def test_a_pause_asked_for_in_one_is_seen_and_ended_from_the_other(tmp_path: Path) -> None:
    async with two_rooms(tmp_path, "two at work") as (one, other):
        await one.press("p")
        command = one.inbox()[0]["id"]
        await one.happen(Draft("run.paused", {"mode": "pause", "reason": "the operator", "command": command}))
        await other.settled()
        assert "pause: accepted" in one.text
        assert "‖ paused · r resumes" in other.text
        assert "accepted" not in other.text
        await other.press("r")
        assert other.inbox()[-1]["kind"] == "run.resume"
