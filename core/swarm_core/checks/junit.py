"""JUnit XML as test programs write it: which tests ran, and how each ended. Pure.

There is no standard; read are ``testcase`` elements at any depth with ``failure``, ``error`` or ``skipped`` inside, and
the counts of ``testsuite`` only where they claim more failures than cases say (a suite that broke before its cases).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .markup import MarkupError, read_xml
from .measured import Found

ROOTS = ("testsuites", "testsuite")
MAX_NAME_CHARS = 500


@dataclass(slots=True)
class TestReport:
    """``passed`` and ``skipped`` are names of tests, ``failed`` what went wrong by name."""

    __test__ = False

    passed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, Found] = field(default_factory=dict)
    broken_suites: int = 0

    @property
    def names(self) -> set[str]:
        """Every test that was collected."""
        return {*self.passed, *self.skipped, *self.failed}

    @property
    def collected(self) -> int:
        return len(self.passed) + len(self.skipped) + len(self.failed)


def read_junit(data: bytes) -> TestReport:
    """Raises MarkupError for what is no JUnit XML."""
    report, case = TestReport(), dict[str, str]()
    claimed = told = 0

    def begin(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal claimed
        if name == "testsuite":
            claimed += _count(attributes, "failures") + _count(attributes, "errors")
        if name == "testcase":
            case.clear()
            case.update(attributes)
            case[""] = "passed"
        elif name in ("failure", "error") and case:
            case[""] = "failed"
            case.setdefault("message", attributes.get("message", "").strip() or name)
        elif name == "skipped" and case.get("") == "passed":
            case[""] = "skipped"

    def end(name: str, text: str) -> None:
        nonlocal told
        if name in ("failure", "error") and case and case["message"] == name and text.strip():
            case["message"] = text.strip().splitlines()[-1]
        if name != "testcase" or not case:
            return
        named = _name(case)
        match case[""]:
            case "failed":
                told += 1
                line = case.get("line", "")
                place = (case.get("file", "").removeprefix("./"), int(line) if line.isdecimal() else 0)
                said = case["message"].strip().splitlines()[:1]
                report.failed[named] = Found(f"{named}: {''.join(said)[:300]}", *place, severity="HIGH")
            case "skipped":
                report.skipped.append(named)
            case _:
                report.passed.append(named)
        case.clear()

    root = read_xml(data, begin, end)
    if root not in ROOTS:
        raise MarkupError(f"it begins with <{root[:40]}>, not with <testsuites> or <testsuite>")
    report.broken_suites = max(0, claimed - told)
    return report


def _name(case: Mapping[str, str]) -> str:
    inside, name = case.get("classname", ""), case.get("name", "")
    return (f"{inside}::{name}" if inside else name)[:MAX_NAME_CHARS]


def _count(attributes: Mapping[str, str], key: str) -> int:
    value = attributes.get(key, "0")
    return int(value) if value.isdecimal() and len(value) < 10 else 0
