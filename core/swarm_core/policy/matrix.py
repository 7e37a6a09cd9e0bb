"""Facts and rules: which rules fire, in which order, and when what they saw is over. Pure.

A rule fires once for each evidence. While what it did about a subject is not settled it does not fire for that subject
again, so that a measurement repeated while somebody works on it asks for nothing twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from swarm_core.vocabulary.events import Draft
from swarm_core.vocabulary.findings import SEVERITIES
from swarm_core.vocabulary.ids import numbered
from swarm_core.vocabulary.machines import TASK
from swarm_core.vocabulary.rules import Fact, Firing, Rule, fired_key, order_of
from swarm_core.vocabulary.state import State

from .effects import Record
from .names import plain

# One thing, several names: those of rules, of checks and of their kinds.
METRICS = {
    "line_coverage": "coverage",
    "test_coverage": "coverage",
    "latency": "response_time",
    "p95": "response_time",
    "response_time_p95": "response_time",
    "memory": "memory_usage",
    "failing_tests": "failed_tests",
    "tests_failed": "failed_tests",
    "errors": "error_rate",
    "cyclomatic_complexity": "complexity",
}
TESTS = frozenset({"tests", "test", "unit_tests", "integration_tests", "e2e_tests", "pytest"})
VULNERABLE = {"secret_scan": "CRITICAL", "secrets": "CRITICAL", "sast": "HIGH", "sast_min": "HIGH", "security": "HIGH"}
SECURITY = frozenset({"security", "vulnerability", "auth", "secret", "injection", "xss", "crypto"})
INCONSISTENT = frozenset({"inconsistency", "consistency", "api_db_consistency", "ui_api_consistency"})
INCONSISTENT_CHECKS = INCONSISTENT | {"integration_complete"}
FAILED = ("fail", "error")
WAIVE = "swarm-tui decisions waive"
BLOCK = "block_deployment"
_FACTORS = {
    "": ("", 1.0),
    "%": ("%", 1.0),
    "ms": ("ms", 1.0),
    "s": ("ms", 1_000.0),
    "bytes": ("bytes", 1.0),
    "b": ("bytes", 1.0),
    "kb": ("bytes", 1_000.0),
    "mb": ("bytes", 1_000_000.0),
    "gb": ("bytes", 1_000_000_000.0),
    "mib": ("bytes", 1_048_576.0),
}
_VERBS = ("_found", "_detected", "_fails", "_fail", "_failed", "_opened", "_happens")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule and the fact it holds for."""

    rule: Rule
    fact: Fact


def facts_of(view: State) -> list[Fact]:
    """What is known now, one fact a subject."""
    return list(view.facts.values())


def metric(name: str) -> str:
    return METRICS.get(name, name)


def holds(rule: Rule, fact: Fact) -> bool:
    """Whether a rule is about what a fact says."""
    if rule.metric:
        # What a task's own tree measures is judged at its gate; thresholds are about what is merged.
        is_about = fact.kind == "check" and fact.tree != "agent" and metric(fact.name) == metric(rule.metric)
        return is_about and _is_beyond(rule, fact) and rule.severity in ("", fact.severity)
    return _is(rule, fact) and rule.severity in ("", severity_of(fact))


def severity_of(fact: Fact) -> str:
    """How bad it is; a failed check that says nothing is as bad as its kind usually is."""
    return fact.severity or (VULNERABLE.get(fact.name, "") if fact.kind == "check" else "")


def is_vulnerability(fact: Fact) -> bool:
    if fact.kind == "check":
        return fact.name in VULNERABLE and fact.status in FAILED
    return fact.kind == "finding" and (fact.name in SECURITY or (not fact.name and plain(fact.by) == "security"))


def is_inconsistency(fact: Fact) -> bool:
    if fact.kind == "check":
        return fact.name in INCONSISTENT_CHECKS and fact.status in FAILED
    return fact.kind == "finding" and fact.name in INCONSISTENT


def _is(rule: Rule, fact: Fact) -> bool:
    """Whether a condition is met; one without a meaning of its own names a category or a check."""
    match rule.condition:
        case "vulnerability_found":
            return is_vulnerability(fact)
        case "inconsistency_detected":
            return is_inconsistency(fact)
        case "tests_fail" | "test_fails":
            return fact.kind == "check" and fact.name in TESTS and fact.status in FAILED
        case "critical_error":
            if fact.kind == "incident":
                return fact.name == "failures"
            is_own = is_vulnerability(fact) or is_inconsistency(fact)
            return fact.kind == "finding" and fact.severity == "CRITICAL" and not is_own
        case "merge_conflict" | "conflict_detected":
            return fact.kind == "conflict"
        case "incident" | "incident_opened":
            return fact.kind == "incident"
    name = next((rule.condition.removesuffix(verb) for verb in _VERBS if rule.condition.endswith(verb)), rule.condition)
    if fact.kind == "check":
        return fact.name == name and fact.status in FAILED
    return fact.name == name


def _is_beyond(rule: Rule, fact: Fact) -> bool:
    """Whether a measured value is past the rule's limit. What was not measured is not past anything."""
    if fact.value is None or fact.status in ("not_measured", "error"):
        return False
    limit, value = _common(rule.limit, rule.unit), _common(fact.value, fact.unit)
    if limit is None or value is None:
        return False
    if limit[0] != value[0] and not (limit[0] == "" and value[0] != "bytes") and value[0] != "":
        return False
    return value[1] > limit[1] if rule.sign == ">" else value[1] < limit[1]


def _common(number: float, unit: str) -> tuple[str, float] | None:
    known = _FACTORS.get(unit.lower())
    return None if known is None else (known[0], number * known[1])


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
    if not view.matrix.rules or not view.facts:
        return
    taken = {(firing.rule, firing.fact.key) for firing in open_firings(view)}
    numbers = itertools.count(len(view.firings) + 1)
    for candidate in fitting(view.matrix.rules, facts_of(view)):
        rule, fact = candidate.rule, candidate.fact
        if (rule.id, fact.key) in taken or fired_key(rule.id, fact.evidence) in view.fired:
            continue
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
    taken = {(firing.rule, firing.fact.key) for firing in open_firings(view)}
    for candidate in fitting((rule for rule in view.matrix.rules if BLOCK in rule.actions), facts_of(view)):
        rule, fact = candidate.rule, candidate.fact
        if (rule.id, fact.key) not in taken and fired_key(rule.id, fact.evidence) not in view.fired:
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
