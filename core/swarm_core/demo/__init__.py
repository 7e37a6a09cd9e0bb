"""The offline demonstration: a scripted swarm builds EcoRoute, a waste collection service, in a real repository.

The scripts stand in for the model alone. Everything they ask for is done by the same tools, rules, worktrees, gates
and merge queue as in any other run.
"""

from .operator import ACTS, Act, verdict
from .repository import GOAL, create

__all__ = ["ACTS", "GOAL", "Act", "create", "verdict"]
