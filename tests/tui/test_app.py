"""The program around the screens: where it starts, how it ends, and that foreign text neither paints nor acts."""

from __future__ import annotations

import asyncio
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.journals import write_journal
from tests.support.recorded import GOAL, RUN, Recorder, record_run
from tests.support.room import FixedClock, Visit, WatchedRoom, screen_segments, visit, write_log, write_pulse

from swarm_core.client import SwarmClient
from swarm_core.journal.lines import decode
from swarm_core.journal.projections import prepare
from swarm_core.vocabulary.errors import JournalError
from swarm_core.vocabulary.events import Draft, Event
from swarm_core.vocabulary.layout import RepoLayout
from swarm_core.vocabulary.view import RunView

OTHER = "20261120-090000-an-older-goal"

# -- the start


async def test_without_runs_the_start_says_how_to_begin(tmp_path: Path) -> None:
    async with visit(tmp_path, None, run=None) as at:
        assert at.place == "StartScreen"
        assert str(tmp_path) in at.text
        assert 'swarm-tui run "what you want"' in at.text
        assert "No run was started here yet" in at.text
        await at.press("enter", "j", "n")
        assert at.place == "StartScreen"


async def test_with_runs_the_newest_is_first_and_enter_opens_it(tmp_path: Path) -> None:
    record_run(tmp_path)
    write_journal(RepoLayout(tmp_path).run(OTHER).journal, OTHER, [Draft("run.created", {"title": "Older"})])
    async with visit(tmp_path, None, run=None) as at:
        assert at.text.index(RUN) < at.text.index(OTHER)
        await at.press("enter")
        assert at.place == "ControlScreen"
        assert GOAL[:20] in at.text


async def test_an_older_run_can_be_opened(tmp_path: Path) -> None:
    record_run(tmp_path)
    write_journal(RepoLayout(tmp_path).run(OTHER).journal, OTHER, [Draft("run.created", {"title": "Older"})])
    async with visit(tmp_path, None, run=None) as at:
        await at.press("down", "enter")
        assert " Older" in at.text.splitlines()[0]


async def test_enter_pressed_twice_opens_one_room(tmp_path: Path) -> None:
    record_run(tmp_path)
    async with visit(tmp_path, None, run=None) as at:
        await at.pilot.press("enter", "enter")
        await at.settled()
        assert [type(screen).__name__ for screen in at.room.screen_stack].count("ControlScreen") == 1
        assert "Tasks" in at.text


async def test_a_run_whose_journal_is_not_there_yet_is_followed_when_it_comes(tmp_path: Path) -> None:
    prepare(RepoLayout(tmp_path))
    async with visit(tmp_path, None) as at:
        assert "The architect's plan fills this board." in at.text
        assert "Decisions for you queue here." in at.text
        record_run(tmp_path)
        await at.settled()
        assert "Implement customers" in at.text


async def test_a_journal_that_is_damaged_ends_the_room_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_run(tmp_path)
    journal = RepoLayout(tmp_path).run(RUN).journal
    journal.write_bytes(journal.read_bytes().replace(b'"actor"', b'"ACTOR"', 3))
    room = WatchedRoom(SwarmClient(tmp_path), RUN, FixedClock())
    async with room.run_test():
        await asyncio.wait_for(room.workers.wait_for_complete(), 20)
    assert room.return_code == JournalError.exit_code
    assert "events.jsonl:1: not an event" in "".join(capsys.readouterr().err.split("\n"))


# -- the activity


async def test_every_event_is_in_the_activity_and_new_ones_come(tmp_path: Path) -> None:
    async with visit(tmp_path, "planned", size=(160, 50)) as at:
        await at.press("at")
        assert at.place == "ActivityScreen"
        for word in ("run.created", "gate.opened", "llm.call"):
            assert word in at.text
        await at.happen(Draft("agent.starting", {"service": "docs"}, agent="docs-1"))
        (line,) = [line for line in at.text.splitlines() if "service=docs" in line]
        assert "docs-1" in line
        assert "agent.starting" in line


async def test_an_event_of_an_unknown_kind_is_shown_like_all_others(tmp_path: Path) -> None:
    async with visit(tmp_path, size=(160, 40)) as at:
        await at.press("at")
        await at.happen(Draft("weather.changed", {"sky": "grey", "wind_ms": 12}, task="task_002", agent="backend-1"))
        (line,) = [line for line in at.text.splitlines() if "weather.changed" in line]
        for word in ("backend-1", "task_002", "sky=grey", "wind_ms=12"):
            assert word in line


