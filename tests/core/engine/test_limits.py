"""Limits in a real engine: everybody waits out one refusal, the journal and the status say until when, no task pays."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.cli import git, wait_until
from tests.support.messages_server import failure
from tests.support.play import Play, handoff, plan, planned, played, use

from swarm_core.cli.operator import AutoOperator
from swarm_core.cli.status import document, lines
from swarm_core.client import SwarmClient
from swarm_core.vocabulary.events import Event

MODEL, OTHER = "claude-sonnet-5-5", "claude-haiku-5-5"
CONFIG = """\
adapter: anthropic
model: claude-sonnet-5-5
services:
  api: {{directories: [api], timeout: {timeout}{extra}}}
  web: {{directories: [web], timeout: {timeout}{extra}}}
"""


class Swarm:
    """Two services with one task each, in an engine that asks a server on loopback."""

    def __init__(self, root: Path, *, timeout: str = "60s", extra: str = "") -> None:
        (root / "multi-agent.yaml").write_text(CONFIG.format(timeout=timeout, extra=extra))
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "-c", "user.name=op", "-c", "user.email=op@localhost", "commit", "-qm", "start")
        self.client = SwarmClient(root)
        self.run = ""

    def begin(self) -> None:
        self.client.ensure_engine()
        request = self.client.start_run("build", {})
        answer = wait_until("the run", lambda: self.client.answer(request))
        assert answer.result == "applied", answer
        self.run = answer.run
        self.operator = AutoOperator(self.client, self.run)

    def look(self) -> bool:
        """Approve what is open; true when the run is over."""
        view = self.client.view(self.run)
        self.operator.look(view)
        return view.is_over

    def events(self, *kinds: str) -> list[Event]:
        events = self.client.reader(self.run).poll(1 << 26)
        return [event for event in events if not kinds or event.kind in kinds]

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(os.getpgid(self.client.engine().pid), signal.SIGKILL)
        wait_until("the engine's death", lambda: not self.client.engine().is_alive)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    yield tmp_path
    client = SwarmClient(tmp_path)
    if client.engine().is_alive:
        with suppress(ProcessLookupError):
            os.killpg(os.getpgid(client.engine().pid), signal.SIGKILL)


def parts(**troubles: Any) -> Play:
    """Both services write a file and hand in; ``troubles`` come before the first turn of a service."""
    turns = {
        "architect": [[plan(planned("a", "api", "Build the API"), planned("w", "web", "Build the page"))]],
        "api": [[use("Write", file_path="api/one.txt", content="one\n")], [handoff("api")]],
        "web": [[use("Write", file_path="web/one.txt", content="one\n")], [handoff("web")]],
    }
    return Play(turns, troubles={(who, 0): answers for who, answers in troubles.items()})


def seconds(event: Event) -> float:
    return datetime.fromisoformat(event.ts).timestamp()


def test_one_refusal_holds_every_agent_and_costs_no_task_an_attempt(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait is longer than the task may take: it is not the task's time."""
    swarm = Swarm(root, timeout="5s")
    refused = [failure(429, "rate_limit_error", "slow\u202edown", retry_after="6")]
    play = Play(parts().turns, troubles={("api", 0): refused, ("web", 0): list(refused)}, meeting=("api", "web"))
    with played(play) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        swarm.begin()
        wait_until("the limit", lambda: (swarm.look(), swarm.events("limit.reached"))[1])
        view, engine, now = swarm.client.view(swarm.run), swarm.client.engine(), swarm.client.clock.now()
        told = document(view, engine)["limits"]
        shown = [line for line in lines(view, engine, now) if "limited until" in line]
        wait_until("the end of the run", swarm.look)

    (limit,) = swarm.events("limit.reached")
    assert limit.data["gate"] == "anthropic/claude-sonnet"
    assert 6.0 <= limit.data["wait_s"] <= 6.7
    assert "\u202e" not in limit.data["reason"]
    assert [(each["gate"], each["until"]) for each in told] == [("anthropic/claude-sonnet", limit.data["until"])]
    assert shown == [f"  anthropic/claude-sonnet is limited until {limit.data['until'][11:19]}"]
    waiting = {event.agent for event in swarm.events("agent.waiting")}
    assert waiting == {"api-1", "web-1"}
    assert swarm.events("task.failed", "task.released", "agent.failed") == []
    assert {task.attempt for task in swarm.client.view(swarm.run).tasks.values()} == {1}
    assert all(event.data["until"] >= limit.data["until"][:19] for event in swarm.events("agent.waiting"))
    calls = [event for event in swarm.events("llm.call") if event.agent in waiting]
    assert min(map(seconds, calls)) >= seconds(limit) + 5.9
    assert len(play.seen["api"]) == len(play.seen["web"]) == 3, "one refusal each and two turns"


def test_a_limit_is_remembered_by_the_engine_that_comes_after(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = Swarm(root)
    play = parts(api=[failure(429, "rate_limit_error", retry_after="5")])
    with played(play) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        swarm.begin()
        wait_until("the limit", lambda: (swarm.look(), swarm.events("limit.reached"))[1])
        swarm.kill()
        swarm.client.ensure_engine()
        wait_until("the end of the run", swarm.look)

    (limit,) = swarm.events("limit.reached")
    calls = [event for event in swarm.events("llm.call") if event.agent == "api-1"]
    assert min(map(seconds, calls)) >= seconds(limit) + 4.9
    assert len(play.seen["api"]) == 3


def test_another_model_takes_over_while_the_first_is_limited(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = Swarm(root, extra=f", fallback_models: [{OTHER}]")
    play = parts(api=[failure(429, "rate_limit_error", retry_after="7999")])
    with played(play) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        swarm.begin()
        wait_until("the end of the run", swarm.look)

    assert [request["model"] for request in play.seen["api"]] == [MODEL, OTHER, OTHER]
    assert play.seen["architect"][0]["model"] == MODEL
    assert swarm.events("task.failed", "task.released") == []
    assert swarm.client.view(swarm.run).run.outcome == "clean"


def test_an_outage_opens_the_breaker_for_all_and_is_over_with_the_first_answer(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swarm = Swarm(root)
    overloaded = failure(529, "overloaded_error")
    weather = {"api": overloaded, "web": overloaded}
    play = Play(parts().turns, always=weather)
    with played(play) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        swarm.begin()
        wait_until("probes that fail", lambda: (swarm.look(), len(swarm.events("breaker.opened")) > 3)[1])
        during = sum(len(play.seen[who]) for who in weather)
        weather.clear()
        wait_until("the end of the run", swarm.look)

    assert during <= 4 + 2 + 4, "four in a row, what was under way, and one probe for each pause"
    assert swarm.events("task.failed", "task.released") == []
    assert len(swarm.events("breaker.closed")) == 1
    assert swarm.client.view(swarm.run).limits == {}
    assert swarm.client.view(swarm.run).run.outcome == "clean"
