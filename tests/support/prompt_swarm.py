"""A scripted swarm whose every token is billed: real loops, tools and model on a loopback server with a prompt cache.

Each agent reads one file a turn until it hands off. What it cost is held against what the same requests cost a cache
that never misses: the shared prefix is written once, each token of a conversation once, everything else is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.crew import eventually
from tests.support.messages_server import Answer, MessagesServer, Request, turn_events
from tests.support.prompt_cache import BYTES_PER_TOKEN, PromptCache

import swarm_core.catalog
from swarm_core.agents.anthropic_model import AnthropicModel
from swarm_core.agents.context import open_tools, opening_message, system_prompt
from swarm_core.agents.log import AgentLog
from swarm_core.agents.loop import AgentLoop
from swarm_core.agents.model import Model
from swarm_core.agents.prices import cost_usd
from swarm_core.agents.replanning import request_tasks_tool
from swarm_core.agents.seat import Seat
from swarm_core.agents.shared_prefix import SharedPrefix
from swarm_core.agents.transcript import Transcript
from swarm_core.definitions import load
from swarm_core.engine.commit_tool import COMMIT
from swarm_core.engine.role_tools import equip
from swarm_core.tools.base import Tool, ToolResult
from swarm_core.tools.scope import Scope
from swarm_core.vocabulary.clock import SystemClock
from swarm_core.vocabulary.entities import Run, Task, Usage
from swarm_core.vocabulary.events import Draft

FRAME_BYTES = 300  # of a result, beside its text


@dataclass(frozen=True)
class Shape:
    """How large a swarm is; sizes in tokens. ``prefix`` is filled up to by the system prompt."""

    agents: int = 8
    turns: int = 40
    prefix: int = 20_000
    growth: int = 1_500
    output: int = 350
    model: str = "claude-sonnet-5-5"


@dataclass
class Measured:
    """What the swarm was billed in US dollars, and the sizes of its requests by agent, in tokens."""

    shape: Shape
    billed_usd: float = 0.0
    usage: Usage = field(default_factory=Usage)
    prefix: int = 0
    sizes: dict[str, list[int]] = field(default_factory=dict)

    def cost(self, **tokens: int) -> float:
        cost = cost_usd(self.shape.model, Usage(**tokens))
        assert cost is not None
        return cost

    @property
    def output_usd(self) -> float:
        return sum(self.cost(output_tokens=self.shape.output) for sizes in self.sizes.values() for _ in sizes)

    @property
    def uncached_usd(self) -> float:
        return self.output_usd + sum(self.cost(input_tokens=size) for sizes in self.sizes.values() for size in sizes)

    @property
    def unshared_usd(self) -> float:
        """What it costs if each agent has a cache of its own that never misses."""
        return self.output_usd + sum(
            self.cost(cache_read_tokens=before, cache_write_tokens=size - before)
            for sizes in self.sizes.values()
            for before, size in zip([0, *sizes], sizes, strict=False)
        )

    @property
    def best_usd(self) -> float:
        """The same with the prefix written by one of them and read by the others."""
        saved = self.cost(cache_write_tokens=self.prefix) - self.cost(cache_read_tokens=self.prefix)
        return self.unshared_usd - saved * (len(self.sizes) - 1)


def planned_usd(shape: Shape) -> float:
    """The best achievable figure from the sizes alone, without a request: 3.94 USD for the default shape."""
    made = Measured(shape, prefix=shape.prefix)
    made.sizes = {
        str(n): [shape.prefix + shape.growth * t for t in range(1, shape.turns + 1)] for n in range(shape.agents)
    }
    return made.best_usd


async def measure(
    place: Path, shape: Shape, *, wrap: Callable[[Model], Model] | None = None, calls: int = 1
) -> Measured:
    """Run the swarm below ``place``; ``wrap`` stands between loops and model, by default as in the engine.

    ``calls`` is how many files a turn reads.
    """
    made, clock = Measured(shape), SystemClock()
    cache = PromptCache(clock.monotonic_s)

    async def decide(request: Request) -> Answer:
        agent = _agent(request)
        own = PromptCache().ask(request).bill  # nothing known: the sizes alone
        made.prefix = own.prefix
        made.sizes.setdefault(agent, []).append(own.tokens)
        server.requests.clear()
        if len(made.sizes[agent]) == 1:  # no answer begins before everybody either asked or waits
            await eventually(lambda: len(made.sizes) + getattr(model, "waited", 0) >= shape.agents, "all agents")
        return _turn(agent, len(made.sizes[agent]), shape, calls)

    async def report(draft: Draft) -> None:
        if draft.kind == "llm.call":
            data = draft.data
            made.billed_usd += data["cost_usd"]
            names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
            made.usage += Usage(**{name: data[name] for name in names}, calls=1)

    async with MessagesServer(decide=decide, cache=cache) as server:
        plain = AnthropicModel(api_key="sk-loopback", base_url=server.base_url, clock=clock)
        model = wrap(plain) if wrap else SharedPrefix(plain, clock)
        try:
            loops = [_agent_at(place, number, shape, model, clock, report, calls) for number in range(shape.agents)]
            await asyncio.gather(*loops)
        finally:
            await model.close()
    tokens = [(bill.input, bill.read, bill.write_5m + bill.write_1h) for bill in cache.bills]
    billed = [sum(column) for column in zip(*tokens, strict=True)]
    usage = made.usage
    assert billed == [usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens], "we count what is billed"
    return made


async def _agent_at(
    place: Path,
    number: int,
    shape: Shape,
    model: Model,
    clock: SystemClock,
    report: Callable[[Draft], Awaitable[None]],
    calls: int,
) -> None:
    spec = load(Path(swarm_core.catalog.__file__).with_name("multi-agent.yaml"))
    service = spec.services[spec.workers[number % len(spec.workers)]]
    tree, scratch = place / f"tree-{number}", place / f"scratch-{number}"
    tree.mkdir(parents=True)
    scratch.mkdir()
    # A turn's blocks are its text, the call and the result; the frames around them take some 300 bytes.
    (tree / "notes.txt").write_text(
        _filled(f"notes of {number} ", (shape.growth - shape.output) // calls * BYTES_PER_TOKEN - 300)
    )

    async def commit(arguments: Mapping[str, Any]) -> ToolResult:
        return ToolResult("Committed.")

    async def request(reason: str) -> str:
        return "noted"

    task = Task(f"task_{number:03}", f"Part {number}", assigned_to=service.key)
    own = [Tool(COMMIT, commit), request_tasks_tool(request)]
    toolbox, ending = equip(Scope(tree, service, scratch), scratch, clock, own, task, tasks=[], workers=spec.workers)
    system = system_prompt()
    sent = sum(len(repr(tool)) for tool in AgentLoop.tools_of(toolbox, ending)) + len(system)
    system += _filled("What this project is about. ", max(0, shape.prefix * BYTES_PER_TOKEN - sent))
    seat = Seat(f"{service.key}-{number}", service.key, task.id, task.title, shape.model, system)
    told = open_tools(toolbox.offered, ending.definition.name)
    opening = opening_message(service, task, Run(goal="Measure"), tree, tools=told)
    loop = AgentLoop(
        seat,
        model,
        toolbox,
        ending,
        Transcript(place / f"{number}.jsonl"),
        AgentLog(place / f"{number}.log", clock),
        clock,
        report,
        max_turns=shape.turns + 1,
    )
    await loop.run(opening)


def _agent(request: Request) -> str:
    """Which agent asks: its first message names its task."""
    content = request["messages"][0]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    return str(text.partition("Your task is ")[2].partition(" ")[0])


def _turn(agent: str, number: int, shape: Shape, calls: int) -> Answer:
    said = {"type": "text", "text": _filled(f"Turn {number}. ", shape.output * BYTES_PER_TOKEN - 150)}
    usage = {"output_tokens": shape.output}
    if number == shape.turns:
        blocks: Sequence[Mapping[str, Any]] = [said, _call(agent, number, 0, "handoff", what_i_did="read")]
    else:
        blocks = [said, *(_call(agent, number, index, "Read", file_path="notes.txt") for index in range(calls))]
    return Answer(turn_events(blocks, "tool_use", model=shape.model, usage=usage, piece=400))


def _call(agent: str, number: int, index: int, name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{agent}_{number}_{index}", "name": name, "input": arguments}


def _filled(text: str, size: int) -> str:
    """``text`` again and again, in lines, ``size`` characters of it."""
    line = (text * (80 // len(text) + 1))[:79] + "\n"
    return (line * (size // len(line) + 1))[: max(0, size)]


__all__ = ["Measured", "Shape", "measure", "planned_usd"]
