"""The documents a gate shows: plain text whose SHA-256 is the evidence a decision names. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from swarm_core.checks.run import CheckRun
from swarm_core.vocabulary.budgets import RUN_SCOPE, in_units, raised_limit, said, scopes_of, told
from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.entities import Gate, Run, Stat, Task
from swarm_core.vocabulary.view import RunView

SEPARATOR = "─" * 72


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a gate opens with. ``document`` is what the operator reads."""

    document: bytes
    summary: str
    on_yes: str
    on_no: str
    about: str = ""
    stat: Stat = field(default_factory=Stat)
    checks: tuple[CheckRun, ...] = ()
    blockers: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.document).hexdigest()

    def data(self, gate: str, name: str) -> dict[str, Any]:
        """The data of ``gate.opened``."""
        return {
            "gate": gate,
            "document": name,
            "evidence": self.sha256,
            "about": self.about,
            "summary": self.summary,
            "on_yes": self.on_yes,
            "on_no": self.on_no,
            "stat": {
                "files": self.stat.files,
                "insertions": self.stat.insertions,
                "deletions": self.stat.deletions,
            },
            "checks": [{"name": c.name, "passed": c.has_passed, "detail": c.detail} for c in self.checks],
            "blockers": list(self.blockers),
        }


def plan_evidence(gate: Gate, run: Run, plan: Mapping[str, Any]) -> Evidence:
    """A plan: new ``tasks``, tasks to ``reassign`` and tasks to ``cancel``."""
    tasks, reassign, cancel = plan["tasks"], plan["reassign"], plan["cancel"]
    lines = [f"{gate.id} · the architect's plan for: {run.title}", "", "Goal", *_indent(run.goal)]
    if tasks:
        lines += ["", "Tasks"]
    for task in tasks:
        needs = ", ".join(task.get("dependencies", ())) or "nothing"
        lines += [
            "",
            f"  {task['id']}  {task.get('title', '')}",
            f"    service {task.get('assigned_to', '')} · priority {task.get('priority', '')} · needs {needs}",
            *([f"    writes {', '.join(task['writes'])}"] if task.get("writes") else []),
            *_indent(str(task.get("description", "")), 4),
        ]
    if reassign:
        lines += ["", "Given to somebody else"]
        lines += [f"  {one['task']} → {one['assigned_to']}  {one.get('note', '')}" for one in reassign]
    if cancel:
        lines += ["", "Dropped"]
        lines += [f"  {one['task']}  {one.get('reason', '')}" for one in cancel]
    services = sorted({str(task.get("assigned_to", "")) for task in tasks})
    parts = [f"{len(tasks)} tasks for {', '.join(services)}"] if tasks else []
    parts += [f"{len(reassign)} given to somebody else"] if reassign else []
    parts += [f"{len(cancel)} dropped"] if cancel else []
    return Evidence(
        document=_encode(lines),
        summary=", ".join(parts) or "no change",
        on_yes="The tasks are created; those that depend on nothing start at once, each in its own worktree."
        if tasks
        else "The plan is changed as shown.",
        on_no="The plan goes back to the architect with your comment. No agent starts."
        if tasks
        else "The plan stays as it is; the architect gets your comment.",
    )


def merge_evidence(
    gate: Gate,
    task: Task,
    *,
    branch: str,
    base: str,
    diff: bytes,
    stat: Stat,
    conflicts: Sequence[str],
    checks: Sequence[CheckRun],
    commits: Sequence[str],
) -> Evidence:
    merges = f"conflicts in {', '.join(conflicts)}" if conflicts else "merges cleanly"
    lines = [
        f"{gate.id} · {task.id} · {task.title}",
        f"by {task.instance} on {branch} · round {task.iteration} · {merges}",
        f"commit {task.commit or '(nothing was changed)'} on {base}",
        "",
        "What the agent says",
        *_indent(task.handoff.get("what_i_did", "") or "(nothing)"),
    ]
    if left := task.handoff.get("whats_left", ""):
        lines += ["What it says is left", *_indent(left)]
    if advice := task.handoff.get("recommendation", ""):
        lines += ["What it recommends", *_indent(advice)]
    if task.notes:
        lines += ["What you asked for before", *(line for note in task.notes for line in _indent(note))]
    lines += ["", "Checks, measured by the engine", *_check_lines(checks)]
    if commits:
        lines += ["", "Commits", *(f"  {clean(commit)}" for commit in commits)]
    return Evidence(
        document=_encode([*lines, "", SEPARATOR, ""]) + diff,
        summary=f"{_size(stat)} · {_verdicts(checks)} · {merges}",
        on_yes=f"{task.id} is merged on the run's integration branch. Your own branch stays as it is.",
        on_no=f"{task.id} goes back to {task.instance} with your comment; its worktree and conversation are kept.",
        about=task.commit,
        stat=stat,
        checks=tuple(checks),
    )


