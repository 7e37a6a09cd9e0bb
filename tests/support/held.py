"""What can happen to the recorded run while two agents work: it is paused or halted, its tasks fail; and other runs."""

from __future__ import annotations

from pathlib import Path

from tests.support.journals import write_journal

from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.layout import RepoLayout

PAUSED = (
    Draft("run.paused", {"mode": "pause", "reason": "the operator paused the run"}, actor=OPERATOR),
    Draft("agent.paused", {"reason": "the run is paused"}, agent="testing-1"),
    Draft("spec.drift", {"path": "multi-agent.yaml", "sha256": "f00d", "was": "cafe"}),
)
REFUSED_KEY = "the API answered 401: invalid x-api-key"
HALTED = (
    Draft("task.released", {"reason": REFUSED_KEY, "kind": "auth"}, task="task_003", agent="frontend-1"),
    Draft("incident.opened", {"incident": "incident_001", "trigger": "auth", "reason": f"task_003: {REFUSED_KEY}"}),
    Draft("run.halted", {"mode": "halt", "reason": f"task_003: {REFUSED_KEY}"}),
    Draft("agent.idle", agent="frontend-1"),
    Draft("incident.contained", {"incident": "incident_001"}),
    Draft("agent.paused", {"reason": "the run is halted"}, agent="testing-1"),
)
OVERLOADED = {"reason": "the API answered 529: overloaded", "kind": "overload"}
FAILING = (
    Draft(
        "task.released",
        {**OVERLOADED, "failures": 1, "wait_s": 4.0, "not_before": "2026-11-21T10:04:09.000Z"},
        task="task_003",
        agent="frontend-1",
    ),
    Draft("agent.idle", agent="frontend-1"),
    Draft("task.failed", {"reason": "testing-1 showed no sign of life", "kind": "lost"}, task="task_004"),
    Draft("agent.failed", {"reason": "testing-1 showed no sign of life"}, agent="testing-1"),
    Draft(
        "task.created",
        {
            "title": "task_004 failed: who goes on with it?",
            "assigned_to": "architect",
            "kind": "plan",
            "about": "task_004",
        },
        task="task_005",
    ),
    Draft("task.ready", task="task_005"),
    Draft(
        "task.created",
        {"title": "Write the operator's notes", "assigned_to": "backend", "dependencies": ["task_003"]},
        task="task_006",
    ),
    Draft("task.paused", {"reason": "after the dashboard"}, actor=OPERATOR, task="task_006"),
    Draft("service.paused", {"service": "backend", "reason": "the staging database is down"}, actor=OPERATOR),
)


def write_run(root: Path, run: str, title: str, *more: Draft) -> Path:
    """A run of few events; returns its journal."""
    journal = RepoLayout(root).run(run).journal
    begun = Draft("run.started", {"base_ref": "refs/heads/main", "base": "91c0aa72"})
    write_journal(journal, run, [Draft("run.created", {"title": title}), begun, *more])
    return journal


def gate(number: int) -> list[Draft]:
    """A landing gate that waits."""
    name = f"gate_{number:03d}"
    return [
        Draft("gate.evaluating", {"gate": name, "place": "landing", "title": "Land", "round": 1}),
        Draft("gate.opened", {"gate": name, "evidence": "0" * 64}),
    ]


def tasks_done(count: int, of: int) -> list[Draft]:
    """So many tasks, the first of which are done."""
    agent = "backend-1"
    drafts = [Draft("agent.starting", {"service": "backend"}, agent=agent), Draft("agent.ready", agent=agent)]
    for number in range(of):
        task = f"task_{number:03d}"
        drafts += [Draft("task.created", {"title": f"Part {number}"}, task=task), Draft("task.ready", task=task)]
        if number < count:
            drafts.append(Draft("task.claimed", {"attempt": 1}, task=task, agent=agent))
            drafts.append(Draft("task.submitted", {"commit": "c0ffee"}, task=task, agent=agent))
            drafts.append(Draft("task.done", {"commit": "c0ffee"}, task=task))
    return drafts


def write_other_runs(root: Path) -> None:
    """One run that waits at a gate, one that landed, one that was aborted."""
    spent = Draft("llm.call", {"input_tokens": 84_000, "output_tokens": 21_300, "cost_usd": 0.61})
    less = Draft("llm.call", {"input_tokens": 4_100, "output_tokens": 900, "cost_usd": 0.03})
    landed = Draft("run.completed", {"outcome": "clean", "landed": True})
    write_run(root, "20261121-095112-forecast-fill-levels", "Forecast fill levels from the history", spent,
              *tasks_done(6, 6), *gate(1))  # fmt: skip
    write_run(root, "20261120-161230-clean-up-the-api", "Clean up the API's error answers", spent,
              *tasks_done(4, 4), landed)  # fmt: skip
    write_run(root, "20261119-090455-try-another-router", "Try another router", less,
              *tasks_done(1, 5), Draft("run.aborted", {}))  # fmt: skip
