"""The dialect of ``codex exec --json``: threads, turns and items. It has no way to ask for leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.spec import ServiceSpec

from .base import AgentEvent, CallEnded, CallStarted, Noted, Planned, Said, Spent, Thought
from .profiles import Meaning, Over, Session, count_in, map_in, maps_in, text_in

_WORK = ("command_execution", "file_change", "mcp_tool_call", "web_search")


class CodexProfile:
    """One run of it."""

    takes_answers = False

    def __init__(self) -> None:
        self._last_words = ""
        self._begun: set[str] = set()

    def command(self, service: ServiceSpec, session: str, *, is_confined: bool) -> Sequence[str]:
        """Its own sandbox is switched off only inside ours: the two do not nest everywhere."""
        sandbox = ("--dangerously-bypass-approvals-and-sandbox",) if is_confined else ("--sandbox", "workspace-write")
        resume = ("resume", session) if session else ()
        return [*(service.command or ("codex",)), "exec", "--json", "--skip-git-repo-check", *sandbox, *resume, "-"]

    def opening(self, text: str) -> bytes:
        return text.encode()

    def read(self, message: Mapping[str, Any]) -> Iterator[Meaning]:
        match message.get("type"):
            case "thread.started":
                yield Session(text_in(message, "thread_id"))
            case "item.started":
                yield from self._started(map_in(message, "item"))
            case "item.updated":
                yield from _plan(map_in(message, "item"))
            case "item.completed":
                yield from self._completed(map_in(message, "item"))
            case "turn.completed":
                yield Spent(_usage(map_in(message, "usage")), "codex", "end_turn")
                yield Over(self._last_words)
            case "turn.failed":
                trouble = text_in(map_in(message, "error"), "message") or "its turn failed"
                yield Over(trouble=trouble, kind=_kind(trouble))
            case "error":
                yield Noted(text_in(message, "message") or "an error", is_error=True)

    def _started(self, item: Mapping[str, Any]) -> Iterator[AgentEvent]:
        if item.get("type") in _WORK:
            self._begun.add(text_in(item, "id"))
            yield _call(item)
        else:
            yield from _plan(item)

    def _completed(self, item: Mapping[str, Any]) -> Iterator[AgentEvent]:
        kind, name = item.get("type"), text_in(item, "id")
        if kind == "agent_message":
            self._last_words = text_in(item, "text")
            yield Said(self._last_words + "\n")
        elif kind == "reasoning":
            yield Thought(text_in(item, "text") + "\n")
        elif kind == "error":
            yield Noted(text_in(item, "message") or "an error", is_error=True)
        elif kind in _WORK:
            if name not in self._begun:
                yield _call(item)
            self._begun.discard(name)
            code = item.get("exit_code")
            is_ok = text_in(item, "status") in ("completed", "") and code in (None, 0)
            text = text_in(item, "aggregated_output") or text_in(map_in(item, "error"), "message")
            yield CallEnded(name, is_ok, text)
        else:
            yield from _plan(item)


def _kind(trouble: str) -> str:
    """Codex says in words what went wrong; only the number of an HTTP status is stable."""
    if "401" in trouble or "403" in trouble:
        return "auth"
    return "limit" if "429" in trouble else "lost"


def _call(item: Mapping[str, Any]) -> CallStarted:
    changes = maps_in(item, "changes")
    target = ", ".join(text_in(change, "path") for change in changes) or text_in(item, "command", "query", "tool")
    return CallStarted(text_in(item, "id"), text_in(item, "type"), target)


def _plan(item: Mapping[str, Any]) -> Iterator[AgentEvent]:
    if item.get("type") == "todo_list":
        steps = maps_in(item, "items")[:50]
        yield Planned([("completed" if s.get("completed") is True else "pending", text_in(s, "text")) for s in steps])


def _usage(data: Mapping[str, Any]) -> Usage:
    cached = count_in(data, "cached_input_tokens")
    return Usage(max(0, count_in(data, "input_tokens") - cached), count_in(data, "output_tokens"), cached)