def landing_evidence(
    gate: Gate,
    run: Run,
    tasks: Sequence[Task],
    *,
    branch: str,
    user_tip: str,
    is_fast_forward: bool,
    diff: bytes,
    stat: Stat,
    checks: Sequence[CheckRun],
    blockers: Sequence[str],
    about: str,
) -> Evidence:
    how = "fast-forward" if is_fast_forward else f"merge with the commits that reached {branch} meanwhile"
    lines = [
        f"{gate.id} · land on {branch or '(no branch)'}: {run.title}",
        f"{branch} is at {user_tip} · {how}",
        "",
        "Tasks",
        *(f"  {'✓' if t.status == 'done' else '✗'} {t.id} {t.title} · {t.assigned_to} · {t.status}" for t in tasks),
        "",
        "Checks on the merged tree, measured by the engine",
        *_check_lines(checks),
    ]
    if blockers:
        lines += ["", "In the way", *(f"  ✗ {clean(blocker)}" for blocker in blockers)]
    return Evidence(
        document=_encode([*lines, "", SEPARATOR, ""]) + diff,
        summary=f"{_size(stat)} · {_verdicts(checks)} · {how}",
        on_yes=f"{branch} moves to the merged work and your checkout follows; uncommitted changes elsewhere stay.",
        on_no=f"{branch} stays as it is. The work is kept under refs/swarm/unlanded/{run.id}.",
        about=about,
        stat=stat,
        checks=tuple(checks),
        blockers=tuple(blockers),
    )


def escalation_evidence(gate: Gate, task: Task, log_tail: Sequence[str], conflict_diff: bytes = b"") -> Evidence:
    is_conflict = task.status == "blocked"
    lines = [
        f"{gate.id} · {task.id} · {task.title}",
        f"{task.instance or task.assigned_to} · attempt {task.attempt} · round {task.iteration}",
        "",
        "What happened",
        *_indent(task.reason or "the task failed"),
    ]
    if log_tail:
        lines += ["", "The last lines of its log", *(f"  {line}" for line in log_tail)]
    document = _encode([*lines, "", SEPARATOR, ""]) + conflict_diff
    if is_conflict:
        on_yes = f"{task.instance} gets the conflict in its worktree, resolves it, and the result comes to a new gate."
    else:
        on_yes = f"{task.id} is tried again from where its conversation stopped."
    return Evidence(
        document=document,
        summary=task.reason or "the task failed",
        on_yes=on_yes,
        on_no=f"{task.id} is given up, and so is everything that depends on it.",
    )


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
        document=_encode(lines),
        summary=f"{told(budget, total)} spent",
        on_yes=f"The limit is raised to {raised}, or to the amount your note begins with, and everybody goes on.",
        on_no="What is unfinished and needs this budget is dropped; what is finished goes on to be merged and landed.",
    )


def _encode(lines: Sequence[str]) -> bytes:
    """Each of ``lines`` as one line: the name of a file may have line breaks and must not begin a section with them."""
    return "\n".join(clean(line.replace("\n", "\u240a")) for line in lines).encode()


def _indent(text: str, width: int = 2) -> list[str]:
    return [" " * width + line for line in text.strip().splitlines()]


def _check_lines(checks: Sequence[CheckRun]) -> list[str]:
    if not checks:
        return ["  none configured: add `checks:` to multi-agent.yaml"]
    lines: list[str] = []
    for check in checks:
        lines.append(f"  {'✓' if check.has_passed else '✗'} {check.name} · {check.detail} · {check.command}")
        if not check.has_passed:
            lines += [f"      {line}" for line in check.tail]
    return lines


def _verdicts(checks: Sequence[CheckRun]) -> str:
    if not checks:
        return "nothing measured"
    failed = [check.name for check in checks if not check.has_passed]
    return f"FAILED: {', '.join(failed)}" if failed else f"{len(checks)} of {len(checks)} checks passed"


def _size(stat: Stat) -> str:
    files = "1 file" if stat.files == 1 else f"{stat.files} files"
    return f"{files} +{stat.insertions} −{stat.deletions}"
