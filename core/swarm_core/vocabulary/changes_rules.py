"""How events change the facts that rules look at, and what rules did about them.

Facts of work that is over are dropped, so that a look at them costs what is open.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .errors import IllegalTransition
from .findings import SEVERITIES
from .machines import FINDING
from .rules import Fact, Firing, Matrix, fired_key
from .state import AnyEvent, Sink, State, on

MAX_PATHS = 50


@on("matrix.adopted")
def _adopted(view: State, event: AnyEvent, out: Sink) -> None:
    out.matrix(Matrix.read(event.data))


# -- facts


@on("check.passed", "check.failed", "check.not_measured", also=True)
def _measured(view: State, event: AnyEvent, out: Sink) -> None:
    """The latest result of a check on what a task would bring about, or on the integration line."""
    data, task = event.data, event.task or ""
    if data.get("tree") == "alone":
        return  # it was measured to tell whose fault the result is
    kind, name = str(data.get("kind", "")), str(data.get("name", ""))
    tree = "agent" if task else "merged"
    known = view.tasks.get(task)
    status = str(data.get("result") or data.get("status") or event.kind.partition(".")[2])
    value = data.get("value")
    fact = Fact(
        key=f"check:{name}:{task if tree == 'agent' else ''}",
        kind="check",
        name=_name(kind if kind not in ("", "command") else name),
        status={"passed": "pass", "failed": "fail"}.get(status, status),
        value=float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None,
        unit=str(data.get("unit", "")),
        severity=_severity(data),
        task=task if tree == "agent" else "",
        tree=tree,
        commit=str(data.get("commit") or (known.commit if known and tree == "agent" else view.run.integration)),
        paths=_paths(data.get("files", ())),
        detail=str(data.get("detail", "") or data.get("command", ""))[:200],
        owner=known.assigned_to if known is not None and not known.is_planning else "",
        service=str(data.get("service", "")),
        document=str(data.get("evidence", "")),
        seq=out.seq,
        seen=_paths(data.get("seen", ())),
    )
    out.fact(fact.key, fact)


@on("finding.opened", also=True)
def _found(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    if data.get("firing"):
        return  # a rule's own finding is what it did, not what it looks at
    instance = view.instances.get(event.agent or event.actor)
    location = str(data.get("location", ""))
    name = str(data.get("finding", ""))
    fact = Fact(
        key=f"finding:{name}",
        kind="finding",
        name=_name(str(data.get("category", ""))),
        status="open",
        severity=_severity(data) or "MEDIUM",
        task=event.task or "",
        paths=_paths(data.get("paths", ()) or ([location.partition(":")[0].partition("#")[0]] if location else ())),
        detail=str(data.get("title", ""))[:200],
        by=instance.service if instance is not None else event.actor,
        owner=str(data.get("owner", "")),
        seq=out.seq,
    )
    out.fact(fact.key, fact)


@on("finding.closed", also=True)
def _closed(view: State, event: AnyEvent, out: Sink) -> None:
    out.fact(f"finding:{event.data.get('finding', '')}", None)


@on("incident.opened", also=True)
def _broke(view: State, event: AnyEvent, out: Sink) -> None:
    data, name = event.data, str(event.data.get("incident", ""))
    if data.get("trigger") == "rule":
        return
    reason, severity = str(data.get("reason", ""))[:200], _severity(data) or "CRITICAL"
    trigger, subject = _name(str(data.get("trigger", ""))), str(data.get("subject", "")).split()
    task = subject[0] if subject and subject[0] in view.tasks else ""
    out.fact(
        f"incident:{name}",
        Fact(f"incident:{name}", "incident", trigger, "open", severity=severity, task=task, detail=reason, seq=out.seq),
    )


@on("incident.closed", also=True)
def _over(view: State, event: AnyEvent, out: Sink) -> None:
    out.fact(f"incident:{event.data.get('incident', '')}", None)


@on("merge.conflicted", also=True)
def _conflicted(view: State, event: AnyEvent, out: Sink) -> None:
    task, paths = event.task or "", _paths(event.data.get("paths", ()))
    key, commit = f"conflict:{task}", view.tasks[task].commit if task in view.tasks else ""
    owner = view.tasks[task].assigned_to if task in view.tasks else ""
    fact = Fact(key, "conflict", "merge_conflict", "open", task=task, commit=commit, paths=paths, owner=owner)
    out.fact(key, replace(fact, detail=f"conflict in {', '.join(paths)}"[:200], seq=out.seq))


@on("merge.queued", also=True)
def _queued(view: State, event: AnyEvent, out: Sink) -> None:
    out.fact(f"conflict:{event.task}", None)


@on("task.done", "task.cancelled", "task.skipped", also=True)
def _ended(view: State, event: AnyEvent, out: Sink) -> None:
    """What was measured on its own tree is history: what counts now is the merged one."""
    for key in list(view.index.facts_of.get(event.task or "", ())):
        if view.facts[key].kind in _OF_A_TASK:
            out.fact(key, None)


@on("rollback.done", also=True)
def _rolled_back(view: State, event: AnyEvent, out: Sink) -> None:
    """What was measured is of a tree that is no more."""
    for key in [key for key, fact in view.facts.items() if fact.kind in _OF_A_TASK]:
        out.fact(key, None)


_OF_A_TASK = ("check", "conflict")


# -- firings


@on("rule.fired")
def _fired(view: State, event: AnyEvent, out: Sink) -> None:
    data = event.data
    name, rule, evidence = (str(data.get(key, "")) for key in ("firing", "rule", "evidence"))
    if not name or name in view.firings or fired_key(rule, evidence) in view.fired:
        raise IllegalTransition(f"rule {rule or '?'} has fired for this already, or {name or '?'} is taken")
    fact = view.facts.get(str(data.get("fact", "")))
    if fact is None or fact.evidence != evidence:
        raise IllegalTransition(f"rule {rule}: the fact {data.get('fact')} has moved")
    actions, notify = tuple(data.get("actions", ())), tuple(data.get("notify", ()))
    out.firing(Firing(name, rule, str(data.get("why", "")), evidence, fact, actions, notify, out.ts))


@on("action.done")
def _acted(view: State, event: AnyEvent, out: Sink) -> None:
    firing, data = _firing(view, event), event.data
    action, result = str(data.get("action", "")), str(data.get("result", ""))
    if action in firing.done:
        raise IllegalTransition(f"{firing.id}: {action} is done already")
    out.firing(
        replace(
            firing,
            done=(*firing.done, action),
            outcome={**firing.outcome, action: result},
            tasks=(*firing.tasks, *map(str, data.get("tasks", ()))),
            finding=str(data.get("finding", "")) or firing.finding,
            incident=str(data.get("incident", "")) or firing.incident,
        )
    )


@on("rule.settled")
def _settled(view: State, event: AnyEvent, out: Sink) -> None:
    firing = _firing(view, event)
    if firing.settled:
        raise IllegalTransition(f"{firing.id} is settled already: {firing.settled}")
    out.firing(replace(firing, settled=str(event.data.get("how", "")) or "settled"))


@on("rule.waived")
def _waived(view: State, event: AnyEvent, out: Sink) -> None:
    """The operator takes the responsibility: what it blocks on is accepted by name."""
    firing, data = _firing(view, event), event.data
    if firing.settled:
        raise IllegalTransition(f"{firing.id} is settled already: {firing.settled}")
    finding = view.findings.get(firing.finding)
    if finding is not None and finding.status != "closed":
        status = FINDING.step(finding.status, "finding.closed", subject=finding.id)
        out.finding(replace(finding, status=status, resolution="accepted"))
        out.fact(f"finding:{finding.id}", None)
    wanted = (*firing.done, *firing.pending)
    out.firing(replace(firing, done=wanted, settled=f"waived by the operator: {data.get('note', '')}"))
    out.mark(str(data.get("command", "")))


@on("message.written")
def _message(view: State, event: AnyEvent, out: Sink) -> None:
    """A note for a task, told with its next message; for a service without one, it waits for its next task."""
    service, text = str(event.data.get("to", "")), str(event.data.get("text", ""))
    task = view.tasks.get(event.task or "")
    if task is not None:
        out.task(replace(task, notes=(*task.notes, text)))
    else:
        out.letters(service, (*view.letters.get(service, ()), text))


@on("task.created", also=True)
def _created(view: State, event: AnyEvent, out: Sink) -> None:
    """A service's new task begins with what was written to the service meanwhile."""
    service, task = str(event.data.get("assigned_to", "")), view.tasks.get(event.task or "")
    if (letters := view.letters.get(service)) and task is not None:
        out.task(replace(task, notes=(*task.notes, *letters)))
        out.letters(service, ())


@on("service.scaled")
def _scaled(view: State, event: AnyEvent, out: Sink) -> None:
    service, replicas = str(event.data.get("service", "")), int(event.data.get("replicas", 0))
    if not service or replicas < 1:
        raise IllegalTransition(f"service {service or '?'} cannot have {replicas} replicas")
    out.replicas(service, replicas)


def _firing(view: State, event: AnyEvent) -> Firing:
    name = str(event.data.get("firing", ""))
    if name not in view.firings:
        raise IllegalTransition(f"{event.kind}: no rule fired as {name or '?'}")
    return view.firings[name]


def _name(text: str) -> str:
    return text.strip().lower().replace("-", "_").replace(" ", "_")


def _severity(data: Any) -> str:
    text = str(data.get("severity", "")).upper()
    return text if text in SEVERITIES else ""


def _paths(given: Any) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)):
        return ()
    return tuple(dict.fromkeys(str(path) for path in given if path))[:MAX_PATHS]
