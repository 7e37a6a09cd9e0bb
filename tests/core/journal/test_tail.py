"""Readers in another process than the writer: everything once, in order, cleaned where people see it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.support.journals import write_journal

from swarm_core.journal.tail import JournalReader, LogReader
from swarm_core.vocabulary.errors import JournalError
from swarm_core.vocabulary.events import Draft

NOTES = [Draft("run.note", {"text": f"note {number}"}) for number in range(50)]


def test_a_reader_sees_each_event_once_however_the_bytes_arrive(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    events = write_journal(whole, "r1", NOTES)
    data, path = whole.read_bytes(), tmp_path / "events.jsonl"
    reader = JournalReader(path)
    assert reader.poll() == []
    seen, step = [], 97
    with open(path, "ab", buffering=0) as file:
        for start in range(0, len(data), step):
            file.write(data[start : start + step])
            seen += reader.poll()
    reader.close()

    assert seen == events


def test_a_small_limit_delivers_in_portions(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = write_journal(path, "r1", NOTES)
    reader, seen, polls = JournalReader(path), [], 0
    while portion := reader.poll(1_000):
        seen += portion
        polls += 1

    assert seen == events
    assert polls > 5


def test_a_torn_line_that_recovery_cut_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = write_journal(path, "r1", NOTES[:3])
    data = path.read_bytes()
    second = data.find(b"\n", data.find(b"\n") + 1) + 1
    path.write_bytes(data[: second + 30])
    reader = JournalReader(path)
    assert reader.poll() == events[:2]
    os.truncate(path, second)
    assert reader.poll() == []
    with open(path, "ab") as file:
        file.write(data[second:])

    assert reader.poll() == events[2:]


def test_a_journal_that_lost_delivered_events_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_journal(path, "r1", NOTES[:3])
    reader = JournalReader(path)
    reader.poll()
    os.truncate(path, 100)

    with pytest.raises(JournalError, match="shorter"):
        reader.poll()


def log_line(text: str, kind: str = "say") -> str:
    return json.dumps({"ts": "2026-11-21T10:00:00.000Z", "kind": kind, "text": text}) + "\n"


def test_log_text_is_cleaned_at_the_border(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(log_line("evil \x1b]0;title\x07") + "not json \x1b[31m\n")
    lines = LogReader(path).poll()

    assert "\x1b" not in lines[0].text + lines[1].text
    assert (lines[0].kind, lines[1].kind) == ("say", "error")


def test_a_long_log_is_read_from_near_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(log_line(f"line {number} {'x' * 100}") for number in range(5_000)))
    lines = LogReader(path).poll()

    assert lines[-1].text.startswith("line 4999 ")
    assert 100 < len(lines) < 1_000
    numbers = [int(line.text.split()[1]) for line in lines]
    assert numbers == list(range(numbers[0], 5_000))


def test_a_log_that_was_deleted_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(log_line("one"))
    reader = LogReader(path)
    assert [line.text for line in reader.poll()] == ["one"]
    assert not reader.has_news()
    path.write_text("")
    path.write_text(log_line("2"))

    assert reader.has_news()
    assert [line.text for line in reader.poll()] == ["2"]
