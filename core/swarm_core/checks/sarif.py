"""Findings of an external tool that speaks SARIF 2.1.0. The tool's exit status is not its word: many end badly because
they found something. What it says it could not do is an error here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any
from urllib.parse import unquote

from .measured import Found, Measured, broken, verdict
from .reports import reported
from .site import Site

LEVELS = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
_SEVERITY = {"error": "HIGH", "warning": "MEDIUM", "note": "LOW", "none": "LOW"}
CRITICAL_FROM = 9.0  # of security-severity, which counts as CVSS does
HIGH_FROM = 7.0
MEDIUM_FROM = 4.0


async def measure(site: Site) -> Measured:
    report = await reported(site)
    if isinstance(report, Measured):
        return report
    ended = report.ended
    try:
        found, failed = read_sarif(report.data)
    except (ValueError, RecursionError) as error:
        hint = "let the tool write SARIF 2.1.0 to {report}, and nothing else there"
        return broken(f"the report {error}", hint, ended.text, ended.exit_code)
    if failed:
        return broken("the tool says that it did not succeed", "see its output", ended.text, ended.exit_code)
    lowest = LEVELS.index(str(site.spec.options.get("level", "MEDIUM")))
    found = sorted(
        (one for one in found if LEVELS.index(one.severity) >= lowest),
        key=lambda one: (-LEVELS.index(one.severity), one.path, one.line),
    )
    judged = verdict(found, f"{len(found)} findings", Fraction(len(found)))
    return Measured(judged.status, judged.value, "", judged.found, judged.note, "", ended.text, ended.exit_code)


def read_sarif(data: bytes) -> tuple[list[Found], bool]:
    """All results that are not suppressed, and whether the tool says it failed. Raises ValueError. Pure."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from None
    runs = document.get("runs") if isinstance(document, dict) else None
    if not isinstance(runs, list) or not runs or not all(isinstance(run, dict) for run in runs):
        raise ValueError("is no SARIF: it has no runs")
    found: list[Found] = []
    failed = False
    for run in runs:
        rules = {str(rule.get("id")): rule for rule in _dicts(_at(run, "tool", "driver", "rules"))}
        failed |= any(one.get("executionSuccessful") is False for one in _dicts(run.get("invocations")))
        if not isinstance(run.get("results", []), list):
            raise ValueError("is no SARIF: results are no list")
        found += [
            _found(result, rules.get(str(result.get("ruleId")), {}))
            for result in _dicts(run.get("results"))
            if not result.get("suppressions") and result.get("kind", "fail") == "fail"
        ]
    return found, failed


def _found(result: Mapping[str, Any], rule: Mapping[str, Any]) -> Found:
    place = next(iter(_dicts(result.get("locations"))), {})
    path = str(_at(place, "physicalLocation", "artifactLocation", "uri") or "")
    line = _at(place, "physicalLocation", "region", "startLine")
    message = str(_at(result, "message", "text") or _at(rule, "shortDescription", "text") or "no message")
    return Found(
        message.strip().partition("\n")[0][:500],
        unquote(path.removeprefix("file://")).removeprefix("./"),
        line if isinstance(line, int) and 0 < line < 10**9 else 0,
        str(result.get("ruleId", "")),
        _severity(result, rule),
    )


def _severity(result: Mapping[str, Any], rule: Mapping[str, Any]) -> str:
    score = _at(result, "properties", "security-severity") or _at(rule, "properties", "security-severity")
    try:
        value = float(score)
    except (TypeError, ValueError):
        level = result.get("level") or _at(rule, "defaultConfiguration", "level") or "warning"
        return _SEVERITY.get(str(level), "MEDIUM")
    steps = ((CRITICAL_FROM, "CRITICAL"), (HIGH_FROM, "HIGH"), (MEDIUM_FROM, "MEDIUM"))
    return next((name for limit, name in steps if value >= limit), "LOW")


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
