"""The journal's events: what happened, in order, as plain data.

One event is one line of ``events.jsonl``. ``KINDS`` is the closed list of what the engine may write, with the data
each kind carries; a reader shows a kind it does not know as a row and never drops it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FORMAT_VERSION = 1
ENGINE = "engine"
OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Draft:
    """An event before the journal gave it its place (``seq``, ``ts``, ``prev``)."""

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    actor: str = ENGINE
    task: str | None = None
    agent: str | None = None
    phase: str | None = None
    cause: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A journaled event. ``ts`` is wall time for people; ``seq`` alone orders events."""

    seq: int
    ts: str
    run: str
    kind: str
    data: Mapping[str, Any]
    actor: str = ENGINE
    task: str | None = None
    agent: str | None = None
    phase: str | None = None
    cause: int | None = None
    v: int = FORMAT_VERSION


# kind -> what ``data`` holds. `task` and `agent` (an instance) are fields of the envelope.
KINDS: Mapping[str, str] = {
    "run.created": "title, goal, services{key: {persona, model, adapter, replicas}}, spec_sha256, options{}",
    "run.started": "base_ref, base, hub, integration",
    "run.completed": "outcome(clean|with_issues|partial), landed, commit, reason",
    "run.failed": "reason",
    "run.aborted": "reason, command",
    "run.paused": "mode(pause|drain), reason, command",
    "run.halted": "mode(halt|stop), reason, command",
    "run.resumed": "command",
    "run.note": "text",
    "service.paused": "service, reason, command",
    "service.resumed": "service, command",
    "spec.drift": "path, sha256, was",
    "event.refused": "kind, reason, command",
    "phase.started": "title",
    "phase.work_done": "",
    "phase.skipped": "reason",
    "phase.reopened": "reason",
    "receipt.sealed": "path, sha256, status",
    "receipt.mismatch": "path, expected, found",
    "engine.started": "pid, version",
    "engine.released": "pid",
    "engine.crash_detected": "pid, last_seq",
    "task.created": "title, description, assigned_to, created_by, dependencies[], priority, order, "
    "kind(work|plan|review|consultation|diagnosis), about, request, writes[], estimate_s, phase, branch, subject",
    "task.ready": "reason, note, iteration",
    "task.claimed": "attempt, base, worker, command",
    "task.released": "reason, kind, failures, wait_s, not_before",
    "task.blocked": "reason",
    "task.paused": "reason, command",
    "task.resumed": "command",
    "task.skipped": "reason",
    "tasks.requested": "request, reason, tasks[]",
    "task.submitted": "attempt, commit, files, insertions, deletions, command",
    "task.verified": "gate",
    "task.reopened": "note, gate, iteration, critique",
    "task.done": "commit",
    "task.failed": "reason, kind, command",
    "task.reassigned": "gate, note, assigned_to, by(architect|operator), reason",
    "task.cancelled": "reason, command",
    "task.checkpoint": "attempt, note",
    "status.updated": "attempt, section, state(pending|in_progress|done|blocked)",
    "agent.starting": "service, model, worktree, branch, base",
    "agent.ready": "",
    "agent.busy": "",
    "agent.idle": "",
    "agent.waiting": "reason, until",
    "agent.stalled": "reason",
    "agent.paused": "reason",
    "agent.resumed": "",
    "agent.failed": "reason",
    "agent.restarted": "",
    "agent.retired": "reason",
    "llm.call": "model, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, "
    "cost_usd, stop_reason, ms, feature(plan|mend|work|rework|reminder)",
    "llm.started": "model, tokens, micro_usd, ms, calls (the most it may use)",
    "llm.cut": "tokens, micro_usd, ms, calls (what it counts for), reason",
    "llm.retry": "kind, wait_s, attempt, message",
    "limit.reached": "gate, until, wait_s, reason",
    "breaker.opened": "gate, until, wait_s, failures, reason",
    "breaker.closed": "gate",
    "tool.used": "name, target, ok, ms",
    "policy.denied": "tool, target, rule, message",
    "commit.created": "commit, message, files, insertions, deletions, paths[]",
    "handoff.recorded": "what_i_did, whats_left, recommendation",
    "artifact.written": "type, path, sha256, commit, inputs[[path, sha256]]; of a plan: tasks[], reassign[], cancel[]",
    "artifact.read": "reads[[path, sha256]]",
    "artifact.validated": "path, sha256, commit, inputs[[path, sha256]]",
    "artifact.rejected": "path, reason, faults[]",
    "artifact.stale": "path, reason, upstream, upstream_sha256",
    "artifact.sealed": "path",
    "artifact.superseded": "path",
    "finding.opened": "finding, title, severity, location, owner, issue, fix, verification, category, about, signature",
    "finding.fix_started": "finding, owner, task",
    "finding.fixed": "finding, commit",
    "finding.reopened": "finding, reason",
    "finding.unresolved": "finding, reason",
    "finding.closed": "finding, resolution(verified|accepted|rejected|backlog), reason, command",
    "question.raised": "question, text, default, options[], risk, needs_human",
    "question.answered": "question, answer, command",
    "incident.opened": "incident, scope(task|agent|phase|run), severity, trigger, reason, subject",
    "incident.contained": "incident",
    "incident.escalated": "incident, reason",
    "incident.closed": "incident, command",
    "recovery.started": "to_seq, incident, reason, command",
    "recovery.completed": "incident, seconds",
    "recovery.failed": "incident, reason",
    "rollback.done": "to_seq, integration, tasks{id: again|drop}, phases[]",
    "budget.set": "budget, scope, dimension, limit",
    "budget.warning": "budget, spent",
    "budget.exhausted": "budget, spent, asked",
    "budget.raised": "budget, limit, gate, command",
    "check.passed": "name, kind, command, exit_code, seconds, tree(agent|merged|alone), commit, evidence, "
    "result(pass), value, unit, threshold, required, findings, files[]",
    "check.failed": "name, kind, command, exit_code, seconds, tree(agent|merged|alone), commit, evidence, "
    "result(fail|error), value, unit, threshold, required, findings, files[]",
    "check.not_measured": "name, kind, command, exit_code, seconds, tree(agent|merged|alone), commit, evidence, "
    "result(not_measured), value, unit, threshold, required, findings, files[]",
    "permission.requested": "ask, tool, subject, details, rule, why, proposed[], service, directory, sha256, attempt",
    "permission.withdrawn": "ask, reason",
    "matrix.adopted": "path, sha256, aliases{name: service}, rules[{id, metric, sign, limit, unit, condition, "
    "severity, raised_by, do[], execute, notify[], place}]",
    "rule.fired": "firing, rule, fact, evidence, why, actions[], notify[]",
    "rule.settled": "firing, how",
    "rule.waived": "firing, note, command",
    "action.done": "firing, action, result, tasks[], finding, incident",
    "decision.made": "decision, subject, question, candidates[], chosen[], method(rule|architect|operator), rule, why, "
    "evidence[]",
    "message.written": "to, text, firing, refs[]",
    "service.scaled": "service, replicas, was, firing",
    "gate.evaluating": "gate, place(plan|merge|phase|landing|escalation|permission|trust|budget|recovery), title, "
    "round, ask, subject",
    "gate.consulted": "gate, reviewers[], about (the commit they are asked about)",
    "gate.opened": "gate, document, evidence, about, summary, on_yes, on_no, stat{files, insertions, deletions}, "
    "checks[{name, passed, detail, status, value, unit, threshold, required}], blockers[], aspects[], holds[]",
    "gate.decided": "gate, verdict(approve|request_changes|reject|force|abort), scope(once|session|always), note, "
    "evidence, command, by(operator|rule|...), findings[] (open ones, of a force); by a rule also what gate.opened has",
    "gate.deferred": "gate, until(a time, a task or a gate), note, command, by",
    "gate.invalidated": "gate, reason, command, by",
    "gate.reevaluated": "gate, reason, command, by",
    "gate.aborted": "gate, reason",
    "decision.refused": "command, gate, reason",
    "merge.queued": "commit",
    "merge.checking": "commit, onto",
    "merge.completed": "commit, integration",
    "merge.conflicted": "paths[], onto, messages[], reason",
    "merge.rejected": "reason, paths[]",
    "restore.done": "from(name of the archive), seq, head, at(when the backup was made)",
}
