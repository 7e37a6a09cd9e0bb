"""``swarm-tui replay``: any state of a run, and whether every file that was derived from its journal agrees with it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.repos import small

from swarm_core.cli import main
from swarm_core.journal.journal import Journal
from swarm_core.journal.projections import prepare, projections, write
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.freeze import thaw
from swarm_core.vocabulary.layout import RepoLayout, RunLayout

RUN = "20261121-100000-goal"


def drafts() -> list[Draft]:
    tasks = [
        Draft("task.created", {"title": f"task {n} \x1b[2J", "assigned_to": "a"}, task=f"task_{n:03d}")
        for n in range(1, 20)
    ]
    ready = [Draft("task.ready", {"reason": "free"}, task=f"task_{n:03d}") for n in range(1, 9)]
    return [Draft("run.created", {"goal": "a goal", "title": "a goal"}), *tasks, *ready]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunLayout:
    """A run in segments, with a snapshot in the middle and its projections at the end."""
    root = small(tmp_path / "repo")
    monkeypatch.chdir(root)
    layout = RepoLayout(root).run(RUN)
    prepare(layout.repo)
    asyncio.run(write_run(layout))
    return layout


async def write_run(layout: RunLayout) -> None:
    journal = await Journal.open(layout.journal, RUN, SystemClock(), segment_bytes=1_500)
    for number, draft in enumerate(drafts()):
        for event in await journal.append(draft):
            journal.view.apply(event)
        if number == 15:
            assert await journal.snapshot(journal.view)
    write(projections(journal.view, layout.repo))
    await journal.close()


def checked(capsys: pytest.CaptureFixture[str], status: int) -> list[str]:
    """What ``replay --check`` finds wrong."""
    assert main(["replay", "--check", "--json"]) == status
    document = json.loads(capsys.readouterr().out)
    assert document["good"] is (status == 0)
    return [finding["text"] for finding in document["findings"] if not finding["good"]]


def test_the_state_is_shown_as_of_the_end(run: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].startswith(f"{RUN}  created  as of event 28")
    assert sum(" ready " in line for line in lines) == 8
    assert all(char.isprintable() for line in lines for char in line)


def test_the_state_is_shown_as_of_any_event(run: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    for seq in (1, 7, 16, 17, 28):
        assert main(["replay", RUN, "--at", str(seq), "--json"]) == 0
        view = thaw(json.loads(capsys.readouterr().out))
        assert view.last_seq == seq
        assert len(view.tasks) == min(seq - 1, 19)


@pytest.mark.parametrize("seq", ["0", "-1", "29"])
def test_an_event_that_is_not_there_is_named(run: RunLayout, capsys: pytest.CaptureFixture[str], seq: str) -> None:
    assert main(["replay", "--at", seq]) == 2
    assert "1 to 28" in capsys.readouterr().err


def test_a_run_in_order_agrees_with_itself(run: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(capsys, 0) == []
    assert main(["replay", "--check"]) == 0
    out = capsys.readouterr().out
    assert "28 events in" in out
    assert "snapshot.json equals the fold as of event 16" in out
    assert "tasks.json equals the fold" in out


def test_damage_in_any_segment_is_named_with_its_place(run: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    first = run.dir / "events" / "000000000001.jsonl"
    data = first.read_bytes()
    first.write_bytes(data.replace(b"task 2", b"task 3", 1))

    wrong = checked(capsys, 1)
    assert len(wrong) == 1
    assert f"{first}:3: the line at byte" in wrong[0]


def test_a_projection_that_differs_is_named_with_the_place(run: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    file = run.repo.tasks_file
    document = json.loads(file.read_bytes())
    document["tasks"][3]["status"] = "done"
    file.write_text(json.dumps(document))

    assert checked(capsys, 1) == [f'{file}: tasks[3].status is "done", the fold says "ready"']
    file.write_text("not json")
    assert "cannot be read" in checked(capsys, 1)[0]
    file.unlink()
    assert checked(capsys, 0) == []


def test_a_run_described_otherwise_than_it_is_is_named(run: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    (run.dir / "run_meta.json").write_text('{"goal": "another goal"}')

    assert f'{run.dir / "run_meta.json"}: goal is "another goal", the fold says "a goal"' in checked(capsys, 1)


def test_a_snapshot_that_is_damaged_is_named(run: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    file = run.dir / "snapshot.json"
    file.write_bytes(file.read_bytes().replace(b"task 2", b"task 3", 1))
    assert checked(capsys, 1) == [f"{file}: its checksum does not match; it is not used, and may be deleted"]
    file.unlink()
    assert checked(capsys, 0) == []


async def snapshot_an_invention(path: Path) -> None:
    journal = await Journal.open(path, RUN, SystemClock())
    task = journal.view.tasks["task_004"]
    journal.view.tasks["task_004"] = replace(task, title="an invention")
    assert await journal.snapshot(journal.view)
    await journal.close()


def test_a_snapshot_that_differs_from_the_fold_is_named(run: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(snapshot_an_invention(run.journal))
    wrong = checked(capsys, 1)
    assert f"{run.dir / 'snapshot.json'}: tasks.task_004.title is" in "\n".join(wrong)


def test_a_snapshot_of_an_event_that_is_gone_is_named(run: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    first = run.dir / "events" / "000000000001.jsonl"
    for file in (run.dir / "events").iterdir():
        if file != first:
            file.unlink()
    run.journal.write_bytes(b"")
    run.repo.tasks_file.unlink()
    run.repo.state_file.unlink()

    assert "it is of event 16, the journal ends at" in "\n".join(checked(capsys, 1))
