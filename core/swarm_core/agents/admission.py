"""Leave to make a model call: asked of everybody who counts calls, before each attempt.

A limit for the whole swarm (a rate gate, a budget) is an ``Admission``. It sees how much a call may use at most before
the call is made, and what it used once it ended, however it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from swarm_core.vocabulary.errors import ModelError

from .model import ModelRequest, Turn
from .transcript import Transcript

# What a provider adds to a request: the frame of each message, and a preamble when there are tools.
FRAME_TOKENS = 2_000


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt at one turn. ``input_tokens`` and ``max_tokens`` are what it may use at most."""

    agent: str
    service: str
    task: str
    model: str
    input_tokens: int
    max_tokens: int


class Permit(Protocol):
    """Leave for one attempt, until it is settled."""

    def settle(self, turn: Turn | None, error: ModelError | None) -> None:
        """Called exactly once: with the turn, with why there is none, or with neither if the agent was cancelled."""
        ...


@runtime_checkable
class Narrow(Protocol):
    """A permit that gives less than was asked for: no more output tokens, and no longer, than it says."""

    max_tokens: int
    max_s: float | None

    def made(self) -> None:
        """Called when the call is about to be sent; if it never is, the call was not made when it is settled."""
        ...


class Admission(Protocol):
    """Somebody who has to agree to a call."""

    async def enter(self, call: Call) -> Permit:
        """Wait until the call may be made. Raises ModelError if it never may; may be cancelled while waiting."""
        ...


@runtime_checkable
class Pacing(Admission, Protocol):
    """An Admission that waits, for everybody who asks it, until a server may be asked again."""

    def held_s(self, error: ModelError) -> float | None:
        """Seconds for which ``enter`` holds everybody back because of such an error; None if it does not."""
        ...


def most_input_tokens(request: ModelRequest, transcript: Transcript) -> int:
    """An upper bound: what the last call is known to have had, and a token for each byte that is new since then."""
    if transcript.turns and transcript.prompt_tokens:
        return transcript.prompt_tokens + transcript.unseen_bytes
    tools = sum(len(tool.description.encode()) + len(repr(tool.input_schema).encode()) for tool in request.tools)
    return FRAME_TOKENS + len(request.system.encode()) + tools + transcript.unseen_bytes
