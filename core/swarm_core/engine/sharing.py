"""Several runs in one engine: how many agents each may begin."""

from __future__ import annotations

from swarm_core.policy.shares import Demand, fair_shares

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
        limit = max(each.spec.max_parallel for each in self._runners)
        return fair_shares(limit, {each.layout.run: _demand(each) for each in self._runners})[runner.layout.run]

    def _poke(self, mover: Runner) -> None:
        for runner in self._runners:
            if runner is not mover:
                runner.changed.set()


def _demand(runner: Runner) -> Demand:
    index = runner.view.index
    busy = index.count("running")
    is_closed = runner.view.is_over or runner.view.is_held
    waiting = 0 if is_closed else min(index.count("ready"), max(0, runner.spec.max_parallel - busy))
    return Demand(busy, waiting)
