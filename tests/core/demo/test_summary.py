"""The end of the demonstration is read off its journal: it tells what was there, and nothing that was not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarm_core.demo.summary import next_steps, told
from swarm_core.vocabulary.events import Event

PATH = "artifacts/api-contracts.yml"
REASON = f"{PATH}:1:1: the field 'info' is missing"


def events(*facts: tuple[str, Mapping[str, Any]]) -> list[Event]:
    return [
        Event(seq, f"2026-11-21T10:00:{seq:02}.000Z", "run", kind, data, task="task_001")
        for seq, (kind, data) in enumerate(facts, 1)
    ]


WRITTEN = ("artifact.written", {"type": "api_contracts", "path": PATH, "sha256": "a", "commit": "c", "inputs": []})
REJECTED = ("artifact.rejected", {"path": PATH, "reason": REASON, "faults": [REASON]})
VALIDATED = ("artifact.validated", {"path": PATH})
FOUND = (
    "finding.opened",
    {"finding": "W-1", "title": "A \x1b[31mred thing", "severity": "HIGH", "location": "a.py:3", "category": "x"},
)
CLOSED = ("finding.closed", {"finding": "W-1", "resolution": "backlog"})


def test_nothing_happened_and_nothing_is_told() -> None:
    assert told([]) == []


def test_a_refused_artifact_is_told_once_it_was_corrected() -> None:
    assert told(events(WRITTEN, REJECTED)) == []
    assert told(events(WRITTEN, REJECTED, WRITTEN, VALIDATED))[0] == f"refused  {REASON}"


def test_a_finding_without_rule_and_commit_says_where_it_stands_in_clean_text() -> None:
    lines = told(events(FOUND, CLOSED))

    assert [line.strip() for line in lines] == [
        "found    A ␛[31mred thing",
        "W-1 at a.py:3",
        "now      closed (backlog)",
    ]
    assert not any("\x1b" in line for line in lines)


def test_each_next_step_is_a_command_with_what_it_shows() -> None:
    assert all(line.startswith("swarm-tui ") and "  " in line for line in next_steps())
