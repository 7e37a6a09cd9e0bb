"""The document of a budget's gate: what was spent on what, and what the next call asked for."""

from __future__ import annotations

from swarm_core.vocabulary.budgets import RUN_SCOPE, in_units, raised_limit, said, scopes_of, told
from swarm_core.vocabulary.entities import Gate
from swarm_core.vocabulary.view import RunView

from .evidence import Evidence, encode


def budget_evidence(gate: Gate, view: RunView) -> Evidence:
    """A budget that is used up: what of it was spent on what, what the next call asked for, and what waits for it."""
    budget = view.budgets[gate.subject]
    dimension = budget.dimension
    spent = {scope: amounts.of(dimension) for scope, amounts in view.spent.items()}

    def amount(value: int) -> str:
        return said(in_units(value, dimension), dimension)

    total = spent.get(budget.scope, 0)
    lines = [f"{gate.id} · the budget {budget.id} is used up", "", f"Spent {told(budget, total)}"]
    if budget.asked:
        lines.append(f"The next call may use up to {said(budget.asked, dimension)}, which is more than is left.")
    tasks = [task for task in view.tasks.values() if budget.scope in scopes_of(task) and spent.get(f"task.{task.id}")]
    for heading, group in (("phase", "phase."), ("service", "service.")):
        rows = [(scope, value) for scope, value in spent.items() if scope.startswith(group) and value]
        if budget.scope == RUN_SCOPE and rows:
            rows.sort(key=lambda row: -row[1])
            lines += ["", f"By {heading}"]
            lines += [f"  {scope.removeprefix(group):<16} {amount(value):>16}" for scope, value in rows]
    if tasks:
        lines += ["", "By task"]
    for task in sorted(tasks, key=lambda task: -spent[f"task.{task.id}"]):
        lines.append(f"  {task.id:<16} {amount(spent[f'task.{task.id}']):>16}  {task.status:<10} {task.title}")
    waiting = [t for t in view.tasks.values() if t.status in ("ready", "running") and budget.scope in scopes_of(t)]
    if waiting:
        lines += ["", "Waiting for it", *(f"  {task.id} {task.title}" for task in waiting)]
    raised = said(raised_limit(budget), dimension)
    lines += ["", f"Another limit than {raised}: swarm-tui budget raise {budget.id} --to AMOUNT"]
    return Evidence(
        document=encode(lines),
        summary=f"{told(budget, total)} spent",
        on_yes=f"The limit is raised to {raised}, or to the amount your note begins with, and everybody goes on.",
        on_no="What is unfinished and needs this budget is dropped; what is finished goes on to be merged and landed.",
    )