@pytest.mark.parametrize("key", ["escape", "at"])
async def test_the_activity_leads_back(tmp_path: Path, key: str) -> None:
    async with visit(tmp_path) as at:
        await at.press("w", "at", key)
        assert at.place == "ControlScreen"
        assert at.focus == "gates"


@pytest.mark.parametrize("key", ["escape", "question_mark"])
async def test_the_help_leads_back_to_where_one_was(tmp_path: Path, key: str) -> None:
    async with visit(tmp_path) as at:
        await at.press("n", "question_mark")
        assert at.place == "HelpScreen"
        assert "At a gate" in at.text.splitlines()[2]
        await at.press(key)
        assert at.place == "GateScreen"


async def test_esc_never_leaves_the_room(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await at.press("escape", "escape", "escape")
        assert at.place == "ControlScreen"
        assert at.room.is_running


# -- the terminal's size


@pytest.mark.parametrize("size", [(59, 30), (120, 14), (20, 5)])
async def test_too_small_a_terminal_says_so_plainly(tmp_path: Path, size: tuple[int, int]) -> None:
    async with visit(tmp_path, size=size) as at:
        text = " ".join(at.text.split())
        assert f"This terminal is {size[0]}x{size[1]}: the room needs 60x15." in text
        assert "Tasks" not in text
        await at.pilot.resize_terminal(60, 15)
        await at.settled()
        assert "Tasks" in at.text
        assert at.place == "ControlScreen"


@pytest.mark.parametrize("run", [RUN, None])
async def test_the_smallest_size_shows_the_room(tmp_path: Path, run: str | None) -> None:
    async with visit(tmp_path, size=(60, 15), run=run) as at:
        assert "This terminal is" not in at.text
        assert at.place == ("ControlScreen" if run else "StartScreen")


async def test_a_run_that_is_read_while_the_terminal_is_too_small_is_there_afterwards(tmp_path: Path) -> None:
    record_run(tmp_path)
    async with visit(tmp_path, None, size=(40, 10), run=None) as at:
        await at.pilot.resize_terminal(80, 24)
        await at.settled()
        await at.pilot.press("enter")
        await at.pilot.resize_terminal(40, 10)
        await at.settled()
        await at.pilot.resize_terminal(120, 36)
        await at.settled()
        assert at.place == "ControlScreen"
        assert not [screen for screen in at.room.screen_stack if type(screen).__name__ == "SmallScreen"]


# -- leaving


def said_at_the_end(room: WatchedRoom) -> str:
    return " ".join(str(said) for said in room._exit_renderables)


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
@pytest.mark.parametrize("place", [(), ("n",), ("at",)])
async def test_leaving_says_that_the_swarm_goes_on(tmp_path: Path, key: str, place: Sequence[str]) -> None:
    async with visit(tmp_path) as at:
        await at.press(*place)
        await at.pilot.press(key)
        assert at.room._exit
        assert "The swarm goes on" in said_at_the_end(at.room)
        assert at.inbox() == []


async def test_leaving_a_run_that_is_over_says_nothing(tmp_path: Path) -> None:
    async with visit(tmp_path, "landed") as at:
        await at.pilot.press("q")
        assert at.room._exit
        assert said_at_the_end(at.room) == ""


async def test_a_letter_typed_into_a_comment_is_no_command(tmp_path: Path) -> None:
    async with visit(tmp_path) as at:
        await at.press("n")
        at.clock.seconds += 1
        await at.press("x", *"quit now?")
        assert not at.room._exit
        assert at.place == "GateScreen"


# -- foreign text

EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\u202egnp\u2066 [@click=app.boom]press[/] [/nope] [b]bold[/b] end"
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
PRESS = "press"


def evil_patch() -> str:
    return (
        f"gate_001 {EVIL}\n\n{EVIL}\n\n"
        f"diff --git a/{EVIL} b/{EVIL}\nnew file mode 100644\n--- /dev/null\n+++ b/{EVIL}\n"
        f"@@ -0,0 +1,2 @@ {EVIL}\n+{EVIL}\n+\r{EVIL}\n"
    )


def events_of(r: Recorder) -> list[Event]:
    pairs = enumerate(zip(r.drafts, r.stamps, strict=True), 1)
    return [Event(n, ts, RUN, d.kind, d.data, d.actor, d.task, d.agent, d.phase) for n, (d, ts) in pairs]


def record_evil(root: Path) -> None:
    """A run in which every text that is not the engine's own is hostile."""
    layout = RepoLayout(root)
    prepare(layout)
    r = Recorder(layout)
    r.add("run.created", title=EVIL, goal=EVIL, services={"db": {"model": EVIL}}, options={EVIL: EVIL})
    r.add("run.started", base_ref=f"refs/heads/{EVIL}", base="91c0aa72")
    for number in (1, 2):
        texts = {"title": EVIL, "description": EVIL, "assigned_to": EVIL, "priority": EVIL}
        r.add("task.created", f"task_{number:03d}", **texts)
        r.add("task.ready", f"task_{number:03d}", reason=EVIL, note=EVIL)
        started = {"service": EVIL, "branch": f"agent/{EVIL}", "worktree": EVIL, "model": EVIL}
        r.add("agent.starting", None, f"db-{number}", **started)
        r.add("agent.ready", None, f"db-{number}")
        r.add("task.claimed", f"task_{number:03d}", f"db-{number}", attempt=1, base=EVIL)
        r.add("agent.busy", f"task_{number:03d}", f"db-{number}")
    r.add("agent.waiting", "task_002", "db-2", reason=EVIL, until=EVIL)
    r.add("policy.denied", "task_001", "db-1", tool=EVIL, target=EVIL, rule=EVIL, message=EVIL)
    r.add("commit.created", "task_001", "db-1", commit="3f2a", message=EVIL, files=1)
    r.add("task.submitted", "task_001", "db-1", commit="3f2a", files=1)
    checks = [{"name": EVIL, "passed": False, "detail": EVIL}]
    told = {"summary": EVIL, "on_yes": EVIL, "on_no": EVIL, "checks": checks, "blockers": [EVIL]}
    r.gate(1, "merge", EVIL, evil_patch(), "task_001", **told)
    r.gate(2, "merge", EVIL, evil_patch(), "task_002", **told)
    r.add("gate.decided", "task_002", gate="gate_002", verdict="reject", note=EVIL, by=EVIL)
    r.add(EVIL, "task_001", "db-1", **{EVIL: EVIL})
    texts = dict.fromkeys(("title", "severity", "location", "owner", "issue", "fix", "verification", "category"), EVIL)
    for name in ("W-1", f"W-{EVIL}"):
        r.add("finding.opened", "task_001", "db-1", finding=name, **texts)
    r.add("finding.fix_started", None, None, finding="W-1", owner=EVIL, reason=EVIL)
    r.add("question.raised", "task_001", "db-1", question=EVIL, text=EVIL, default=EVIL, risk=EVIL, options=[EVIL])
    r.add("artifact.written", "task_001", "db-1", path=EVIL, type=EVIL, sha256=EVIL, inputs=[[EVIL, EVIL]])
    r.add("artifact.rejected", None, None, path=EVIL, reason=EVIL, faults=[EVIL])
    r.add("matrix.adopted", None, None, path=EVIL, rules=[{"id": EVIL, "condition": EVIL, "do": [EVIL], "place": EVIL}])
    r.add("incident.opened", None, None, incident="incident_1", trigger=EVIL, reason=EVIL)
    fact = RunView.of(events_of(r)).facts["incident:incident_1"]
    fired = {"firing": EVIL, "rule": EVIL, "fact": fact.key, "evidence": fact.evidence, "why": EVIL}
    r.add("rule.fired", None, None, **fired, actions=[EVIL], notify=[EVIL])
    r.add("action.done", None, None, firing=EVIL, action=EVIL, result=EVIL)
    r.add("message.written", None, None, firing=EVIL, to=EVIL, text=EVIL)
    write_journal(layout.run(RUN).journal, RUN, r.drafts, r.stamps)
    write_log(layout, "db-1", *((kind, EVIL) for kind in ("say", "think", "tool", "result", "denied", "note", EVIL)))
    with open(layout.run(RUN).log("db-1"), "ab") as log:
        log.write(b"\x1b]0;not ours\x07 \xff\n")


async def assert_harmless(at: Visit) -> None:
    """Nothing that is a control reaches the terminal, nothing is a link, and clicking on it does nothing."""
    for segment in screen_segments(at.room):
        assert not segment.control
        assert not FORBIDDEN.search(segment.text), repr(segment.text)
        if segment.style is not None:
            assert "@click" not in (segment.style.meta or {})
            assert not segment.style.link
    picture = at.room.export_screenshot(title="swarm-tui")
    assert not FORBIDDEN.search(picture)
    ET.fromstring(picture)
    for y, line in enumerate(at.text.splitlines()):
        if (x := line.find(PRESS)) >= 0:
            await at.pilot.click(offset=(x + 1, y))
    assert at.room.booms == 0


@pytest.mark.parametrize(
    "way",
    [
        (),
        ("1", "z"),
        ("2", "z"),
        ("w",),
        ("n",),
        ("n", "G"),
        ("n", "x", "enter"),
        ("w", "down", "enter"),
        ("b", "down", "d"),
        ("at",),
        ("n", "ctrl+p"),
        ("v", "1", "enter"),
        ("v", "2", "enter", "c"),
        ("v", "2", "G"),
        ("v", "3", "enter", "a"),
        ("v", "4", "enter", "w"),
        ("v", "1", "k", "j"),
    ],
    ids="-".join,
)
async def test_hostile_text_neither_paints_nor_acts(tmp_path: Path, way: Sequence[str]) -> None:
    record_evil(tmp_path)
    async with visit(tmp_path, None, size=(200, 60)) as at:
        at.clock.seconds += 1
        await at.press(*way)
        assert PRESS in at.text or "ctrl+p" in way, "the text is there to be seen"
        await assert_harmless(at)


async def test_an_attempt_stays_visible(tmp_path: Path) -> None:
    record_evil(tmp_path)
    async with visit(tmp_path, None, size=(200, 60)) as at:
        await at.press("1", "z")
        assert "\u241b]52;c;ZXZpbA==\u2407\u241b[2J" in at.text
        assert "[@click=app.boom]press[/] [/nope] [b]bold[/b] end" in at.text


async def test_what_the_engine_says_and_how_a_run_ends_is_harmless(tmp_path: Path) -> None:
    record_evil(tmp_path)
    async with visit(tmp_path, None, size=(200, 60)) as at:
        write_pulse(at.layout, 1, f"paused {EVIL}")
        at.room.pulse()
        await at.happen(Draft("run.aborted", {"reason": EVIL, "outcome": EVIL}))
        await assert_harmless(at)


async def test_a_refusals_reason_is_harmless(tmp_path: Path) -> None:
    record_evil(tmp_path)
    async with visit(tmp_path, None, size=(200, 60)) as at:
        await at.press("n")
        at.clock.seconds += 1
        await at.press("a")
        (item,) = at.inbox()
        await at.happen(Draft("decision.refused", {"command": item["id"], "gate": "gate_001", "reason": EVIL}))
        assert "refused: " in at.text
        await assert_harmless(at)


async def test_a_directorys_name_is_harmless(tmp_path: Path) -> None:
    root = tmp_path / "re\x1b[2Jpo [@click=app.boom]press"
    run = "20261121-100000-\x1b[31m[@click=app.boom]press"
    layout = RepoLayout(root)
    write_journal(layout.run(run).journal, run, [Draft("run.created", {"title": ""})])
    async with visit(root, None, size=(200, 60), run=None) as at:
        assert PRESS in at.text
        await assert_harmless(at)
        await at.press("enter")
        assert at.place == "ControlScreen"
        await assert_harmless(at)


async def test_an_error_at_the_end_is_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "re\x1b]0;po"
    record_run(root)
    journal = RepoLayout(root).run(RUN).journal
    (line, *_) = journal.read_bytes().splitlines()
    assert decode(line)
    journal.write_bytes(line[:-3] + b"\n")
    room = WatchedRoom(SwarmClient(root), RUN, FixedClock())
    async with room.run_test():
        await asyncio.wait_for(room.workers.wait_for_complete(), 20)
    said = capsys.readouterr().err
    assert "not an event" in said
    assert not FORBIDDEN.search(said)


async def test_what_a_failed_engine_said_is_harmless(tmp_path: Path) -> None:
    async with visit(tmp_path, size=(200, 60)) as at:
        at.layout.engine_file.unlink(missing_ok=True)
        at.layout.control.rename(tmp_path / "aside")
        at.layout.control.write_text("in the way")
        await at.press("E")
        assert at.room.is_running
        assert "cannot" in at.text or "did not start" in at.text
        await assert_harmless(at)
