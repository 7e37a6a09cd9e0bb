"""The transcript: what was said is kept byte for byte, and damage is found where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import call, text, turn

from swarm_core.agents.transcript import Transcript
from swarm_core.vocabulary.errors import JournalCorrupt, JournalError


def reloaded(path: Path) -> Transcript:
    transcript = Transcript(path)
    transcript.load()
    return transcript


def written(path: Path) -> Transcript:
    transcript = Transcript(path)
    transcript.load()
    transcript.open_iteration(1, "iteration: 1\n\nwork")
    return transcript


def test_blocks_come_back_as_they_were_whatever_they_hold(tmp_path: Path) -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "\u2028\ud800\x00", "signature": "EqQB=="},
        {"type": "hologram", "sides": [6, None, 1e-7], "ü": {"": True}},
        call("t1", "Write", content="\r\n\x85\U0001f600"),
    ]
    transcript = written(tmp_path / "t.jsonl")
    transcript.add_turn(turn(*blocks))
    transcript.close()

    assert reloaded(tmp_path / "t.jsonl").messages[-1] == {"role": "assistant", "content": blocks}


def test_results_come_in_the_order_of_the_calls_whatever_finished_first(tmp_path: Path) -> None:
    transcript = written(tmp_path / "t.jsonl")
    transcript.add_turn(turn(call("a", "Read"), call("b", "Read")))
    transcript.add_result("b", "B", is_error=True)
    assert [block["id"] for block in transcript.pending] == ["a"]
    assert len(transcript.messages) == 2
    transcript.add_result("a", "A", is_error=False)
    transcript.close()

    expected = [
        {"type": "tool_result", "tool_use_id": "a", "content": "A"},
        {"type": "tool_result", "tool_use_id": "b", "content": "B", "is_error": True},
    ]
    assert transcript.messages[-1]["content"] == expected
    assert reloaded(tmp_path / "t.jsonl").messages == transcript.messages


def test_a_message_never_holds_what_the_api_refuses_to_take_back(tmp_path: Path) -> None:
    transcript = written(tmp_path / "t.jsonl")
    transcript.add_turn(turn(text("")))
    transcript.add_turn(turn(text(""), call("a", "Read")))
    transcript.close()

    assert [message["content"] for message in transcript.messages[1:]] == [[call("a", "Read")]]
    assert transcript.turns == 2


def test_a_torn_last_line_is_cut_off_and_writing_goes_on_behind_the_last_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    written(path).close()
    with path.open("ab") as file:
        file.write(b'{"line":"assist')
    transcript = reloaded(path)
    assert transcript.torn_bytes == 15
    transcript.add_nudge("go on")
    transcript.close()

    assert [message["content"] for message in reloaded(path).messages] == ["iteration: 1\n\nwork", "go on"]


@pytest.mark.parametrize(
    "line",
    [b"{}", b"nonsense", b'{"line":"weather"}', b'{"line":"tool_result","tool_use_id":"x","text":"","is_error":false}'],
)
def test_damage_in_the_middle_is_named_with_its_line(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "t.jsonl"
    written(path).close()
    path.write_bytes(path.read_bytes() + line + b"\n" + path.read_bytes())

    with pytest.raises(JournalCorrupt, match=r"t\.jsonl:2: "):
        reloaded(path)


def test_a_transcript_is_not_written_through_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(JournalError, match="cannot be written"):
        written(tmp_path / "t.jsonl")
    assert not (tmp_path / "elsewhere").exists()
