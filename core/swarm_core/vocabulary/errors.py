"""Every error a person can meet, as one tree.

::

    SwarmError                      exit 1
    ├── UsageError                  exit 2   the command line was not understood
    ├── RepositoryError             exit 3   not a repository, no commits, read-only, git too old
    ├── ConfigurationError          exit 4   multi-agent.yaml, a script or a plan is wrong (file:line)
    ├── EngineError                 exit 5   the engine is not there, or another one is
    │   └── EngineRunning
    ├── JournalError                exit 6   the journal cannot be read or written
    │   ├── JournalCorrupt
    │   ├── JournalFull                      no space left: nothing was lost, retry when there is
    │   └── JournalPoisoned                  fsync failed: the process must restart from disk
    ├── WorkspaceError              exit 7   git refused something
    │   ├── GitFailed
    │   └── MergeConflict
    ├── DecisionRefused             exit 8   unknown gate, moved evidence, already decided
    ├── RunFailed                   exit 9   the run ended without completing
    ├── IllegalTransition           exit 10  an event does not fit the state (see ``machines``)
    ├── PermissionDenied            exit 11  a tool call the rules do not allow
    ├── ToolError                   exit 12  a tool could not do what was asked; the model may try again
    └── ModelError                  exit 13  a model call failed; ``kind`` says how (see ``ModelFailure``)

Each message names the thing, the place (``file:line`` where there is one) and the next step.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path


class SwarmError(Exception):
    """Base of all errors that are shown to a person rather than as a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.hint}" if self.hint else self.message


class UsageError(SwarmError):
    """The command line was not understood."""

    exit_code = 2


class RepositoryError(SwarmError):
    """The repository cannot be used as it is."""

    exit_code = 3


class ConfigurationError(SwarmError):
    """A file a person wrote is wrong; ``path`` and ``line`` say where."""

    exit_code = 4

    def __init__(
        self, message: str, *, path: Path | str | None = None, line: int | None = None, hint: str = ""
    ) -> None:
        place = "" if path is None else f"{path}:{line}: " if line else f"{path}: "
        super().__init__(f"{place}{message}", hint=hint)
        self.path = path
        self.line = line


class EngineError(SwarmError):
    """The engine process could not be reached or started."""

    exit_code = 5


class EngineRunning(EngineError):
    """Another engine owns this repository."""


class JournalError(SwarmError):
    """The journal cannot be read or written."""

    exit_code = 6


class JournalCorrupt(JournalError):
    """A line of the journal is not what was written; the message names file and byte."""


class JournalFull(JournalError):
    """There is no space left on the device; the journal was cut back to its last good line."""


class JournalPoisoned(JournalError):
    """A sync failed, so nothing in memory can be trusted: leave and recover from disk."""


class WorkspaceError(SwarmError):
    """A worktree, branch or merge could not be handled."""

    exit_code = 7


class GitFailed(WorkspaceError):
    """A git command ended with an unexpected status."""


class MergeConflict(WorkspaceError):
    """Two lines of work changed the same place; ``paths`` are repository-relative."""

    def __init__(self, message: str, *, paths: tuple[str, ...], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.paths = paths


class DecisionRefused(SwarmError):
    """A decision was not applied: the gate is unknown, already decided, or its evidence moved."""

    exit_code = 8


class RunFailed(SwarmError):
    """The run ended without completing."""

    exit_code = 9


class IllegalTransition(SwarmError):
    """An event does not fit the state of its subject."""

    exit_code = 10


class PermissionDenied(SwarmError):
    """A tool call that the service's rules do not allow; ``rule`` names the rule."""

    exit_code = 11

    def __init__(self, message: str, *, rule: str, target: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
        self.target = target


class ToolError(SwarmError):
    """A tool could not do what was asked; the text goes back to the model."""

    exit_code = 12


class ModelFailure(StrEnum):
    """What went wrong with a model call, as far as the loop has to tell apart."""

    LIMIT = "limit"  # 429: everybody waits, nothing fails
    OVERLOAD = "overload"  # 529, 5xx, or an overloaded error inside a stream
    TRANSPORT = "transport"  # connection refused, reset or dropped
    TRUNCATED = "truncated"  # the stream ended without message_stop
    SILENT = "silent"  # no event for longer than the idle limit
    AUTH = "auth"  # 401, 403, no key
    REQUEST = "request"  # 400, 404: sending it again cannot help
    CONTEXT = "context"  # 413, or a prompt that is too long: the task has to be split
    SPEND = "spend"  # a spend cap: stop, do not loop


RETRYABLE = frozenset(
    {
        ModelFailure.LIMIT,
        ModelFailure.OVERLOAD,
        ModelFailure.TRANSPORT,
        ModelFailure.TRUNCATED,
        ModelFailure.SILENT,
    }
)


# The server did nothing that it bills.
FREE = frozenset({ModelFailure.LIMIT, ModelFailure.AUTH, ModelFailure.REQUEST, ModelFailure.SPEND})


class ModelError(SwarmError):
    """A model call failed. ``wait_s`` is what the server asked for, if it did.

    ``is_free`` says that the call is known to cost nothing; if nobody says, its kind decides.
    """

    exit_code = 13

    def __init__(
        self,
        message: str,
        *,
        kind: ModelFailure,
        wait_s: float | None = None,
        hint: str = "",
        is_free: bool | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.wait_s = wait_s
        self.is_free = kind in FREE if is_free is None else is_free

    @property
    def is_retryable(self) -> bool:
        return self.kind in RETRYABLE
