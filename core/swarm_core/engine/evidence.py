"""The documents a gate shows: plain text whose SHA-256 is the evidence a decision names. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from swarm_core.checks.run import CheckRun
from swarm_core.vocabulary.asks import Ask
from swarm_core.vocabulary.clean import clean
from swarm_core.vocabulary.entities import CheckResult, Gate, Run, Stat, Task

SEPARATOR = "─" * 72
MAX_SEEN = 20


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a gate opens with. ``document`` is what the operator reads.

    ``facts`` are measured from the run's state, ``holds`` say why no rule may pass the gate, ``aspects`` which further
    places it is about.
    """

    document: bytes
    summary: str
    on_yes: str
    on_no: str
    about: str = ""
    stat: Stat = field(default_factory=Stat)
    checks: tuple[CheckRun, ...] = ()
    blockers: tuple[str, ...] = ()
    facts: tuple[CheckResult, ...] = ()
    aspects: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()

    @property
    def results(self) -> tuple[CheckResult, ...]:
        """Everything that was measured: by commands, and from the state itself."""
        return (*(CheckResult.of(_told(check)) for check in self.checks), *self.facts)

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
            "checks": [*map(_told, self.checks), *map(_told, self.facts)],
            "blockers": list(self.blockers),
            **({"aspects": list(self.aspects)} if self.aspects else {}),
            **({"holds": list(self.holds)} if self.holds else {}),
        }


def _told(check: CheckRun | CheckResult) -> dict[str, Any]:
    """What ``gate.opened`` says of a measurement."""
    more = check.data if isinstance(check, CheckRun) else {"name": check.name}
    return {**more, "passed": check.has_passed, "detail": check.detail}


def plan_evidence(gate: Gate, run: Run, plan: Mapping[str, Any]) -> Evidence:
    """A plan: new ``tasks``, tasks to ``reassign`` and tasks to ``cancel``."""
    tasks, reassign, cancel = plan["tasks"], plan["reassign"], plan["cancel"]
    lines = [f"{gate.id} · the architect's plan for: {run.title}", "", "Goal", *indent(run.goal)]
    if tasks:
        lines += ["", "Tasks"]
    for task in tasks:
        needs = ", ".join(task.get("dependencies", ())) or "nothing"
        lines += [
            "",
            f"  {task['id']}  {task.get('title', '')}",
            f"    service {task.get('assigned_to', '')} · priority {task.get('priority', '')} · needs {needs}",
            *([f"    writes {', '.join(task['writes'])}"] if task.get("writes") else []),
            *indent(str(task.get("description", "")), 4),
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
        document=encode(lines),
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
    blockers: Sequence[str] = (),
) -> Evidence:
    merges = f"conflicts in {', '.join(conflicts)}" if conflicts else "merges cleanly"
    lines = [
        f"{gate.id} · {task.id} · {task.title}",
        f"by {task.instance} on {branch} · round {task.iteration} · {merges}",
        f"commit {task.commit or '(nothing was changed)'} on {base}",
        "",
        "What the agent says",
        *indent(task.handoff.get("what_i_did", "") or "(nothing)"),
    ]
    if left := task.handoff.get("whats_left", ""):
        lines += ["What it says is left", *indent(left)]
    if advice := task.handoff.get("recommendation", ""):
        lines += ["What it recommends", *indent(advice)]
    if task.notes:
        lines += ["What you asked for before", *(line for note in task.notes for line in indent(note))]
    lines += ["", "Checks, measured by the engine", *check_lines(checks)]
    if blockers:
        lines += ["", "In the way", *(f"  ✗ {clean(blocker)}" for blocker in blockers)]
    if commits:
        lines += ["", "Commits", *(f"  {clean(commit)}" for commit in commits)]
    return Evidence(
        document=encode([*lines, "", SEPARATOR, ""]) + diff,
        summary=f"{_size(stat)} · {_verdicts(checks)} · {merges}",
        on_yes=f"{task.id} is merged on the run's integration branch. Your own branch stays as it is.",
        on_no=f"{task.id} goes back to {task.instance} with your comment; its worktree and conversation are kept.",
        about=task.commit,
        stat=stat,
        checks=tuple(checks),
        blockers=tuple(blockers),
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
    facts: Sequence[CheckResult] = (),
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
        *check_lines(checks),
        *(f"  {'✓' if fact.has_passed else '✗'} {fact.name} · {fact.detail}" for fact in facts),
    ]
    if blockers:
        lines += ["", "In the way", *(f"  ✗ {clean(blocker)}" for blocker in blockers)]
    return Evidence(
        document=encode([*lines, "", SEPARATOR, ""]) + diff,
        summary=f"{_size(stat)} · {_verdicts(checks)} · {how}",
        on_yes=f"{branch} moves to the merged work and your checkout follows; uncommitted changes elsewhere stay.",
        on_no=f"{branch} stays as it is. The work is kept under refs/swarm/unlanded/{run.id}.",
        about=about,
        stat=stat,
        checks=tuple(checks),
        facts=tuple(facts),
        blockers=tuple(blockers),
    )


