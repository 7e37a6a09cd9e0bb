"""The adapter port: one method. What an agent does comes out as events of our own, how it ends is an outcome.

Adapters know protocols and processes; they know neither git nor the journal. Whoever hears the events (``Scribe``)
turns them into log lines and facts, and whoever ran the agent commits what it left in its tree.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from swarm_core.agents.coordination import Outcome
from swarm_core.tools.jail.confines import Confines
from swarm_core.tools.scope import Scope
from swarm_core.tools.toolbox import Toolbox
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.entities import Usage
from swarm_core.vocabulary.errors import PermissionDenied
from swarm_core.vocabulary.spec import ServiceSpec


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of what the agent says; pieces join to lines."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    text: str


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The agent began to use a tool of its own. ``target`` is a path or a command, ``diff`` what it means to change."""

    id: str
    name: str
    target: str = ""
    diff: str = ""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """It is done with it. Name and target are empty where ``CallStarted`` gave them."""

    id: str
    is_ok: bool
    text: str = ""
    name: str = ""
    target: str = ""
    diff: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """The agent's own list of steps, whole: (status, content) each."""

    steps: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The agent asked for leave to do something; ``denial`` is why it may not, None if it may."""

    tool: str
    target: str
    denial: PermissionDenied | None = None


@dataclass(frozen=True, slots=True)
class Mediated:
    """The agent let us do something: ``what`` was done in words, unless it was refused."""

    what: str
    tool: str
    target: str = ""
    denial: PermissionDenied | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What a call of its model used, as far as the agent tells. Never counted twice."""

    usage: Usage
    model: str = ""
    stop_reason: str = ""
    ms: int = 0


@dataclass(frozen=True, slots=True)
class Noted:
    """Something about the agent itself, for the log: a session, junk on its output, an odd message."""

    text: str
    is_error: bool = False


AgentEvent = Said | Thought | CallStarted | CallEnded | Planned | Asked | Mediated | Spent | Noted

Hear = Callable[[AgentEvent], Awaitable[None]]
AskPermission = Callable[[str, Mapping[str, Any]], Awaitable[PermissionDenied | None]]
"""Whether an agent may use a tool once: None allows it, a denial says why not."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One attempt at one iteration of a task.

    ``opening`` is for an agent without a history of the task, ``follow_up`` opens a later iteration for one that has
    it, ``left_behind`` says what an interrupted attempt left in the tree. ``memory`` is a file of ours in which an
    adapter keeps how to find its agent's session again.
    """

    instance: str
    task: str
    title: str
    opening: str
    memory: Path
    iteration: int = 1
    follow_up: str = ""
    left_behind: str = ""


async def _at_once() -> None:
    """Leave to go on, at once."""


@dataclass(frozen=True, slots=True)
class Premises:
    """Where an agent works and who it deals with. ``scope.scratch`` is its home.

    ``clearance`` returns when the next step may be taken, ``beat`` is told of every sign of life. ``confines`` is what
    a process of the agent is confined to besides its scope.
    """

    service: ServiceSpec
    scope: Scope
    toolbox: Toolbox
    clock: Clock
    hear: Hear
    ask_permission: AskPermission
    clearance: Callable[[], Awaitable[None]] = _at_once
    beat: Callable[[], None] = field(default=lambda: None)
    confines: Confines = field(default_factory=Confines)


class AgentAdapter(Protocol):
    """Runs one agent on one assignment."""

    async def run(self, assignment: Assignment, premises: Premises) -> Outcome:
        """Work until there is an outcome; a foreign agent's trouble is a ``Stalled``, with a kind, not an exception.

        May be cancelled at any point: then whatever it started is ended before the cancellation goes on. Run again
        with the same assignment it continues where it can, and otherwise begins anew in the same tree.
        """
        ...
