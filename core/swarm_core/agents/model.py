"""The model port: one method. ``AnthropicModel`` and ``ScriptedModel`` are equal citizens behind it.

Retries, budgets, the journal and the rate gate are layers above; a model makes exactly one attempt.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from swarm_core.tools.base import ToolDefinition
from swarm_core.vocabulary.entities import Usage

TOO_LARGE = "too_large"
MAX_TURN_CHARS = 8_000_000
GOES_ON = frozenset({"pause_turn", "compaction"})

Message = Mapping[str, Any]
"""A message as the Messages API has it: ``role`` and ``content`` (text or a list of blocks)."""


CACHE_TTL_S = 300
LONG_CACHE_TTL_S = 3600


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One turn to be answered; ``hints`` name the ``service``, ``task``, ``title`` and ``iteration`` it is for.

    ``cache_ttl_s`` is how long the provider should keep the prompt for the next turn: CACHE_TTL_S, or LONG_CACHE_TTL_S
    for somebody whose next turn may wait for a person.
    """

    model: str
    system: str
    messages: Sequence[Message]
    tools: Sequence[ToolDefinition] = ()
    max_tokens: int = 16_000
    effort: str = ""
    cache_ttl_s: int = CACHE_TTL_S
    hints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TurnBegun:
    """The model began to answer: from here on the request's prefix can be read from the provider's cache."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of what the model says."""

    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """A piece of the model's summarized thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A complete turn: the raw content blocks, to be sent back byte for byte, and why it stopped.

    ``stop_reason`` is the API's, or ``TOO_LARGE`` for a turn that was not taken because of its size. ``stop_details``
    say more about a refusal. ``model`` is who answered by its own account, ``asked`` the name by which it was asked, if
    that is known. ``usage`` is all that was billed; ``context_tokens`` is how long the history is after the turn where
    that differs, because the server shortened it on the way.
    """

    content: Sequence[Mapping[str, Any]]
    stop_reason: str
    usage: Usage
    model: str
    asked: str = ""
    stop_details: Mapping[str, Any] = field(default_factory=dict)
    context_tokens: int = 0

    @property
    def goes_on(self) -> bool:
        """Whether the server asks for the history again, unchanged, to continue this turn."""
        return self.stop_reason in GOES_ON and not self.tool_calls

    @property
    def tool_calls(self) -> list[Mapping[str, Any]]:
        return [block for block in self.content if block.get("type") == "tool_use"]


ModelEvent = TurnBegun | TextDelta | ThinkingDelta | Turn


class Model(Protocol):
    """Answers a request as a stream of deltas that ends with exactly one Turn."""

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Raises ModelError; never a library's own error. A turn that did not arrive whole is never yielded."""
        ...

    async def close(self) -> None: ...
