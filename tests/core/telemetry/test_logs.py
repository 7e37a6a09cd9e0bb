"""One log of many: in the order of time, bounded in memory, whatever the files hold."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

from swarm_core.telemetry.logs import BLOCK_BYTES, MAX_LINE_BYTES, Follower, LogFile, Wanted, log_files, merged
from swarm_core.vocabulary.layout import RepoLayout


def stamp(number: int) -> str:
    return f"2026-11-21T10:{number // 60_000:02d}:{number // 1000 % 60:02d}.{number % 1000:03d}Z"


def say(path: Path, number: int, text: str, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"ts": stamp(number), "kind": "say", "text": text, **more}) + "\n")


def texts(layout: RepoLayout, wanted: Wanted = Wanted()) -> list[str]:  # noqa: B008 -- it is frozen
    return [record.text for record in merged(log_files(layout, wanted.run, wanted.instance), wanted)]


def test_lines_of_all_logs_come_in_the_order_of_time(tmp_path: Path) -> None:
    layout = RepoLayout(tmp_path)
    for number in range(300):
        name = ("a-1", "b-1", "c-1")[number % 3]
        say(layout.run("r").log(name) if number % 5 else layout.engine_log, number, str(number))
    say(layout.engine_log.with_suffix(".jsonl.1"), 0, "from before")

    assert texts(layout) == ["from before", *map(str, range(300))]


def test_ids_and_level_come_from_the_line_or_its_place(tmp_path: Path) -> None:
    layout = RepoLayout(tmp_path)
    say(layout.run("r").log("a-1"), 1, "old")
    say(layout.run("r").log("a-1"), 2, "new", level="ERROR", task="task_001", span="5")
    layout.engine_log.write_text(json.dumps({"ts": stamp(3), "level": "warning", "message": "m", "traceback": "T"}))
    with open(layout.engine_log, "a") as file:
        file.write("\n")
    old, new, engine = merged(log_files(layout), Wanted())

    assert (old.run, old.instance, old.level, old.task) == ("r", "a-1", "INFO", "")
    assert (new.level, new.task, new.span) == ("ERROR", "task_001", "5")
    assert (engine.instance, engine.level, engine.text) == ("engine", "WARN", "m | T")


def test_lines_are_chosen_by_level_run_instance_and_task(tmp_path: Path) -> None:
    layout = RepoLayout(tmp_path)
    say(layout.run("r").log("a-1"), 1, "1", level="DEBUG", task="t1")
    say(layout.run("r").log("b-1"), 2, "2", level="WARN", task="t2")
    say(layout.run("s").log("a-1"), 3, "3", level="ERROR", task="t1")
    say(layout.engine_log, 4, "4", level="INFO", run="s", instance="a-1", task="t1")
    say(layout.engine_log, 5, "5", level="INFO")

    assert texts(layout, Wanted("WARN")) == ["2", "3"]
    assert texts(layout, Wanted(run="r")) == ["1", "2", "5"]
    assert texts(layout, Wanted(instance="a-1")) == ["1", "3", "4"]
    assert texts(layout, Wanted(instance="engine")) == ["5"]
    assert texts(layout, Wanted(run="s", task="t1")) == ["3", "4"]


def test_what_is_not_ours_is_shown_clean_and_never_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    say(path, 1, "\x1b[2J\nx", kind="\x1b[1m", task="\u202e", level=["x"])
    with open(path, "ab") as file:
        file.write(b'\xff\xfe\x1b]0;x\x07\n"text"\n[1]\n{"ts": 5}\n' + b"[" * 50_000 + b"\n")
        file.write(b"y" * (MAX_LINE_BYTES * 2) + b"\n")
    say(path, 2, "last")
    records = list(LogFile(path).records())

    assert len(records) >= 8
    assert all(char.isprintable() for r in records for text in (r.ts, r.kind, r.task, r.text) for char in text)
    assert [record.level for record in records[1:-1]] == ["ERROR"] * (len(records) - 2)
    assert (records[-1].text, records[1].ts) == ("last", records[0].ts)


def test_a_link_is_not_followed_and_a_missing_log_is_empty(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"text": "x"}\n')
    (tmp_path / "a.log").symlink_to(tmp_path / "secret")

    assert list(LogFile(tmp_path / "a.log").records()) == []
    assert list(LogFile(tmp_path / "none.log").records()) == []


def test_memory_is_a_block_of_each_file_not_the_files(tmp_path: Path) -> None:
    layout = RepoLayout(tmp_path)
    line = json.dumps({"ts": stamp(1), "kind": "say", "text": "x" * 300}) + "\n"
    for name in ("a-1", "b-1", "c-1", "d-1"):
        path = layout.run("r").log(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line * 12_000)
    tracemalloc.start()
    count = sum(1 for _ in merged(log_files(layout), Wanted()))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 48_000
    assert most < 4 * BLOCK_BYTES * 20 < 12_000 * len(line) * 4


def test_following_shows_each_line_once_and_finds_new_files(tmp_path: Path) -> None:
    layout = RepoLayout(tmp_path)
    say(layout.run("r").log("a-1"), 1, "one")
    follower = Follower(layout, Wanted(run="r"))
    assert [r.text for r in follower.poll()] == ["one"]
    assert list(follower.poll()) == []
    say(layout.run("r").log("b-1"), 2, "two")
    with open(layout.run("r").log("a-1"), "a") as file:
        file.write('{"ts": "')
        file.flush()
        assert [r.text for r in follower.poll()] == ["two"]
        file.write(f'{stamp(3)}", "kind": "say", "text": "three"}}\n')
    assert [r.text for r in follower.poll()] == ["three"]
    layout.run("r").log("a-1").unlink()
    say(layout.run("r").log("a-1"), 4, "four")
    assert [r.text for r in follower.poll()] == ["four"]
