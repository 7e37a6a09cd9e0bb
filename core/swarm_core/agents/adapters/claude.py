"""The dialect of ``claude -p``: stream-json in and out, questions about tools as control requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swarm_core.agents.prices import cost_usd
from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.spec import ServiceSpec

from .base import AgentEvent, CallEnded, CallStarted, Noted, Planned, Said, Spent, Thought
from .profiles import Meaning, Over, Question, Session, count_in, line, map_in, maps_in, money_in, text_in

KINDS = {
    "authentication_failed": "auth",
    "billing_error": "spend",
    "rate_limit": "limit",
    "server_error": "overload",
    "overloaded": "overload",
}
_TARGETS = ("file_path", "notebook_path", "command", "pattern", "path", "url", "description")
MAX_DIFF_CHARS = 2_000


class ClaudeProfile:
    """One run of it. Usage is told message by message; what the final result has beyond that is told at the end."""

    takes_answers = True

    def __init__(self) -> None:
        self._told = Usage()
        self._seen: set[str] = set()
        self._model = ""
        self._error = ""

    def command(self, service: ServiceSpec, session: str, *, is_confined: bool) -> Sequence[str]:
        """Settings, hooks and servers that the repository supplies are left out: nobody was asked about them."""
        return [
            *(service.command or ("claude",)),
            *("-p", "--output-format", "stream-json", "--verbose", "--input-format", "stream-json"),
            *("--permission-prompt-tool", "stdio", "--setting-sources", "user", "--strict-mcp-config"),
            *("--max-turns", str(service.max_turns), "--model", service.model),
            *(("--resume", session) if session else ()),
        ]

    def opening(self, text: str) -> bytes:
        return line({"type": "user", "message": {"role": "user", "content": text}})

    def read(self, message: Mapping[str, Any]) -> Iterator[Meaning]:
        match message.get("type"):
            case "system":
                yield from self._system(message)
            case "assistant":
                yield from self._assistant(message)
            case "user":
                for block in maps_in(map_in(message, "message"), "content"):
                    if block.get("type") == "tool_result":
                        text = _plain(block.get("content"))
                        yield CallEnded(text_in(block, "tool_use_id"), block.get("is_error") is not True, text)
            case "control_request":
                yield from self._request(message)
            case "result":
                yield from self._result(message)

    def _system(self, message: Mapping[str, Any]) -> Iterator[Meaning]:
        if message.get("subtype") == "init":
            self._model = text_in(message, "model")
            yield Session(text_in(message, "session_id"))
            yield Noted(f"claude with {self._model or 'an unnamed model'}")
        elif message.get("subtype") == "api_retry":
            yield Noted(f"its model is tried again: {text_in(message, 'error', 'message')}")

    def _assistant(self, message: Mapping[str, Any]) -> Iterator[Meaning]:
        body = map_in(message, "message")
        self._error = text_in(message, "error")
        for block in maps_in(body, "content"):
            match block.get("type"):
                case "text":
                    yield Said(text_in(block, "text") + "\n")
                case "thinking":
                    yield Thought(text_in(block, "thinking") + "\n")
                case "tool_use":
                    yield from _call(block)
        # One message comes as several lines, each with the same usage.
        name = text_in(body, "id")
        if name and name not in self._seen and map_in(body, "usage"):
            self._seen.add(name)
            model = text_in(body, "model") or self._model
            usage = _usage(map_in(body, "usage"))
            yield self._spent(usage, cost_usd(model, usage) or 0.0, model, text_in(body, "stop_reason"))

    def _request(self, message: Mapping[str, Any]) -> Iterator[Meaning]:
        request, number = map_in(message, "request"), message.get("request_id")
        if request.get("subtype") != "can_use_tool":
            return
        given = map_in(request, "input")

        def answer(denial: str) -> bytes:
            verdict: dict[str, Any] = {"behavior": "allow", "updatedInput": given}
            if denial:
                verdict = {"behavior": "deny", "message": denial}
            response = {"subtype": "success", "request_id": number, "response": verdict}
            return line({"type": "control_response", "response": response})

        yield Question(text_in(request, "tool_name"), given, answer)

    def _result(self, message: Mapping[str, Any]) -> Iterator[Meaning]:
        whole, told = _usage(map_in(message, "usage")), self._told
        rest = Usage(
            max(0, whole.input_tokens - told.input_tokens),
            max(0, whole.output_tokens - told.output_tokens),
            max(0, whole.cache_read_tokens - told.cache_read_tokens),
            max(0, whole.cache_write_tokens - told.cache_write_tokens),
        )
        cost = max(0.0, money_in(message, "total_cost_usd") - told.cost_usd)
        subtype = text_in(message, "subtype")
        if rest.tokens or cost:
            yield self._spent(rest, cost, self._model, subtype, ms=count_in(message, "duration_api_ms"))
        said = text_in(message, "result")
        if subtype == "success" and message.get("is_error") is not True:
            yield Over(said)
            return
        kind = "gave_up" if subtype.startswith("error_max") else KINDS.get(self._error, "lost")
        yield Over(trouble=said or subtype or "its result is an error", kind=kind)

    def _spent(self, usage: Usage, cost: float, model: str, stop: str, ms: int = 0) -> Spent:
        spent = Usage(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens, cost)
        self._told = self._told + spent
        return Spent(spent, model, stop, ms)


def _usage(data: Mapping[str, Any]) -> Usage:
    return Usage(
        count_in(data, "input_tokens"),
        count_in(data, "output_tokens"),
        count_in(data, "cache_read_input_tokens"),
        count_in(data, "cache_creation_input_tokens"),
    )


def _call(block: Mapping[str, Any]) -> Iterator[AgentEvent]:
    given = map_in(block, "input")
    if block.get("name") == "TodoWrite":
        yield Planned([(text_in(item, "status"), text_in(item, "content")) for item in maps_in(given, "todos")[:50]])
    old, new = text_in(given, "old_string"), text_in(given, "new_string", "content")
    yield CallStarted(text_in(block, "id"), text_in(block, "name"), text_in(given, *_TARGETS), shown_diff(old, new))


def shown_diff(old: str, new: str) -> str:
    """A change as removed and added lines, for the log."""
    rows = [f"- {row}" for row in old[:MAX_DIFF_CHARS].splitlines()]
    return "\n".join(rows + [f"+ {row}" for row in new[:MAX_DIFF_CHARS].splitlines()])


def _plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    blocks = maps_in({"content": content}, "content")
    return "\n".join(text for block in blocks if (text := text_in(block, "text")))
