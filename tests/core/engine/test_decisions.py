"""A decision counts only for what was shown, once, and with what it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.crew import DOCUMENT, EVIDENCE, Run, eventually
from tests.support.story import planned, spec

from swarm_core.engine.inbox import Verdict
from swarm_core.engine.requests import handle
from swarm_core.vocabulary.events import Draft


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """A run whose plan waits at gate_001."""
    found = await Run.open(tmp_path, spec("a"), planned(1, "a"))
    found.crew.yes = False
    found.drive()
    await found.until("gate.opened")
    yield found
    await found.stop()


async def decide(run: Run, **changes: Any) -> Verdict:
    data = {"gate": "gate_001", "verdict": "approve", "evidence": EVIDENCE, **changes}
    return await handle(run.runner, run.ask("gate.decide", **data))


async def test_an_approval_of_what_was_shown_is_carried_out_and_says_who_gave_it(run: Run) -> None:
    item = run.ask("gate.decide", gate="gate_001", verdict="approve", evidence=EVIDENCE, note="fine")
    assert (await handle(run.runner, item)).is_applied
    assert (await handle(run.runner, item)).is_applied, "the same request again"
    await run.until("task.created", 2)

    (event,) = run.events("gate.decided")
    assert (event.actor, event.data["by"], event.data["command"]) == ("operator", "operator", item.id)
    assert run.runner.view.gates["gate_001"].note == "fine"


async def test_a_rejection_sends_the_work_back_with_its_reason(run: Run) -> None:
    assert (await decide(run, verdict="reject", note="smaller steps")).is_applied
    await eventually(lambda: run.runner.view.tasks["task_000"].notes, "the note")

    assert run.runner.view.tasks["task_000"].notes == ("smaller steps",)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"evidence": "0" * 64}, "moved since it was shown"),
        ({"evidence": ""}, "moved since it was shown"),
        ({"gate": "gate_099"}, "there is no gate 'gate_099'"),
        ({"verdict": "reject"}, "a rejection needs a reason"),
        ({"verdict": "reject", "note": "  \n"}, "a rejection needs a reason"),
    ],
)
async def test_a_decision_that_cannot_hold_is_refused_and_the_gate_stays_open(
    run: Run, changes: dict[str, Any], reason: str
) -> None:
    verdict = await decide(run, **changes)

    assert (verdict.is_applied, reason in verdict.reason) == (False, True), verdict.reason
    assert run.runner.view.gates["gate_001"].status == "open"
    assert run.events("gate.decided") == []
    assert len(run.events("decision.refused")) == 1


async def test_the_second_decision_is_told_of_the_first(run: Run) -> None:
    assert (await decide(run)).is_applied
    verdict = await decide(run, verdict="reject", note="no, wait")

    assert verdict.reason == "gate_001 is passed (approve by operator), not open"


@pytest.mark.parametrize("change", ["changed", "removed"])
async def test_a_document_that_was_touched_on_disk_is_measured_again(run: Run, change: str) -> None:
    document = run.runner.layout.dir / "gates/gate_001.patch"
    if change == "changed":
        document.write_bytes(DOCUMENT + b"and more\n")
    else:
        document.unlink()
    verdict = await decide(run)
    await run.until("gate.opened", 2)

    assert (verdict.is_applied, "was changed on disk" in verdict.reason) == (False, True)
    assert document.read_bytes() == DOCUMENT
    assert (await decide(run)).is_applied


async def test_an_approval_that_something_blocks_is_refused_and_measured_again(run: Run) -> None:
    await run.runner.record(Draft("gate.invalidated", {"gate": "gate_001", "reason": "look again"}))
    await run.until("gate.opened", 2)
    blocked = {"gate": "gate_001", "reason": "the world moved"}
    run.crew.blockers = ["uncommitted changes in a.py: commit or stash them"]
    await run.runner.record(Draft("gate.invalidated", blocked))
    await run.until("gate.opened", 3)
    verdict = await decide(run)
    assert (verdict.is_applied, "uncommitted changes in a.py" in verdict.reason) == (False, True)
    run.crew.blockers = []
    await run.until("gate.opened", 4)
    if run.runner.view.gates["gate_001"].blockers:  # it was measured before the way was free
        await decide(run)
        await run.until("gate.opened", 5)

    assert (await decide(run)).is_applied
