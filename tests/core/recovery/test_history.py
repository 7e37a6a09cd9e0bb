"""The journal as one sequence of lines: with and without segments, while it grows, and damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support import runs

from swarm_core.recovery.history import fold, lines, read
from swarm_core.vocabulary.errors import JournalCorrupt


async def test_segments_and_one_file_give_the_same_lines(tmp_path: Path) -> None:
    layout = await runs.half_done(tmp_path / "r")
    whole = list(lines(layout.dir))
    assert [line + b"\n" for line in whole] == runs.raw_lines(layout)

    runs.into_segments(layout, 1, 5, 9)

    assert list(lines(layout.dir)) == whole
    assert runs.facts(fold(layout.dir).view)["last_seq"] == len(whole)


async def test_a_journal_that_ends_with_a_closed_segment_is_whole(tmp_path: Path) -> None:
    layout = await runs.half_done(tmp_path / "r")
    whole = list(lines(layout.dir))
    runs.into_segments(layout, 1, 5, len(whole) + 1)
    assert layout.journal.read_bytes() == b""

    assert list(lines(layout.dir)) == whole
    layout.journal.unlink()
    assert list(lines(layout.dir)) == whole


async def test_a_segment_closed_while_the_journal_is_read_is_read_once(tmp_path: Path) -> None:
    layout = await runs.half_done(tmp_path / "r")
    whole = list(lines(layout.dir))
    runs.into_segments(layout, 1, 5, 9)
    reading = lines(layout.dir)
    first = next(reading)
    # what was the active file becomes a segment now, and a new one is begun
    layout.journal.rename(layout.dir / "events/000000000009.jsonl")
    layout.journal.write_bytes(b"")

    assert [first, *reading] == whole
    shutil.copyfile(layout.dir / "events/000000000009.jsonl", layout.journal)
    assert list(lines(layout.dir)) == whole  # both names of the same events


@pytest.mark.parametrize("tail", [b'{"v":1,"seq":16', b"\0" * 40 + b"\n", b'{"half\n'])
async def test_what_a_crash_left_of_the_last_line_is_left_out(tmp_path: Path, tail: bytes) -> None:
    layout = await runs.half_done(tmp_path / "r")
    whole = list(lines(layout.dir))
    layout.journal.write_bytes(layout.journal.read_bytes() + tail)

    assert [line for _, line in read(layout.dir)] == whole


async def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    layout = await runs.half_done(tmp_path / "r")
    layout.journal.write_bytes(layout.journal.read_bytes().replace(b'"title":"Log in"', b'"title":"Log on"'))

    with pytest.raises(JournalCorrupt, match=r"events\.jsonl:4"):
        fold(layout.dir)


async def test_an_empty_journal_has_nothing_to_fold(tmp_path: Path) -> None:
    with pytest.raises(JournalCorrupt, match="no event"):
        fold(tmp_path)


async def test_the_past_knows_what_the_events_name(tmp_path: Path) -> None:
    layout = await runs.half_done(tmp_path / "r")
    past = fold(layout.dir)
    commit = past.view.tasks[runs.TASK].commit

    assert past.commits == {past.view.run.base, commit}
    assert past.places == {runs.AGENT: commit}
    work = past.works[runs.AGENT, runs.TASK]
    assert (work.iteration, work.calls, work.commit, work.commit_calls, work.is_settled) == (1, 2, commit, 1, False)
    assert past.evidence == {"checks/tests-13.txt"}
