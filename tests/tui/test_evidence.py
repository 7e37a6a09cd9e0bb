"""What steers the swarm can be seen and answered: artifacts, findings, questions, and rules that fired."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.findings import (
    ARTIFACTS,
    BLOCKED,
    CONTRACT,
    DESIGN,
    finding,
    mended,
    question,
    waived,
    written,
)
from tests.support.recorded import RUN, Recorder
from tests.support.room import Visit, visit
from textual.widgets import Input

from swarm_core.vocabulary.events import OPERATOR, Draft, Event
from swarm_tui.app import FRAME_S
from swarm_tui.panes.evidence import Detail, EvidenceList
from swarm_tui.screens.evidence import EvidenceScreen

ALL = (*ARTIFACTS, finding(), question(), *BLOCKED)


def rows(at: Visit) -> EvidenceList:
    return at.room.screen.query_one(EvidenceList)


def detail(at: Visit) -> str:
    """All lines about the thing under the cursor, in sight or not."""
    return "\n".join("".join(text for text, _ in row) for row in at.room.screen.query_one(Detail).rows)


def head(at: Visit) -> str:
    return at.text.splitlines()[0]


async def at_section(at: Visit, number: int, *happens: Draft) -> None:
    if happens:
        await at.happen(*happens)
    await at.press("v", str(number))


# -- that there is something to know


async def test_the_room_says_what_there_is_to_know_and_the_key(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=(80, 24)) as at:
        assert "v shows" not in at.text
        await at.happen(*ALL)
        assert "v shows 2 findings · 1 blocks landing · 1 question · 1 artifact invalid" in at.text
        await at.happen(waived("meant so"), *mended(), Draft("question.answered", question_answer("yes")))
        assert "v shows 1 artifact invalid" in at.text


def question_answer(answer: str, command: str = "") -> dict[str, str]:
    return {"question": "OQ-BUILD-001", "answer": answer, "command": command}


@pytest.mark.parametrize(
    ("happens", "title"),
    [
        ((), "Artifacts"),
        ((finding(),), "Findings"),
        ((finding(), question()), "Findings"),
        ((finding(), question(needs_human=True)), "Questions"),
        (ALL, "Decisions"),
    ],
)
async def test_it_opens_where_something_waits(tmp_path: Path, happens: Sequence[Draft], title: str) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.happen(*happens)
        await at.press("v")
        assert at.place == "EvidenceScreen"
        assert f"▸{1 + ['Artifacts', 'Findings', 'Questions', 'Decisions'].index(title)} {title}" in head(at)


@pytest.mark.parametrize("key", ["v", "escape"])
async def test_it_leads_back_to_where_one_was(tmp_path: Path, key: str) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("w", "v", key)
        assert (at.place, at.focus) == ("ControlScreen", "gates")


async def test_from_a_gate_it_is_reached_once_and_left_to_the_gate(tmp_path: Path) -> None:
    async with visit(tmp_path, "landing") as at:
        await at.press("v", "n", "v")
        assert at.place == "EvidenceScreen"
        assert [type(screen).__name__ for screen in at.room.screen_stack].count("EvidenceScreen") == 1
        await at.press("escape", "n", "v", "escape")
        assert at.place == "GateScreen"


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 15)])
@pytest.mark.parametrize("number", [2, 3, 4])
async def test_an_empty_section_says_what_would_appear(tmp_path: Path, number: int, size: tuple[int, int]) -> None:
    async with visit(tmp_path, "two at work", size=size) as at:
        await at_section(at, number)
        said = rows(at).empty_text().strip()
        assert said[:50] in at.text
        assert "none" in at.text or "0 open" in at.text
        await at.press("enter", "a", "c", "w", "j", "G")
        assert at.place == "EvidenceScreen"
        assert at.inbox() == []


async def test_without_a_run_the_key_says_what_to_do(tmp_path: Path) -> None:
    async with visit(tmp_path, None, run=None) as at:
        await at.press("v")
        assert at.place == "StartScreen"
        assert "Open a run first" in at.text


# -- sections


async def test_keys_digits_and_the_mouse_go_from_section_to_section(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at.press("v", "1")
        for key, title in (("right", "2 F"), ("l", "3 Q"), ("left", "2 F"), ("h", "1 A"), ("h", "4 D"), ("l", "1 A")):
            await at.press(key)
            assert f"▸{title}" in head(at)
        await at.pilot.click("#head", offset=(head(at).index("Questions") + 1, 0))
        await at.settled()
        assert "▸3 Questions" in head(at)


async def test_an_artifact_shows_state_version_producer_and_why(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at_section(at, 1, *ARTIFACTS)
        first, second, third = at.text.splitlines()[2:5]
        for word in ("✗ invalid", "api_contracts", "v1 c1c1c1c1", "backend-agent", CONTRACT, "1 fault"):
            assert word in first
        assert "✓ valid" in second
        assert "v1 d1d1d1d1" in second
        assert "· declared" in third, "what is registered and not written is there too"
        assert "plan.json" not in at.text


async def test_an_artifact_that_is_opened_shows_its_versions_and_what_changed(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        patch = "".join(
            f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-{path} old\n+{path} new\n"
            for path in ("other.yml", CONTRACT)
        )
        fixed = [written(CONTRACT, "c2", "task_004"), Draft("artifact.validated", {"path": CONTRACT})]
        await at_section(at, 1, *ARTIFACTS, *fixed)
        name = rows(at).names.index(CONTRACT)
        rows(at).move_to(name)
        await at.press("enter")
        assert at.focus == "detail"
        for word in ("c2c2c2c2c2c2 · task_004", f"{CONTRACT}:3:1: no such path", "c1c1c1c1c1c1 · task_002"):
            assert word in detail(at)
        assert "appear here when the work of a task that wrote it has come to its gate" in detail(at)

        recorder = Recorder(at.layout)
        recorder.gate(9, "merge", "task_004", patch, "task_004")
        submitted = Draft("task.submitted", {"commit": "d4e5", "files": 1}, task="task_004", agent="testing-1")
        await at.happen(submitted, *recorder.drafts)
        assert "as shown at gate_009, open" in detail(at)
        assert f"+{CONTRACT} new" in detail(at)
        assert "other.yml" not in detail(at), "only its own part of the patch"
        await at.press("escape")
        assert (at.place, at.focus, rows(at).chosen) == ("EvidenceScreen", "evidence", CONTRACT)


async def test_a_stale_artifact_says_why_and_what_it_stands_on(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        stale = Draft("artifact.stale", {"path": DESIGN, "reason": "requirements changed in task_004"})
        await at_section(at, 1, ARTIFACTS[0], ARTIFACTS[1], stale)
        assert "△ stale" in at.text.splitlines()[2]
        assert "requirements changed in task_004" in at.text


async def test_the_gravest_open_finding_comes_first_and_tells_all(tmp_path: Path) -> None:
    happens = [
        finding("W-001", "LOW"),
        finding("W-002", "CRITICAL", owner="backend"),
        finding("W-003"),
        *mended("W-003"),
    ]
    async with visit(tmp_path, "two at work") as at:
        await at_section(at, 2, *happens)
        assert rows(at).names == ["W-002", "W-001", "W-003"]
        for word in ("○ open", "W-002", "CRITICAL", "backend", "backend/auth.py:7", "W-002 is wrong"):
            assert word in at.text.splitlines()[2]
        await at.press("G", "enter")
        for word in (
            "W-003  HIGH  ✓ closed, verified",
            "task_002 ✓ done · Implement customers",
            "f1x3d0f1x3d0 · merged as b2c3d4",
            "Tokens live for",
            "15 minutes",
            "the check tests passes",
            "raised by testing-1",
            "given to backend task_002",
            "closed as verified by testing-1",
        ):
            assert word in detail(at), word


async def test_a_decision_shows_the_fact_what_it_did_and_what_ends_it(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at_section(at, 4, *BLOCKED)
        for word in ("■ blocks", "testing_agent.if_tests_fail", "tests: fail on task_004", "block_deployment"):
            assert word in at.text.splitlines()[2]
        for word in (
            "nothing lands until this is mended, or until w waives it",
            "fires at    tests_fail",
            "with the task's work · commit c3d4 · checks/tests-1.txt",
            "the same: nothing newer was measured",
            "✓ block_deployment: nothing lands",
            "D-001 Deployment is blocked · open",
            "The tests fail.",
        ):
            assert word in detail(at), word
        await at.happen(Draft("rule.settled", {"firing": "firing_001", "how": "tests: pass (event 99)"}))
        assert "✓ settled" in at.text.splitlines()[2]
        assert "tests: pass (event 99)" in detail(at)


async def test_a_question_shows_what_is_asked_and_what_goes_on(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at_section(at, 3, question(), question("OQ-BUILD-002", needs_human=True, text="Which\nkey?"))
        assert rows(at).names == ["OQ-BUILD-002", "OQ-BUILD-001"]
        assert "⚑ waits" in at.text.splitlines()[2]
        await at.press("j")
        for word in ("May a dispatcher see phone numbers?", "Options", "data leaks", "task_003 ● running"):
            assert word in detail(at)


# -- answering


@pytest.mark.parametrize(
    ("number", "key", "happens", "kind", "data"),
    [
        (2, "c", (finding(),), "finding.close", {"finding": "W-001", "resolution": "accepted", "note": "so be it"}),
        (3, "a", (question(),), "question.answer", {"question": "OQ-BUILD-001", "answer": "so be it"}),
        (4, "w", BLOCKED, "rule.waive", {"firing": "firing_001", "note": "so be it"}),
    ],
)
@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 15)])
async def test_words_are_sent_about_what_is_under_the_cursor(
    tmp_path: Path,
    number: int,
    key: str,
    happens: Sequence[Draft],
    kind: str,
    data: dict[str, Any],
    is_open: bool,
    size: tuple[int, int],
) -> None:
    async with visit(tmp_path, "two at work", size=size) as at:
        await at_section(at, number, *happens)
        await at.press(*(["enter"] if is_open else []), key)
        assert at.focus == "words"
        await at.press("enter")
        assert at.inbox() == [], "not without a word"
        await at.press(*"so be it", "enter")
        (item,) = at.inbox()
        assert (item["kind"], item["run"], item["data"]) == (kind, RUN, data)
        assert at.focus == ("detail" if is_open else "evidence")
        await at.press(key)
        assert "sent; wait for the engine's word" in at.text
        assert len(at.inbox()) == 1


async def test_the_engines_word_is_shown_and_the_row_changes(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at_section(at, 2, finding(), finding("W-002", "LOW"))
        await at.press("c", *"known", "enter")
        (item,) = at.inbox()
        data = {"finding": "W-001", "resolution": "accepted", "reason": "known", "command": item["id"]}
        await at.happen(Draft("finding.closed", data, actor=OPERATOR))
        assert "accept W-001: accepted #" in at.text
        assert rows(at).names == ["W-002", "W-001"]
        assert rows(at).chosen == "W-001", "the cursor stays on its thing"
        await at.press("c")
        assert "W-001 is closed already: accepted" in at.text


async def test_a_refusal_says_why(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at_section(at, 4, *BLOCKED)
        await at.press("w", *"meant so", "enter")
        (item,) = at.inbox()
        await at.happen(Draft("decision.refused", {"command": item["id"], "gate": "", "reason": "not now"}))
        assert "waive firing_001: refused: not now" in at.text


async def test_what_was_typed_is_about_what_was_asked_even_if_rows_move(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at_section(at, 2, finding())
        await at.press("c", *"kno")
        await at.happen(finding("W-000", "CRITICAL"))
        await at.press(*"wn", "enter")
        (item,) = at.inbox()
        assert (item["data"]["finding"], item["data"]["note"]) == ("W-001", "known")


async def test_esc_takes_the_words_back_then_the_open_row_then_the_screen(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at_section(at, 2, finding())
        await at.press("enter", "c", "x", "escape")
        assert "Nothing was sent." in at.text
        assert (at.focus, at.room.screen.query_one("#words", Input).value) == ("detail", "")
        await at.press("escape")
        assert (at.place, at.focus) == ("EvidenceScreen", "evidence")
        await at.press("escape")
        assert at.place == "ControlScreen"
        assert at.inbox() == []


@pytest.mark.parametrize(("number", "key"), [(1, "c"), (1, "a"), (1, "w"), (2, "a"), (3, "w"), (4, "c")])
async def test_a_key_of_another_section_says_where_it_belongs(tmp_path: Path, number: int, key: str) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at_section(at, number, *ALL)
        await at.press(key)
        assert f" {key} " in at.text.splitlines()[-2]
        assert "goes to them" in at.text.splitlines()[-2]
        assert at.focus == "evidence"


async def test_when_the_run_is_over_it_can_be_read_and_not_steered(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at_section(at, 2, finding(), Draft("run.aborted", {"reason": "enough"}))
        assert "W-001 is wrong" in at.text
        await at.press("c")
        assert "there is nothing to steer any more" in at.text
        assert at.focus == "evidence"


async def test_the_mouse_chooses_opens_and_scrolls(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        await at_section(at, 2, finding(), finding("W-002"))
        await at.pilot.click("#evidence", offset=(5, 2))
        await at.settled()
        assert rows(at).chosen == "W-002"
        await at.pilot.click("#evidence", offset=(5, 2), times=2)
        await at.settled()
        assert at.focus == "detail"
        assert not rows(at).is_on_screen


# -- following


async def test_rows_come_and_change_while_one_looks_and_the_reader_keeps_the_place(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work", size=(100, 24)) as at:
        long = "\n".join(f"line {number}" for number in range(60))
        await at_section(at, 2, finding(issue=long))
        await at.press("enter", "G")
        bottom = at.room.screen.query_one(Detail).top
        assert bottom > 20
        await at.happen(finding("W-000", "CRITICAL"), Draft("agent.idle", agent="testing-1"))
        assert rows(at).chosen == "W-001"
        assert at.room.screen.query_one(Detail).top == bottom
        assert "(2)" in head(at)


async def test_what_happens_elsewhere_asks_nothing_of_the_list(tmp_path: Path) -> None:
    """Cost follows what changed: an event of another kind paints no row anew."""
    async with visit(tmp_path, "two at work") as at:
        await at_section(at, 2, finding())
        painted: list[int] = []
        made = rows(at).row
        rows(at).row = lambda index: painted.append(index) or made(index)  # type: ignore[method-assign,func-returns-value]
        await at.happen(Draft("llm.call", {"input_tokens": 5}, task="task_003", agent="frontend-1"))
        assert painted == []
        await at.happen(finding("W-002"))
        assert sorted(set(painted)) == [0, 1]


async def test_a_registry_that_cannot_be_read_is_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    async with visit(tmp_path, "two at work") as at:
        place = at.layout.run(RUN).dir / ".agent-artifacts"
        place.mkdir()
        (place / "registry.yml").write_text("artifact_types: [1\n")
        await at_section(at, 1, *ARTIFACTS)
        assert "is not valid YAML" in at.text
        assert "the registry cannot be read" in at.text
        assert CONTRACT in at.text
        assert isinstance(at.room.screen, EvidenceScreen)


async def test_with_a_thousand_findings_a_key_and_an_event_cost_what_is_in_sight(tmp_path: Path) -> None:
    """In CPU time, which a busy machine leaves alone; the same room with ten findings is the measure."""
    costs = {}
    for count in (10, 1_000):
        root = tmp_path / str(count)
        root.mkdir()
        async with visit(root, "two at work") as at:
            await at_section(at, 2, *(finding(f"W-{number:04d}", "LOW") for number in range(count)))
            assert len(rows(at).names) == count
            best = []
            for number in range(5):
                begun = time.process_time()
                at.room.store.apply([event_of(at, finding(f"W-9{number}", "CRITICAL"))])  # type: ignore[union-attr]
                at.room.screen.told()  # type: ignore[attr-defined]
                rows(at).action_half_down()
                best.append(time.process_time() - begun)
                await at.settled()
            costs[count] = min(best)
    assert costs[1_000] < FRAME_S / 4, costs


def event_of(at: Visit, draft: Draft) -> Event:
    assert at.room.store is not None
    seq = at.room.store.view.last_seq + 1
    return Event(seq, at.clock.now(), RUN, draft.kind, draft.data, draft.actor, draft.task)
