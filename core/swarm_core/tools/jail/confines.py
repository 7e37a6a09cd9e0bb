"""What the engine knows about an agent's confinement that its scope does not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from swarm_core.tools.scope import Scope

from .choice import candidates, choose, prove
from .ladder import Kind, Prepared, prepare
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

    def for_child(self, argv: Sequence[str], scope: Scope, scratch: Path, *, is_open: bool = False) -> Prepared:
        """The confinement of a process that is spoken with while it lives; ``is_open`` leaves TCP alone.

        What stands beside a file that the configured ``argv`` names with its whole path can be read.
        Blocks: call it off the loop. Raises PermissionDenied if nothing confines here, OSError.
        """
        named = [path.parent for path in map(Path, argv) if path.is_absolute() and path.is_file()]
        reach = replace(self, borrows=[*self.borrows, *named]).reach(scope, scratch)
        return prepare(self._kind_for_child(), replace(reach, is_open=is_open))

    def _kind_for_child(self) -> Kind:
        """Landlock where there is a choice: a process in a box of its own cannot be made to stand still."""
        if self.setting == "auto" and "landlock" in candidates("auto") and prove("landlock").holds:
            return "landlock"
        return choose(self.setting)
