"""``engine.json`` tells who works here and that it lives; trouble with it is never the engine's end."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from tests.support.crew import HandClock, eventually

import swarm_core
from swarm_core.client import SwarmClient
from swarm_core.engine.status import BEAT_S, EngineStatusFile
from swarm_core.journal.projections import prepare


def test_it_says_who_and_what_and_a_client_believes_it(tmp_path: Path) -> None:
    client = SwarmClient(tmp_path)
    prepare(client.layout)
    EngineStatusFile(client.layout.engine_file, HandClock()).say("ready")
    status = client.engine()

    assert (status.pid, status.is_alive, status.message) == (os.getpid(), True, "ready")
    assert status.version == swarm_core.__version__
    assert status.started_at == "2026-11-21T10:00:00.000Z"
    assert status.heartbeat_age_s < 60
    assert not list(client.layout.control.glob("*.tmp"))


async def test_a_beat_makes_the_file_young_again_and_writes_it_anew_if_it_was_deleted(tmp_path: Path) -> None:
    clock = HandClock()
    path = tmp_path / "control" / "engine.json"
    status = EngineStatusFile(path, clock)
    path.parent.mkdir()
    status.say("paused: no space left")
    os.utime(path, (1, 1))
    beating = asyncio.create_task(status.beat())
    await eventually(lambda: path.stat().st_mtime > 1, "a beat")
    path.unlink()
    path.parent.rmdir()
    await eventually(lambda: clock.slept)
    clock.advance(BEAT_S)
    await eventually(path.exists, "the file")
    beating.cancel()

    assert json.loads(path.read_text())["message"] == "paused: no space left"


def test_a_message_that_cannot_be_written_keeps_the_old_one_and_harms_nobody(tmp_path: Path) -> None:
    path = tmp_path / "engine.json"
    status = EngineStatusFile(path, HandClock())
    status.say("ready")
    path.with_suffix(".tmp").mkdir()  # in the way of the new one
    try:
        status.say("paused")
    finally:
        path.with_suffix(".tmp").rmdir()

    assert json.loads(path.read_text())["message"] == "ready"
    status.say("on")
    assert json.loads(path.read_text())["message"] == "on"
