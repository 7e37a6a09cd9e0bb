"""What the engine knows about an agent's confinement that its scope does not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from swarm_core.tools.scope import Scope

from .limits import Limits
from .reach import Reach, reach_of
from .session import Gateway


@dataclass(frozen=True, slots=True)
class Confines:
    """``setting`` is ``confinement`` of the configuration.

    ``borrows`` are read besides what every agent reads (git's objects); ``hidden`` is never read (the operator's
    checkout, the journal). ``gateway`` is the only way to the network; None is no way.
    """

    setting: str = "auto"
    borrows: Sequence[Path] = ()
    hidden: Sequence[Path] = ()
    gateway: Gateway | None = None
    limits: Limits = field(default_factory=Limits)

    def reach(self, scope: Scope, scratch: Path) -> Reach:
        """What a process of this agent may touch."""
        found = reach_of(scope, scratch, borrows=self.borrows, hidden=self.hidden, limits=self.limits)
        return replace(found, port=self.gateway.port if self.gateway else 0)
