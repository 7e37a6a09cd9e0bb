"""Why something does not go on and what happens next, in one line each. Pure: the state and the time in, words out.

Texts come from configuration and agents: what is returned here passes ``clean_line`` where it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.entities import Gate, Task
from swarm_core.vocabulary.gating import offered
from swarm_core.vocabulary.rules import Firing
from swarm_core.vocabulary.view import RunView
from swarm_core.vocabulary.waits import limits, waits_for
from swarm_tui import words
from swarm_tui.widgets.line_pane import Row

AT_WORK = ("busy", "waiting", "stalled")
OVER = ("closed", "resolved")
BLOCK = "block_deployment"


# -- the run


def banner(view: RunView, now: str) -> list[Row]:
    """What the operator must know of the whole run, with the key that goes on; nothing while all is well."""
    rows: list[Row] = []
    if view.is_over:
        return to_know(view)
    if view.is_held:
        word, style = words.run_state(view.run)
        key = " · r resumes" if view.run.status != "recovering" else ""
        rows.append(((f" {word}", style), (key, "accent"), (" · ", "muted"), (clean_line(_why_held(view)), "plain")))
    rows += to_know(view)
    for service, reason in view.held_services.items():
        held = (f" ‖ {clean_line(service, 40)} is held", "accent")
        rows.append((held, (" · S frees it", "accent"), (" · ", "muted"), (clean_line(reason), "plain")))
    rows += [((" ◔ ", "accent"), (clean_line(told), "plain")) for told in limits(view, now)]
    if view.run.drift:
        names = clean_line(", ".join(view.run.drift))
        said = f"{names} changed since the run began; this run goes on with its own copy"
        rows.append(((" △ ", "accent"), (said, "plain")))
    return rows


def _why_held(view: RunView) -> str:
    run = view.run
    parts = [run.reason or "the operator holds the run"]
    if run.status == "halted":
        open_ = [i.id for i in view.incidents.values() if i.status not in OVER]
        parts += open_[-1:]
    working = sum(instance.status in AT_WORK for instance in view.instances.values())
    if run.pause == "drain":
        left = view.index.count("running", "merging")
        parts.append(f"{words.some(left, 'task is', 'tasks are')} finished, nothing begins" if left else "all is quiet")
    elif run.pause != "stop" and working and run.status != "recovering":
        parts.append(f"{words.some(working, 'agent stops at its', 'agents stop at their')} next step")
    return " · ".join(parts)


# -- what steers it


def to_know(view: RunView) -> list[Row]:
    """That something was found, is asked or keeps the work from landing, with the key that shows it."""
    blocks = sum(is_blocking(view, view.firings[name]) for name in view.open_firings)
    told = [
        (words.some(found, "finding") if (found := len(view.index.open_findings)) else "", "plain"),
        (f"{blocks} {'blocks' if blocks == 1 else 'block'} landing" if blocks else "", "bad"),
        (words.some(asked, "question") if (asked := unanswered(view)) else "", "accent"),
    ]
    noun = "artifact "
    for status, style in (("invalid", "bad"), ("stale", "accent")):
        if count := sum(artifact.status == status for artifact in view.artifacts.values()):
            told.append((f"{count} {noun}{status}", style))
            noun = ""
    shown = [piece for piece in told if piece[0]]
    if not shown:
        return []
    mark = (" ■ ", "bad") if blocks else (" ○ ", "accent")
    pieces = [piece for each in shown for piece in ((" · ", "muted"), each)][1:]
    return [(mark, ("v shows ", "accent"), *pieces)]


def ways_on(view: RunView, gate: Gate) -> list[tuple[str, str]]:
    """The keys that lead on at an open gate to which a plain yes is no answer, and what each does."""
    if gate.status != "open" or not (gate.blockers or gate.failed_checks):
        return []
    ways = []
    if any(is_blocking(view, view.firings[name]) for name in view.open_firings) and gate.place == "landing":
        ways.append(("v", "shows which rule blocks; w there waives it, with a word on why"))
    if gate.blockers:
        ways.append(("m", "measures again when it is mended: until then neither a nor f passes this gate"))
    elif "force" in offered(gate.place):
        failed = ", ".join(gate.failed_checks)
        opened = len(view.index.open_findings)
        left = f", {words.some(opened, 'open finding')} on record" if opened else ""
        refused = "" if gate.place == "phase" else "where a plain yes is refused, "
        ways.append(
            ("f", f"{refused}passes it with {failed} not passed: type {gate.id}; the run ends with issues{left}")
        )
    return ways


def is_blocking(view: RunView, firing: Firing) -> bool:
    """Whether a rule that fired keeps the work from landing."""
    finding = view.findings.get(firing.finding)
    is_closed = finding is not None and finding.status == "closed"
    return BLOCK in firing.actions and not firing.settled and not is_closed


def unanswered(view: RunView) -> int:
    """How many questions of agents wait for the operator's word."""
    return sum(not question.get("answer") for question in view.questions.values())


