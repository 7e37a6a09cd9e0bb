"""What the operator, and workers outside the engine, may ask of a run: applied once, or refused with a reason.

Every request that changes something is named by one event (``command``), so that the same file found again after a
crash, or sent twice, is recognised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from swarm_core.policy.failures import halting
from swarm_core.vocabulary.entities import Task
from swarm_core.vocabulary.errors import IllegalTransition, UsageError
from swarm_core.vocabulary.events import OPERATOR, Draft
from swarm_core.vocabulary.inbox import InboxItem
from swarm_core.vocabulary.machines import TASK

from .decisions import decide_gate
from .finding_requests import finding_closed, question_answered
from .inbox import Verdict
from .runner import Runner
from .workers import claim, claimed_before, hand_in, heartbeat

LANDING = "the work is being landed as you approved it: in a moment the run is over"
CONTAINED_S = 10.0
MAX_DIGITS = 18
MAX_LIMIT = 1e15
Answer = Callable[[Runner, InboxItem], Awaitable[Verdict]]


async def handle(runner: Runner, item: InboxItem) -> Verdict:
    """Answer a request about a run that is under way."""
    if item.id in runner.view.commands:
        if item.kind == "task.claim":
            return await claimed_before(runner, item)
        refused = runner.view.refused.get(item.id, "")
        return Verdict(not refused, refused, item.run)
    try:
        return await _ANSWERS[item.kind](runner, item)
    except IllegalTransition as error:
        return await refuse(runner, item, error.message)


async def refuse(runner: Runner, item: InboxItem, reason: str) -> Verdict:
    """Say no, and keep that it was said."""
    data = {"command": item.id, "request": item.kind, "reason": reason}
    await runner.record(Draft("decision.refused", data))
    return Verdict(False, reason, item.run)


async def _abort(runner: Runner, item: InboxItem) -> Verdict:
    if _is_landing(runner):
        return await refuse(runner, item, LANDING)
    reason = _note(item) or "the operator ended the run"
    return await _apply(runner, item, Draft("run.aborted", {"reason": reason, "command": item.id}, actor=OPERATOR))


async def _pause(runner: Runner, item: InboxItem) -> Verdict:
    mode = "drain" if item.data.get("mode") == "drain" else "pause"
    data = {"mode": mode, "reason": _note(item) or "the operator paused the run", "command": item.id}
    return await _apply(runner, item, Draft("run.paused", data, actor=OPERATOR))


async def halt(runner: Runner, item: InboxItem) -> Verdict:
    """Stop: at the next step of each agent, or at once (``mode: stop``)."""
    mode = "stop" if item.data.get("mode") == "stop" else "halt"
    reason = _note(item) or "the operator halted the run"
    opened, halted = halting(runner.view, reason, trigger="operator", mode=mode)
    halted = Draft(halted.kind, {**halted.data, "command": item.id}, actor=OPERATOR)
    is_open = any(incident.status in ("open", "contained") for incident in runner.view.incidents.values())
    return await _apply(runner, item, *(() if is_open else (opened,)), halted)


async def _resume(runner: Runner, item: InboxItem) -> Verdict:
    return await _apply(runner, item, Draft("run.resumed", {"command": item.id}, actor=OPERATOR))


async def _roll_back(runner: Runner, item: InboxItem) -> Verdict:
    """Back to what the run was when a gate's decision had its effect (``gate:3``), or after an event (``seq:120``)."""
    view = runner.view
    if view.is_over:
        return await refuse(runner, item, f"the run is {view.run.status}: there is nothing to roll back")
    if _is_landing(runner):
        return await refuse(runner, item, LANDING)
    try:
        seq = await _point(runner, str(item.data["to"]))
    except UsageError as error:
        return await refuse(runner, item, error.message)
    reason = f"the operator rolls back to event {seq}"
    if view.run.status != "halted":
        await runner.record(*halting(view, reason, trigger="rollback", mode="stop"))
    contained = [i.id for i in view.incidents.values() if i.status in ("open", "contained")]
    if contained and view.incidents[contained[-1]].status == "open":
        await runner.until(lambda: view.incidents[contained[-1]].status == "contained", CONTAINED_S)
    data = {"to_seq": seq, "reason": reason, "command": item.id, "incident": "".join(contained[-1:])}
    return await _apply(runner, item, Draft("recovery.started", data, actor=OPERATOR))


async def _point(runner: Runner, text: str) -> int:
    """The event a rollback goes to. Raises UsageError if there is none."""
    kind, _, name = text.partition(":")
    view = runner.view
    if kind == "seq" and name.isdecimal() and len(name) <= MAX_DIGITS:
        seq = int(name)
        if not view.started_seq <= seq <= view.last_seq:
            raise UsageError(
                f"there is no event {name} to go back to: they go from {view.started_seq} to {view.last_seq}"
            )
        return seq
    if kind == "gate":
        gate = view.gates.get(name) or view.gates.get(f"gate_{name.zfill(3)}")
        if gate is None:
            raise UsageError(f"there is no gate {name!r} in this run")
        if gate.status != "passed":
            raise UsageError(f"{gate.id} is {gate.status}: only a gate that was passed is a point to go back to")
        return await runner.papers.settled_at(runner.layout.journal, gate)
    raise UsageError(f"{text[:80]!r} is not a point to go back to: use gate:N or seq:N")


