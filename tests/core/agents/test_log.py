"""The live log: whole clean lines, bounded, and never in an agent's way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.support.agents import SteppingClock

from swarm_core.agents.log import LINE_CHARS, AgentLog
from swarm_core.vocabulary.secrets import BLOT, Secrets


def lines(path: Path) -> list[tuple[str, str]]:
    return [(line["kind"], line["text"]) for line in map(json.loads, path.read_text().splitlines())]


def test_streamed_pieces_become_whole_lines(tmp_path: Path) -> None:
    log = AgentLog(tmp_path / "logs" / "a.log", SteppingClock())
    for piece in ("First ", "line.\nSec", "ond"):
        log.stream("say", piece)
    assert lines(log.path) == [("say", "First line.")]
    log.stream("think", "Hm")
    log.write("tool", "Bash ls")

    assert lines(log.path)[1:] == [("say", "Second"), ("think", "Hm"), ("tool", "Bash ls")]
    assert json.loads(log.path.read_text().splitlines()[0])["ts"] == "2026-11-21T03:04:05.000Z"


def test_every_line_says_how_grave_it_is_and_what_it_is_about(tmp_path: Path) -> None:
    about = {"run": "r", "task": "task_001", "span": "0123456789abcdef", "instance": "", "x": "\x1b[2J"}
    log = AgentLog(tmp_path / "a.log", SteppingClock(), about)
    for kind in ("think", "say", "denied", "error"):
        log.write(kind, "text")
    bodies = [json.loads(line) for line in log.path.read_text().splitlines()]

    assert [body["level"] for body in bodies] == ["DEBUG", "INFO", "WARN", "ERROR"]
    keys = {"ts", "level", "run", "task", "span", "x", "kind", "text"}
    assert all(body.keys() == keys and body["span"] == about["span"] for body in bodies)
    assert "\x1b" not in bodies[0]["x"]


def test_a_line_without_end_is_written_in_parts_and_nothing_is_lost(tmp_path: Path) -> None:
    log = AgentLog(tmp_path / "a.log", SteppingClock())
    words = " ".join(f"word{number}" for number in range(400))
    log.stream("say", words)
    log.stream("say", "x" * 1000)
    log.flush()

    assert "".join(text for _, text in lines(log.path)) == words + "x" * 1000
    assert all(len(text) <= LINE_CHARS for _, text in lines(log.path))


def test_hostile_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    log = AgentLog(tmp_path / "a.log", SteppingClock())
    log.write("result", "\x1b]0;owned\x07 \x9b2J \u202eevil \r\ud800")
    log.stream("say", "\x1b[2J\n")

    assert all(char.isprintable() for _, text in lines(log.path) for char in text)
    assert "␛]0;owned␇" in lines(log.path)[0][1]


def test_a_flood_is_cut_and_says_how_much_was_left_out(tmp_path: Path) -> None:
    log = AgentLog(tmp_path / "a.log", SteppingClock())
    log.write("result", "\n".join(map(str, range(100))) + "\n\n", max_lines=3)
    log.write("result", "")

    assert [text for _, text in lines(log.path)] == ["0", "1", "2", "… 97 more lines", ""]


def test_a_log_that_was_deleted_begins_again_and_one_that_cannot_be_written_is_silent(tmp_path: Path) -> None:
    log = AgentLog(tmp_path / "logs" / "a.log", SteppingClock())
    log.write("note", "one")
    shutil.rmtree(tmp_path / "logs")
    log.write("note", "two")
    assert lines(log.path) == [("note", "two")]

    shutil.rmtree(tmp_path / "logs")
    (tmp_path / "logs").write_text("a file in the way")
    log.write("note", "three")
    assert (tmp_path / "logs").read_text() == "a file in the way"


def test_a_secret_that_comes_in_pieces_or_across_a_cut_is_never_written(tmp_path: Path) -> None:
    secret = "canary-41d7-a9b2"
    for before in (*range(LINE_CHARS - 20, LINE_CHARS + 20), 2 * LINE_CHARS - 8):
        log = AgentLog(tmp_path / f"{before}.log", SteppingClock(), secrets=Secrets([secret]))
        for letter in "x" * before + secret + "y" * 1200 + "\n" + secret:
            log.stream("say", letter)
        log.write("result", f"one\n{secret}")
        text = "".join(text for _, text in lines(log.path))
        assert text == "x" * before + BLOT + "y" * 1200 + BLOT + "one" + BLOT
