"""Facts and rules: which rules fire, in which order, and when what they saw is over. Pure. What a rule means stands in
``vocabulary.conditions``.

A rule fires once for each evidence. While what it did about a subject is not settled it does not fire for that subject
again, so that a measurement repeated while somebody works on it asks for nothing twice. The subject of a measurement is
what was measured, whoever's work it was measured on: what broke the line shows in every task that is built on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from swarm_core.vocabulary.conditions import holds, severity_of
from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.findings import SEVERITIES
from swarm_core.vocabulary.gating import WAIVE
from swarm_core.vocabulary.ids import numbered
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.rules import Fact, Firing, Rule, fired_key, order_of
from swarm_core.vocabulary.state import State

from .effects import Record

BLOCK = "block_deployment"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule and the fact it holds for."""

    rule: Rule
    fact: Fact


def due_facts(view: State) -> list[Fact]:
    """What some rule holds for that has not fired for it yet. Everything else that is known costs a look nothing."""
    found = (view.facts[key] for key in view.index.due)
    return [fact for fact in found if not _is_past(view, fact)]


def _is_past(view: State, fact: Fact) -> bool:
    """Whether a measurement is of a task that has ended: what counts now is the line it was merged into."""
    task = view.tasks.get(fact.task) if fact.kind == "check" else None
    return task is not None and task.status in TASK.terminal


def fitting(rules: Iterable[Rule], facts: Iterable[Fact]) -> list[Candidate]:
    """Every rule that holds, in the order of effect: halt, block, create work, backlog, notify; then by severity, the
    order of the file, and the subject. The order of the facts does not matter."""
    known = list(rules)
    places = {rule.id: place for place, rule in enumerate(known)}
    found = [Candidate(rule, fact) for fact in facts for rule in known if holds(rule, fact)]

    def key(candidate: Candidate) -> tuple[int, int, int, str]:
        rule, fact = candidate.rule, candidate.fact
        first = min((order_of(action) for action in rule.actions), default=order_of("notify"))
        severity = severity_of(fact)
        rank = SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
        return first, rank, places[rule.id], fact.key

    return sorted(found, key=key)


def fire(view: State) -> Iterator[Record]:
    """The rules that are to fire now, each as one fact with the decision it is."""
    if not view.index.due:
        return
    taken = {(firing.rule, firing.fact.subject) for firing in open_firings(view)}
    numbers = itertools.count(len(view.firings) + 1)
    for candidate in fitting(view.matrix.rules, due_facts(view)):
        rule, fact = candidate.rule, candidate.fact
        if (rule.id, fact.subject) in taken or fired_key(rule.id, fact.evidence) in view.fired:
            continue
        taken.add((rule.id, fact.subject))
        name, why = numbered("firing", next(numbers)), f"{fact.shown}, and the rule is about {rule.when}"
        actions, notify = list(rule.actions), list(rule.notify)
        fired = {
            "firing": name,
            "rule": rule.id,
            "fact": fact.key,
            "evidence": fact.evidence,
            "why": why,
            "actions": actions,
            "notify": notify,
        }
        evidence = [fact.evidence, f"event {fact.seq}", *([fact.document] if fact.document else [])]
        decided = {
            "decision": name,
            "subject": fact.key,
            "question": f"what follows from {fact.shown}?",
            "candidates": actions,
            "chosen": actions,
            "method": "rule",
            "rule": rule.id,
            "why": why,
            "evidence": evidence,
        }
        task = fact.task if fact.task in view.tasks else None
        yield Record((Draft("rule.fired", fired, task=task), Draft("decision.made", decided, task=task)))


def open_firings(view: State) -> list[Firing]:
    return [view.firings[name] for name in view.open_firings]


def blocking(view: State) -> list[str]:
    """Why nothing may be landed now, each with its next step: what rules block on, and what they are about to block on.

    Said by the facts alone, so that a measurement counts at once, whether or not its rule was journaled meanwhile.
    """
    out: dict[str, None] = {}
    for firing in open_firings(view):
        finding = view.findings.get(firing.finding)
        is_closed = finding is not None and finding.status == "closed"
        is_mended = firing.fact.kind == "check" and is_over(view, firing)
        if BLOCK in firing.actions and not is_closed and not is_mended:
            out[_blocker(firing.rule, firing.fact)] = None
    taken = {(firing.rule, firing.fact.subject) for firing in open_firings(view)}
    for candidate in fitting((rule for rule in view.matrix.rules if BLOCK in rule.actions), due_facts(view)):
        rule, fact = candidate.rule, candidate.fact
        if (rule.id, fact.subject) not in taken and fired_key(rule.id, fact.evidence) not in view.fired:
            out[_blocker(rule.id, fact)] = None
    return list(out)


def _blocker(rule: str, fact: Fact) -> str:
    return f"{fact.shown} ({rule}): mend it, or take it on you with `{WAIVE} FIRING`; swarm-tui decisions names it"


def is_of_a_rule(blocker: str) -> bool:
    """Whether a gate's blocker is one of ours."""
    return WAIVE in blocker


def is_over(view: State, firing: Firing) -> str:
    """Why what a rule fired for is no longer so; empty while it is, or while nobody knows."""
    fact = firing.fact
    match fact.kind:
        case "finding":
            finding = view.findings.get(fact.key.partition(":")[2])
            return f"{finding.id} is closed ({finding.resolution})" if finding and finding.status == "closed" else ""
        case "incident":
            incident = view.incidents.get(fact.key.partition(":")[2])
            return f"{incident.id} is closed" if incident is not None and incident.status == "closed" else ""
        case "conflict":
            return "" if fact.key in view.facts else "the conflict is gone"
    task = view.tasks.get(fact.task)
    if task is not None and task.status in TASK.terminal and task.status != "done":
        return f"{task.id} is {task.status}: its work is not in the way"
    merged = f"check:{fact.key.split(':')[1]}:"
    newer = [view.facts[key] for key in {fact.key, merged} if key in view.facts and view.facts[key].seq > fact.seq]
    if not newer:
        return ""
    latest = max(newer, key=lambda one: one.seq)
    rule = next((rule for rule in view.matrix.rules if rule.id == firing.rule), None)
    if rule is not None and rule.metric:
        is_mended = (
            latest.value is not None and latest.status not in ("error", "not_measured") and not holds(rule, latest)
        )
        is_mended = is_mended and latest.tree == fact.tree
    else:
        is_mended = latest.status == "pass"
    return f"{latest.shown} (event {latest.seq})" if is_mended else ""
