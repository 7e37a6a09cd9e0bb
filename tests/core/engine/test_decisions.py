"""A decision counts only for what was shown, once, and with what it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.crew import DOCUMENT, EVIDENCE, Run, eventually
from tests.support.story import planned, spec

from swarm_core.engine.inbox import Verdict
from swarm_core.engine.requests import handle
from swarm_core.policy.matrix import WAIVE
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.gating import GatingSpec, offered


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


# -- the other verdicts


async def test_a_retry_measures_again_and_decides_nothing(run: Run) -> None:
    assert (await decide(run, verdict="retry")).is_applied
    await run.until("gate.opened", 2)

    assert run.events("gate.decided") == []
    assert (await decide(run)).is_applied


async def test_a_deferred_gate_stays_open_and_says_until_when(run: Run) -> None:
    assert (await decide(run, verdict="later", until="2h")).is_applied

    (event,) = run.events("gate.deferred")
    gate = run.runner.view.gates["gate_001"]
    assert (gate.status, gate.deferred_until) == ("open", event.data["until"])
    assert (await decide(run)).is_applied, "what is put off can be decided at any time"


async def test_a_gate_can_wait_for_the_end_of_a_task(run: Run) -> None:
    assert (await decide(run, verdict="defer", until="task_000")).is_applied
    assert run.runner.view.gates["gate_001"].deferred_until == "task_000"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"verdict": "request_changes"}, "a request for changes needs a reason"),
        ({"verdict": "force"}, "a plan gate takes no force"),
        ({"verdict": "defer", "until": "some day"}, "is no time"),
        ({"verdict": "defer", "until": "2001-01-01"}, "is over already"),
        ({"verdict": "defer", "until": "task_999"}, "is no time"),
        ({"verdict": "defer", "until": "999999d"}, "is no time"),
        ({"verdict": "abort", "evidence": "0" * 64}, "moved since it was shown"),
    ],
)
async def test_a_verdict_that_cannot_hold_is_refused_with_the_reason(
    run: Run, changes: dict[str, Any], reason: str
) -> None:
    verdict = await decide(run, **changes)
    assert (verdict.is_applied, reason in verdict.reason) == (False, True), verdict.reason
    assert run.runner.view.gates["gate_001"].status == "open"


async def test_an_abort_ends_the_run_at_the_gate(run: Run) -> None:
    assert (await decide(run, verdict="stop", note="wrong repository")).is_applied
    await run.end()

    view = run.runner.view
    assert (view.run.status, view.run.reason) == ("aborted", "wrong repository")
    assert view.gates["gate_001"].status == "aborted"


async def test_changes_are_asked_for_with_the_words_the_agent_works_from(run: Run) -> None:
    assert (await decide(run, verdict="request_changes", note="smaller steps")).is_applied
    await eventually(lambda: run.runner.view.tasks["task_000"].notes, "the note")
    assert run.runner.view.tasks["task_000"].notes == ("smaller steps",)


# -- a gate of each place that can be forced


async def at_merge(tmp_path: Path, **more: Any) -> Run:
    """A run whose first task waits at gate_002, a merge gate that shows a failed check."""
    found = await Run.open(tmp_path, replace(spec("a"), **more), planned(1, "a"))
    found.crew.yes = False
    found.drive()
    await found.until("gate.opened")
    found.crew.checks = [{"name": "tests", "passed": False, "detail": "exit 1"}]
    assert (await decide(found)).is_applied
    await found.until("gate.opened", 2)
    return found


async def test_force_takes_the_gates_id_typed_and_lists_what_was_open(tmp_path: Path) -> None:
    run = await at_merge(tmp_path)
    try:
        await run.runner.record(Draft("finding.opened", {"finding": "W-001", "severity": "HIGH"}))
        refused = await decide(run, gate="gate_002", verdict="force-pr", typed="gate_001")
        assert "type its id once more" in refused.reason
        assert (await decide(run, gate="gate_002", verdict="force-pr", typed="gate_002")).is_applied
        await run.until("task.verified")
        gate = run.runner.view.gates["gate_002"]
        assert (gate.status, gate.forced, gate.findings) == ("passed", True, ("W-001",))
    finally:
        await run.stop()


@pytest.mark.parametrize(
    ("blocker", "passes"),
    [
        (f"tests: fail (a.b): mend it, or take it on you with `{WAIVE} FIRING`", True),
        ("coverage is required and failed (79.9% (>= 80))", True),
        ("uncommitted changes in a.py: commit or stash them", False),
    ],
)
async def test_force_overrules_a_judgement_and_not_the_state_of_the_world(
    tmp_path: Path, blocker: str, passes: bool
) -> None:
    run = await at_merge(tmp_path)
    try:
        run.crew.blockers = [blocker]
        await run.runner.record(Draft("gate.invalidated", {"gate": "gate_002"}, task="task_001"))
        await run.until("gate.opened", 3)
        assert "measured again" in (await decide(run, gate="gate_002")).reason
        await run.until("gate.opened", 4)
        verdict = await decide(run, gate="gate_002", verdict="force", typed="gate_002")
        assert (verdict.is_applied, blocker in verdict.reason) == (passes, not passes)
    finally:
        await run.stop()


async def test_a_strict_configuration_takes_no_plain_yes_where_a_check_failed(tmp_path: Path) -> None:
    run = await at_merge(tmp_path, gates=GatingSpec(strict=True))
    try:
        refused = await decide(run, gate="gate_002")
        assert "tests did not pass" in refused.reason
        assert (await decide(run, gate="gate_002", verdict="force", typed="gate_002")).is_applied
    finally:
        await run.stop()


@pytest.mark.parametrize("verdict", ["approve", "force", "reject", "request_changes", "defer", "retry", "abort"])
@pytest.mark.parametrize("place", ["plan", "merge", "landing", "phase", "escalation", "budget"])
async def test_evidence_that_moved_sends_a_gate_of_any_place_back_to_its_evaluation(
    tmp_path: Path, place: str, verdict: str
) -> None:
    run = await Run.open(tmp_path, spec("a"), planned(1, "a"))
    try:
        document = run.runner.layout.dir / "gates" / "gate_001.patch"
        document.parent.mkdir(parents=True)
        document.write_bytes(DOCUMENT + b"and more\n")
        shown = {"gate": "gate_001", "document": "gates/gate_001.patch", "evidence": EVIDENCE}
        await run.runner.record(
            Draft("run.started", {"base": "b0", "integration": "b0"}),
            Draft("gate.evaluating", {"gate": "gate_001", "place": place, "title": "t"}),
        )
        await run.runner.record(Draft("gate.opened", shown))
        answer = await decide(run, verdict=verdict, typed="gate_001", note="n")
        assert not answer.is_applied
        wanted = "evaluating" if verdict in offered(place) else "open"
        assert run.runner.view.gates["gate_001"].status == wanted, answer.reason
    finally:
        await run.runner.journal.close()
