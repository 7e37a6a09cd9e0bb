"""Events as plain lines for people without a room: logs, pipes, continuous integration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from swarm_core.vocabulary.clean import clean_line
from swarm_core.vocabulary.events import Event

WIDTH = 160
_QUIET = frozenset(
    {"agent.busy", "agent.idle", "agent.resumed", "merge.checking", "llm.call", "gate.evaluating", "phase.work_done"}
    | {"decision.made"}  # what was decided is told by the rule or the gate
)
_Say = Callable[[Mapping[str, Any]], str]
_SAY: Mapping[str, _Say] = {
    "run.created": lambda d: f"goal: {d.get('goal')}",
    "run.started": lambda d: f"base {str(d.get('base'))[:12]} of {d.get('base_ref')}",
    "run.completed": lambda d: f"{d.get('outcome')}, {'landed' if d.get('landed') else 'not landed'} {d.get('reason')}",
    "task.created": lambda d: f"{d.get('title')} → {d.get('assigned_to')}",
    "task.released": lambda d: f"{d.get('reason')}: again in {d.get('wait_s', 0)} s (failure {d.get('failures', 0)})",
    "task.reassigned": lambda d: f"to {d.get('assigned_to') or 'the same service'} {d.get('note', '')}",
    "task.submitted": lambda d: f"{d.get('files')} files +{d.get('insertions')} -{d.get('deletions')}",
    "task.reopened": lambda d: f"round {d.get('iteration')}: {d.get('note')}",
    "agent.starting": lambda d: f"worktree {d.get('worktree')}",
    "tool.used": lambda d: f"{d.get('name')} {d.get('target')}{'' if d.get('ok') else ' (failed)'}",
    "policy.denied": lambda d: f"{d.get('tool')} {d.get('target')}: {d.get('message')}",
    "commit.created": lambda d: f"{str(d.get('commit'))[:12]} {d.get('message')}",
    "handoff.recorded": lambda d: str(d.get("what_i_did")),
    "llm.retry": lambda d: f"{d.get('kind')}: again in {d.get('wait_s')} s",
    "limit.reached": lambda d: f"{d.get('gate')} until {str(d.get('until'))[11:19]}: {d.get('reason')}",
    "breaker.opened": lambda d: f"{d.get('gate')} until {str(d.get('until'))[11:19]}: {d.get('reason')}",
    "breaker.closed": lambda d: str(d.get("gate")),
    "finding.opened": lambda d: f"{d.get('finding')} {d.get('severity')}: {d.get('title')} {d.get('location', '')}",
    "finding.fix_started": lambda d: f"{d.get('finding')} by {d.get('task') or 'nobody'} ({d.get('owner')})",
    "finding.fixed": lambda d: f"{d.get('finding')} by commit {str(d.get('commit'))[:12]}",
    "finding.closed": lambda d: f"{d.get('finding')} {d.get('resolution')} {d.get('reason', '')}",
    "matrix.adopted": lambda d: f"{len(d.get('rules', ()))} rules of {d.get('path')}",
    "rule.fired": lambda d: f"{d.get('firing')} {d.get('rule')}: {d.get('why')}",
    "action.done": lambda d: f"{d.get('firing')} {d.get('action')}: {d.get('result')}",
    "rule.settled": lambda d: f"{d.get('firing')} {d.get('how')}",
    "rule.waived": lambda d: f"{d.get('firing')} by the operator: {d.get('note')}",
    "message.written": lambda d: f"to {d.get('to')} about {d.get('firing')}",
    "service.scaled": lambda d: f"{d.get('service')}: {d.get('was')} → {d.get('replicas')} replicas",
    "question.raised": lambda d: f"{d.get('question')}: {d.get('text')} (goes on with: {d.get('default')})",
    "task.checkpoint": lambda d: str(d.get("note")),
    "status.updated": lambda d: f"{d.get('section')}: {d.get('state')}",
    "artifact.written": lambda d: f"{d.get('type')} {d.get('path')}",
    "artifact.read": lambda d: ", ".join(str(path) for path, _ in d.get("reads", ())),
    "artifact.validated": lambda d: str(d.get("path")),
    "artifact.rejected": lambda d: str(d.get("reason") or d.get("path")),
    "artifact.sealed": lambda d: str(d.get("path")),
    "gate.opened": lambda d: f"{d.get('gate')}: {d.get('summary')}",
    "gate.decided": lambda d: f"{d.get('gate')}: {d.get('verdict')} {d.get('note')}",
    "merge.completed": lambda d: f"integration is {str(d.get('integration'))[:12]}",
    "receipt.sealed": lambda d: f"{d.get('status')} {d.get('path')}",
    "spec.drift": lambda d: f"{d.get('path')} changed since the run began; the run goes on with its own copy",
    "incident.opened": lambda d: f"{d.get('incident')} ({d.get('scope')}): {d.get('reason')}",
    "event.refused": lambda d: f"{d.get('kind')}: {d.get('reason')}",
    "rollback.done": lambda d: (
        f"to event {d.get('to_seq')}, {len(d.get('tasks', {}))} tasks begin again or are dropped"
    ),
    "recovery.completed": lambda d: f"after {d.get('seconds')} s",
    "merge.conflicted": lambda d: str(d.get("reason") or f"conflict in {', '.join(d.get('paths', ()))}"),
}


def line(event: Event) -> str | None:
    """One line for an event, or None for those that only matter to machines."""
    if event.kind in _QUIET:
        return None
    say = _SAY.get(event.kind)
    known = say(event.data) if say else str(event.data.get("reason") or event.data.get("text") or "")
    if say is None and event.kind.startswith("check."):
        known = _check(event.data)
    who = event.agent or event.task or event.phase or event.actor
    where = f"{event.task} " if event.task and event.agent else ""
    return clean_line(f"{event.ts[11:19]} {who:<12} {event.kind:<18} {where}{known}".rstrip(), WIDTH)


def _check(data: Mapping[str, Any]) -> str:
    value, limit, unit = data.get("value"), data.get("threshold"), data.get("unit", "")
    is_telling = isinstance(value, (int, float)) and (unit or limit or not data.get("note"))
    shown = f" {value:g}{unit}{f' ({limit})' if limit else ''}" if is_telling else ""
    note = f": {data['note']}," if data.get("note") else ""
    return f"{data.get('name')}{shown}{note} on the {data.get('tree')} tree in {data.get('seconds')} s"
