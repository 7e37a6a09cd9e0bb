"""Several runs in one engine: how many agents each may begin."""

from __future__ import annotations

from swarm_core.policy.outlook import UNLIMITED
from swarm_core.policy.shares import Demand, fair_shares
from swarm_core.policy.staffing import Staffing

from .runner import Runner


class Sharing:
    """At most as many agents work at once, in all runs together, as the most generous run allows."""

    def __init__(self) -> None:
        self._runners: list[Runner] = []

    def join(self, runner: Runner) -> None:
        self._runners.append(runner)
        runner.slots = lambda: self._slots(runner)
        runner.on_staffed = lambda: self._poke(runner)

    def leave(self, runner: Runner) -> None:
        if runner in self._runners:
            self._runners.remove(runner)
            self._poke(runner)

    def _slots(self, runner: Runner) -> int:
        if len(self._runners) == 1:
            return UNLIMITED  # its own limit is the only one
        limit = max(each.spec.max_parallel for each in self._runners)
        return fair_shares(limit, {each.layout.run: _demand(each) for each in self._runners})[runner.layout.run]

    def _poke(self, mover: Runner) -> None:
        for runner in self._runners:
            if runner is not mover:
                runner.changed.set()


def _demand(runner: Runner) -> Demand:
    """What waits for an agent, a worktree or leave to go on could not use a place: it takes none from the others."""
    view = runner.view
    begins = 0
    if not view.is_over and not view.is_held:
        begins = sum(1 for _ in Staffing(view, runner.spec, runner.watch.outlook(UNLIMITED)).claims())
    return Demand(view.index.count("running"), begins, runner.watch.began_s)