async def _hold_task(runner: Runner, item: InboxItem) -> Verdict:
    data = {"reason": _note(item) or "the operator holds this task", "command": item.id}
    return await _apply(runner, item, Draft("task.paused", data, actor=OPERATOR, task=str(item.data["task"])))


async def _free_task(runner: Runner, item: InboxItem) -> Verdict:
    return await _apply(
        runner, item, Draft("task.resumed", {"command": item.id}, actor=OPERATOR, task=str(item.data["task"]))
    )


async def _cancel_task(runner: Runner, item: InboxItem) -> Verdict:
    """Drop a task, with what depends on it, before its change is merged."""
    task = _task(runner, item)
    if task is not None and task.is_planning and task.about == "" and not runner.view.plans:
        return await refuse(runner, item, "the first plan cannot be dropped: abort the run")
    data = {"reason": _note(item) or "the operator dropped it", "command": item.id}
    drafts = [Draft("task.cancelled", data, actor=OPERATOR, task=str(item.data["task"]))]
    if task is not None:
        gates = [gate for gate in runner.view.gates.values() if gate.task == task.id]
        gone = {"reason": f"{task.id} was dropped"}
        drafts += [
            Draft("gate.aborted", {"gate": gate.id, **gone}, task=task.id)
            for gate in gates
            if gate.status in ("open", "evaluating")
        ]
    return await _apply(runner, item, *drafts)


async def _hold_service(runner: Runner, item: InboxItem) -> Verdict:
    service = str(item.data["service"])
    if service not in runner.spec.services:
        return await refuse(runner, item, f"there is no service {service!r}: {', '.join(runner.spec.services)}")
    data = {"service": service, "reason": _note(item) or "the operator holds this service", "command": item.id}
    return await _apply(runner, item, Draft("service.paused", data, actor=OPERATOR))


async def _free_service(runner: Runner, item: InboxItem) -> Verdict:
    data = {"service": str(item.data["service"]), "command": item.id}
    return await _apply(runner, item, Draft("service.resumed", data, actor=OPERATOR))


async def _raise_budget(runner: Runner, item: InboxItem) -> Verdict:
    """Raise a limit, whether it is used up or not; a gate that asks for it is no longer needed."""
    name, limit = str(item.data["budget"]), item.data["limit"]
    budget = runner.view.budgets.get(name)
    if budget is None:
        known = ", ".join(runner.view.budgets) or "none are configured"
        return await refuse(runner, item, f"there is no budget {name[:80]!r} in this run: {known}")
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not budget.limit < limit < MAX_LIMIT:
        return await refuse(runner, item, f"{name} is at {budget.limit:g}: a raise is a larger number than that")
    raised = Draft("budget.raised", {"budget": name, "limit": float(limit), "command": item.id}, actor=OPERATOR)
    gate = runner.view.latest_gate("budget", name)
    if gate is None or gate.status not in ("open", "evaluating"):
        return await _apply(runner, item, raised)
    gone = Draft("gate.aborted", {"gate": gate.id, "reason": f"{name} was raised to {limit:g}"})
    return await _apply(runner, item, raised, gone)


async def _waive(runner: Runner, item: InboxItem) -> Verdict:
    """Take what a rule blocks on upon oneself: its finding is accepted by name."""
    firing, note = str(item.data["firing"]), _note(item)
    if not note:
        return await refuse(runner, item, "say why: what is waived is told with its reason (--note)")
    data = {"firing": firing, "note": note, "command": item.id}
    return await _apply(runner, item, Draft("rule.waived", data, actor=OPERATOR))


def _is_landing(runner: Runner) -> bool:
    """Whether the operator's branch may be moving now: nothing may be ended or undone half-way."""
    gate = runner.view.latest_gate("landing")
    return gate is not None and gate.status == "passed" and not runner.view.is_over


async def _apply(runner: Runner, item: InboxItem, *drafts: Draft) -> Verdict:
    await runner.record(*drafts)
    return Verdict(True, run=item.run)


def _task(runner: Runner, item: InboxItem) -> Task | None:
    task = runner.view.tasks.get(str(item.data["task"]))
    return task if task is not None and task.status not in TASK.terminal else None


def _note(item: InboxItem) -> str:
    return str(item.data.get("note", "")).strip()


_ANSWERS: Mapping[str, Answer] = {
    "run.abort": _abort,
    "run.pause": _pause,
    "run.halt": halt,
    "run.resume": _resume,
    "run.rollback": _roll_back,
    "task.pause": _hold_task,
    "task.resume": _free_task,
    "task.cancel": _cancel_task,
    "service.pause": _hold_service,
    "service.resume": _free_service,
    "budget.raise": _raise_budget,
    "finding.close": finding_closed,
    "question.answer": question_answered,
    "gate.decide": decide_gate,
    "rule.waive": _waive,
    "task.claim": claim,
    "task.heartbeat": heartbeat,
    "task.submit": hand_in,
    "task.fail": hand_in,
}
