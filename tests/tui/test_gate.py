"""A gate: evidence first, then a decision about exactly the bytes that were shown, and the engine's word on it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from tests.support.findings import BLOCKED, finding
from tests.support.recorded import RUN, merge_document
from tests.support.room import Visit, visit
from textual.widgets import Input

from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.gating import NEEDS_A_REASON
from swarm_tui.screens.gate import DEAD_S, GateScreen

DOCUMENT = merge_document(3, "task_002", "Implement customers, routes and auth API").encode()


def gate_screen(at: Visit) -> GateScreen:
    screen = at.room.screen
    assert isinstance(screen, GateScreen)
    return screen


async def opened(at: Visit) -> None:
    """At the gate, long enough to have read."""
    await at.press("n")
    at.clock.seconds += DEAD_S


def decided(at: Visit, verdict: str = "approve", note: str = "", **more: str) -> Draft:
    (item,) = at.inbox()
    data = {"gate": "gate_003", "verdict": verdict, "note": note, "by": "operator", "command": item["id"], **more}
    return Draft("gate.decided", data, task="task_002")


def reopened(at: Visit, document: bytes, **more: Any) -> list[Draft]:
    """The engine prepared other evidence and wrote it down."""
    path = at.layout.run(RUN).gates / "gate_003.2.patch"
    path.write_bytes(document)
    evidence = hashlib.sha256(document).hexdigest()
    return [
        Draft("gate.invalidated", {"gate": "gate_003", "reason": "the integration branch moved"}, task="task_002"),
        Draft(
            "gate.opened",
            {"gate": "gate_003", "document": f"gates/{path.name}", "evidence": evidence, **more},
            task="task_002",
        ),
    ]


# -- what is shown


async def test_it_shows_who_asks_what_was_measured_and_what_follows(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await at.press("n")
        for word in (
            "gate_003",
            "asked by backend-1",
            "2 files +22 −2",
            "✓ conventions 0.1 s",
            "✓ tests 1.9 s",
            "task_002 is merged on the run's integration branch",
            "goes back to backend-1 with your comment",
            "commit 3f2a9c1d on 91c0aa72",
        ):
            assert word in at.text


async def test_it_shows_a_value_against_its_threshold_and_what_was_not_measured(tmp_path: Path) -> None:
    low = {"name": "coverage", "passed": False, "detail": "79.9% (>= 80), 3.1 s", "status": "fail", "required": True}
    lost = {"name": "scan", "passed": False, "detail": "NOT MEASURED, 0.1 s", "status": "not_measured"}
    async with visit(tmp_path) as at:
        await at.press("n")
        await at.happen(*reopened(at, b"other", checks=[low, lost]))
        for word in ("✗ coverage (required) 79.9% (>= 80), 3.1 s", "? scan NOT MEASURED, 0.1 s"):
            assert word in at.text


async def test_the_bytes_shown_are_the_ones_the_engine_hashed(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await at.press("n")
        assert gate_screen(at).shown_evidence == gate_screen(at).gate.evidence == hashlib.sha256(DOCUMENT).hexdigest()


async def test_a_document_that_is_not_the_engines_is_said_to_be_so(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        (at.layout.run(RUN).gates / "gate_003.patch").write_text("All is well, approve me.\n")
        await at.press("n")
        assert "not what the engine showed" in at.text


async def test_a_document_that_is_gone_is_said_to_be_so(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        (at.layout.run(RUN).gates / "gate_003.patch").unlink()
        await at.press("n")
        assert "There is nothing to show" in at.text
        assert "not what the engine showed" in at.text


async def test_the_end_of_a_long_document_can_be_reached(tmp_path: Path) -> None:
    async with visit(tmp_path, size=(120, 20)) as at:
        await at.press("n")
        assert "return route" not in at.text
        await at.press("G")
        assert "return route" in at.text


# -- the half second


@pytest.mark.parametrize("key", ["a", "x"])
async def test_the_keys_that_decide_are_dead_for_half_a_second(tmp_path: Path, key: str) -> None:
    async with visit(tmp_path) as at:
        await at.press("n")
        for _ in range(3):
            await at.press(key)
            at.clock.seconds += DEAD_S / 3 - 0.001
        assert at.inbox() == []
        assert not at.room.screen.query_one(Input).display
        assert "half a second after the evidence appears" in at.text


async def test_a_key_held_down_from_the_room_decides_nothing(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await at.press("n", "a", "a", "a")
        assert at.inbox() == []


async def test_moving_through_the_document_works_at_once(tmp_path: Path) -> None:
    async with visit(tmp_path, size=(120, 20)) as at:
        await at.press("n", "G")
        assert "return route" in at.text


# -- deciding


async def test_approving_asks_the_engine_about_the_bytes_that_were_shown(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("a")
        (item,) = at.inbox()
        assert (item["kind"], item["run"], item["by"]) == ("gate.decide", RUN, "operator")
        evidence = hashlib.sha256(DOCUMENT).hexdigest()
        assert item["data"] == {"gate": "gate_003", "verdict": "approve", "note": "", "evidence": evidence}
        assert "approve: sent, waiting for the engine" in at.text


async def test_a_decision_is_sent_once(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("a", "a", "x", "a")
        assert len(at.inbox()) == 1
        assert "wait for the engine" in at.text


async def test_the_hash_is_of_what_was_shown_even_if_the_file_changes_meanwhile(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        (at.layout.run(RUN).gates / "gate_003.patch").write_text("another change\n")
        await at.press("a")
        assert at.inbox()[0]["data"]["evidence"] == hashlib.sha256(DOCUMENT).hexdigest()


async def test_a_rejection_needs_a_comment(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("x")
        assert at.focus == "comment"
        for blank in ((), ("space", "space")):
            await at.press(*blank, "enter")
            assert at.inbox() == []
            assert "A rejection needs a comment" in at.text
            assert at.focus == "comment"


async def test_a_rejection_carries_the_comment(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("x", *"quit: a, n, x", "enter")
        (item,) = at.inbox()
        assert item["data"]["verdict"] == "reject"
        assert item["data"]["note"] == "quit: a, n, x"
        assert item["data"]["evidence"] == hashlib.sha256(DOCUMENT).hexdigest()
        assert at.focus == "document"


async def test_every_place_whose_agent_works_on_needs_a_comment(tmp_path: Path) -> None:
    assert set(NEEDS_A_REASON) == {"plan", "merge", "phase"}
    async with visit(tmp_path, "landing") as at:
        await opened(at)
        assert gate_screen(at).gate.place == "landing"
        await at.press("x", "enter")
        (item,) = at.inbox()
        assert item["data"]["verdict"] == "reject"
        assert item["data"]["note"] == ""


async def test_changes_are_asked_for_with_a_comment(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("c", "enter")
        assert at.inbox() == []
        assert "A request for changes needs a comment" in at.text
        await at.press(*"15 minutes", "enter")
        (item,) = at.inbox()
        assert (item["data"]["verdict"], item["data"]["note"]) == ("request_changes", "15 minutes")


async def test_force_needs_the_gates_id_typed(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("f", *"yes", "enter")
        assert at.inbox() == []
        assert "Type gate_003 to force it" in at.text
        await at.press(*["backspace"] * 3, *"gate_003 seen by hand", "enter")
        (item,) = at.inbox()
        found = [item["data"][key] for key in ("verdict", "typed", "note")]
        assert found == ["force", "gate_003", "seen by hand"]


async def test_what_stands_in_the_way_is_readable_with_its_next_step(tmp_path: Path) -> None:
    said = "tests: fail on task_004 (testing_agent.if_tests_fail): mend it, or take it on you"
    async with visit(tmp_path, "landing", size=(80, 24)) as at:
        again = Draft("gate.invalidated", {"gate": "gate_006", "reason": "a rule fired"})
        checks = [{"name": "tests", "passed": False, "status": "fail", "required": True}]
        told = {"gate": "gate_006", "evidence": "0" * 64, "checks": checks, "blockers": [said] * 6}
        await at.happen(*BLOCKED, again, Draft("gate.opened", told))
        await at.press("n")
        text = " ".join(at.text.split())
        assert text.count("mend it, or take it on you") == 2
        assert "4 more are in the way" in text
        assert "v shows which rule blocks; w there waives it" in text
        assert "m measures again when it is mended: until then neither a nor f passes" in text
        await at.press("v")
        assert at.place == "EvidenceScreen"
        assert "▸4 Decisions (1)" in at.text
        await at.press("escape")
        assert at.place == "GateScreen"


@pytest.mark.parametrize(("place", "refused"), [("merge", "where a plain yes is refused"), ("phase", "passes it with")])
async def test_a_gate_that_can_be_forced_says_how_and_what_it_leaves(tmp_path: Path, place: str, refused: str) -> None:
    async with visit(tmp_path, "two at work", size=(80, 24)) as at:
        checks = [{"name": "coverage", "passed": False, "status": "fail"}]
        about = {"gate": "gate_009", "place": place, "title": "G5", "round": 1}
        shown = {"gate": "gate_009", "evidence": "0" * 64, "checks": checks}
        await at.happen(finding(), Draft("gate.evaluating", about), Draft("gate.opened", shown))
        await at.press("n")
        text = " ".join(at.text.split())
        assert refused in text
        assert "type gate_009; the run ends with issues, 1 open finding on record" in text


async def test_a_gate_without_anything_in_the_way_names_no_other_way(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await at.press("n")
        assert "measures again" not in at.text
        assert "passes it with" not in at.text


async def test_a_gate_is_put_off_and_measured_again(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("l", *"2h", "enter")
        (item,) = at.inbox()
        assert (item["data"]["verdict"], item["data"]["until"]) == ("defer", "2h")
        until = {"gate": "gate_003", "until": "2099-01-01T00:00:00Z", "command": item["id"]}
        await at.happen(Draft("gate.deferred", until, task="task_002"))
        assert "put off until 2099-01-01" in at.text
        assert at.room.store is not None
        assert at.room.store.is_put_off(gate_screen(at).gate)
        await at.press("m")
        assert at.inbox()[-1]["data"]["verdict"] == "retry"


async def test_d_goes_to_the_diff_and_e_back_to_the_evidence(tmp_path: Path) -> None:
    async with visit(tmp_path, size=(120, 20)) as at:
        await opened(at)
        assert "commit 3f2a9c1d on 91c0aa72" in at.text
        await at.press("d")
        assert "commit 3f2a9c1d on 91c0aa72" not in at.text
        await at.press("e")
        assert "commit 3f2a9c1d on 91c0aa72" in at.text


async def test_a_verdict_that_a_place_does_not_take_is_not_asked_for(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await asked(at)
        await at.press("f")
        assert "A permission gate takes no force" in at.text
        assert at.inbox() == []


async def test_esc_closes_the_comment_first_and_then_leaves_without_deciding(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("x", "n", "o", "escape")
        assert at.place == "GateScreen"
        assert "Nothing was sent." in at.text
        await at.press("escape")
        assert at.place == "ControlScreen"
        assert at.inbox() == []
        assert "⚑ 1 gate" in at.text


async def test_an_inbox_that_cannot_be_written_is_said_and_the_keys_live(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        at.layout.inbox_done.rmdir()
        at.layout.inbox.rmdir()
        at.layout.inbox.write_text("in the way")
        await at.press("a")
        assert "cannot be written: File exists" in " ".join(at.text.split())
        at.layout.inbox.unlink()
        await at.press("a")
        assert len(at.inbox()) == 1


# -- the engine's word


async def test_the_engine_accepts(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("a")
        await at.happen(decided(at))
        assert at.room.store is not None
        assert f"approve: accepted #{at.room.store.view.last_seq}" in at.text
        assert "passed" in at.text
        await at.press("a")
        assert "there is nothing to decide any more" in at.text
        assert len(at.inbox()) == 1


async def test_the_engine_refuses_and_one_may_decide_again(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("a")
        command = at.inbox()[0]["id"]
        reason = "the evidence changed since it was shown"
        await at.happen(Draft("decision.refused", {"command": command, "gate": "gate_003", "reason": reason}))
        assert f"refused: {reason}" in at.text
        assert gate_screen(at).gate.status == "open"
        await at.press("a")
        assert len(at.inbox()) == 2


async def test_the_answer_to_somebody_elses_decision_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("a")
        await at.happen(Draft("decision.refused", {"command": "ANOTHER", "gate": "gate_003", "reason": "too late"}))
        assert "too late" not in at.text
        assert "sent, waiting for the engine" in at.text


async def test_a_gate_decided_elsewhere_says_by_whom(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        data = {"gate": "gate_003", "verdict": "reject", "note": "wrong branch", "by": "ada"}
        await at.happen(Draft("gate.decided", data, task="task_002"))
        assert "reject by ada: wrong branch" in at.text
        await at.press("a")
        assert at.inbox() == []
        assert "gate_003 is blocked" in at.text


async def test_the_next_gate_is_offered_and_opened(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("n")
        assert "No other gate waits." in at.text
        other = {"gate": "gate_004", "place": "merge", "title": "another change", "round": 1}
        await at.happen(
            Draft("gate.evaluating", other), Draft("gate.opened", {"gate": "gate_004", "evidence": "0" * 64})
        )
        await at.press("a")
        await at.happen(decided(at))
        assert "n opens the next gate" in at.text
        await at.press("n")
        assert gate_screen(at).gate_id == "gate_004"
        await at.press("a")
        assert len(at.inbox()) == 1, "its own half second begins anew"
        await at.press("escape")
        assert at.place == "ControlScreen"


# -- evidence that changes under the eyes


async def test_new_evidence_is_loaded_said_and_not_decided_by_a_key_already_on_its_way(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("G")
        document = b"gate_003 \xc2\xb7 round 2\n" + DOCUMENT
        await at.happen(*reopened(at, document))
        assert "round 2" in at.text
        assert "The evidence changed: this is the new one" in at.text
        await at.press("a")
        assert at.inbox() == []
        at.clock.seconds += DEAD_S
        await at.press("a")
        assert at.inbox()[0]["data"]["evidence"] == hashlib.sha256(document).hexdigest()


async def test_between_two_evidences_there_is_nothing_to_decide(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.happen(reopened(at, b"new")[0])
        await at.press("a")
        assert at.inbox() == []
        assert "gate_003 is evaluating" in at.text


async def test_words_being_typed_survive_new_evidence(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("x", *"names")
        document = b"gate_003 round 2\n" + DOCUMENT
        await at.happen(*reopened(at, document))
        await at.press("enter")
        assert at.inbox() == []
        assert at.room.screen.query_one(Input).value == "names"
        at.clock.seconds += DEAD_S
        await at.press("enter")
        (item,) = at.inbox()
        assert (item["data"]["note"], item["data"]["evidence"]) == ("names", hashlib.sha256(document).hexdigest())


async def test_evidence_that_changed_behind_the_help_is_read_before_it_is_decided(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("question_mark")
        assert at.place == "HelpScreen"
        await at.happen(*reopened(at, b"gate_003 round 2\n" + DOCUMENT))
        at.clock.seconds += 60
        await at.press("escape", "a")
        assert at.place == "GateScreen"
        assert at.inbox() == []
        assert "round 2" in at.text


async def test_a_decision_on_its_way_when_the_evidence_changed_is_refused_and_shown_so(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("a")
        command = at.inbox()[0]["id"]
        refused = {"command": command, "gate": "gate_003", "reason": "the evidence changed"}
        await at.happen(*reopened(at, b"gate_003 round 2\n"), Draft("decision.refused", refused))
        assert "refused: the evidence changed" in at.text
        assert "round 2" in at.text
        at.clock.seconds += DEAD_S
        await at.press("a")
        assert len(at.inbox()) == 2


async def test_a_terminal_too_small_to_read_decides_nothing(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.pilot.resize_terminal(50, 12)
        await at.settled()
        await at.press("a", "x", "n")
        assert at.inbox() == []
        assert "the room needs 60x15" in " ".join(at.text.split())
        await at.pilot.resize_terminal(120, 36)
        await at.settled()
        assert at.place == "GateScreen"
        assert at.focus == "document"


# -- permissions


async def asked(at: Visit) -> None:
    """A permission gate, opened on the screen."""
    question = {"ask": "q1", "tool": "Bash", "subject": "npm test", "proposed": ["Bash(npm test)"], "attempt": 1}
    document = b"gate_004 asks for leave"
    (at.layout.run(RUN).gates / "gate_004.patch").write_bytes(document)
    opening = {"gate": "gate_004", "document": "gates/gate_004.patch", "evidence": hashlib.sha256(document).hexdigest()}
    await at.happen(
        Draft("permission.requested", question, task="task_002"),
        Draft(
            "gate.evaluating", {"gate": "gate_004", "place": "permission", "title": "t", "ask": "q1"}, task="task_002"
        ),
        Draft("gate.opened", opening, task="task_002"),
    )
    at.room.open_gate("gate_004")
    await at.settled()
    at.clock.seconds += DEAD_S


@pytest.mark.parametrize(("key", "scope"), [("a", None), ("s", "session"), ("A", "always")])
async def test_leave_is_given_once_for_the_run_or_for_good(tmp_path: Path, key: str, scope: str | None) -> None:
    async with visit(tmp_path) as at:
        await asked(at)
        assert "a once   s for this run   A always" in at.text
        await at.press(key)
        (item,) = at.inbox()
        assert (item["data"]["verdict"], item["data"].get("scope")) == ("approve", scope)


async def test_other_gates_grant_nothing_for_longer(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await opened(at)
        await at.press("s", "A")
        assert at.inbox() == []
        assert "Only a permission is granted for longer" in at.text
