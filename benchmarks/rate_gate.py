"""Claim: a swarm under shared limits hits at least 100 times fewer 429s than the SDK's defaults, at 90 % of the ideal.

Fifty agents take thirty turns each against one key of 300 requests, 400,000 input and 80,000 output tokens a minute.
The server is a model with token buckets; the gate is the engine's own, and the peer's pauses are computed by the
SDK's own code. Time is virtual, so ten hours take seconds. The ideal is what no policy can beat: the limits used to
the last token from the first moment, or the slowest agent if it were alone.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from swarm_core.agents.admission import Call
from swarm_core.agents.limits.gates import RateGates
from swarm_core.agents.model import Turn
from swarm_core.simulation.loop import SimulatedClock, SimulatedLoop
from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.errors import ModelError, ModelFailure

AGENTS, TURNS, SEEDS = 50, 30, 5
LIMITS: Mapping[str, int] = {"requests": 300, "input-tokens": 400_000, "output-tokens": 80_000}
BURST: Mapping[str, float] = {"requests": 0.1, "input-tokens": 0.25, "output-tokens": 0.25}
MODEL, MAX_TOKENS = "claude-sonnet-5-5", 8_000
TOKENS_PER_S, LATENCY_S, FIRST_TOKEN_S = 70.0, 0.15, 1.5
REDO_S = 30.0  # a turn that failed for good is taken again by whatever retries tasks
FEWER, THROUGHPUT = 100.0, 0.90


@dataclass(frozen=True)
class Job:
    """One turn: tokens in and out, and the seconds that the tools take after it."""

    input_tokens: int
    output_tokens: int
    tools_s: float

    @property
    def alone_s(self) -> float:
        return LATENCY_S + FIRST_TOKEN_S + self.output_tokens / TOKENS_PER_S


class Refused(Exception):
    """A 429."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class Server:
    """Counts input when a call arrives and output when it ends; ``refused`` counts the 429s."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._level = {name: limit * BURST[name] for name, limit in LIMITS.items()}
        self._at_s = 0.0
        self.refused = 0

    async def answer(self, job: Job, heard: Callable[[int, Mapping[str, str]], None]) -> None:
        await asyncio.sleep(LATENCY_S)
        self._refill()
        needs = {"requests": 1, "input-tokens": job.input_tokens, "output-tokens": 1}
        wait_s = max((need - self._level[name]) / (LIMITS[name] / 60) for name, need in needs.items())
        if wait_s > 0:
            self.refused += 1
            heard(429, self._headers())
            raise Refused(math.ceil(wait_s))
        self._level["requests"] -= 1
        self._level["input-tokens"] -= job.input_tokens
        heard(200, self._headers())
        await asyncio.sleep(FIRST_TOKEN_S + job.output_tokens / TOKENS_PER_S)
        self._refill()
        self._level["output-tokens"] -= job.output_tokens

    def _refill(self) -> None:
        now_s = self._loop.time()
        for name, limit in LIMITS.items():
            level = self._level[name] + (now_s - self._at_s) * limit / 60
            self._level[name] = min(limit * BURST[name], level)
        self._at_s = now_s

    def _headers(self) -> dict[str, str]:
        headers = {}
        for name, limit in LIMITS.items():
            headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(max(0, int(self._level[name])))
        return headers


Turns = Callable[[SimulatedLoop, Server, Random], Callable[[int, Job], Awaitable[None]]]


def with_the_gate(loop: SimulatedLoop, server: Server, random: Random) -> Callable[[int, Job], Awaitable[None]]:
    """A turn as the engine takes it: leave from the gate, one attempt, and again if it was refused."""
    gates = RateGates(SimulatedClock(loop), random)
    gate, observe = gates.gate("anthropic", MODEL), gates.observer("anthropic")

    async def turn(agent: int, job: Job) -> None:
        call = Call(f"a-{agent}", "a", f"t{agent}", MODEL, round(job.input_tokens * 1.5), MAX_TOKENS)
        while True:
            ticket = await gate.enter(call)
            try:
                await server.answer(job, lambda status, headers: observe(MODEL, status, headers))
            except Refused as refused:
                wait_s = float(refused.retry_after_s)
                ticket.settle(None, ModelError("429", kind=ModelFailure.LIMIT, wait_s=wait_s))
                continue
            usage = Usage(job.input_tokens, job.output_tokens)
            ticket.settle(Turn([], "end_turn", usage, MODEL), None)
            return

    return turn


def with_the_sdk(loop: SimulatedLoop, server: Server, random: Random) -> Callable[[int, Job], Awaitable[None]]:
    """A turn as the SDK takes it by default: two retries inside the call, each agent for itself."""
    retry = _sdk_retry()

    async def turn(agent: int, job: Job) -> None:
        while True:
            for left in (2, 1, 0):
                try:
                    await server.answer(job, lambda status, headers: None)
                    return
                except Refused as refused:
                    if left:
                        await asyncio.sleep(retry(left, refused.retry_after_s))
            await asyncio.sleep(REDO_S)

    return turn


def _sdk_retry() -> Callable[[int, int], float]:
    """The SDK's own computation of its pause."""
    import anthropic
    from anthropic._models import FinalRequestOptions

    client = anthropic.Anthropic(api_key="none")
    options = FinalRequestOptions(method="post", url="/v1/messages")

    def pause_s(left: int, retry_after_s: int) -> float:
        headers: Any = {"retry-after": str(retry_after_s)}
        return client._calculate_retry_timeout(left, options, headers)

    return pause_s


