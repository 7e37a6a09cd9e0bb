"""A request as the Messages API takes it, with breakpoints where its prompt cache should remember and look.

Tools and system prompt are the same bytes for all agents of a model and carry a breakpoint of their own, so that
agents share that prefix. The top-level ``cache_control`` puts a second one on the last block of the conversation. The
server looks for what it knows in the last ``LOOKBACK_BLOCKS`` blocks before a breakpoint; a turn that adds more would
hide the whole history, so the end of what was sent before then gets a third.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .model import CACHE_TTL_S, Message, ModelRequest
from .model_facts import COMPACTION, ModelFacts

LOOKBACK_BLOCKS = 20


def request_body(request: ModelRequest, facts: ModelFacts) -> dict[str, Any]:
    """The parameters of ``messages.create``, streamed; only what the model of ``facts`` accepts."""
    cached = cache_control(request.cache_ttl_s)
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": min(request.max_tokens, facts.max_output_tokens),
        "system": [{"type": "text", "text": request.system, "cache_control": cached}],
        "messages": with_breakpoint(request.messages, cached),
        "cache_control": cached,
        "stream": True,
    }
    if trigger := facts.compaction_trigger(body["max_tokens"]):
        # The same from the first request on, long before it matters: a change would cost the cache.
        edit = {"type": COMPACTION, "trigger": {"type": "input_tokens", "value": trigger}}
        body["context_management"] = {"edits": [edit]}
    if request.tools:
        body["tools"] = tools_of(request)
    if "adaptive" in facts.thinking:
        # Without a summary, what the model says between its tool calls would arrive as empty thinking.
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
    if effort := facts.effort_for(request.effort):
        body["output_config"] = {"effort": effort}
    return body


def tools_of(request: ModelRequest) -> list[dict[str, Any]]:
    """The tools in the order of their names, whatever order they were collected in."""
    return [
        {"name": tool.name, "description": tool.description, "input_schema": dict(tool.input_schema)}
        for tool in sorted(request.tools, key=lambda tool: tool.name)
    ]


def cache_control(ttl_s: int) -> dict[str, str]:
    """A breakpoint that keeps what stands before it for ``ttl_s``, of which there are two kinds."""
    return {"type": "ephemeral"} if ttl_s <= CACHE_TTL_S else {"type": "ephemeral", "ttl": "1h"}


def with_breakpoint(messages: Sequence[Message], cached: Mapping[str, str]) -> list[Message]:
    """``messages``, with a breakpoint at the end of the previous request if too much came after it."""
    out = list(messages)
    turns = [at for at, message in enumerate(out) if message["role"] == "assistant"]
    if not turns or turns[-1] == 0:
        return out
    end = turns[-1] - 1
    if sum(len(_blocks(message)) for message in out[end + 1 :]) >= LOOKBACK_BLOCKS:
        blocks = _blocks(out[end])
        if blocks and blocks[-1].get("type") not in ("thinking", "redacted_thinking"):
            out[end] = {**out[end], "content": [*blocks[:-1], {**blocks[-1], "cache_control": dict(cached)}]}
    return out


def _blocks(message: Message) -> list[Mapping[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
