"""``swarm-tui events``: every event, or those that are asked for, for people and for programs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.support.journals import write_journal
from tests.support.repos import small

from swarm_core.cli import main
from swarm_core.journal.disk import RealDisk
from swarm_core.journal.journal import Journal
from swarm_core.journal.segments import closed
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.layout import RepoLayout

RUN = "20261121-100000-goal"
DRAFTS = [
    Draft("run.created", {"goal": "a goal", "title": "a goal"}),
    Draft("run.started", {"base": "0" * 40, "base_ref": "main"}),
    Draft("task.created", {"title": "one \x1b[2J", "assigned_to": "a"}, task="task_001"),
    Draft("task.created", {"title": "two", "assigned_to": "a"}, task="task_002"),
    Draft("llm.call", {"model": "m\x07"}, task="task_001", agent="a-1", actor="a-1"),
    Draft("run.note", {"text": "a note"}),
]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = small(tmp_path / "repo")
    monkeypatch.chdir(root)
    path = RepoLayout(root).run(RUN).journal
    write_journal(path, RUN, DRAFTS)
    return path


def seqs(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[int]:
    assert main(["events", "--json", *arguments]) == 0
    return [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()]


def test_every_event_is_one_clean_line(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert [int(line.split()[0]) for line in lines] == [1, 2, 3, 4, 5, 6]
    assert "llm.call" in lines[4]
    assert all(char.isprintable() for line in lines for char in line)


def test_json_lines_are_the_envelopes(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", RUN, "--json"]) == 0
    bodies = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [body["kind"] for body in bodies] == [draft.kind for draft in DRAFTS]
    assert bodies[2]["data"] == DRAFTS[2].data
    assert bodies[4]["agent"] == "a-1"


def test_events_are_chosen(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert seqs(capsys, "--kind", "task.*") == [3, 4]
    assert seqs(capsys, "--kind", "task.*", "--kind", "run.note") == [3, 4, 6]
    assert seqs(capsys, "--task", "task_001") == [3, 5]
    assert seqs(capsys, "--task", "task_001", "--agent", "a-1") == [5]
    assert seqs(capsys, "--kind", "nothing") == []


def test_the_last_events_are_those_that_are_wanted(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert seqs(capsys, "--last", "2") == [5, 6]
    assert seqs(capsys, "--last", "2", "--kind", "run.*") == [2, 6]
    assert seqs(capsys, "--last", "9", "--task", "task_001") == [3, 5]
    assert seqs(capsys, "--last", "0") == []
    with pytest.raises(SystemExit):
        main(["events", "--last", "-3"])


async def append_notes(path: Path, count: int) -> None:
    writer = await Journal.open(path, RUN, SystemClock(), segment_bytes=500)
    for _ in range(count):
        await writer.append(Draft("run.note"))
    await writer.close()


def test_events_of_all_segments_are_printed(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(append_notes(journal, 5))
    assert len(closed(journal, RealDisk())) > 1

    assert seqs(capsys) == list(range(1, 12))
    assert seqs(capsys, "--last", "7") == list(range(5, 12))


@pytest.mark.parametrize("options", [[], ["--last", "3"]])
def test_following_a_run_that_is_over_ends_with_its_outcome(
    journal: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    write_journal(journal, RUN, [*DRAFTS[:2], Draft("run.failed", {"reason": "no"})])

    assert main(["events", "--follow", "--json", *options]) == 9
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_following_a_run_without_an_engine_says_so(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "--follow"]) == 5
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == len(DRAFTS)
    assert "attach starts one" in captured.err
