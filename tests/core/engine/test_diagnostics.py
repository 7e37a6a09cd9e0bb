"""The engine's log: one JSON object a line, with a level and what it is about, whatever was logged."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import SteppingClock

from swarm_core.engine.diagnostics import LEVEL_VARIABLE, LOGGER, MAX_LOG_BYTES, say_about, set_up


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    ours = (LOGGER, logging.getLogger("swarm_core"))
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in ours]
    yield tmp_path / "engine.jsonl"
    for logger, handlers, level, propagate in before:
        for handler in logger.handlers:
            handler.close()
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_has_time_level_kind_and_text(log: Path) -> None:
    set_up(log, SteppingClock())
    LOGGER.warning("inbox is %s", "polled", extra={"run": "r"})
    logging.getLogger("swarm_core.tools.toolbox").error("a tool raised")
    LOGGER.debug("not shown")

    assert lines(log) == [
        {"ts": "2026-11-21T03:04:05.000Z", "level": "WARN", "run": "r", "kind": "engine", "text": "inbox is polled"},
        {"ts": "2026-11-21T03:04:05.000Z", "level": "ERROR", "kind": "toolbox", "text": "a tool raised"},
    ]


async def test_each_act_logs_what_it_works_on_and_no_other(log: Path) -> None:
    set_up(log, SteppingClock())
    both = asyncio.Barrier(2)

    async def act(task: str) -> None:
        say_about(run="r", task=task, span="s-" + task)
        await both.wait()
        LOGGER.info("from %s", task)

    async with asyncio.TaskGroup() as group:
        group.create_task(act("task_001"))
        group.create_task(act("task_002"))
    LOGGER.info("from nobody")

    said = {body["text"]: (body.get("task"), body.get("span")) for body in lines(log)}
    assert said == {
        "from task_001": ("task_001", "s-task_001"),
        "from task_002": ("task_002", "s-task_002"),
        "from nobody": (None, None),
    }


def test_hostile_and_long_text_stays_one_bounded_clean_line(log: Path) -> None:
    set_up(log, SteppingClock())
    try:
        raise ValueError("\x1b[2J" * 100_000)
    except ValueError:
        LOGGER.exception("a\nb \x1b]0;x\x07 \ud800" + "x" * 100_000)
    (body,) = lines(log)

    assert len(log.read_bytes()) < 100_000
    assert "\x1b" not in body["text"] + body["traceback"]
    assert body["level"] == "ERROR"


def test_the_environment_chooses_the_level(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEVEL_VARIABLE, "debug")
    set_up(log, SteppingClock())
    LOGGER.debug("one")
    monkeypatch.setenv(LEVEL_VARIABLE, "ERROR")
    set_up(log, SteppingClock())
    LOGGER.warning("two")

    assert [body["level"] for body in lines(log)] == ["DEBUG"]


def test_a_long_log_is_kept_once(log: Path) -> None:
    log.write_bytes(b"x" * (MAX_LOG_BYTES + 1))
    set_up(log, SteppingClock())
    LOGGER.info("new")

    assert len(lines(log)) == 1
    assert log.with_suffix(".jsonl.1").stat().st_size == MAX_LOG_BYTES + 1