# -- a task


def next_step(view: RunView, task: Task, now: str) -> str:
    """Why nobody works on a task, or what comes next after something went wrong; empty where its state says it all."""
    if task.status in ("cancelled", "skipped"):
        return task.reason
    if task.status == "done":
        return ""
    if task.held:
        return f"held, h frees it: {task.held}"
    if (reason := view.held_services.get(task.assigned_to)) and task.status in ("ready", "running"):
        return f"{task.assigned_to} is held, S frees it: {reason}"
    match task.status:
        case "pending":
            return _needs(view, task)
        case "ready":
            return _waits(view, task, now)
        case "merging":
            return waits_for(view, task, now)
        case "running":
            return _works(view, task)
        case "failed" | "blocked":
            return _failed(view, task)
    return ""


def whole_story(view: RunView, task: Task, now: str) -> str:
    """The same where there is room for what a row leaves out: which gate a task waits at, that the run is held."""
    return next_step(view, task, now) or waits_for(view, task, now)


def rests_s(task: Task, now: str) -> int:
    """Whole seconds until a failed task is tried again; 0 when it does not rest."""
    left_s = words.seconds_between(now, task.not_before) if task.not_before and task.status == "ready" else None
    return max(0, ceil(min(left_s, task.wait_s))) if left_s is not None else 0  # a clock set back lengthens nothing


def _needs(view: RunView, task: Task) -> str:
    tasks = view.tasks
    waits = [
        name.removeprefix("task_") for name in task.dependencies if name not in tasks or tasks[name].status != "done"
    ]
    return f"needs {', '.join(waits)}" if waits else ""


def _waits(view: RunView, task: Task, now: str) -> str:
    if rest_s := rests_s(task, now):
        return f"again in {rest_s} s, {_attempt(view, task)}: {task.reason}"
    if view.is_held:
        return task.reason if task.failed_kind else ""
    return waits_for(view, task, now)


def _works(view: RunView, task: Task) -> str:
    instance = view.instances.get(task.instance)
    if instance is not None and instance.status in ("paused", "stalled", "waiting") and not view.is_held:
        return f"{instance.status}: {instance.reason}" if instance.reason else instance.status
    return _attempt(view, task) if task.failures else ""


def _failed(view: RunView, task: Task) -> str:
    gate = view.latest_gate("escalation", task.id)
    if gate is not None and gate.status == "open":
        return f"{gate.id} asks you: {task.reason}"
    for name in view.index.plans_about.get(task.id, ()):
        gate = view.latest_gate("plan", name)
        if gate is not None and gate.status == "open":
            return f"{gate.id} asks you about the architect's answer: {task.reason}"
        if view.tasks[name].status not in ("done", "cancelled", "skipped"):
            return f"architect decides who goes on: {task.reason}"
    return task.reason


def _attempt(view: RunView, task: Task) -> str:
    retries = _service(view, task).get("retries")
    of = f" of {retries + 1}" if isinstance(retries, int) else ""
    return f"attempt {task.failures + 1}{of}"


def _service(view: RunView, task: Task) -> Mapping[str, Any]:
    found = view.run.services.get(task.assigned_to)
    return found if isinstance(found, Mapping) else {}