def escalation_evidence(gate: Gate, task: Task, log_tail: Sequence[str], conflict_diff: bytes = b"") -> Evidence:
    is_conflict = task.status == "blocked"
    lines = [
        f"{gate.id} · {task.id} · {task.title}",
        f"{task.instance or task.assigned_to} · attempt {task.attempt} · round {task.iteration}",
        "",
        "What happened",
        *indent(task.reason or "the task failed"),
    ]
    if log_tail:
        lines += ["", "The last lines of its log", *(f"  {line}" for line in log_tail)]
    document = encode([*lines, "", SEPARATOR, ""]) + conflict_diff
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


def permission_evidence(gate: Gate, ask: Ask, seen: Sequence[tuple[str, int]]) -> Evidence:
    """A call that needs leave. ``seen``: calls of this run that the proposed rules would let pass, and how often."""
    lines = [
        f"{gate.id} · {ask.instance} asks for leave to use {ask.tool}",
        f"{ask.task} · service {ask.service} · in {ask.directory}",
        f"asked because of {ask.rule}{f': {ask.why}' if ask.why else ''}",
        "",
        f"{ask.tool}",
        *indent(ask.subject or "(no arguments)"),
    ]
    if ask.details:
        lines += ["", "Its other arguments", *indent(ask.details)]
    lines += ["", "The rule that would have let it pass"]
    if ask.proposed:
        lines += [f"  {rule}" for rule in ask.proposed]
        lines += ["  session grants it to this service for this run, always for good. A deny rule still denies."]
        lines += ["", "Calls of this run that it would have let pass"]
        lines += [f"  {count:>4} × {call}" for call, count in seen[:MAX_SEEN]] or ["  none yet"]
        lines += [f"  and {len(seen) - MAX_SEEN} more"] if len(seen) > MAX_SEEN else []
    else:
        lines += ["  none: this call can be allowed once, and no more"]
    return Evidence(
        document=encode(lines),
        summary=f"{ask.tool}: {' '.join(ask.subject.split())[:120]}",
        on_yes="The call is made, in the service's directories and confinement as ever.",
        on_no=f"{ask.instance} gets a refusal with your comment and goes on without it.",
    )


def trust_evidence(gate: Gate, ask: Ask) -> Evidence:
    """Something the repository brings and wants to run."""
    lines = [
        f"{gate.id} · the repository brings {ask.tool}, and it would run",
        f"wanted by {ask.instance} · service {ask.service}",
        f"SHA-256 {ask.sha256}",
        "",
        "What it is",
        *indent(ask.subject or "(empty)"),
        "",
        "Your yes is for exactly this content: when it changes you are asked again.",
    ]
    return Evidence(
        document=encode(lines),
        summary=f"{ask.tool}, sha256 {ask.sha256[:12]}",
        on_yes="It runs when an agent of this run needs it; always remembers that for later runs.",
        on_no="It does not run. Agents go on without it.",
    )


def encode(lines: Sequence[str]) -> bytes:
    """Each of ``lines`` as one line: the name of a file may have line breaks and must not begin a section with them."""
    return "\n".join(clean(line.replace("\n", "\u240a")) for line in lines).encode()


def indent(text: str, width: int = 2) -> list[str]:
    """The lines of ``text``, each set in."""
    return [" " * width + line for line in text.strip().splitlines()]


def check_lines(checks: Sequence[CheckRun]) -> list[str]:
    """Each check in a line, a failed one with the end of its output."""
    if not checks:
        return ["  none configured: add `checks:` to multi-agent.yaml"]
    lines: list[str] = []
    for check in checks:
        mark = "✓" if check.has_passed else "?" if check.result == "not_measured" else "✗"
        needed = " · required" if check.required else ""
        lines.append(f"  {mark} {check.name}{needed} · {check.detail} · {check.command}")
        if not check.has_passed:
            lines += [f"      {line}" for line in check.tail]
    return lines


def _verdicts(checks: Sequence[CheckRun]) -> str:
    if not checks:
        return "nothing measured"
    failed = [check.name for check in checks if check.result in ("fail", "error")]
    unknown = [check.name for check in checks if check.result == "not_measured"]
    parts = [f"FAILED: {', '.join(failed)}"] if failed else []
    parts += [f"NOT MEASURED: {', '.join(unknown)}"] if unknown else []
    return " · ".join(parts) or f"{len(checks)} of {len(checks)} checks passed"


def _size(stat: Stat) -> str:
    files = "1 file" if stat.files == 1 else f"{stat.files} files"
    return f"{files} +{stat.insertions} −{stat.deletions}"
