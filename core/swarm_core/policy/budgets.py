"""What follows from what was spent: limits are set, neared, used up, raised, or what is unfinished is given up.

Who wants to make a call asks the ledger (``engine.ledger``), which also says when a call does not fit any more. Here
the rest follows from the state: at 80 % the operator is told, and a budget that is used up has a gate. While it is,
whoever needs it waits (``State.why_unpaid``). A raise lets them go on; without one the unfinished tasks of the budget's
scope are dropped, and what was finished goes its way to the landing gate: it is paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from swarm_core.vocabulary.budgets import (
    RUN_SCOPE,
    WARNING_SHARE,
    Amounts,
    Budget,
    figure,
    in_units,
    raised_limit,
    scopes_of,
    share,
)
from swarm_core.vocabulary.entities import Gate, Task
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.spec import BudgetSpec, SwarmSpec
from swarm_core.vocabulary.view import RunView

from .effects import Effect, EvaluateGate, Record

DROPPABLE = ("pending", "ready", "running", "blocked", "failed")


def budgets_of(scope: str, spec: SwarmSpec) -> Iterator[BudgetSpec]:
    """The configured limits of a scope; those of a task are every task's."""
    wanted = "task" if scope.startswith("task.") else scope
    return (limit for limit in spec.budgets if limit.scope == wanted)


def budget_id(scope: str, dimension: str) -> str:
    return f"{scope}.{dimension}"


class Budgeting:
    """One look at the budgets of one state; ``gate`` makes the record of a new gate for a budget."""

    def __init__(self, view: RunView, spec: SwarmSpec, gate: Callable[[Budget], Record]) -> None:
        self.view, self.spec, self._gate = view, spec, gate

    def effects(self) -> Iterator[Effect]:
        if not self.spec.budgets:
            return
        for scope in self._scopes_in_use():
            for limit in budgets_of(scope, self.spec):
                yield from self._watched(scope, limit)
        for budgets in self.view.index.exhausted.values():
            for name in budgets:
                yield from self._exhausted(self.view.budgets[name])
        yield from self._pointless_gates()

    def _scopes_in_use(self) -> Iterator[str]:
        """What runs with a limit that stands from the beginning, and the tasks at work: no other task spends."""
        yield from dict.fromkeys(limit.scope for limit in self.spec.budgets if limit.scope != "task")
        for name in self.view.index.in_status("running"):
            yield f"task.{name}"

    def _watched(self, scope: str, limit: BudgetSpec) -> Iterator[Effect]:
        name = budget_id(scope, limit.dimension)
        budget = self.view.budgets.get(name)
        if budget is None:
            data = {"budget": name, "scope": scope, "dimension": limit.dimension, "limit": limit.limit}
            yield Record((Draft("budget.set", data),))
            return
        spent = self.view.spent.get(scope, Amounts()).of(budget.dimension)
        used, data = share(budget, spent), {"budget": name, "spent": in_units(spent, budget.dimension)}
        if used > 1 and budget.status != "exhausted" and any(self._unfinished(scope)):
            yield Record((Draft("budget.exhausted", data),))  # by agents of other makes, who reserve nothing
        elif budget.status == "ok" and used >= WARNING_SHARE:
            yield Record((Draft("budget.warning", data),))

    def _exhausted(self, budget: Budget) -> Iterator[Effect]:
        """The gate of a budget that is used up, from its making to what its decision has as effect."""
        gate = self.view.latest_gate("budget", budget.id)
        if gate is None or gate.round != budget.round or gate.status == "aborted":
            if any(self._unfinished(budget.scope)):
                yield self._gate(budget)
        elif gate.status == "evaluating":
            yield EvaluateGate(gate.id)
        elif gate.status == "passed":
            limit = figure(gate.note) or raised_limit(budget)
            yield Record((Draft("budget.raised", {"budget": budget.id, "limit": limit, "gate": gate.id}),))
        elif gate.status == "blocked":
            yield from self._given_up(budget, gate)

    def _given_up(self, budget: Budget, gate: Gate) -> Iterator[Effect]:
        reason = f"the budget {budget.id} was not raised at {gate.id}" + (f": {gate.note}" if gate.note else "")
        for task in self._unfinished(budget.scope):
            yield Record((Draft("task.cancelled", {"reason": reason}, task=task.id),))

    def _pointless_gates(self) -> Iterator[Effect]:
        """A budget that was raised elsewhere, or that nobody needs any more, needs no decision."""
        for gate in self.view.open_gates:
            if gate.place != "budget":
                continue
            budget = self.view.budgets[gate.subject]
            why = ""
            if budget.status != "exhausted":
                why = f"{budget.id} was raised to {budget.limit:g}"
            elif not any(self._unfinished(budget.scope)):
                why = f"nothing that is left needs {budget.id}"
            if why:
                yield Record((Draft("gate.aborted", {"gate": gate.id, "reason": why}),))

    def _unfinished(self, scope: str) -> Iterator[Task]:
        """The tasks of a scope that still need an agent, as far as anybody can tell now."""
        if scope.startswith("task."):
            task = self.view.tasks.get(scope.removeprefix("task."))
            if task is not None and task.status in DROPPABLE:
                yield task
            return
        for name in self.view.index.in_status(*DROPPABLE):
            task = self.view.tasks[name]
            if scope == RUN_SCOPE or scope in scopes_of(task):
                yield task
