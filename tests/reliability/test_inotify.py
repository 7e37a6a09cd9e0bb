"""No inotify instance is left: requests are found by looking, and answered within seconds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
import watchfiles
from tests.support.cli import environment, wait_until
from tests.support.endurance import approve, begin, drive, end, gate_opens, repository

from swarm_core.client import SwarmClient
from swarm_core.engine import inbox as room
from swarm_core.engine.inbox import Inbox, Verdict
from swarm_core.journal.projections import prepare
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.ids import ulid
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.layout import RepoLayout

pytestmark = pytest.mark.timeout(120)

SECONDS = 5.0
# In a user namespace of its own the limit of a namespace can be lowered without touching anybody else's.
NO_INSTANCES = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"'


@contextmanager
def engine_without_inotify(client: SwarmClient) -> Iterator[None]:
    command = [sys.executable, "-P", "-m", "swarm_core.engine", str(client.layout.root)]
    process = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "sh", "-c", NO_INSTANCES, "sh", *command],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until("the engine", lambda: client.engine().is_alive and client.engine().message == "ready")
        yield
        end(client)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def can_be_limited() -> bool:
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", NO_INSTANCES, "sh", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_be_limited(), reason="user namespaces are not allowed here")
def test_decisions_arrive_within_seconds_when_no_inotify_instance_is_left(tmp_path: Path) -> None:
    client = repository(tmp_path / "repo")
    with engine_without_inotify(client):
        run = begin(client)
        gate_opens(client, run)
        sent_s = time.monotonic()
        decision = approve(client, run)
        answer = wait_until("the answer", lambda: client.answer(decision), timeout_s=SECONDS)
        assert answer.result == "applied", answer.reason
        assert time.monotonic() - sent_s < SECONDS
        assert drive(client, run).run.landed
    assert "inbox is polled" in client.layout.engine_log.read_text()


@pytest.mark.parametrize("error", [OSError(24, os.strerror(24)), RuntimeError("Error creating recommended watcher")])
async def test_whatever_the_watcher_raises_the_inbox_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """In process, where no namespace can be had: the watching library fails unless it is told to poll."""
    watch = watchfiles.awatch

    def failing(*paths: Path, force_polling: bool | None = None, **more: object) -> object:
        if not force_polling:
            raise error
        return watch(*paths, force_polling=True, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "awatch", failing)
    layout = RepoLayout(tmp_path.resolve())
    prepare(layout)
    taken = anyio.Event()

    async def take(item: InboxItem) -> Verdict:
        taken.set()
        return Verdict(True)

    async with anyio.create_task_group() as group:
        group.start_soon(Inbox(layout, SystemClock(), take).serve)
        SwarmClient(layout.root).send(InboxItem(ulid(), "engine.stop"))
        with anyio.fail_after(SECONDS):
            await taken.wait()
        group.cancel_scope.cancel()