@dataclass(frozen=True)
class Outcome:
    refused: int
    share: float
    seconds: float


def work(random: Random) -> list[list[Job]]:
    def job() -> Job:
        tokens_in, tokens_out = int(random.lognormvariate(8.2, 0.6)), int(random.lognormvariate(6.3, 0.7))
        return Job(min(60_000, tokens_in), min(MAX_TOKENS, tokens_out), random.expovariate(1 / 5))

    return [[job() for _ in range(TURNS)] for _ in range(AGENTS)]


def ideal_s(jobs: list[list[Job]]) -> float:
    every = [job for mine in jobs for job in mine]
    totals = {
        "requests": len(every),
        "input-tokens": sum(job.input_tokens for job in every),
        "output-tokens": sum(job.output_tokens for job in every),
    }
    limits = max((total - LIMITS[name] * BURST[name]) / LIMITS[name] * 60 for name, total in totals.items())
    return max(limits, max(sum(job.alone_s + job.tools_s for job in mine) for mine in jobs))


def play(turns: Turns, seed: int) -> Outcome:
    """One whole swarm under one policy; the same work for the same seed."""
    loop = SimulatedLoop(Random(seed))
    jobs = work(Random(seed + 1))
    server = Server(loop)
    turn = turns(loop, server, Random(seed + 2))

    async def agent(number: int) -> None:
        for job in jobs[number]:
            await turn(number, job)
            await asyncio.sleep(job.tools_s)

    async def swarm() -> None:
        await asyncio.gather(*(agent(number) for number in range(AGENTS)))

    try:
        loop.run_until_complete(swarm())
        return Outcome(server.refused, ideal_s(jobs) / loop.time(), loop.time())
    finally:
        loop.close()


def main() -> int:
    ours = [play(with_the_gate, seed) for seed in range(SEEDS)]
    peer = [play(with_the_sdk, seed) for seed in range(SEEDS)]
    print(f"{AGENTS} agents x {TURNS} turns under one key's limits, {SEEDS} seeds, virtual time")
    for name, rows in (("the gate", ours), ("the SDK's defaults", peer)):
        refused = 100 * statistics.mean(row.refused for row in rows) / (AGENTS * TURNS)
        share = statistics.mean(row.share for row in rows)
        minutes = statistics.mean(row.seconds for row in rows) / 60
        print(f"  {name:<20} {refused:7.1f} 429s for 100 turns   {share:4.0%} of the ideal   {minutes:.1f} min")
    fewer = sum(row.refused for row in peer) / max(1, sum(row.refused for row in ours))
    share = min(row.share for row in ours)
    is_met = fewer >= FEWER and share >= THROUGHPUT
    goal = f"goal ≥ {FEWER:g} times fewer 429s at ≥ {THROUGHPUT:.0%}"
    print(f"  {'met' if is_met else 'MISSED'}: {fewer:.0f} times fewer, {share:.1%} in the worst seed · {goal}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
