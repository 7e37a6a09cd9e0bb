"""Twenty agents on a server that refuses: none loses its task, few calls are made, and they do not come all at once.

The agents are real loops over the real ``AnthropicModel`` and a server on loopback; time is real and short.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.support.agents import Desk, handoff, text
from tests.support.messages_server import Answer, MessagesServer, Request, failure, turn_events

from swarm_core.agents.anthropic_model import AnthropicModel
from swarm_core.agents.coordination import Handoff, Outcome
from swarm_core.agents.limits.gates import RateGates
from swarm_core.agents.limits.rate_gate import Notice, RateGate
from swarm_core.agents.loop import AgentLoop
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.errors import ModelError, ModelFailure

AGENTS = 20
MODEL = "claude-sonnet-5-5"
GOOD = Answer(turn_events([handoff()], "tool_use"))


class Paced:
    """The gate as one agent's admission."""

    def __init__(self, gate: RateGate) -> None:
        self._gate = gate
        self.enter = gate.enter

    def held_s(self, error: ModelError) -> float | None:
        is_held = error.kind is ModelFailure.LIMIT or self._gate.is_broken
        return self._gate.blocked_for_s if is_held else None


@dataclass
class Storm:
    """What a storm left: when requests came, how each agent ended, what everybody was told."""

    times: list[float] = field(default_factory=list)
    outcomes: list[Outcome | BaseException] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def most_within(self, seconds: float) -> int:
        return max(sum(start <= at < start + seconds for at in self.times) for start in self.times)


async def storm(top: Path, weather: Callable[[float, Storm], Awaitable[Answer]], *, cool_s: float = 0.1) -> Storm:
    """Let the agents work while ``weather`` answers, given the seconds since the first request."""
    out = Storm()

    async def decide(request: Request) -> Answer:
        out.times.append(time.monotonic())
        return await weather(out.times[-1] - out.times[0], out)

    async with MessagesServer(decide=decide) as server:
        clock = SystemClock()
        gates = RateGates(clock, Random(7), cool_s=cool_s)
        gates.listeners.append(out.notices.append)
        model = AnthropicModel(api_key="k", base_url=server.base_url, clock=clock, on_response=gates.observer("p"))
        gate = gates.gate("p", MODEL)

        def agent(number: int) -> AgentLoop:
            desk: Any = Desk(top, instance=f"a{number}-1", clock=clock)  # type: ignore[arg-type]
            loop: AgentLoop = desk.loop(model)
            loop._admissions = (Paced(gate),)
            return loop

        try:
            async with asyncio.timeout(60):
                runs = (agent(number).run("iteration: 1\n\nwork") for number in range(AGENTS))
                out.outcomes += await asyncio.gather(*runs, return_exceptions=True)
        finally:
            await model.close()
        assert gate.under_way == 0
    return out


async def test_a_storm_of_429s_pauses_everybody_once_and_loses_no_task(tmp_path: Path) -> None:
    wait_s = 0.8

    async def weather(at_s: float, storm: Storm) -> Answer:
        return failure(429, "rate_limit_error", retry_after=f"{wait_s - at_s:.3f}") if at_s < wait_s else GOOD

    seen = await storm(tmp_path, weather)
    assert [type(outcome) for outcome in seen.outcomes] == [Handoff] * AGENTS
    early = [at for at in seen.times if at - seen.times[0] < wait_s]
    assert len(early) <= 8, "only what was under way when the first refusal came"
    assert len(seen.times) == AGENTS + len(early), "nobody asked again before it was time"
    assert seen.most_within(0.005) < AGENTS / 2, "those who were held do not come all at once"
    assert [notice.kind for notice in seen.notices] == ["limit.reached"]


async def test_a_key_with_few_requests_left_is_used_at_its_pace(tmp_path: Path) -> None:
    """The headers name 600 requests a minute; a server that lets through no more than that refuses nobody."""
    level, at = 5.0, 0.0

    async def weather(at_s: float, storm: Storm) -> Answer:
        nonlocal level, at
        level, at = min(5.0, level + (at_s - at) * 10), at_s
        is_refused = level < 1
        level -= 0 if is_refused else 1
        start = "anthropic_ratelimit_requests"
        headers = {f"{start}_limit": "600", f"{start}_remaining": str(max(0, int(level)))}
        if is_refused:
            return failure(429, "rate_limit_error", retry_after="1", **headers)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Answer(turn_events([handoff()], "tool_use"), headers=named)

    seen = await storm(tmp_path, weather)
    assert [type(outcome) for outcome in seen.outcomes] == [Handoff] * AGENTS
    assert len(seen.times) <= AGENTS + 8, "refusals come before the first headers do, if at all"
    assert seen.most_within(0.5) <= 5 + 8 + 5


async def test_a_storm_of_529s_is_waited_out_by_one_call_at_a_time_and_loses_no_task(tmp_path: Path) -> None:
    outage_s = 2.0

    async def weather(at_s: float, storm: Storm) -> Answer:
        return failure(529, "overloaded_error") if at_s < outage_s else GOOD

    seen = await storm(tmp_path, weather)
    assert [type(outcome) for outcome in seen.outcomes] == [Handoff] * AGENTS
    during = [at - seen.times[0] for at in seen.times if at - seen.times[0] < outage_s]
    # the first window, some that fail before the breaker opens, then probes 0.1, 0.2, 0.4, 0.8 s apart
    assert len(during) <= 8 + 6
    assert len(seen.times) <= len(during) + AGENTS
    assert seen.notices[0].kind == "breaker.opened"
    assert seen.notices[-1].kind == "breaker.closed"


async def test_dropped_connections_and_errors_inside_streams_are_weather_too(tmp_path: Path) -> None:
    dice = Random(3)

    async def weather(at_s: float, storm: Storm) -> Answer:
        events = turn_events([text("hm"), handoff()], "tool_use")
        overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        bad = [
            failure(529, "overloaded_error"),
            failure(500, "api_error"),
            failure(429, "rate_limit_error", retry_after="0.1"),
            Answer(events[:4], ending="drop"),
            Answer([*events[:4], overloaded]),
        ]
        return dice.choice(bad) if at_s < 1.2 and dice.random() < 0.7 else GOOD

    seen = await storm(tmp_path, weather)
    assert [type(outcome) for outcome in seen.outcomes] == [Handoff] * AGENTS
    assert len(seen.times) <= AGENTS * 4
