"""Claim: an agent more in the engine costs memory for its own history and hardly any time.

A server in a process of its own streams turns at the pace of a fast model to 1 and to 101 agents of one process, each a
whole loop with its tools, transcript and log. Memory is the growth from the one to the other, for each agent beyond
the first. Time is a turn's whole cycle (result of the last tool, request, stream, transcript) against bare streams of
the SDK (``create(stream=True)``) with the same histories against the same server in the same run.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import environment, report

AGENTS, TURNS, ROUNDS = 100, 12, 3
DELTAS, PACE_S = 40, 0.02
RESULT = "a line of some file\n" * 150
CLI_MB = 115  # resident memory of one agent's command line process, measured


# -- the server


def sse(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def answer(number: int) -> list[bytes]:
    """The pieces of one turn: words, then a call of Read, or of handoff after the last turn."""
    name, text = ("Read", '{"file_path": "a.py"}') if number < TURNS else ("handoff", '{"what_i_did": "all"}')
    usage = {"input_tokens": 100, "output_tokens": 10}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    call = {"type": "tool_use", "id": f"t_{number}", "name": name, "input": {}}
    stop = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": usage}
    first: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "some words of it "}}
    last: list[dict[str, Any]] = [
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": call},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": text}},
        {"type": "content_block_stop", "index": 1},
        stop,
        {"type": "message_stop"},
    ]
    return [b"".join(map(sse, first)), *[sse(delta)] * DELTAS, b"".join(map(sse, last))]


async def serve() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(lengths[0][15:])) if lengths else b""
                if head.startswith(b"GET"):
                    writer.write(b"HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\n{}")
                    continue
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                for piece in answer(body.count(b'"assistant"')):
                    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    await asyncio.sleep(PACE_S)
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1000)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


# -- who is measured; each runs in a process of its own and prints its memory and the times of its turns


async def ours(url: str, agents: int, place: Path) -> list[float]:
    from swarm_core.agents.anthropic_model import AnthropicModel
    from swarm_core.agents.coordination import handoff_tool
    from swarm_core.agents.log import AgentLog
    from swarm_core.agents.loop import AgentLoop
    from swarm_core.agents.seat import Seat
    from swarm_core.agents.transcript import Transcript
    from swarm_core.tools.base import ToolDefinition, ToolResult
    from swarm_core.vocabulary.clock import SystemClock
    from swarm_core.vocabulary.events import Draft

    class Tools:
        definitions = (ToolDefinition("Read", "Read a file.", {"type": "object"}),)

        def is_read_only(self, name: str) -> bool:
            return True

        is_repeatable = is_read_only

        async def mark(self, name: str, arguments: Mapping[str, Any]) -> str:
            return ""

        async def call(self, name: str, arguments: Mapping[str, Any], begin: Any = None) -> ToolResult:
            return ToolResult(RESULT)

    clock, times = SystemClock(), list[float]()
    model = AnthropicModel(api_key="k", base_url=url, clock=clock)

    async def agent(number: int) -> None:
        last_s = 0.0

        async def told(draft: Draft) -> None:
            nonlocal last_s
            if draft.kind == "llm.call":
                now_s = time.perf_counter()
                if last_s:
                    times.append(now_s - last_s)
                last_s = now_s

        name = f"worker-{number}"
        loop = AgentLoop(
            Seat(name, "worker", f"task_{number}", "Read", "m", "Be good."),
            model,
            Tools(),
            handoff_tool(),
            Transcript(place / f"{name}.jsonl"),
            AgentLog(place / f"{name}.log", clock),
            clock,
            told,
        )
        await loop.run("iteration: 1\n\nread")

    await asyncio.gather(*map(agent, range(agents)))
    await model.close()
    return times


async def bare(url: str, agents: int, place: Path) -> list[float]:
    import anthropic

    times = list[float]()
    client = anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=0)

    async def agent(number: int) -> None:
        last_s, messages = 0.0, list[Any]([{"role": "user", "content": "read"}])
        for turn in range(TURNS + 1):
            words, part = list[str](), list[str]()
            stream = await client.messages.create(
                model="m", max_tokens=16_000, system="Be good.", messages=messages, stream=True
            )
            async for event in stream:
                if event.type == "content_block_delta":
                    if event.delta.type == "text_delta":
                        words.append(event.delta.text)
                    elif event.delta.type == "input_json_delta":
                        part.append(event.delta.partial_json)
            now_s = time.perf_counter()
            if last_s:
                times.append(now_s - last_s)
            last_s = now_s
            call = {"type": "tool_use", "id": f"t_{turn}", "name": "Read", "input": json.loads("".join(part))}
            messages.append({"role": "assistant", "content": [{"type": "text", "text": "".join(words)}, call]})
            result = {"type": "tool_result", "tool_use_id": f"t_{turn}", "content": RESULT}
            messages.append({"role": "user", "content": [result]})

    await asyncio.gather(*map(agent, range(agents)))
    await client.close()
    return times


def measured(kind: str, url: str, agents: int) -> tuple[float, list[float], float]:
    """Peak memory in MB, the seconds of each turn, and the CPU seconds of the process."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "benchmarks.streaming", kind, url, str(agents), place]
        env = environment(ANTHROPIC_CONFIG_DIR=place)
        run = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    return found["mb"], found["times"], found["cpu_s"]


def child(kind: str, url: str, agents: str, place: str) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    times = asyncio.run({"ours": ours, "bare": bare}[kind](url, int(agents), Path(place)))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    mb = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024)
    sys.stdout.write(json.dumps({"mb": mb, "times": times, "cpu_s": usage.ru_utime + usage.ru_stime}))


def p99(times: Sequence[float]) -> float:
    return sorted(times)[len(times) * 99 // 100]


def main() -> None:
    command = [sys.executable, "-m", "benchmarks.streaming", "serve"]
    server = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        each_mb, slow, peer, cpu, peer_cpu = [], [], [], [], []
        for _ in range(ROUNDS):
            one_mb, _, one_s = measured("ours", url, 1)
            all_mb, times, all_s = measured("ours", url, AGENTS + 1)
            _, _, bare_one_s = measured("bare", url, 1)
            _, bare_times, bare_s = measured("bare", url, AGENTS + 1)
            each_mb.append((all_mb - one_mb) / AGENTS)
            slow.append(p99(times))
            peer.append(p99(bare_times))
            cpu.append((all_s - one_s) / AGENTS / TURNS * 1000)
            peer_cpu.append((bare_s - bare_one_s) / AGENTS / TURNS * 1000)
    finally:
        server.kill()
        server.wait()
    report("memory of one agent more, against a command line process each", each_mb, [CLI_MB] * ROUNDS, "MB", "≤ 1 MB")
    report(f"p99 of a turn with {AGENTS + 1} agents streaming, against bare SDK streams", slow, peer, "s", "≤ 1.2x")
    report("processor time of a turn, against bare SDK streams", cpu, peer_cpu, "ms", "≤ 1.5x")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            main()
        case ["serve"]:
            asyncio.run(serve())
        case [kind, url, agents, place]:
            child(kind, url, agents, place)
