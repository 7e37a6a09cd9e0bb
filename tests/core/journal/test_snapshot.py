"""A snapshot saves time and is never believed: the state is always the fold of the journal."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from tests.support.journals import write_journal

from swarm_core.journal import snapshot as snapshot_module
from swarm_core.journal.disk import FaultyDisk, RealDisk
from swarm_core.journal.journal import Journal, verify
from swarm_core.journal.lines import Place
from swarm_core.journal.opening import open_view
from swarm_core.journal.segments import closed, read_all
from swarm_core.journal.snapshot import EVERY_EVENTS, encode, is_due, load
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.errors import IllegalTransition, JournalCorrupt
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.freeze import freeze
from swarm_core.vocabulary.view import RunView


def tasks(start: int, count: int) -> list[Draft]:
    return [Draft("task.created", {"title": f"task {n} ✓"}, task=f"task_{n:03d}") for n in range(start, start + count)]


async def open_small(path: Path, disk: RealDisk | None = None) -> Journal:
    return await Journal.open(path, "r1", SystemClock(), disk, segment_bytes=1_000)


async def write(path: Path, before: int = 12, after: int = 9) -> None:
    """A journal in several segments with a snapshot in the middle."""
    journal = await open_small(path)
    for draft in [Draft("run.created", {"goal": "g"}), *tasks(1, before - 1)]:
        for event in await journal.append(draft):
            journal.view.apply(event)
    assert await journal.snapshot(journal.view)
    for draft in tasks(before, after):
        await journal.append(draft)
    await journal.close()


def refolded(path: Path) -> dict[str, object]:
    return freeze(RunView.of(read_all(path)))


async def test_an_opening_reads_only_what_follows_the_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    await write(path)
    journal = await open_small(path)
    await journal.close()

    assert [event.seq for event in journal.events] == list(range(13, 22))
    assert freeze(journal.view) == refolded(path)


@pytest.mark.parametrize("count", range(1, 25))
async def test_a_snapshot_after_any_event_and_its_tail_are_the_whole_fold(tmp_path: Path, count: int) -> None:
    path = tmp_path / "events.jsonl"
    await write(path, before=count, after=7)
    journal = await open_small(path)
    for event in await journal.append(*tasks(800, 2)):
        journal.view.apply(event)
    await journal.close()

    assert len(journal.events) == 7
    assert freeze(journal.view) == refolded(path)
    view, reader = open_view(path)
    assert freeze(view) == refolded(path)
    reader.close()


async def test_a_front_end_opens_at_the_snapshot_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    await write(path)
    closed_files = closed(path, RealDisk())
    (tmp_path / "events" / f"{closed_files[0]:012d}.jsonl").unlink()  # it is not looked at
    view, reader = open_view(path)
    assert view.last_seq == 21

    for first in closed_files[1:3]:
        assert (tmp_path / "events" / f"{first:012d}.jsonl").exists()
    journal = await open_small(path)
    written = []
    for draft in tasks(900, 10):
        written += await journal.append(draft)
    await journal.close()
    seen = []
    while events := reader.poll():
        seen += events
    assert seen == written


def change(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


async def test_no_changed_byte_of_a_snapshot_changes_the_state(tmp_path: Path) -> None:
    path, file = tmp_path / "events.jsonl", tmp_path / "snapshot.json"
    await write(path)
    data, expected = file.read_bytes(), refolded(path)
    for place in range(0, len(data), 7):
        file.write_bytes(change(data, place))
        assert load(path, RealDisk()) is None
    view, reader = open_view(path)
    reader.close()
    assert freeze(view) == expected


def resealed(file: Path, **changes: object) -> None:
    """Change a snapshot so that its checksum is right again."""
    body = json.loads(file.read_bytes())
    view = RunView()
    view.last_seq = int(str(changes.get("seq", body["seq"])))
    names = ("seq", "prev", "epoch", "segment", "offset")
    place = Place(*(changes.get(name, body[name]) for name in names))  # type: ignore[arg-type]
    file.write_bytes(encode(place, freeze(view)))


@pytest.mark.parametrize(
    "changes",
    [
        *({"seq": 11}, {"seq": 99}, {"prev": "0" * 64}, {"epoch": 7}, {"segment": 1}, {"segment": 77}),
        *({"offset": 0}, {"offset": -5}, {"offset": 10**9}, {"offset": 17}),
    ],
)
async def test_a_snapshot_of_another_place_is_ignored(tmp_path: Path, changes: dict[str, object]) -> None:
    path = tmp_path / "events.jsonl"
    await write(path)
    resealed(tmp_path / "snapshot.json")
    assert load(path, RealDisk()) is not None
    resealed(tmp_path / "snapshot.json", **changes)

    journal = await open_small(path)
    await journal.close()
    assert len(journal.events) == 21
    assert freeze(journal.view) == refolded(path)


async def test_a_snapshot_of_another_program_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    await write(path)
    assert load(path, RealDisk()) is not None
    monkeypatch.setattr(snapshot_module, "program", lambda: "0.0.9+0")
    assert load(path, RealDisk()) is None


async def test_a_snapshot_of_a_journal_that_was_put_back_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_journal(path, "r1", [Draft("run.created"), *tasks(1, 3)])
    older = path.read_bytes()
    journal = await Journal.open(path, "r1", SystemClock())
    for event in await journal.append(*tasks(4, 2)):
        journal.view.apply(event)
    assert await journal.snapshot(journal.view)
    await journal.close()
    path.write_bytes(older)

    again = await Journal.open(path, "r1", SystemClock())
    await again.close()
    assert len(again.events) == 4
    assert freeze(again.view) == refolded(path)


async def test_a_state_that_the_tail_does_not_fit_is_given_up(tmp_path: Path) -> None:
    path, file = tmp_path / "events.jsonl", tmp_path / "snapshot.json"
    await write(path)
    body = json.loads(file.read_bytes())
    view = RunView()
    view.last_seq, view.tasks["task_012"] = body["seq"], Task("task_012", "an invention")
    file.write_bytes(encode(Place(*(body[n] for n in ("seq", "prev", "epoch", "segment", "offset"))), freeze(view)))
    assert load(path, RealDisk()) is not None

    journal = await open_small(path)
    await journal.close()
    assert freeze(journal.view) == refolded(path)
    view, reader = open_view(path)
    reader.close()
    assert freeze(view) == refolded(path)


async def test_an_illegal_journal_is_refused_with_its_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_journal(path, "r1", [Draft("task.done", task="task_404")])
    with pytest.raises(IllegalTransition, match="task_404"):
        await Journal.open(path, "r1", SystemClock())


async def test_damage_before_the_snapshot_is_found_by_verify(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    await write(path)
    first = tmp_path / "events" / "000000000001.jsonl"
    first.write_bytes(change(first.read_bytes(), 100))

    journal = await open_small(path)
    await journal.close()
    with pytest.raises(JournalCorrupt, match=r"000000000001\.jsonl:1"):
        verify(path)


@pytest.mark.parametrize("call", ["open_new", "write", "sync", "rename"])
async def test_a_snapshot_that_cannot_be_written_stops_nothing(tmp_path: Path, call: str) -> None:
    path = tmp_path / "events.jsonl"
    is_broken = False
    disk = FaultyDisk(lambda name, _: errno.ENOSPC if is_broken and name == call else None)
    journal = await open_small(path, disk)
    for event in await journal.append(*tasks(1, 3)):
        journal.view.apply(event)
    is_broken = True
    assert not await journal.snapshot(journal.view)
    is_broken = False
    await journal.append(*tasks(4, 1))
    await journal.close()

    assert verify(path) == 4
    assert not list(tmp_path.glob("snapshot*"))


async def test_a_view_that_is_behind_is_written_down_at_its_own_place(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    journal = await open_small(path)
    for event in await journal.append(*tasks(1, 2)):
        journal.view.apply(event)
    later = await journal.append(*tasks(3, 2))
    assert await journal.snapshot(journal.view)
    journal.view.apply(later[0])
    assert not await journal.snapshot(journal.view)  # not the end of an append
    await journal.close()

    again = await open_small(path)
    await again.close()
    assert [event.seq for event in again.events] == [3, 4]


async def test_snapshots_are_wanted_as_often_as_they_pay(tmp_path: Path) -> None:
    view = RunView()
    assert not is_due(EVERY_EVENTS, view)
    assert is_due(EVERY_EVENTS + 1, view)
    view.tasks = {str(number): Task(str(number), "") for number in range(2_000)}
    assert not is_due(4_000, view)
    assert is_due(4_001, view)

    journal = await Journal.open(tmp_path / "events.jsonl", "r1", SystemClock(), inline=True)
    for event in await journal.append(*[Draft("run.note")] * (EVERY_EVENTS + 1)):
        assert not journal.wants_snapshot
        journal.view.apply(event)
    assert journal.wants_snapshot
    assert await journal.snapshot(journal.view)
    assert not journal.wants_snapshot
    await journal.close()
    again = await Journal.open(tmp_path / "events.jsonl", "r1", SystemClock(), inline=True)
    assert not again.wants_snapshot
    assert again.events == []
    await again.close()


async def test_what_append_returns_is_what_a_reader_will_see(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    journal = await open_small(path)
    written = await journal.append(Draft("run.note", {"pair": (1, 2), "odd": "\ud800", "of": {1: 1.5}}))
    await journal.close()

    assert list(read_all(path)) == written
