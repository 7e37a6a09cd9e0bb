"""How events change artifacts, findings, incidents and budgets."""

from __future__ import annotations

from dataclasses import replace

from .budgets import Budget
from .entities import Artifact
from .errors import IllegalTransition
from .findings import Finding, Incident
from .machines import ARTIFACT, BUDGET, FINDING, INCIDENT
from .state import AnyEvent, Sink, State, on, task_of

# What the plan of a planning task holds: new tasks, tasks given to somebody else, tasks that are dropped.
PLAN_PARTS = ("tasks", "reassign", "cancel")

# -- artifacts


@on(
    "artifact.written",
    "artifact.validated",
    "artifact.rejected",
    "artifact.stale",
    "artifact.sealed",
    "artifact.superseded",
)
def _artifact_moved(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    path = str(data.get("path", "") or data.get("type", ""))
    is_write = event.kind == "artifact.written"
    artifact = view.artifacts.get(path) or (Artifact(path) if is_write else None)
    if artifact is None or not path:
        raise IllegalTransition(f"{event.kind}: there is no artifact {path or '?'}")
    out.artifact(
        replace(
            artifact,
            status=ARTIFACT.step(artifact.status, event.kind, subject=path),
            type=data.get("type", artifact.type),
            version=artifact.version + is_write,
            sha256=data.get("sha256", "" if is_write else artifact.sha256),
            written_by=(event.task or "") if is_write else artifact.written_by,
            reason=data.get("reason", ""),
            commit=data.get("commit", "" if is_write else artifact.commit),
            inputs=tuple((str(p), str(h)) for p, h in data["inputs"]) if "inputs" in data else artifact.inputs,
        )
    )
    if is_write and data.get("type") == "plan":
        out.plan(event.task or "", {key: data.get(key, []) for key in PLAN_PARTS})


@on("artifact.read")
def _artifacts_read(view: State, event: AnyEvent, out: Sink) -> None:
    """What a task was given to read, exactly as it was."""
    reads = tuple((str(path), str(sha256)) for path, sha256 in event.data.get("reads", ()))
    out.task(replace(task_of(view, event), reads=reads))


# -- findings


@on("finding.opened")
def _finding_opened(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    name = str(data.get("finding", ""))
    if not name or name in view.findings:
        raise IllegalTransition(f"finding {name or '?'} cannot be opened")
    out.finding(
        Finding(
            id=name,
            title=data.get("title", ""),
            severity=data.get("severity", "MEDIUM"),
            location=data.get("location", ""),
            owner=data.get("owner", ""),
            raised_by=event.actor,
            issue=data.get("issue", ""),
            fix=data.get("fix", ""),
            verification=data.get("verification", ""),
            category=data.get("category", ""),
            about=data.get("about", ""),
            source=event.task or "",
            signature=data.get("signature", ""),
        )
    )


@on("finding.fix_started", "finding.fixed", "finding.reopened", "finding.unresolved", "finding.closed")
def _finding_moved(view: State, event: AnyEvent, out: Sink) -> None:
    """Who fixes does not verify: only the one who raised it, a check or the operator closes a finding."""
    data = event.data
    finding = view.findings.get(str(data.get("finding", "")))
    if finding is None:
        raise IllegalTransition(f"{event.kind}: there is no finding {data.get('finding')}")
    status = FINDING.step(finding.status, event.kind, subject=finding.id)
    if status == "closed" and data.get("resolution") == "verified" and _has_fixed(view, event.actor, finding):
        raise IllegalTransition(f"finding {finding.id}: {finding.owner} fixed it and cannot verify it")
    out.finding(
        replace(
            finding,
            status=status,
            owner=data.get("owner", finding.owner),
            resolution=data.get("resolution", finding.resolution),
            commit=data.get("commit", finding.commit),
            task=data.get("task", finding.task),
            rounds=finding.rounds + (event.kind == "finding.fix_started"),
            reason=data.get("reason", ""),
        )
    )
    out.mark(data.get("command", ""))


def _has_fixed(view: State, actor: str, finding: Finding) -> bool:
    """Whether ``actor`` is the service, or an instance of the service, whose work the fix is. The task says who: it may
    have been given to somebody else meanwhile."""
    task = view.tasks.get(finding.task or finding.about)
    instance = view.instances.get(actor)
    fixers = ({task.assigned_to, task.instance} if task else {finding.owner}) - {""}
    return actor in fixers or (instance is not None and instance.service in fixers)


# -- incidents


@on("incident.opened")
def _incident_opened(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    name = str(data.get("incident", ""))
    if not name or name in view.incidents:
        raise IllegalTransition(f"incident {name or '?'} cannot be opened")
    out.incident(
        Incident(
            id=name,
            scope=data.get("scope", "run"),
            severity=data.get("severity", "CRITICAL"),
            trigger=data.get("trigger", ""),
            reason=data.get("reason", ""),
            subject=data.get("subject", ""),
            opened_at=out.ts,
        )
    )


@on("incident.contained", "incident.escalated", "incident.closed")
def _incident_moved(view: State, event: AnyEvent, out: Sink) -> None:
    incident = view.incidents.get(str(event.data.get("incident", "")))
    if incident is None:
        raise IllegalTransition(f"{event.kind}: there is no incident {event.data.get('incident')}")
    status = INCIDENT.step(incident.status, event.kind, subject=incident.id)
    out.incident(replace(incident, status=status, closed_at=out.ts if status == "closed" else ""))


# -- budgets


@on("budget.set")
def _budget_set(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    name = str(data.get("budget", ""))
    if not name or name in view.budgets:
        raise IllegalTransition(f"budget {name or '?'} cannot be set")
    scope, dimension, limit = data.get("scope", "run"), data.get("dimension", "tokens"), float(data.get("limit", 0.0))
    out.budget(Budget(name, scope, dimension, limit))


@on("budget.warning", "budget.exhausted", "budget.raised")
def _budget_moved(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    budget = view.budgets.get(str(data.get("budget", "")))
    if budget is None:
        raise IllegalTransition(f"{event.kind}: there is no budget {data.get('budget')}")
    limit = float(data.get("limit", budget.limit))
    if event.kind == "budget.raised":
        limit = max(limit, budget.limit)  # a raise at a gate that crosses one on the command line lowers nothing
    out.budget(
        replace(
            budget,
            status=BUDGET.step(budget.status, event.kind, subject=budget.id),
            spent=float(data.get("spent", budget.spent)),
            limit=limit,
            round=budget.round + (event.kind == "budget.exhausted"),
            asked=float(data.get("asked", budget.asked)),
        )
    )
    out.mark(data.get("command", ""))
