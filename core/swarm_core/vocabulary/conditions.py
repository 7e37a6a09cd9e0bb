"""When a rule of the decision matrix is about a fact: thresholds with their units, and conditions with a meaning."""

from __future__ import annotations

from collections.abc import Container, Iterable

from .rules import Fact, Rule, fired_key

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


def plain(name: str) -> str:
    """A name without the differences between the seeds: ``security_agent`` is ``security``."""
    return name.strip().lower().replace("_", "-").removesuffix("-agent")


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


def due(rules: Iterable[Rule], fired: Container[str], fact: Fact) -> tuple[str, ...]:
    """The rules that hold for a fact and have not fired for what it says."""
    holding = [rule.id for rule in rules if holds(rule, fact)]
    evidence = fact.evidence if holding else ""
    return tuple(rule for rule in holding if fired_key(rule, evidence) not in fired)
